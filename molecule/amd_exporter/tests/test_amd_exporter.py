"""AMD's exporter on hosts with systemd, apt and a sandbox that acts. Simulated: the exporter and gpuagent (files/), their package, AMD's
repository (a folder of the host), and the GPUs, below sysfs and device nodes. What is shown is all that is around the programs.

Each test leaves the hosts as it found them.
"""

import base64
import json
import os
import pathlib
import re

import pytest
import yaml

from conftest import CHECKOUT, eventually

HOST = "amd1"
PLAY = "molecule/amd_exporter/converge.yml"
UNIT = "accelmon-amd-exporter"
FOLDER = pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
VARIABLES = yaml.safe_load((CHECKOUT / "roles" / "amd_exporter" / "vars" / "main.yml").read_text(encoding="utf-8"))


def converge(fleet, *arguments, **variables):
    run = fleet.play(PLAY, "-e", json.dumps(variables), *(arguments or ("--limit", HOST)))
    assert run.code == 0, run.output
    return run


@pytest.fixture
def restored(fleet):
    """A test that changes the host; afterwards it is as it was."""
    yield
    converge(fleet)


def message(fleet, **variables):
    """The one message of a run that has to fail."""
    run = fleet.play(PLAY, "-e", json.dumps(variables), "--limit", HOST)
    assert run.code != 0, run.output
    return " ".join(run.output.split())


def page(fleet, host=HOST, path="/metrics", *arguments):
    return fleet.shell(host, "curl -s " + " ".join(arguments) + f" http://127.0.0.1:5000{path}")


def rows(text):
    return [(name, dict(re.findall(r'(\w+)="([^"]*)"', labels))) for name, labels in re.findall(r"^(\w+)\{(.*)\} \S+$", text, re.MULTILINE)]


def put(fleet, path, there):
    """Bring a file to the host."""
    fleet.shell(HOST, f"mkdir -p $(dirname {there}); base64 -d > {there} <<'END'\n{base64.b64encode(path.read_bytes()).decode()}\nEND")


def status(fleet, unit, host=HOST):
    """The running process's /proc/PID/status."""
    return dict(re.findall(r"^(\w+):\s*(.*)$", fleet.shell(host, f"cat /proc/$(systemctl show -P MainPID {unit})/status"), re.MULTILINE))


@pytest.mark.parametrize("host, count", [("amd1", 4), ("amd2", 2)])
def test_the_page_has_every_device_and_every_field_that_it_can_have(fleet, host, count):
    found = rows(page(fleet, host))
    names = {name for name, _labels in found}
    absent = {"gpu_average_package_power", "gpu_edge_temperature", "gpu_afid_errors"}  # an MI300X has none
    assert names == {field.lower() for field in VARIABLES["amd_exporter_fields"]} - absent
    assert len({labels["gpu_uuid"] for name, labels in found if name == "gpu_total_vram"}) == count


def test_a_run_that_has_nothing_to_do_costs_little(fleet, tmp_path):
    assert fleet.counted(PLAY, tmp_path, "--limit", HOST)["roles"][HOST]["amd_exporter"] <= 8


def test_what_it_is_configured_with_is_what_is_wanted(fleet):
    told = json.loads(fleet.shell(HOST, "cat /etc/accelmon/amd_exporter/config.json"))
    assert told["GPUConfig"]["Fields"] == VARIABLES["amd_exporter_fields"] and told["GPUConfig"]["Labels"] == VARIABLES["amd_exporter_labels"]
    assert told["CommonConfig"]["MetricsFieldPrefix"] == "" and "PCIE_BANDWIDTH" not in told["GPUConfig"]["Fields"]


