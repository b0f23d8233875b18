"""Installs from upstream's archives. Simulated: upstream, by a web server in the lab whose archives the lab built.

The tests change the node's version and go back to it; each leaves the fleet as it found it.
"""

import json
import os
import pathlib
import re

import pytest

OLD, NEW = "1.9.0", "1.9.1"
ARCHIVES = "/srv/upstream/prometheus/node_exporter/releases/download"


@pytest.fixture
def lock():
    return json.loads(pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "releases.lock.json").read_text())


def upgrade(fleet, tmp_path, lock, version, sha256):
    """Run site.yml for the node, with a lock file that has another node_exporter."""
    lock["releases"]["node_exporter"].update(version=version, sha256={"amd64": sha256})
    path = tmp_path / "lock.json"
    path.write_text(json.dumps(lock))
    return fleet.play("site.yml", "--limit", "rnode", "-e", f"accelmon_lock_file={path}")


def running(fleet, host="rnode"):
    """(version that runs, its process) on a host."""
    process = fleet.shell(host, "systemctl show -P MainPID accelmon-node-exporter").strip()
    words = fleet.shell(host, f"/proc/{process}/exe --version 2>&1")
    return re.search(r"version (\S+)", words).group(1), process


def requests(fleet):
    """How many requests upstream has answered."""
    return fleet.shell("rmon", "journalctl --no-pager -o cat -u lab-upstream").count("GET /")


@pytest.mark.parametrize("host,name", [
    ("rnode", "node_exporter"), ("rmon", "node_exporter"), ("rmon", "victoriametrics"), ("rmon", "vmagent"), ("rmon", "vmalert")])
def test_what_runs_is_the_release(fleet, host, name):
    unit = "accelmon-" + name.replace("_", "-")
    assert fleet.shell(host, f"systemctl is-active {unit}").strip() == "active"
    process = fleet.shell(host, f"systemctl show -P MainPID {unit}").strip()
    assert fleet.shell(host, f"readlink /proc/{process}/exe").startswith(f"/opt/accelmon/{name}/")


def test_vmui_has_the_pages_of_the_fleet(fleet):
    assert "<html" in fleet.get(fleet.storage("/vmui/"))
    pages = fleet.fetch(fleet.storage("/vmui/custom-dashboards"))["dashboardsSettings"]
    assert [page["title"] for page in pages] == ["accelmon: Fleet", "accelmon: Devices", "accelmon: Health and errors"]


def test_a_converged_run_asks_upstream_nothing(fleet):
    before = requests(fleet)
    assert before > 0 and fleet.site().changed() == 0 and requests(fleet) == before


def test_a_tampered_archive_is_refused_and_the_old_program_runs_on(fleet, tmp_path, lock):
    before = running(fleet)
    # What is installed and intact is not fetched again: an earlier run of these tests may have left it.
    fleet.shell("rnode", f"rm -rf /opt/accelmon/node_exporter/{NEW}-* /opt/accelmon/node_exporter/previous")
    archive = f"{ARCHIVES}/v{NEW}/node_exporter-{NEW}.linux-amd64.tar.gz"
    good = fleet.shell("rmon", f"sha256sum {archive}").split()[0]
    fleet.shell("rmon", f"cp {archive} /root/good && printf x >> {archive}")
    try:
        run = upgrade(fleet, tmp_path, lock, NEW, good)
    finally:
        fleet.shell("rmon", f"mv /root/good {archive}")
    assert run.code != 0 and "so it was modified or is a different file" in run.output and "stays current" in run.output
    assert running(fleet) == before


def test_an_upgrade_keeps_the_version_before(fleet, tmp_path, lock):
    old = lock["releases"]["node_exporter"]["sha256"]["amd64"]
    new = fleet.shell("rmon", f"sha256sum {ARCHIVES}/v{NEW}/node_exporter-{NEW}.linux-amd64.tar.gz").split()[0]
    run = upgrade(fleet, tmp_path, lock, NEW, new)
    try:
        assert run.code == 0, run.output
        assert running(fleet)[0] == NEW
        assert fleet.shell("rnode", "readlink /opt/accelmon/node_exporter/previous").startswith(OLD + "-")
    finally:
        before = requests(fleet)
        back = upgrade(fleet, tmp_path, lock, OLD, old)
    assert back.code == 0, back.output
    assert running(fleet)[0] == OLD and requests(fleet) == before, "the way back needs no network"
