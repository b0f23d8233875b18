"""upgrade.yml with real programs: an upgrade, programs that are not what they say or do not start, and the line of the storage's data.

Simulated: upstream, by a web server in the lab. Newer releases are made here from those that the lab built, with another version written into the
program, or with a program that ends at once. Each test leaves the fleet as it found it.
"""

import json
import os
import pathlib
import re
import subprocess

import pytest
from conftest import eventually

VM = "1.151.0"
FOLDER = "/srv/upstream/VictoriaMetrics/VictoriaMetrics/releases/download"
ARCHIVE = {"victoriametrics": "victoria-metrics", "vmutils": "vmutils"}


class Site:
    """The fleet, with the lock file that its upgrades start from."""

    def __init__(self, fleet):
        self.fleet = fleet
        self.path = pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "releases.lock.json")
        self.former = self.path.read_text()

    def make(self, release, version, change):
        """Publish a version of a release, what was built after a shell command in its folder; its checksum."""
        folder, name = f"{FOLDER}/v{version}", f"{ARCHIVE[release]}-linux-amd64-v"
        return self.fleet.shell("rmon", f"rm -rf /root/made && mkdir -p {folder} /root/made && cd /root/made && tar -xzf {FOLDER}/v{VM}/{name}{VM}.tar.gz && "
                                        f"{change} && tar -czf {folder}/{name}{version}.tar.gz * && sha256sum {folder}/{name}{version}.tar.gz").split()[0]

    def wanted(self, **versions):
        """The arguments of upgrade.yml for a lock file that has these {release: (version, checksum)}."""
        lock = json.loads(self.former)
        for release, (version, digest) in versions.items():
            lock["releases"][release].update(version=version, sha256={"amd64": digest})
        path = self.path.with_name("wanted.lock.json")
        path.write_text(json.dumps(lock))
        return "playbooks/upgrade.yml", "-e", json.dumps({"accelmon_upgrade_lock": str(path), "accelmon_update_settle": 5})

    def program(self):
        """Path of the storage's program that runs."""
        return self.fleet.shell("rmon", "readlink /proc/$(systemctl show -P MainPID accelmon-victoriametrics)/exe").strip()

    def oldest(self):
        """When the node was first seen, as the storage has it."""
        return self.fleet.values('tfirst_over_time(up{node="rnode",job="node_exporter"}[2h])').get("rnode")

    def upgrade(self, *arguments, **versions):
        """Run upgrade.yml to these versions."""
        return self.fleet.play(*self.wanted(**versions), *arguments)

    def reported(self, role="victoriametrics", port=8428):
        """The version that a program tells, and its process."""
        page = self.fleet.get(f"http://127.0.0.1:{port}/metrics")
        return re.search(r'vm_app_version\{.*short_version="v([0-9.]+)"', page).group(1), self.fleet.shell(
            "rmon", f"systemctl show -P MainPID accelmon-{role}").strip()


@pytest.fixture(name="site")
def restored(fleet):
    """The site; afterwards its lock file and programs are as they were."""
    site = Site(fleet)
    yield site
    changed = site.path.read_text() != site.former
    site.path.write_text(site.former)
    if changed:
        fleet.site()
    assert site.reported()[0] == VM


def renamed(version, program):
    """The shell command that writes another version of the same length into a program."""
    return f"sed -i 's/tags-v{VM}/tags-v{version}/g' {program}"


def test_check_says_what_it_would_do(site):
    before = site.reported()
    run = site.upgrade("--check", victoriametrics=("1.151.9", "a" * 64))
    assert run.code == 0 and "rmon: victoriametrics: 1.151.0 -> 1.151.9" in run.output, run.output
    assert site.reported() == before


def test_the_storage_is_upgraded_and_the_lock_file_follows(site):
    digest = site.make("victoriametrics", "1.151.9", renamed("1.151.9", "victoria-metrics-prod"))
    run = site.upgrade("-e", "accelmon_output=json", victoriametrics=("1.151.9", digest))
    assert run.code == 0 and '"ok": true' in run.output, run.output
    assert site.reported()[0] == "1.151.9"
    assert json.loads(site.path.read_text())["releases"]["victoriametrics"]["version"] == "1.151.9"
    assert site.fleet.site().changed() == 0, "site.yml agrees"


def test_a_run_that_was_killed_is_completed_by_the_next(site):
    """Killed when the new program is in its place, and the old one still runs."""
    digest = site.make("victoriametrics", "1.151.6", renamed("1.151.6", "victoria-metrics-prod"))
    before = site.reported()
    site.fleet.killed("rmon", *site.wanted(victoriametrics=("1.151.6", digest)))
    assert site.reported() == before
    assert site.fleet.shell("rmon", "readlink /opt/accelmon/victoriametrics/current").startswith("1.151.6-")
    run = site.upgrade(victoriametrics=("1.151.6", digest))
    assert run.code == 0 and f"rmon: victoriametrics: {VM} -> 1.151.6" in run.output, run.output
    assert site.reported()[0] == "1.151.6"
    assert json.loads(site.path.read_text())["releases"]["victoriametrics"]["version"] == "1.151.6"


