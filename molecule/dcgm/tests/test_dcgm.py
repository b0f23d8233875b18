"""dcgm_exporter on a host with systemd, apt and a sandbox that acts. Simulated: DCGM and its exporter (files/dcgm_exporter.py), a host engine
(a socket), NVIDIA's repository (on the host itself), and the GPUs, below nvidia-smi. What is shown is all that is around the programs.

Each test leaves the host as it found it.
"""

import hashlib
import json
import os
import pathlib
import re

import pytest

from conftest import eventually

HOST = "gpu1"
PLAY = "molecule/dcgm/converge.yml"
UNIT = "accelmon-dcgm-exporter"
PACKAGES = ["datacenter-gpu-manager-4-core", "datacenter-gpu-manager-exporter"]


def converge(fleet, *arguments, **variables):
    run = fleet.play(PLAY, "-e", json.dumps(variables), *arguments)
    assert run.code == 0, run.output
    return run


@pytest.fixture
def restored(fleet):
    """A test that changes the host; afterwards it is as it was."""
    yield
    converge(fleet)


def message(fleet, **variables):
    """The one message of a run that has to fail."""
    run = fleet.play(PLAY, "-e", json.dumps(variables))
    assert run.code != 0, run.output
    return run.output.replace("\n", " ")


def page(fleet, *arguments):
    return fleet.shell(HOST, "curl -s " + " ".join(arguments) + " http://127.0.0.1:9400/metrics")


def rows(text):
    return [(name, dict(re.findall(r'(\w+)="([^"]*)"', labels))) for name, labels in re.findall(r"^(\w+)\{(.*)\} \S+$", text, re.MULTILINE)]


def versions(fleet):
    return dict(line.split() for line in fleet.shell(HOST, "dpkg-query -W -f '${Package} ${Version}\\n' 'datacenter-gpu-manager*'; true").splitlines()
                if len(line.split()) == 2)


def status(fleet):
    """The running process's /proc/PID/status."""
    return dict(re.findall(r"^(\w+):\s*(.*)$", fleet.shell(HOST, f"cat /proc/$(systemctl show -P MainPID {UNIT})/status"), re.MULTILINE))


def test_a_run_that_has_nothing_to_do_costs_little(fleet, tmp_path):
    assert fleet.counted(PLAY, tmp_path, "--limit", HOST)["roles"][HOST]["dcgm_exporter"] <= 8


def test_the_versions_that_belong_together_are_installed_not_the_newest(fleet):
    assert {name: versions(fleet)[name] for name in PACKAGES} == {PACKAGES[0]: "1:4.6.0-1", PACKAGES[1]: "4.8.3-1"}
    assert "4.9.0" in fleet.shell(HOST, "apt-cache policy " + PACKAGES[1])


def test_the_packages_own_daemon_never_ran(fleet):
    assert fleet.shell(HOST, "systemctl is-enabled nvidia-dcgm-exporter; true").strip() == "masked"
    assert "No entries" in fleet.shell(HOST, "journalctl -u nvidia-dcgm-exporter --no-pager")


def test_the_page_has_every_field_of_the_list_for_every_gpu(fleet):
    found = rows(page(fleet))
    assert all(labels["DCGM_FI_DRIVER_VERSION"] for _name, labels in found)
    uuids = set(re.findall(r"UUID: (GPU-[^)]*)", fleet.shell(HOST, "nvidia-smi -L")))
    assert len(uuids) == 2
    wanted = re.findall("^(DCGM_[A-Z0-9_]+), (?:gauge|counter)", fleet.shell(HOST, "cat /etc/accelmon/dcgm_exporter/counters.csv"), re.MULTILINE)
    assert len(wanted) > 40
    for name in wanted:
        assert {labels["UUID"] for other, labels in found if other == name} == uuids, name


def test_a_second_run_costs_little(fleet):
    run = converge(fleet)
    assert run.changed() == 0 and run.recap[HOST]["ok"] + run.recap[HOST]["skipped"] <= 14, run.recap


def test_it_runs_without_rights_and_in_a_sandbox(fleet):
    found = status(fleet)
    assert int(found["CapEff"], 16) == 0 and found["NoNewPrivs"] == "1" and found["Uid"].split()[0] != "0"
    pid = fleet.shell(HOST, f"systemctl show -P MainPID {UNIT}").strip()
    # Its file system: read-only, with the devices; that there is a sandbox at all is for test_canary.py.
    assert "Read-only" in fleet.shell(HOST, f"nsenter -t {pid} -m touch /etc/x", check=False)
    assert fleet.shell(HOST, f"nsenter -t {pid} -m ls /dev/nvidiactl").strip() == "/dev/nvidiactl"


