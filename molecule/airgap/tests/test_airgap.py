"""A fleet from a bundle alone: no default route, no source of packages. Simulated: upstream, by a web server whose archives the lab built, the two
machines, by two folders of this one (files/sides.py), and the devices, below nvidia-smi.

Each test leaves the fleet as it found it.
"""

import json
import pathlib
import re
import shutil
import sys

import pytest

from conftest import eventually

sys.path.insert(0, str(pathlib.Path(__file__).absolute().parents[1] / "files"))

from sides import Sides  # noqa: E402  pylint: disable=wrong-import-position,import-error

OLD, NEW = "1.9.0", "1.9.1"
ON = {"mon1": ["node_exporter", "victoriametrics", "vmagent", "vmalert", "alertmanager"], "gpu1": ["node_exporter"]}


@pytest.fixture(name="sides", scope="module")
def two_machines():
    return Sides()


@pytest.fixture(name="bundle")
def restored(sides, tmp_path):
    """The isolated side's bundle; afterwards it is as it was."""
    place = sides.root / "isolated" / "bundle"
    shutil.copytree(place, tmp_path / "before")
    yield place
    shutil.rmtree(place)
    shutil.copytree(tmp_path / "before", place)


def running(fleet, host, name="node_exporter"):
    """(program that runs, its process) on a host."""
    process = fleet.shell(host, f"systemctl show -P MainPID accelmon-{name.replace('_', '-')}").strip()
    return fleet.shell(host, f"readlink /proc/{process}/exe").strip(), process


def installed(fleet):
    """What is below /opt/accelmon, and which packages there are, on each host."""
    return {host: fleet.shell(host, "find /opt/accelmon | sort; dpkg-query --show") for host in fleet.hosts}


def test_the_hosts_are_cut_off(fleet):
    for host in fleet.hosts:
        assert fleet.shell(host, "ip route show default; ip -6 route show default; apt-get indextargets; "
                                 "ls /var/cache/apt/archives/*.deb 2>/dev/null; true") == ""
        assert "Unable to locate package" in fleet.shell(host, "apt-get install --print-uris prometheus-node-exporter 2>&1", check=False)


def test_no_package_was_needed(fleet):
    for host in fleet.hosts:
        assert fleet.shell(host, "dpkg-query --show | diff /root/packages -") == ""


def test_what_runs_is_of_the_bundle(fleet, sides):
    listed = {one["name"]: one for one in json.loads((sides.root / "isolated" / "bundle" / "lock.json").read_text())["artifacts"]}
    for host, names in ON.items():
        for name in names:
            assert running(fleet, host, name)[0].startswith(f"/opt/accelmon/{name}/{listed[name]['version']}-{listed[name]['sha256'][:12]}/bin/"), name


def test_it_is_well_and_the_devices_are_monitored(fleet):
    fleet.well()
    eventually(lambda: fleet.values('count by (node) (accelerator_info{node="gpu1"})') == {"gpu1": 2}, "both devices are in the storage")


def test_an_upgrade_from_a_second_bundle_and_the_way_back(fleet, sides, bundle):
    assert [f"/opt/accelmon/node_exporter/{OLD}-" in running(fleet, host)[0] for host in fleet.hosts] == [True, True]
    said = sides.connected(first=1, node_exporter=NEW)
    assert f"new: node_exporter {NEW} linux/amd64" in said and f"gone: node_exporter {OLD} linux/amd64" in said, said
    first = shutil.copytree(bundle, bundle.with_name("first"))
    try:
        assert "signed by the owner of the key" in sides.isolated()
        run = fleet.play("playbooks/upgrade.yml", "-e", "accelmon_update_settle=3")
        assert run.code == 0, run.output
        assert [f"/opt/accelmon/node_exporter/{NEW}-" in running(fleet, host)[0] for host in fleet.hosts] == [True, True]
        assert fleet.site().changed() == 0, "site.yml agrees"
    finally:
        shutil.rmtree(bundle)
        first.rename(bundle)
        run = fleet.site()
    assert [f"/opt/accelmon/node_exporter/{OLD}-" in running(fleet, host)[0] for host in fleet.hosts] == [True, True]
    assert run.changed() > 0


def spoil(path):
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def test_a_list_that_was_changed_ends_in_the_first_play(fleet, bundle):
    before = installed(fleet), running(fleet, "gpu1")
    listed = bundle / "lock.json"
    listed.write_text(listed.read_text().replace(OLD, NEW))
    run = fleet.play("site.yml")
    assert run.code != 0 and "lock.json or lock.json.sig was changed after it was signed" in run.output, run.output
    assert len(re.findall("^PLAY ", run.output, re.MULTILINE)) == 2 and run.changed() == 0, run.output  # the first play, and the recap
    assert (installed(fleet), running(fleet, "gpu1")) == before


def test_an_archive_that_was_changed_is_never_unpacked(fleet, bundle):
    fleet.shell("gpu1", "mv /opt/accelmon/node_exporter /opt/lost")
    spoil(bundle / f"node_exporter-{OLD}.linux-amd64.tar.gz")
    try:
        run = fleet.play("playbooks/bundle_verify.yml")
        assert run.code != 0 and f"node_exporter-{OLD}.linux-amd64.tar.gz: its SHA-256 is another" in run.output, run.output
        run = fleet.play("site.yml", "--limit", "gpu1")
        assert run.code != 0 and "so it was modified or is a different file" in run.output, run.output
        assert fleet.shell("gpu1", "find /opt/accelmon/node_exporter -mindepth 1 ! -name .lock 2>/dev/null; true") == ""
    finally:
        fleet.shell("gpu1", "rm -rf /opt/accelmon/node_exporter && mv /opt/lost /opt/accelmon/node_exporter")
    assert fleet.shell("gpu1", "systemctl is-active accelmon-node-exporter").strip() == "active"
