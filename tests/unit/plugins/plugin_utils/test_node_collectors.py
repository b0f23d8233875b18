"""Which collectors node_exporter runs where. Nothing is stubbed; what the versions know is derived from documentation and,
for 1.5.0, 1.9.0 and 1.10.2, was compared with the programs' own help."""
import pytest

from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.programs import node_collectors
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs.node_collectors import (
    EXCLUDED, HEAVY, KNOWN, SINCE, arguments, choices, knows, program_version)

NVIDIA = {"nvidia": {"count": 8, "models": {"H100": 8}}}
AMD = {"amd": {"count": 4, "models": {"MI300X": 4}}}
TEGRA = {"nvidia": {"count": 1, "embedded": 1, "models": {"Orin": 1}}}


def test_a_host_without_accelerators_is_left_as_upstream_has_it():
    assert arguments({}, "1.9.0") == []
    assert arguments({"nvidia": {"count": 0, "driver_only": True}}, "1.9.0") == []


def test_heavy_collectors_are_off_where_accelerators_are():
    found = arguments(NVIDIA, "1.9.0")
    for name in ("systemd", "softnet", "schedstat", "cpufreq", "cpu.guest", "thermal_zone", "rapl"):
        assert f"--no-collector.{name}" in found
    assert any(one.startswith("--collector.netdev.device-exclude=^(veth") for one in found)


def test_what_our_dashboards_and_alerts_may_need_stays():
    found = " ".join(arguments(NVIDIA, "1.9.0"))
    for name in ("cpu ", "meminfo", "filesystem", "diskstats", "netstat", "loadavg", "hwmon", "infiniband", "edac", "nvme", "textfile", "timex"):
        assert f"--no-collector.{name}" not in found + " "


def test_what_does_not_pay_stays_off():
    for name in ("drm", "pcidevice", "ethtool"):
        assert name not in " ".join(arguments(dict(NVIDIA, **AMD), "1.10.2"))


def test_a_tegra_keeps_its_thermal_zones():
    assert "--no-collector.thermal_zone" not in arguments(TEGRA, "1.9.0")
    assert "--no-collector.softnet" in arguments(TEGRA, "1.9.0")


@pytest.mark.parametrize("version, present", [("1.5.0", False), ("1.9.1", False), ("1.10.0", True), ("1.10.2", True), ("", False)])
def test_a_flag_that_the_version_does_not_know_is_left_out(version, present):
    assert ("--collector.pcidevice" in arguments(NVIDIA, version, chosen={"pcidevice": True})) is present


def test_of_an_unknown_version_only_what_all_know_is_asked():
    assert arguments(AMD, "") == ["--no-collector.systemd"]
    assert not knows("0.18.1", "collector.drm") and knows("0.18.1", "collector.systemd")


def test_the_site_wins():
    found = arguments(AMD, "1.9.0", chosen={"systemd": True, "drm": False, "ethtool": True})
    assert "--collector.systemd" in found and "--no-collector.systemd" not in found
    assert "--no-collector.drm" in found and "--collector.ethtool" in found
    assert arguments(AMD, "1.9.0", lean=False, chosen={"drm": True}) == ["--collector.drm"]
    assert arguments({}, "1.9.0", chosen={"systemd": False}) == ["--no-collector.systemd"]


def test_no_flag_is_given_twice():
    extra = ["--collector.systemd", "--no-collector.drm", "--collector.netdev.device-exclude=^lo$"]
    found = arguments(AMD, "1.9.0", extra=extra)
    assert not [one for one in found if "systemd" in one or "drm" in one or "netdev" in one]
    assert "--no-collector.softnet" in found


@pytest.mark.parametrize("chosen", [{"--collector.drm": True}, {"drm": "yes"}, {"Drm": True}, {"pcidevise": True}, {"hwmom": False}, {"cpus.guest": True}])
def test_what_is_no_collector_is_refused(chosen):
    with pytest.raises(Problem, match="node_exporter_collectors = "):
        arguments(AMD, "1.9.0", chosen=chosen)


@pytest.mark.parametrize("source, version, node, told", [
    ("package", "", {"distribution": "debian", "distribution_version": "12"}, "1.5.0"),
    ("package", "", {"distribution": "debian", "distribution_version": "13"}, "1.9.0"),
    ("package", "", {"distribution": "debian", "distribution_version": "13.2"}, "1.9.0"),
    ("package", "", {"distribution": "ubuntu", "distribution_version": "24.04"}, "1.7.0"),
    ("package", "", {"distribution": "opensuse", "distribution_version": "15.6"}, ""),
    ("package", "1.10.2", {"distribution": "debian", "distribution_version": "12"}, "1.10.2"),
    ("release", "", {"architecture": "amd64"}, "1.9.1"),
    ("release", "1.8.2", {"architecture": "amd64"}, "1.8.2"),
    ("bundle", "", {"architecture": "amd64"}, ""),
    ("container", "", {"architecture": "amd64"}, ""),
    ("container", "1.9.1", {"architecture": "amd64"}, "1.9.1"),
])
def test_the_version_is_told_from_the_source(source, version, node, told):
    assert program_version(source, version, node) == told


def test_the_filter_reads_facts():
    facts = {"accelmon_node": {"distribution": "debian", "distribution_version": "12"}, "accelerators": {"summary": AMD}}
    assert "--no-collector.softnet" in node_collectors(facts)
    assert "--collector.drm" in node_collectors(facts, chosen={"drm": True})
    assert "--collector.pcidevice" not in node_collectors(facts, chosen={"pcidevice": True})
    assert node_collectors({}) == []


def test_every_collector_that_this_file_names_is_known():
    names = [*HEAVY, *(flag.partition("collector.")[2] for flag in (*SINCE, *EXCLUDED))]
    assert {name.partition(".")[0] for name in names} <= KNOWN
    assert choices({}, False, {"cpu.info": True, "pcidevice": True}) == {"cpu.info": True, "pcidevice": True}
