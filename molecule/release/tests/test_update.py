"""Scheduled updates: canary, batches, and the way back. Simulated: upstream, by a web server in the lab whose archives the lab built.

A release that does not start, 1.9.2, is made here. Each test leaves the fleet as it found it.
"""

import json
import os
import pathlib

import pytest

from test_release import ARCHIVES, NEW, OLD, running

BROKEN = "1.9.2"


class Site:
    """The fleet, with a lock file that updates may change."""

    def __init__(self, fleet):
        self.fleet = fleet
        self.path = pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "releases.lock.json")
        self.address = fleet.shell("rmon", "hostname -I").split()[0]

    def update(self, *arguments, policy="patch"):
        """Run update.yml; rnode is the canary."""
        # The lab's names are known to its hosts alone, and the control node asks upstream too.
        options = {"accelmon_auto_update": policy, "accelmon_update_canaries": ["rnode"], "accelmon_update_settle": 3,
                   "accelmon_lock_architectures": ["amd64"], "accelmon_release_url_prefix": f"http://{self.address}:8000"}
        return self.fleet.play("playbooks/update.yml", "-e", json.dumps(options), *arguments)

    def locked(self):
        """The version that is locked."""
        return json.loads(self.path.read_text())["releases"]["node_exporter"]["version"]

    def versions(self):
        """What runs on the canary and on the other host."""
        return [running(self.fleet, host)[0] for host in ("rnode", "rmon")]


@pytest.fixture(name="site")
def restored(fleet):
    """The site; afterwards its lock file is as it was."""
    site = Site(fleet)
    before = site.path.read_text()
    yield site
    changed = site.path.read_text() != before
    site.path.write_text(before)
    if changed:
        fleet.site()
    assert site.versions() == [OLD, OLD]


@pytest.fixture(name="broken")
def release_that_does_not_start(fleet):
    """A patch release upstream whose program ends at once."""
    folder = f"{ARCHIVES}/v{BROKEN}"
    inside = f"node_exporter-{BROKEN}.linux-amd64"
    fleet.shell("rmon", f"mkdir -p {folder}/{inside} && printf '#!/bin/sh\\nexit 1\\n' > {folder}/{inside}/node_exporter && chmod 755 {folder}/{inside}/* && "
                        f"cd {folder} && tar -czf {inside}.tar.gz {inside} && sha256sum {inside}.tar.gz > sha256sums.txt")
    yield BROKEN
    fleet.shell("rmon", f"rm -r {folder}")


def test_updates_are_off_by_default(site):
    run = site.update(policy="none")
    assert run.code == 0 and "accelmon_auto_update = none" in run.output, run.output
    assert site.versions() == [OLD, OLD]


def test_a_run_that_only_looks_says_what_it_would_do(site):
    run = site.update("--check")
    assert run.code == 0 and f"'node_exporter': '{NEW}'" in run.output.replace('"', "'"), run.output
    assert "node_exporter first" in run.output and "node_exporter then" in run.output
    assert site.versions() == [OLD, OLD] and site.locked() == OLD


def test_the_canary_goes_back_and_nobody_else_gets_it(site, broken):
    other = running(site.fleet, "rmon")
    run = site.update()
    assert run.code != 0 and f"node_exporter': '{broken}'" in run.output.replace('"', "'").replace("\\'", "'"), run.output
    assert site.versions() == [OLD, OLD] and site.locked() == OLD
    assert running(site.fleet, "rmon") == other, "the other host was not touched"
    assert not site.fleet.shell("rmon", f"ls -d /opt/accelmon/node_exporter/{broken}* 2>/dev/null", check=False).strip()


def test_all_go_back_if_one_of_the_others_does_not_take_it(site):
    digest = site.fleet.shell("rmon", f"sha256sum {ARCHIVES}/v{NEW}/node_exporter-{NEW}.linux-amd64.tar.gz").split()[0]
    place = f"/opt/accelmon/node_exporter/{NEW}-{digest[:12]}"
    site.fleet.shell("rmon", f"rm -rf {place} && touch {place} && chattr +i {place} 2>/dev/null || true")
    try:
        run = site.update()
    finally:
        site.fleet.shell("rmon", f"chattr -i {place} 2>/dev/null; rm -rf {place}")
    assert run.code != 0 and "rmon did not take it" in run.output, run.output
    assert site.versions() == [OLD, OLD] and site.locked() == OLD


def test_the_newest_patch_comes_to_all(site):
    run = site.update()
    assert run.code == 0, run.output
    assert site.versions() == [NEW, NEW] and site.locked() == NEW
    assert site.fleet.shell("rnode", "readlink /opt/accelmon/node_exporter/previous").startswith(OLD + "-")
    assert site.fleet.site().changed() == 0, "site.yml agrees with the new lock file"
    again = site.update()
    assert again.code == 0 and "nothing newer" in again.output
