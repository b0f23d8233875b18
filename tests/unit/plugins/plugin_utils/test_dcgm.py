"""DCGM: versions, counters, packages of a bundle, repositories. Stubbed: nothing; the catalogue and the lists of the role are read."""

import hashlib
import json
import pathlib

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.programs import dcgm_arguments, dcgm_build, dcgm_repository, package_files
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import dcgm
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load

ROOT = pathlib.Path(__file__).resolve().parents[4]
FIELDS = ROOT / "tests" / "fixtures" / "dcgm" / "fields.txt"


def refused(call, *arguments):
    with pytest.raises(AnsibleFilterError) as error:
        call(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


# Versions

def test_the_default_is_one_of_the_pairs():
    built = dcgm_build({}, "package")
    assert (built["version"], built["dcgm"]) == ("4.8.3", "4.6.0") and built["pairs"]["4.8.4"] == "4.6.1"


def test_a_version_brings_its_dcgm():
    assert dcgm_build({"version": "4.8.2"}, "package")["packages"] == {"datacenter-gpu-manager-4-core": "4.5.3", "datacenter-gpu-manager-exporter": "4.8.2"}


def test_what_does_not_belong_together_is_one_error_with_both_and_a_fix():
    message = refused(dcgm_build, {"version": "4.8.3", "dcgm_version": "4.5.3"}, "package")
    assert message == ("dcgm_exporter_dcgm_version = 4.5.3: dcgm_exporter 4.8.3 matches DCGM 4.6.0, not DCGM 4.5.3; "
                       "set dcgm_exporter_version to 4.8.2")
    assert refused(dcgm_build, {"dcgm_version": "4.0.0"}, "package").endswith("set dcgm_exporter_dcgm_version to 4.6.0")


def test_a_version_that_nobody_tried_is_refused_with_those_that_are_known():
    message = refused(dcgm_build, {"version": "4.9.0"}, "package")
    assert message.startswith("dcgm_exporter_version = 4.9.0: ") and "4.8.4 with DCGM 4.6.1, 4.8.3 with DCGM 4.6.0" in message


def test_a_site_may_add_a_pair_in_words_that_are_versions():
    assert dcgm_build({"version": "4.8.9", "pairs": {"4.8.9": "4.6.9"}}, "package")["dcgm"] == "4.6.9"
    assert "not versions; write" in refused(dcgm_build, {"pairs": {"4.9": "4.7"}}, "package")


# Counters

def lines_of(page):
    """Lines for a list of counters in a page of the documentation."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [line.strip()[2:] for line in text.splitlines() if line.strip().startswith("- DCGM_")]


@pytest.mark.parametrize("page", ["links.md", "errors.md", "dcgm_exporter.md"])
def test_lines_that_the_documentation_proposes_can_be_added(page):
    """The list takes them, also all of them at once, and NVIDIA knows the fields."""
    known = {line.split()[0] for line in FIELDS.read_text().splitlines() if not line.startswith("#")}
    proposed = lines_of(page)
    assert bool(proposed) == (page == "links.md")
    assert {line.split(",")[0] for line in proposed} <= known
    added = dcgm.counters("4.8.3", True, proposed)
    assert all(line in added for line in proposed)


def test_no_bit_error_rate_is_read_as_the_exporter_rounds_it():
    """It writes six decimals of a number, so that a rate of 1e-9 is 0. The whole number that the driver gives is another field."""
    assert "DCGM_FI_DEV_NVLINK_COUNT_SYMBOL_BER" in load("sources")["sources"]["dcgm"]["metrics"]
    assert not [name for name in load("sources")["sources"]["dcgm"]["metrics"] if name.endswith(("_BER_FLOAT", "_BER_RATIO"))]


def test_the_lists_have_fields_that_nvidia_knows_and_no_line_twice():
    known = {line.split()[0] for line in FIELDS.read_text().splitlines() if not line.startswith("#")}
    names = dcgm.fields(dcgm.counters("4.8.4", True))
    assert len(names) == len(set(names)) and len(names) < 128  # DCGM's limit for one group
    assert not [name for name in names if name not in known]


def test_what_the_rules_cannot_do_without_is_there():
    names = set(dcgm.fields(dcgm.counters("4.8.3")))
    assert {"DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", "DCGM_FI_DEV_ROW_REMAP_PENDING", "DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL",
            "DCGM_FI_DEV_ENFORCED_POWER_LIMIT", "DCGM_FI_DEV_SLOWDOWN_TEMP", "DCGM_FI_DEV_GET_GPU_RECOVERY_ACTION",
            "DCGM_FI_DEV_CLOCKS_EVENT_REASONS", "DCGM_FI_DEV_PCIE_LINK_WIDTH", "DCGM_EXP_XID_ERRORS_COUNT"} <= names
    needs = load("sources")["sources"]["dcgm"]["essential"]
    assert all(names & set(need.split("|")) for need in needs)


def test_a_field_that_an_exporter_does_not_know_is_left_out():
    assert "DCGM_FI_DEV_GET_GPU_RECOVERY_ACTION" not in dcgm.fields(dcgm.counters("4.8.2"))
    assert set(load("dcgm")["since"]) <= set(dcgm.fields(dcgm.counters("4.8.4")))


def test_profiling_is_extra():
    plain, more = (set(dcgm.fields(dcgm_build({"profiling": on}, "package")["counters"])) for on in (False, True))
    assert not any("_PROF_" in name for name in plain) and all("_PROF_" in name for name in more - plain) and more > plain
    assert "datacenter-gpu-manager-4-proprietary" in dcgm_build({"profiling": "yes"}, "package")["packages"]


def test_lines_of_the_site_are_checked_as_the_exporter_would():
    text = dcgm_build({"extra_counters": ["DCGM_FI_DEV_FAN_SPEED, gauge, Fan in percent", "DCGM_FI_DEV_SERIAL, label, Serial"]}, "package")["counters"]
    assert text.endswith("DCGM_FI_DEV_FAN_SPEED, gauge, Fan in percent\nDCGM_FI_DEV_SERIAL, label, Serial\n")
    assert "DCGM_FI_DEV_SERIAL" not in dcgm.fields(text)
    for line in ("DCGM_FI_DEV_FAN_SPEED", "DCGM_FI_DEV_FAN_SPEED, gauge", "DCGM_FI_DEV_FAN_SPEED, gauge, a, b", "FAN, gauge, x", "DCGM_FI_X, histogram, x"):
        assert "not a valid line" in refused(dcgm_build, {"extra_counters": [line]}, "package")
    assert "already exported" in refused(dcgm_build, {"extra_counters": ["DCGM_FI_DEV_FB_USED, gauge, x"]}, "package")


# Images

def test_an_image_has_a_digest():
    assert "@sha256:" in dcgm_build({}, "container")["image"] and dcgm_build({}, "package")["image"] == ""
    own = "registry.example/dcgm-exporter@sha256:" + "1" * 64
    assert dcgm_build({"version": "4.8.4", "image": own}, "container")["image"] == own
    assert "it has no digest" in refused(dcgm_build, {"image": "nvidia/dcgm-exporter:4.8.3"}, "container")
    assert "no image digest for dcgm_exporter 4.8.4 is known" in refused(dcgm_build, {"version": "4.8.4"}, "container")


# Bundles

def bundle(folder, *artifacts):
    listed = []
    for name, version, file in artifacts:
        (folder / file).write_text(file)
        listed.append({"name": name, "version": version, "os": "linux", "architecture": "amd64", "file": file,
                       "sha256": hashlib.sha256(file.encode()).hexdigest()})
    (folder / "lock.json").write_text(json.dumps({"version": 1, "artifacts": listed}))
    return str(folder)


def files_of(place, names, versions, distribution):
    return package_files(place, "dcgm_exporter", names, versions, {"distribution": distribution, "distribution_version": "1", "architecture": "amd64"})


def test_packages_of_a_bundle_by_kind_of_distribution(tmp_path):
    place = bundle(tmp_path, ("core", "4.6.0", "core.deb"), ("core", "4.6.0", "core.rpm"), ("exporter", "4.8.3", "exporter.deb"))
    versions = {"core": "4.6.0", "exporter": "4.8.3"}
    found = files_of(place, ["core", "exporter"], versions, "ubuntu")
    assert [pathlib.Path(one["src"]).name for one in found] == ["core.deb", "exporter.deb"]
    assert pathlib.Path(files_of(place, ["core"], versions, "rocky")[0]["src"]).name == "core.rpm"
    assert "it has no exporter 4.8.3 linux/amd64" in refused(files_of, place, ["exporter"], versions, "rocky")


def test_a_package_that_was_changed_is_not_used(tmp_path):
    place = bundle(tmp_path, ("core", "4.6.0", "core.deb"))
    (tmp_path / "core.deb").write_text("tampered")
    assert "the SHA-256 of core.deb differs from that in its lock.json" in refused(files_of, place, ["core"], {"core": "4.6.0"}, "debian")
    (tmp_path / "core.deb").unlink()
    assert "core.deb cannot be read" in refused(files_of, place, ["core"], {"core": "4.6.0"}, "debian")


# Repositories

NODE = {"distribution": "ubuntu", "distribution_version": "22.04", "architecture": "amd64"}


def test_nvidias_repository_and_a_mirror():
    found = dcgm_repository("nvidia", NODE)
    assert found["url"] == "https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2204/x86_64/" and found["key"] == found["url"] + "3bf863cc.pub"
    assert f"URIs: {found['url']}\nSuites: /\n" in found["text"]
    rocky = dcgm_repository("https://mirror.example/nvidia/", {"distribution": "rocky", "distribution_version": "9.4", "architecture": "arm64"})
    assert rocky == {"url": "https://mirror.example/nvidia/rhel9/sbsa/", "key": "https://mirror.example/nvidia/rhel9/sbsa/D42D0685.pub", "text": ""}


def test_a_host_without_a_repository_is_told_what_else_there_is():
    assert "NVIDIA has no repository for debian 13 on amd64; set dcgm_exporter_source" in refused(dcgm_repository, "nvidia", {
        "distribution": "debian", "distribution_version": "13", "architecture": "amd64"})
    assert "not a URL" in refused(dcgm_repository, "mirror.example", NODE)


# Arguments and volumes

OPTIONS = {"counters": "/c.csv", "address": "", "port": 9400, "interval": "15s", "engine": "", "jobs": "", "log_level": "info"}


def test_the_arguments_are_few_where_nothing_is_chosen():
    assert dcgm.arguments(OPTIONS) == ["--collectors=/c.csv", "--address=:9400", "--collect-interval=15000"]


def test_every_choice_has_its_argument_and_a_sites_own_come_last():
    chosen = dict(OPTIONS, address="fd00::7", interval="500ms", engine="localhost:5555", jobs="/jobs", log_level="debug")
    assert dcgm.arguments(chosen, ["--web.config.file=/w.yml"], ["--x"]) == [
        "--collectors=/c.csv", "--address=[fd00::7]:9400", "--collect-interval=1000", "--remote-hostengine-info=localhost:5555",
        "--hpc-job-mapping-dir=/jobs", "--debug", "--web-config-file=/w.yml", "--x"]


def test_an_interval_that_is_no_duration_is_refused_by_its_variable():
    assert refused(dcgm_arguments, dict(OPTIONS, interval="soon"), [], []).startswith("dcgm_exporter_interval = soon: ")


@pytest.mark.parametrize("tls, auth, files, jobs, folders", [
    ("none", "none", [], "", []),
    ("none", "basic", [], "/jobs", ["/etc/accelmon/web", "/etc/accelmon/tls", "/jobs"]),
    ("managed", "none", ["/unused/key"], "", ["/etc/accelmon/web", "/etc/accelmon/tls"]),
    ("files", "none", ["/pki/a/key", "/pki/a/crt", ""], "", ["/etc/accelmon/web", "/etc/accelmon/tls", "/pki/a"]),
])
def test_the_container_sees_what_it_needs_and_nothing_twice(tls, auth, files, jobs, folders):
    assert dcgm.volumes(tls, auth, files, jobs) == [f"{folder}:{folder}:ro" for folder in ["/etc/accelmon/dcgm_exporter", *folders]]