def test_only_the_front_is_open_and_passes_one_page(fleet):
    for host in fleet.hosts:
        assert page(fleet, host, "/debug/vars", "-o /dev/null -w '%{http_code}'") == "404"
        assert fleet.shell(host, "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:5001/debug/vars") == "200"
        listening = re.findall(r"LISTEN\s+\d+\s+\d+\s+(\S+):(500\d|50061)\s", fleet.shell(host, "ss -ltn"))
        assert {(address, port) for address, port in listening if port != "5000"} == {("127.0.0.1", "5001")}, listening


def test_gpuagent_answers_nobody_else(fleet):
    assert "Permission denied" in fleet.shell(HOST, "setpriv --reuid=65534 --clear-groups ls /run/accelmon/amd_exporter 2>&1; true")


def test_the_packages_own_daemons_never_ran(fleet):
    """The simulated package tries hard to start them."""
    for host in fleet.hosts:
        assert fleet.shell(host, "systemctl is-enabled amd-metrics-exporter; true").strip() == "masked"
        assert fleet.shell(host, "systemctl is-active gpuagent amd-metrics-exporter; true").split() == ["inactive", "inactive"]
        assert "No entries" in fleet.shell(host, "journalctl -u gpuagent -u amd-metrics-exporter _COMM=gpuagent --no-pager")


def test_both_run_without_rights_and_only_gpuagent_sees_the_devices(fleet):
    for unit, seen in ((UNIT, ""), (UNIT + "-agent", "/dev/kfd")):
        found = status(fleet, unit)
        assert int(found["CapEff"], 16) == 0 and found["NoNewPrivs"] == "1" and found["Uid"].split()[0] != "0"
        pid = fleet.shell(HOST, f"systemctl show -P MainPID {unit}").strip()
        assert fleet.shell(HOST, f"nsenter -t {pid} -m ls /dev/kfd 2>/dev/null; true").strip() == seen
        assert "Read-only" in fleet.shell(HOST, f"nsenter -t {pid} -m touch /etc/x", check=False)


def test_a_second_run_costs_little(fleet):
    run = converge(fleet, "--limit", "all")
    assert run.changed() == 0, run.output
    assert all(counters["ok"] + counters["skipped"] <= 16 for counters in run.recap.values()), run.recap


def test_groups_that_do_not_exist_are_left_out(fleet, restored):
    converge(fleet, amd_exporter_groups=["render", "no-such-group", "video"])
    assert "no-such-group" not in fleet.shell(HOST, f"systemctl cat {UNIT}-agent") and rows(page(fleet))


def test_without_the_groups_it_would_not_run(fleet, restored):
    said = message(fleet, amd_exporter_groups=[])
    assert "does not become healthy" in said and "the unit before it was put back" in said
    eventually(lambda: rows(page(fleet)), "the page has devices")


def test_a_field_that_it_would_ignore_changes_nothing(fleet):
    before = fleet.shell(HOST, "cat /etc/accelmon/amd_exporter/config.json")
    assert "the exporter has no such field; did you mean GPU_PACKAGE_POWER?" in message(fleet, amd_exporter_extra_fields=["GPU_PAKAGE_POWER"])
    assert "releases before 1.5.0 expose gpuagent's port" in message(fleet, amd_exporter_source="package", amd_exporter_version="1.4.2")
    assert "it has no digest" in message(fleet, amd_exporter_source="container", amd_exporter_image="rocm/device-metrics-exporter:v1.5.2")
    assert fleet.shell(HOST, "cat /etc/accelmon/amd_exporter/config.json") == before


def test_a_further_field_restarts_both(fleet, restored):
    before = [fleet.shell(HOST, f"systemctl show -P MainPID {unit}") for unit in (UNIT, UNIT + "-agent")]
    converge(fleet, amd_exporter_extra_fields=["GPU_FREE_VRAM"])
    assert "gpu_free_vram" in {name for name, _labels in rows(page(fleet))}
    after = [fleet.shell(HOST, f"systemctl show -P MainPID {unit}") for unit in (UNIT, UNIT + "-agent")]
    assert not set(before) & set(after)


