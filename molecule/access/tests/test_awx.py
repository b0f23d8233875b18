"""A run as AWX makes it: ansible-runner, the collection as project, a home that cannot be written, a part of the inventory,
a limit, variables as a survey sends them, events kept.

Everything but the private folder and an empty /tmp is mounted read-only for the run, so that what is written elsewhere fails.
Simulated: the accelerators, and AWX itself.
"""

import importlib.util
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest
from conftest import CHECKOUT
from secrets_of import leaks, secrets

# Mounts that a program needs to write to, and that hold no files of anybody's.
DEVICES = ("/proc", "/sys", "/dev")
ENCLOSE = """
set -eu
private=$1; shift
mount --make-rprivate /
mkdir -p "$private/tmp"
mount --bind "$private" "$private"
mount --bind "$private/tmp" /tmp
mount --bind "$HOME" "$HOME"
mount -o remount,bind,ro "$HOME"
findmnt --raw --noheadings --output TARGET | while read -r target; do
  case $target in /proc*|/sys*|/dev*|/tmp|"$private"*) continue ;; esac
  mount -o remount,bind,ro "$target" 2>/dev/null || true
done
touch /etc/written 2>/dev/null && { echo "this machine can still be written to" >&2; exit 97; }
touch "$HOME/written" 2>/dev/null && { echo "the home can still be written to" >&2; exit 97; }
exec "$@"
"""
SURVEY = {
    "accelmon_scrape_interval": "5s", "accelmon_verify_wait": "180", "accelmon_prune": "false", "accelmon_prune_force": "False",
    "node_exporter_port": "9100", "accelmon_only_problems": "true", "accelmon_serial": "50%",
}


@pytest.fixture(name="private")
def private_data_dir(fleet):
    """The folder that AWX gives to a job: project, inventory of a part of the fleet, variables, key."""
    if importlib.util.find_spec("ansible_runner") is None:
        pytest.skip("ansible-runner is not installed")
    # Not below /tmp, which the run has one of its own of.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="accelmon-awx-", dir="/var/tmp"))
    try:
        yield filled(fleet, folder)
    finally:
        shutil.rmtree(folder)


def filled(fleet, folder):
    """The folder, with all that a job needs."""
    # What a clone would have: no file that git ignores.
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    project = folder / "project"
    listed = subprocess.run(listing, cwd=CHECKOUT, stdout=subprocess.PIPE, check=True).stdout.decode().split("\0")
    for name in filter(None, listed):
        if (CHECKOUT / name).exists() or (CHECKOUT / name).is_symlink():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, project / name, follow_symlinks=False)
    (folder / "inventory").mkdir()
    (folder / "env").mkdir()
    inventory = json.loads(fleet.inventory_of(folder / "inventory" / "hosts.json", hosts=("mon1", "mon2", "nvidia1")).read_text())
    keys = {host.pop("ansible_ssh_private_key_file") for host in inventory["all"]["hosts"].values()}
    (folder / "inventory" / "hosts.json").write_text(json.dumps(inventory))
    (folder / "env" / "ssh_key").write_text(pathlib.Path(keys.pop()).read_text())
    return folder


def job(private, playbook, name, *arguments, survey=None):
    """Run a playbook as a job; (exit status, {host: counters}, all that it has printed, all its events)."""
    (private / "env" / "extravars").write_text(json.dumps({**SURVEY, **(survey or {})}))
    home = private / "home"
    home.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "ansible_runner", "run", str(private), "--playbook", playbook, "--ident", name, *arguments]
    path = f"{pathlib.Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", ENCLOSE, "sh", str(private), *command], cwd="/", stdin=subprocess.DEVNULL,
                          env={"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False)
    folder = private / "artifacts" / name
    events = [json.loads(path.read_text()) for path in sorted((folder / "job_events").glob("*.json"))]
    return done.returncode, next((event["event_data"] for event in reversed(events) if event["event"] == "playbook_on_stats"), {}), done.stdout, events


def test_a_job_over_a_part_of_the_inventory(fleet, private):
    known = secrets(fleet)
    before = snapshot()
    try:
        code, stats, output, events = job(private, "site.yml", "full", "--forks", "10")
        assert code == 0, output
        assert set(stats["ok"]) >= {"mon1", "mon2", "nvidia1"} and not stats["failures"] and not stats["dark"], stats
        assert "six1" not in stats["ok"], "a host that is not in the inventory is not reached"

        code, stats, output, limited = job(private, "site.yml", "limited", "--limit", "nvidia1")
        assert code == 0 and not stats["changed"], output

        code, stats, output, verified = job(private, "playbooks/verify.yml", "verify")
        assert code == 0 and "all is well" in output, output
        code, stats, output, listed = job(private, "playbooks/status.yml", "status", survey={"accelmon_only_problems": "false"})
        assert code == 0 and "retired" in output, "what is not in this part of the inventory is retired, not forgotten"

        every = json.dumps(events + limited + verified + listed) + "".join(
            path.read_text(errors="replace") for path in (private / "artifacts").rglob("*") if path.is_file())
        assert "accelerators" in every and leaks(known, every.replace("\\n", "\n").replace("\\\\n", "\n")) == []
        assert snapshot() == before, "nothing is written outside of the private folder"
        assert sorted(path.name for path in (private / "home").iterdir()) == []
    finally:
        fleet.site()
    fleet.well()


def snapshot():
    """{folder: names in it} where Ansible likes to write."""
    places = [CHECKOUT, pathlib.Path.home(), pathlib.Path.home() / ".ansible"]
    return {str(place): sorted(path.name for path in place.iterdir()) for place in places if place.is_dir()}


def test_a_job_for_one_node_says_what_is_wrong(fleet, private):
    code, stats, output, dummy = job(private, "site.yml", "wrong", "--limit", "nvidia1", survey={"node_exporter_port": "ninety"})
    assert code != 0 and "node_exporter_port = ninety" in output and "nvidia1" in stats["failures"], output
