"""The configuration of AMD's exporter. Nothing is stubbed; names of fields and labels are derived from its documentation."""
import json
import os

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.programs import amd_exporter_build
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import amd_exporter
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs.amd_exporter import config
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.containers import command

ROLE = os.path.join(os.path.dirname(amd_exporter.__file__), "..", "..", "..", "roles", "amd_exporter")
WHOLE = {"vendor": "amd", "model": "MI300X", "pci_address": "0000:1b:00.0"}
DIVIDED = dict(WHOLE, partitions={"mode": "CPX", "count": 8})


def role(part):
    with open(os.path.join(ROLE, part, "main.yml"), encoding="utf-8") as stream:
        return yaml.safe_load(stream)


def made(**more):
    values = dict({"port": 5001, "fields": ["GPU_PACKAGE_POWER"], "labels": ["GPU_UUID"], "devices": [WHOLE]}, **more)
    return json.loads(config(**values))


def test_it_holds_what_is_wanted_and_nothing_else():
    assert made() == {
        "ServerPort": 5001,
        "CommonConfig": {"MetricsFieldPrefix": "", "HealthService": {"Enable": True},
                         "Logging": {"Level": "info", "MaxFileSizeMB": 10, "MaxBackups": 1, "MaxAgeDays": 7}},
        "GPUConfig": {"Fields": ["GPU_PACKAGE_POWER"], "Labels": ["GPU_UUID"], "ProfilerMetrics": {"all": False}},
    }


def test_what_the_role_asks_for_is_known_and_each_once():
    fields = role("vars")["amd_exporter_fields"] + role("vars")["amd_exporter_partition_fields"]
    assert len(fields) == len(set(fields))
    amd_exporter.check_names("fields", fields, amd_exporter.FIELDS, "field")
    amd_exporter.check_names("labels", role("vars")["amd_exporter_labels"], amd_exporter.LABELS, "label")


def test_the_role_leaves_out_what_is_slow_or_disturbs_jobs():
    fields = role("vars")["amd_exporter_fields"]
    assert "PCIE_BANDWIDTH" not in fields
    assert not [name for name in fields if name.startswith(("GPU_PROF_", "GPU_PROCESS_"))]


def test_the_default_version_is_one_that_is_taken():
    amd_exporter.check_version(amd_exporter.VERSION)


@pytest.mark.parametrize("devices, present", [([WHOLE], False), ([WHOLE, DIVIDED], True), ([dict(DIVIDED, vendor="nvidia")], False), ([], False)])
def test_partitions_bring_their_fields(devices, present):
    fields = made(devices=devices, partition_fields=["GPU_GFX_BUSY_INSTANTANEOUS"])["GPUConfig"]["Fields"]
    assert ("GPU_GFX_BUSY_INSTANTANEOUS" in fields) is present


def test_the_site_adds_fields_labels_and_settings():
    whole = made(extra_fields=["PCIE_BANDWIDTH", "GPU_PACKAGE_POWER"], extra_labels=["CARD_VENDOR"],
                 settings={"GPUConfig": {"HealthThresholds": {"GPU_ECC_UNCORRECT_UMC": 3}}, "CommonConfig": {"Logging": {"Level": "debug"}}})
    assert whole["GPUConfig"]["Fields"] == ["GPU_PACKAGE_POWER", "PCIE_BANDWIDTH"]
    assert whole["GPUConfig"]["Labels"] == ["GPU_UUID", "CARD_VENDOR"]
    assert whole["GPUConfig"]["HealthThresholds"] == {"GPU_ECC_UNCORRECT_UMC": 3}
    assert whole["CommonConfig"]["Logging"] == {"Level": "debug", "MaxFileSizeMB": 10, "MaxBackups": 1, "MaxAgeDays": 7}


def test_profiler_fields_turn_the_profiler_on():
    assert made(extra_fields=["GPU_PROF_SM_ACTIVE"])["GPUConfig"]["ProfilerMetrics"] == {"all": True}


@pytest.mark.parametrize("more, words", [
    ({"extra_fields": ["GPU_PAKAGE_POWER"]}, "amd_exporter_extra_fields = GPU_PAKAGE_POWER: the exporter has no such field; did you mean GPU_PACKAGE_POWER?"),
    ({"extra_fields": ["gpu_package_power"]}, "did you mean GPU_PACKAGE_POWER?"),
    ({"extra_labels": ["UUID"]}, "amd_exporter_extra_labels = UUID: the exporter has no such label"),
    ({"settings": {"ServerPort": 7}}, "amd_exporter_config = ServerPort: no such section"),
    ({"settings": {"GPUConfig": {"Fields": ["GPU_CLOCK"]}}}, "amd_exporter_config = GPUConfig.Fields: set it with amd_exporter_extra_fields"),
    ({"settings": {"CommonConfig": {"MetricsFieldPrefix": "amd_"}}}, "amd_exporter_config = CommonConfig.MetricsFieldPrefix: no such setting"),
    ({"settings": {"GPUConfig": {"HealthThresholds": {"GPU_ECC_UNCORRECT_UMCC": 1}}}}, "GPUConfig.HealthThresholds: GPU_ECC_UNCORRECT_UMCC"),
    ({"version": "1.4.2"}, "amd_exporter_version = 1.4.2: releases before 1.5.0 expose gpuagent's port"),
    ({"version": "newest"}, "amd_exporter_version = newest: not a version"),
    ({"version": "1.5.2", "devices": [dict(WHOLE, driver_version="6.7.0")]}, "amdgpu 6.7.0 of 0000:1b:00.0 is older than 6.8.5"),
])
def test_what_would_be_ignored_or_cannot_work_is_refused(more, words):
    with pytest.raises(Problem) as caught:
        made(**more)
    assert words in str(caught.value)