def test_the_front_asks_for_a_password_that_the_exporter_knows_nothing_of(fleet, restored):
    hashed = fleet.shell(HOST, """perl -e 'print crypt("geheim", "\\$2y\\$05\\$abcdefghijklmnopqrstu.")'""")
    fleet.shell(HOST, f"groupadd -f accelmon; mkdir -p /etc/accelmon/web; printf '%s' 'basic_auth_users:\n  accelmon: {hashed}\n' "
                      "> /etc/accelmon/web/exporter.yml; chgrp accelmon /etc/accelmon/web/exporter.yml; chmod 640 /etc/accelmon/web/exporter.yml")
    try:
        converge(fleet, accelmon_exporter_auth="basic")
        assert page(fleet, HOST, "/metrics", "-o /dev/null -w '%{http_code}'") == "401" and rows(page(fleet, HOST, "/metrics", "-u accelmon:geheim"))
    finally:
        fleet.shell(HOST, "rm -r /etc/accelmon/web")


def test_a_gpuagent_that_dies_comes_back(fleet):
    fleet.shell(HOST, f"kill -9 $(systemctl show -P MainPID {UNIT}-agent)")
    eventually(lambda: rows(page(fleet)), "the page has devices")


def test_a_gpuagent_that_hangs_is_started_again_and_counted(fleet, restored):
    before = fleet.shell(HOST, f"systemctl show -P MainPID {UNIT}-agent")
    fleet.shell(HOST, "touch /lab/gpuagent.hang")
    try:
        eventually(lambda: fleet.shell(HOST, f"systemctl show -P MainPID {UNIT}-agent") != before, "another process of gpuagent")
    finally:
        fleet.shell(HOST, "rm -f /lab/gpuagent.hang")
    eventually(lambda: rows(page(fleet)), "the page has devices")
    assert 'accelmon_exporter_restarts_total{exporter="amd_exporter"} ' in fleet.shell(HOST, "cat /var/lib/accelmon/textfile/*amd_exporter.prom")


def test_from_a_repository_and_to_another_version(fleet, restored):
    """The host is taken for an Ubuntu; the repository is a folder of it, without a key, which apt is told to accept."""
    converge(fleet, amd_exporter_state="absent")
    for version in ("1.5.1", "1.5.3"):
        fleet.shell(HOST, f"mkdir -p /srv/amd/{version}/dists/noble/main/binary-amd64 /srv/amd/{version}/pool")
        deb = FOLDER / "others" / f"amdgpu-exporter_{version}_amd64.deb"
        put(fleet, deb, f"/srv/amd/{version}/pool/{deb.name}")
        fleet.shell(HOST, f"cd /srv/amd/{version}; (dpkg-deb -f pool/{deb.name}; echo Filename: pool/{deb.name}; echo Size: $(stat -c %s pool/{deb.name}); "
                          f"echo SHA256: $(sha256sum pool/{deb.name} | cut -d' ' -f1)) > dists/noble/main/binary-amd64/Packages; "
                          "printf 'Suite: noble\\nComponents: main\\nArchitectures: amd64\\nSHA256:\\n %s %s main/binary-amd64/Packages\\n' "
                          "$(sha256sum dists/noble/main/binary-amd64/Packages | cut -d' ' -f1) $(stat -c %s dists/noble/main/binary-amd64/Packages) "
                          "> dists/noble/Release")
    fleet.shell(HOST, "echo 'Acquire::AllowInsecureRepositories true; APT::Get::AllowUnauthenticated true;' > /etc/apt/apt.conf.d/99lab; "
                      "mv /etc/apt/sources.list.d /srv/sources; mkdir /etc/apt/sources.list.d; mv /etc/apt/sources.list /srv/ 2>/dev/null; touch /srv/key; "
                      "mkdir -p /etc/apt/keyrings; touch /etc/apt/keyrings/accelmon-amd.asc")
    settings = {"amd_exporter_source": "package", "amd_exporter_repository": "file:///srv/amd", "amd_exporter_repository_key": "file:///srv/key",
                "pretend": {"distribution": "ubuntu", "distribution_version": "24.04"}}
    try:
        converge(fleet, amd_exporter_version="1.5.1", **settings)
        assert fleet.shell(HOST, "dpkg-query -W -f '${Version}' amdgpu-exporter").startswith("1.5.1-") and rows(page(fleet))
        assert converge(fleet, amd_exporter_version="1.5.1", **settings).recap[HOST]["failed"] == 0
        converge(fleet, amd_exporter_version="1.5.3", **settings)
        assert fleet.shell(HOST, "dpkg-query -W -f '${Version}' amdgpu-exporter").startswith("1.5.3-") and rows(page(fleet))
        assert fleet.shell(HOST, "systemctl is-enabled amd-metrics-exporter; true").strip() == "masked"
        # And back, from the bundle.
        converge(fleet)
        assert fleet.shell(HOST, "dpkg-query -W -f '${Version}' amdgpu-exporter").startswith("1.5.2-") and rows(page(fleet))
        converge(fleet, amd_exporter_state="absent", **settings)
        assert fleet.shell(HOST, "ls /etc/apt/sources.list.d /etc/apt/keyrings").split() == ["/etc/apt/keyrings:", "/etc/apt/sources.list.d:"]
    finally:
        fleet.shell(HOST, "rm -rf /etc/apt/apt.conf.d/99lab /etc/apt/sources.list.d /srv/amd /srv/key; mv /srv/sources /etc/apt/sources.list.d; "
                          "mv /srv/sources.list /etc/apt/ 2>/dev/null; true")