def test_without_the_device_node_it_would_not_run(fleet, restored):
    said = message(fleet, dcgm_exporter_unit_overrides={"Service": {"PrivateDevices": True}})
    assert "does not become healthy" in said and "/dev/nvidiactl: No such file" in said and "the unit before it was put back" in said
    assert rows(page(fleet))


def test_profiling_has_the_one_capability_that_it_needs(fleet, restored):
    converge(fleet, dcgm_exporter_profiling=True)
    assert int(status(fleet)["CapEff"], 16) == 1 << 21
    assert {"DCGM_FI_PROF_GR_ENGINE_ACTIVE", "DCGM_FI_PROF_DRAM_ACTIVE"} <= {name for name, _labels in rows(page(fleet))}
    assert versions(fleet)["datacenter-gpu-manager-4-proprietary"] == "1:4.6.0-1"


def test_another_version_brings_its_dcgm_and_leaves_out_what_it_does_not_know(fleet, restored):
    converge(fleet, dcgm_exporter_version="4.8.2")
    assert {name: versions(fleet)[name] for name in PACKAGES} == {PACKAGES[0]: "1:4.5.3-1", PACKAGES[1]: "4.8.2-1"}
    names = {name for name, _labels in rows(page(fleet))}
    assert "DCGM_FI_DEV_GET_GPU_RECOVERY_ACTION" not in names and "DCGM_FI_DEV_FB_USED" in names


def test_versions_that_do_not_belong_together_change_nothing(fleet):
    assert "dcgm_exporter 4.8.3 matches DCGM 4.6.0, not DCGM 4.5.3; set dcgm_exporter_version to 4.8.2" in message(
        fleet, dcgm_exporter_dcgm_version="4.5.3")
    assert "dcgm_exporter_version = 4.9.0:" in message(fleet, dcgm_exporter_version="4.9.0")
    assert versions(fleet)[PACKAGES[1]] == "4.8.3-1"


def test_a_dcgm_of_the_site_is_not_replaced(fleet, restored):
    converge(fleet, dcgm_exporter_state="absent")
    fleet.shell(HOST, "dpkg -i /srv/nvidia/debian12/x86_64/datacenter-gpu-manager-4-core_4.5.3-1_amd64.deb")
    assert "this host has DCGM 4.5.3 (datacenter-gpu-manager-4-core), not installed by accelmon.fleet; " \
        "set dcgm_exporter_version to the matching 4.8.2" in message(fleet)
    converge(fleet, dcgm_exporter_version="4.8.2")
    converge(fleet, dcgm_exporter_version="4.8.2", dcgm_exporter_state="absent")
    assert versions(fleet) == {PACKAGES[0]: "1:4.5.3-1"}  # the site's stays
    fleet.shell(HOST, "dpkg --purge " + PACKAGES[0])


def test_a_host_engine_that_runs_is_used(fleet, restored):
    fleet.shell(HOST, "systemctl start nvidia-dcgm")
    try:
        converge(fleet)
        assert "--remote-hostengine-info=localhost:5555" in fleet.shell(HOST, f"systemctl cat {UNIT}")
        assert rows(page(fleet))
        converge(fleet, dcgm_exporter_hostengine="embedded")
        assert "--remote-hostengine-info" not in fleet.shell(HOST, f"systemctl cat {UNIT}")
    finally:
        fleet.shell(HOST, "systemctl stop nvidia-dcgm")


def test_jobs_of_the_scheduler(fleet, restored):
    converge(fleet, dcgm_exporter_job_mapping_directory="/var/lib/dcgm_jobs")
    fleet.shell(HOST, "echo 4711 > /var/lib/dcgm_jobs/1; chmod 644 /var/lib/dcgm_jobs/1")
    found = {labels["gpu"]: labels.get("hpc_job") for name, labels in rows(page(fleet)) if name == "DCGM_FI_DEV_POWER_USAGE"}
    assert found == {"0": None, "1": "4711"}
    fleet.shell(HOST, "rm -r /var/lib/dcgm_jobs")


def test_it_asks_for_the_password_of_the_web_configuration(fleet, restored):
    fleet.shell(HOST, "groupadd -f accelmon; mkdir -p /etc/accelmon/web; printf 'basic_auth_users:\\n  accelmon: x\\n' > /etc/accelmon/web/exporter.yml; "
                      "chgrp accelmon /etc/accelmon/web/exporter.yml; chmod 640 /etc/accelmon/web/exporter.yml")
    try:
        converge(fleet, accelmon_exporter_auth="basic")
        assert page(fleet, "-o /dev/null -w '%{http_code}'") == "401" and rows(page(fleet, "-u accelmon:x"))
    finally:
        fleet.shell(HOST, "rm -r /etc/accelmon/web")