@pytest.mark.parametrize("version", ["", "1.5.0", "v1.5.1", "1.5.2-10~24.04", "1.10.0", "2.0"])
def test_versions_from_the_floor_on_are_taken(version):
    made(version=version)


@pytest.mark.parametrize("driver", [None, "6.8.5", "6.16.13", "30.30.4"])
def test_a_driver_that_is_new_enough_or_tells_nothing_is_taken(driver):
    made(version="1.5.2", devices=[dict(WHOLE, driver_version=driver)] if driver else [WHOLE])


UBUNTU = {"architecture": "amd64", "distribution": "ubuntu", "distribution_version": "24.04"}
DIGEST = "docker.io/rocm/device-metrics-exporter@sha256:" + "0" * 64


@pytest.fixture
def bundle(tmp_path):
    (tmp_path / "x.deb").write_bytes(b"x")
    artifact = {"name": "amdgpu-exporter", "version": "1.5.1", "os": "linux", "architecture": "amd64", "file": "x.deb", "sha256": "0" * 64}
    (tmp_path / "lock.json").write_text(json.dumps({"version": 1, "artifacts": [artifact]}))
    return str(tmp_path)


def test_the_release_is_the_wanted_one_else_the_bundles_else_ours(bundle):
    assert amd_exporter_build({}, "package", UBUNTU) == {"version": amd_exporter.VERSION, "image": ""}
    assert amd_exporter_build({"version": "1.5.3-4~24.04"}, "package", UBUNTU)["version"] == "1.5.3"
    assert amd_exporter_build({}, "bundle", UBUNTU, bundle)["version"] == "1.5.1"
    assert amd_exporter_build({"image": DIGEST}, "container", UBUNTU) == {"version": "", "image": DIGEST}


@pytest.mark.parametrize("wanted, source, node, words", [
    ({}, "package", dict(UBUNTU, architecture="arm64"), "amd_exporter_source = package: AMD publishes its exporter only for amd64, but this host is arm64"),
    ({"version": "1.4.2"}, "package", UBUNTU, "amd_exporter_version = 1.4.2: releases before 1.5.0"),
    ({}, "bundle", UBUNTU, "no bundle; set accelmon_bundle"),
    ({"image": "rocm/device-metrics-exporter:v1.5.2"}, "container", UBUNTU, "it has no digest"),
    ({"repository": "amd"}, "package", dict(UBUNTU, distribution="debian", distribution_version="13"),
     "this host has debian 13; set amd_exporter_source to bundle"),
    ({"repository": "mirror.example"}, "package", UBUNTU, "amd_exporter_repository = mirror.example: not a URL"),
    ({"repository": "https://mirror.example/amd"}, "package", UBUNTU, "amd_exporter_repository_key = '': the location of a mirror's key is unknown"),
])
def test_what_cannot_be_installed_is_one_message(wanted, source, node, words):
    with pytest.raises(AnsibleFilterError) as caught:
        amd_exporter_build(wanted, source, node)
    assert words in str(caught.value)


def test_a_bundle_without_the_wanted_release_names_what_it_has(bundle):
    with pytest.raises(AnsibleFilterError, match="it has no amdgpu-exporter 1.5.2 linux/amd64, only amdgpu-exporter 1.5.1"):
        amd_exporter_build({"version": "1.5.2"}, "bundle", UBUNTU, bundle)


@pytest.mark.parametrize("repository, key, url", [
    ("amd", "", "https://repo.radeon.com/device-metrics-exporter/apt/1.5.2"),
    ("https://mirror.example/amd/", "/site/key.asc", "https://mirror.example/amd/1.5.2"),
])
def test_the_repository_of_a_release(repository, key, url):
    found = amd_exporter_build({"version": "1.5.2", "repository": repository, "repository_key": key}, "package", UBUNTU)["repository"]
    assert f"URIs: {url}\nSuites: noble\nComponents: main\n" in found["text"] and found["key"] == (key or amd_exporter.REPOSITORY_KEY)


def test_the_container_gets_the_devices_and_stays_on_loopback():
    """The declaration of the role, as far as it holds no templates."""
    declared = {key: value for key, value in role("vars")["amd_exporter_container"].items() if key in ("root", "devices", "volumes")}
    line = command("amd_exporter", dict(declared, arguments=["-bind", "127.0.0.1"]),
                   {"program": "/usr/bin/podman", "runtime": "podman", "id": "sha256:1", "user": "977:977", "groups": ["44"], "devices": []})
    assert "--device=/dev/kfd" in line and "--volume=/sys:/sys:ro" in line and not [one for one in line if one.startswith("--user=")]
    assert "--privileged" not in line and line[-2:] == ["-bind", "127.0.0.1"]