def test_what_is_in_use_already_is_left_and_can_be_adopted(fleet, restored):
    converge(fleet, amd_exporter_state="absent")
    put(fleet, FOLDER / "others" / "amdgpu-exporter_1.5.3_amd64.deb", "/root/theirs.deb")
    fleet.shell(HOST, "dpkg -i /root/theirs.deb; mkdir -p /var/lib/amd-metrics-exporter; systemctl start gpuagent; "
                      "systemctl restart amd-metrics-exporter")
    try:
        eventually(lambda: rows(page(fleet)), "their exporter answers")
        assert ("amd_exporter_managed = install: amd-metrics-exporter.service is already in use on this host; set amd_exporter_managed to adopt or external"
                in message(fleet))
        said = message(fleet, amd_exporter_managed="adopt")
        assert "lacks" in said and "gpu_total_vram" in said, said
        # The package's own file puts amd_ before every name, and names few fields.
        fleet.shell(HOST, "printf '%s' '" + json.dumps({"ServerPort": 5000, "GPUConfig": {"Fields": VARIABLES["amd_exporter_fields"]}})
                    + "' > /etc/metrics/config.json; systemctl restart amd-metrics-exporter")
        eventually(lambda: rows(page(fleet)), "their exporter answers")
        assert converge(fleet, amd_exporter_managed="adopt").changed() == 0
    finally:
        fleet.shell(HOST, "systemctl disable --now amd-metrics-exporter gpuagent; dpkg --purge amdgpu-exporter; rm -f /root/theirs.deb")


def test_absent_leaves_nothing(fleet, restored):
    converge(fleet, amd_exporter_state="absent")
    left = fleet.shell(HOST, "ls -d /etc/systemd/system/*amd* /etc/accelmon/amd_exporter /usr/local/bin/gpuagent /opt/accelmon/amd_exporter* "
                             "/run/accelmon/amd_exporter "
                             "/var/lib/accelmon/textfile/*amd_exporter* 2>/dev/null; dpkg-query -W amdgpu-exporter 2>/dev/null; true")
    assert left == "", left
    assert "accelmon-amd" not in fleet.shell(HOST, "systemctl list-units --all --no-legend --plain 'accelmon-amd*'")
    assert converge(fleet, amd_exporter_state="absent").changed() == 0
