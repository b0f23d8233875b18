"""The module dcgm_packages. Stubbed: AnsibleModule, dpkg-query and rpm (a dictionary of packages), and the folder of its record."""

import json

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.modules import dcgm_packages

CORE, EXPORTER = "datacenter-gpu-manager-4-core", "datacenter-gpu-manager-exporter"


class Host:
    """What stands for AnsibleModule and for the package manager."""

    def __init__(self, installed=None, tool="dpkg-query", **params):
        self.check_mode = False
        self.params = dict({"state": "present", "packages": {CORE: "4.6.0", EXPORTER: "4.8.3"}, "pairs": {"4.8.3": "4.6.0", "4.8.2": "4.5.3"},
                            "exporter": EXPORTER}, **params)
        self.installed, self.tool = installed or {}, tool

    def get_bin_path(self, name):
        return "/usr/bin/" + name if name == self.tool else None

    def run_command(self, argv):
        version = self.installed.get(argv[-1])
        if argv[0] == "rpm":
            return (0, version.split(":")[-1].split("-")[0] + "\n", "") if version else (1, "package is not installed\n", "")
        return (0, "installed " + version, "") if version else (1, "", "no packages found")

    def selinux_enabled(self):
        return False


@pytest.fixture(autouse=True)
def record(tmp_path, monkeypatch):
    monkeypatch.setattr(dcgm_packages, "RECORD", str(tmp_path / "packages" / "dcgm_exporter.json"))
    return tmp_path / "packages" / "dcgm_exporter.json"


def packages(host):
    return dcgm_packages.Packages(host)


def refused(host):
    with pytest.raises(Failure) as error:
        packages(host).present()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_new_host_gets_both_and_that_is_remembered(record):
    answer = packages(Host()).present()
    assert answer["missing"] == [CORE, EXPORTER] and answer["names"] == [CORE + "=*4.6.0-?", EXPORTER + "=*4.8.3-?"]
    assert answer["brought"] == json.loads(record.read_text()) == [CORE, EXPORTER]


def test_check_mode_remembers_nothing(record):
    host = Host()
    host.check_mode = True
    assert packages(host).present()["missing"] and not record.exists()


def test_dnf_wants_versions_in_another_way():
    assert packages(Host(tool="rpm")).present()["names"] == [CORE + "-4.6.0", EXPORTER + "-4.8.3"]


def test_nothing_is_missing_where_both_are_right():
    for tool in ("dpkg-query", "rpm"):
        answer = packages(Host({CORE: "1:4.6.0-1", EXPORTER: "4.8.3-1"}, tool)).present()
        assert answer["missing"] == answer["names"] == [] and answer["installed"] == {CORE: "4.6.0", EXPORTER: "4.8.3"}


def test_a_dcgm_of_the_site_that_fits_stays_and_never_goes(record):
    answer = packages(Host({CORE: "1:4.6.0-1"})).present()
    assert answer["missing"] == answer["brought"] == [EXPORTER]
    assert packages(Host({CORE: "1:4.6.0-1", EXPORTER: "4.8.3-1"}, state="absent")).absent()["brought"] == [EXPORTER] and not record.exists()


def test_a_dcgm_of_the_site_that_does_not_fit_is_an_error_with_both_versions_and_a_fix(record):
    assert refused(Host({CORE: "1:4.5.3-1"})) == (
        "dcgm_exporter_version = 4.8.3: it matches DCGM 4.6.0, but this host has DCGM 4.5.3 (datacenter-gpu-manager-4-core), not "
        "installed by accelmon.fleet; set dcgm_exporter_version to the matching 4.8.2, or update DCGM to 4.6.0")
    assert not record.exists()
    assert "set dcgm_exporter_source to container, or update DCGM to 4.6.0" in refused(Host({CORE: "1:4.0.0-1"}))


@pytest.fixture
def engine(monkeypatch):
    """Says whether a host engine runs."""
    def runs(value):
        monkeypatch.setattr(dcgm_packages.node, "hostengine", lambda root: value)
    runs(False)
    return runs


def test_ours_is_updated_unless_its_engine_runs(engine):
    packages(Host()).present()
    assert packages(Host({CORE: "1:4.5.3-1", EXPORTER: "4.8.2-1"})).present()["missing"] == [CORE, EXPORTER]
    engine(True)
    assert "whose host engine is running" in refused(Host({CORE: "1:4.5.3-1", EXPORTER: "4.8.2-1"}))


def test_what_we_brought_goes_again_but_not_below_an_engine_that_runs(engine):
    packages(Host()).present()
    both = {CORE: "1:4.6.0-1", EXPORTER: "4.8.3-1"}
    engine(True)
    assert packages(Host(both, state="absent")).absent()["brought"] == [EXPORTER]
    engine(False)
    packages(Host()).present()
    assert packages(Host(both, state="absent")).absent()["brought"] == [CORE, EXPORTER]
    assert packages(Host(both, state="absent")).absent()["brought"] == []


def test_a_host_with_neither_tool():
    assert "this host has neither dpkg nor rpm; set it to container" in refused(Host(tool=""))


def test_versions_without_the_distributions_additions():
    assert [dcgm_packages.upstream(one) for one in ("1:4.6.0-1", "4.8.3", "4.6.0~rc1-2", "4.6.0+x")] == ["4.6.0", "4.8.3", "4.6.0", "4.6.0"]