def test_a_list_that_the_exporter_refuses_is_put_back(fleet, restored):
    said = message(fleet, dcgm_exporter_extra_counters=["DCGM_FI_DEV_NO_SUCH"])
    assert 'dcgm_exporter_extra_counters = ["DCGM_FI_DEV_NO_SUCH"]: DCGM_FI_DEV_NO_SUCH: not a valid line; write FIELD' in said
    assert rows(page(fleet))


def test_an_exporter_of_the_site_is_adopted_or_told_what_it_lacks(fleet, restored):
    converge(fleet, dcgm_exporter_state="absent")
    fleet.shell(HOST, "dpkg -i /srv/nvidia/debian12/x86_64/datacenter-gpu-manager-4-core_4.6.0-1_amd64.deb; "
                      "mkdir -p /run/site; dpkg-deb -x /srv/nvidia/debian12/x86_64/datacenter-gpu-manager-exporter_4.8.3-1_amd64.deb /run/site; "
                      "echo 'DCGM_FI_DEV_FB_USED, gauge, x' > /run/site/list.csv; "
                      "systemd-run --unit site-dcgm /run/site/usr/bin/dcgm-exporter --collectors /run/site/list.csv --address 127.0.0.1:9400")
    try:
        eventually(lambda: rows(page(fleet)), "the site's exporter answers")
        said = message(fleet, dcgm_exporter_managed="adopt")
        assert "lacks DCGM_FI_DEV_GPU_UTIL or DCGM_FI_PROF_GR_ENGINE_ACTIVE, DCGM_FI_DEV_FB_TOTAL or DCGM_FI_DEV_FB_FREE" in said
        fleet.shell(HOST, "for f in DCGM_FI_DEV_GPU_UTIL DCGM_FI_DEV_FB_FREE DCGM_FI_DEV_GPU_TEMP DCGM_FI_DEV_POWER_USAGE; do echo \"$f, gauge, x\"; done "
                          ">> /run/site/list.csv; systemctl stop site-dcgm; sleep 1; "
                          "systemd-run --unit site-dcgm /run/site/usr/bin/dcgm-exporter --collectors /run/site/list.csv --address 127.0.0.1:9400")
        eventually(lambda: rows(page(fleet)), "the site's exporter answers")
        assert converge(fleet, dcgm_exporter_managed="adopt").changed() == 0
        assert "the port is taken by site-dcgm.service" in message(fleet)
    finally:
        fleet.shell(HOST, f"systemctl stop site-dcgm; rm -r /run/site; dpkg --purge {PACKAGES[0]}")


def test_absent_leaves_nothing(fleet, restored):
    converge(fleet, dcgm_exporter_state="absent")
    assert versions(fleet) == {}
    left = fleet.shell(HOST, "ls -d /etc/systemd/system/*dcgm* /etc/accelmon/dcgm_exporter /etc/apt/sources.list.d/accelmon* /etc/apt/keyrings/accelmon* "
                             "/var/lib/accelmon/packages/* 2>/dev/null; true")
    assert left == ""
    assert converge(fleet, dcgm_exporter_state="absent").changed() == 0


def test_from_a_bundle_without_a_repository(fleet, restored, tmp_path):
    folder = pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "packages", "debian12", "x86_64")
    artifacts = []
    for name, version in zip(PACKAGES, ("4.6.0", "4.8.3")):
        file = f"{name}_{version}-1_amd64.deb"
        (tmp_path / file).write_bytes((folder / file).read_bytes())
        artifacts.append({"name": name, "version": version, "os": "linux", "architecture": "amd64", "file": file,
                          "sha256": hashlib.sha256((tmp_path / file).read_bytes()).hexdigest()})
    (tmp_path / "lock.json").write_text(json.dumps({"version": 1, "artifacts": artifacts}))
    converge(fleet, dcgm_exporter_state="absent")
    settings = {"dcgm_exporter_source": "bundle", "accelmon_bundle": str(tmp_path), "dcgm_exporter_repository": ""}
    fleet.shell(HOST, "systemctl stop lab-upstream")
    try:
        converge(fleet, **settings)
        assert versions(fleet) == {PACKAGES[0]: "1:4.6.0-1", PACKAGES[1]: "4.8.3-1"} and rows(page(fleet))
        assert "No entries" in fleet.shell(HOST, "journalctl -u nvidia-dcgm-exporter --no-pager")
        assert converge(fleet, **settings).changed() == 0
    finally:
        fleet.shell(HOST, "systemd-run --unit lab-upstream --property Restart=always python3 -m http.server --directory /srv/nvidia --bind 127.0.0.1 8000")


def test_a_container_without_a_runtime_is_one_clear_message(fleet):
    assert "dcgm_exporter_source = container: this host has neither podman nor docker; install one of them, or choose another dcgm_exporter_source" in message(
        fleet, dcgm_exporter_source="container")