def test_a_program_that_reports_another_version_goes_back(site):
    digest = site.make("victoriametrics", "1.151.8", "true")
    run = site.upgrade(victoriametrics=("1.151.8", digest))
    assert run.code != 0 and "build of victoriametrics: 1.151.0 before, 1.151.0 after; 1.151.8 was to run; 1.151.0 runs again" in run.output, run.output
    assert site.fleet.shell("rmon", "readlink /opt/accelmon/victoriametrics/current").startswith(f"{VM}-")
    assert site.path.read_text() == site.former


def test_a_program_that_does_not_start_goes_back_with_those_of_its_release(site):
    before = site.reported()
    digest = site.make("vmutils", "1.151.7", "printf '#!/bin/sh\\nexit 1\\n' > vmalert-prod")
    run = site.upgrade(vmutils=("1.151.7", digest))
    assert run.code != 0 and "vmutils 1.151.0 -> 1.151.7" in run.output and "1.151.0 runs again" in run.output, run.output
    for role in ("vmagent", "vmalert"):
        assert site.fleet.shell("rmon", f"readlink /opt/accelmon/{role}/current").startswith(f"{VM}-")
        assert site.fleet.shell("rmon", f"systemctl is-active accelmon-{role}").strip() == "active"
    assert site.reported() == before, "the storage was not touched"


def test_site_does_not_cross_a_line(site):
    before = site.reported()
    run = site.fleet.play("site.yml", "-e", "victoriametrics_source=package")
    assert run.code != 0 and "victoriametrics 1.151.0 is installed, and its package would cross 1.133.0" in run.output and "run upgrade.yml" in run.output
    assert run.output.count("fatal: [") == 1 and run.changed() == 0, run.output
    assert site.reported() == before


def test_a_line_is_not_crossed_without_a_backup(site):
    run = site.fleet.play("playbooks/upgrade.yml", "-e", "victoriametrics_source=package")
    assert run.code != 0 and "rmon: accelmon_backup_directory = ''" in run.output, run.output


def test_a_line_of_the_data_is_crossed_there_and_back(site, tmp_path):
    """Debian's VictoriaMetrics is from before a line of the data: to it, then on to a release that does not start, then to one that does.

    The storage begins with no data: with that of other tests, the older program once found 91 % of the series, and upgrade.yml put the release back.
    """
    folder, key = "/mnt/backup", tmp_path / "backup"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:3072", "-nodes", "-days", "2", "-subj", "/CN=backup", "-keyout", f"{key}.key", "-out",
                    f"{key}.pem"], check=True, capture_output=True)
    site.fleet.shell("rmon", f"mkdir -pm 700 {folder}")
    settings = {"accelmon_update_settle": 5, "accelmon_backup_directory": folder, "accelmon_backup_recipient": f"{key}.pem",
                "accelmon_backup_secret": "signs-the-backups-of-this-scenario-1"}
    inventory = site.fleet.inventory_of(tmp_path / "inventory.json", settings=settings)
    package = site.fleet.inventory_of(tmp_path / "package.json", settings={**settings, "victoriametrics_source": "package"})
    site.fleet.shell("rmon", "systemctl stop accelmon-victoriametrics && rm -r /var/lib/accelmon/victoriametrics/* && systemctl start accelmon-victoriametrics")
    began = eventually(site.oldest, "the node is in the storage")

    run = site.fleet.play("playbooks/upgrade.yml", inventory=package)
    assert run.code == 0 and f"rmon: victoriametrics: {VM} -> package, after a backup: it crosses 1.133.0" in run.output, run.output
    assert site.program() == "/usr/bin/victoria-metrics" and site.oldest() == began

    digest = site.make("victoriametrics", "1.151.5", "printf '#!/bin/sh\\nexit 1\\n' > victoria-metrics-prod")
    run = site.fleet.play(*site.wanted(victoriametrics=("1.151.5", digest)), inventory=inventory)
    kept = "/var/lib/accelmon/victoriametrics.before-"
    assert run.code != 0 and "runs again with the data of the backup, and the later ones are in " + kept in run.output, run.output
    assert site.program() == "/usr/bin/victoria-metrics" and site.oldest() == began

    run = site.fleet.play("playbooks/upgrade.yml", inventory=inventory)
    assert run.code == 0 and f"-> {VM}, after a backup: it crosses 1.133.0" in run.output, run.output
    assert site.reported()[0] == VM and site.oldest() == began
    site.fleet.shell("rmon", f"rm -r {folder} {kept}*")
    site.fleet.site()
