# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""upgrade.yml as its users run it: order, canaries, the way back, what a run after one that was killed does, and what is said.

Stubbed: all roles, by tasks that note what they would install; what hosts and programs tell, by modules that read it from files; systemctl. The hosts
share one state directory, and tell the same. A run that is killed gets its SIGKILL at the end of a role.
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import node

ROOT = pathlib.Path(__file__).resolve().parents[2]
INVENTORY = """
all:
  vars:
    ansible_connection: local
    ansible_python_interpreter: %s
    ansible_become: false
    accelmon_source: release
    accelmon_lock_file: %s
    accelmon_update_settle: 0
    accelmon_update_canaries: [gpu2]
  children:
    accelerator_nodes: {hosts: {gpu1: {accelmon_address: 192.0.2.1}, gpu2: {accelmon_address: 192.0.2.2}}}
    monitoring: {hosts: {mon1: {accelmon_address: 192.0.2.3}}}
"""
ROLE = """
- ansible.builtin.shell: |
    echo "{{ inventory_hostname }} ROLE release {{ (ROLE_sha256 and ROLE_version) or (lookup('ansible.builtin.file', accelmon_lock_file)
      | from_json).releases.RELEASE.version }}" >> "$STUB/log"
    test "$(cat "$STUB/kill")" != "{{ inventory_hostname }} ROLE" || kill -9 "$(cat "$STUB/pid")"
"""
BACKUP = """
- ansible.builtin.shell: echo "{{ inventory_hostname }} backup {{ backup_action | default('converge') }} {{ backup_path | default('') }}" >> "$STUB/log"
- ansible.builtin.set_fact:
    _backup_answer: {backup: {path: /backups/1, kept: [/var/lib/accelmon/victoriametrics.before-1]}}
"""
MODULE = """#!/usr/bin/python
import json, os
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec=dict(%s), supports_check_mode=True)
%s
"""
FACTS = MODULE % ("sources=dict(type='list')", "module.exit_json(ansible_facts=json.load(open(os.environ['STUB'] + '/facts')))")
LOOK = MODULE % (
    ", ".join(f"{name}=dict(type='raw')" for name in ("wanted", "before", "node", "storage_url", "storage_access", "rules_url", "alertmanager_urls",
                                                      "stack_urls", "interval", "wait")),
    "print(json.dumps(module.params['before']), file=open(os.environ['STUB'] + '/before', 'a'))\n"
    "worse = json.load(open(os.environ['STUB'] + '/worse')) if module.params['before'] else {}\n"
    "series = int(open(os.environ['STUB'] + '/series').read())\n"
    "module.exit_json(seen={'series': series}, failures=[{'line': worse[one]} for one in module.params['wanted'] if one in worse])")
# Another process whenever something was installed.
SYSTEMCTL = "#!/bin/sh\ntest \"$1\" = is-active && echo active || wc -l < \"$STUB/log\"\n"
OLD = {"victoriametrics": "1.150.0", "vmutils": "1.150.0", "node_exporter": "1.9.0"}
NEW = {"victoriametrics": "1.151.0", "vmutils": "1.151.0", "node_exporter": "1.9.1"}


class Site:
    """A fleet of three hosts, which are this machine."""

    def __init__(self, folder):
        self.folder, self.collection = folder, folder / "collections/ansible_collections/accelmon/fleet"
        self.lock, self.wanted = folder / "lock.json", folder / "wanted.json"
        self.link()
        self.lock.write_text(self.releases(OLD))
        self.wanted.write_text(self.releases(NEW))
        (folder / "inventory.yml").write_text(INVENTORY % (sys.executable, self.lock))
        self.tells(**{"victoriametrics": "1.150.0", "vmagent": "1.150.0", "vmalert": "1.150.0", "node_exporter": "1.9.0"})
        for name, text in (("log", ""), ("worse", "{}"), ("series", "9"), ("kill", "")):
            (folder / name).write_text(text)

    @staticmethod
    def releases(versions):
        """The text of a lock file."""
        return json.dumps({"version": 1, "releases": {name: {"version": version, "sha256": {"amd64": "a" * 64}} for name, version in versions.items()}})

    def link(self):
        """The collection, with stubs in place of what changes or looks at hosts."""
        for name in ("modules", "action", "module_utils"):
            (self.collection / "plugins" / name).mkdir(parents=True)
        for path in ROOT.iterdir():
            if path.name not in ("plugins", "roles", ".git", ".collections"):
                (self.collection / path.name).symlink_to(path)
        for path in (ROOT / "plugins").iterdir():
            if path.name not in ("modules", "action", "module_utils"):
                (self.collection / "plugins" / path.name).symlink_to(path)
        self.link_state()
        for path in [*(ROOT / "plugins/modules").glob("*.py"), *(ROOT / "plugins/action").glob("*.py")]:
            if path.stem not in ("accelerator_facts", "fleet_upgrade_info"):
                (self.collection / "plugins" / path.parent.name / path.name).symlink_to(path)
        for name, text in (("accelerator_facts", FACTS), ("fleet_upgrade_info", LOOK)):
            (self.collection / f"plugins/modules/{name}.py").write_text(text)
        self.link_roles()
        (self.folder / "systemctl").write_text(SYSTEMCTL)
        (self.folder / "systemctl").chmod(0o755)

    def link_state(self):
        """The code that runs on hosts, with another state directory."""
        for path in (ROOT / "plugins/module_utils").iterdir():
            if path.name != "paths.py":
                (self.collection / "plugins/module_utils" / path.name).symlink_to(path)
        (self.folder / "host/var/lib/accelmon").mkdir(parents=True)
        (self.collection / "plugins/module_utils/paths.py").write_text((ROOT / "plugins/module_utils/paths.py").read_text().replace(
            '"/var/lib/accelmon"', f'"{self.folder}/host/var/lib/accelmon"'))

    def link_roles(self):
        """Roles that note what they would do."""
        releases = {"victoriametrics": "victoriametrics", "vmagent": "vmutils", "vmalert": "vmutils", "node_exporter": "node_exporter"}
        for path in (ROOT / "roles").iterdir():
            tasks = self.collection / "roles" / path.name / "tasks"
            tasks.mkdir(parents=True)
            for part in ("meta", "defaults"):
                if (path / part).exists():
                    (tasks.parent / part).symlink_to(path / part)
            release = releases.get(path.name)
            own = ROLE.replace("ROLE", path.name).replace("RELEASE", release) if release else BACKUP if path.name == "backup" else "[]\n"
            for part in (path / "tasks").glob("*.yml"):
                (tasks / part.name).write_text(own if part.stem in ("main", "act") else "[]\n")

    def tells(self, **versions):
        """What is installed on every host, {role: version}."""
        programs = {role: {"source": "release", "version": version, "sha256": "b" * 64} for role, version in versions.items()}
        for role, before in node.uncompared(str(self.folder / "host")).items():
            programs[role]["before"] = before
        (self.folder / "facts").write_text(json.dumps({"accelerators": {"devices": [], "summary": {}}, "accelmon_node": {
            "architecture": "amd64", "python_version": "3.11.2", "addresses": [], "systemd": True, "access": False, "exporters": [], "programs": programs}}))

    def upgrade(self, *arguments, playbook="upgrade"):
        """Run the playbook: (exit status, output without line breaks, what was installed)."""
        (self.folder / "log").write_text("")
        run = subprocess.Popen(
            [sys.executable, "-m", "ansible", "playbook", "-i", "inventory.yml", f"accelmon.fleet.{playbook}",
             "-e", f"accelmon_upgrade_lock={self.wanted}", *arguments], cwd=str(self.folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=dict(os.environ, STUB=str(self.folder), PATH=f"{self.folder}:{os.environ['PATH']}", ANSIBLE_NOCOLOR="1",
                     ANSIBLE_COLLECTIONS_PATH=str(self.folder / "collections"), ANSIBLE_HOME=str(self.folder / "home")))
        with run:
            (self.folder / "pid").write_text(str(run.pid))
            output = run.communicate(timeout=600)[0]
        return run.returncode, output, [line.rstrip() for line in (self.folder / "log").read_text().splitlines()]

    def killed(self, at, *arguments):
        """Run the playbook until a role of a host has done its work: what was installed."""
        (self.folder / "kill").write_text(at)
        code, output, log = self.upgrade(*arguments)
        assert code == -signal.SIGKILL, output
        for name, text in (("kill", ""), ("before", ""), ("series", "5")):
            (self.folder / name).write_text(text)
        return log

    def looks(self):
        """What the module that compares was given as the state before, of each look that had one."""
        return [before for before in map(json.loads, (self.folder / "before").read_text().splitlines()) if before]

    def notes(self):
        """Names of what hosts keep until it is compared."""
        return sorted(path.name for path in (self.folder / "host/var/lib/accelmon").iterdir())


@pytest.fixture
def site(tmp_path):
    """A site whose lock file for the upgrade has newer versions."""
    return Site(tmp_path)


STACK = ["mon1 victoriametrics release 1.151.0", "mon1 vmagent release 1.151.0", "mon1 vmalert release 1.151.0"]


def test_storage_writers_canaries_others(site):
    code, output, log = site.upgrade("-e", "accelmon_output=json")
    assert code == 0, output
    assert log[:4] == STACK + ["gpu2 node_exporter release 1.9.1"]
    assert sorted(log[4:]) == ["gpu1 node_exporter release 1.9.1", "mon1 node_exporter release 1.9.1"]
    assert site.lock.read_text() == site.wanted.read_text() and '"ok": true' in output


def test_check_only_says_what_it_would_do(site):
    code, output, log = site.upgrade("--check")
    assert code == 0 and log == [] and site.lock.read_text() == site.releases(OLD), output
    for line in ("mon1: victoriametrics: 1.150.0 -> 1.151.0", "mon1: vmagent, vmalert: 1.150.0 -> 1.151.0", "gpu2: node_exporter first: 1.9.0 -> 1.9.1",
                 "gpu1: node_exporter then: 1.9.0 -> 1.9.1"):
        assert line in output, output


def test_what_is_worse_goes_back_and_the_rest_is_left_alone(site):
    (site.folder / "worse").write_text(json.dumps({"victoriametrics": "active series: 900 before, 700 after; at least 95 % have to be there"}))
    code, output, log = site.upgrade()
    assert code != 0 and log == ["mon1 victoriametrics release 1.151.0", "mon1 victoriametrics release 1.150.0"], output
    assert ("mon1: victoriametrics 1.150.0 -> 1.151.0: active series: 900 before, 700 after; at least 95 % have to be there; 1.150.0 runs again") in output
    assert site.lock.read_text() == site.releases(OLD) and "The lock file is as it was" in output


def backups(site):
    """Arguments with which a site has backups."""
    certificate = site.folder / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=backup", "-keyout", os.devnull,
                    "-out", str(certificate)], check=True, stderr=subprocess.DEVNULL)
    return "-e", json.dumps({"accelmon_backup_directory": "/backups", "accelmon_backup_recipient": str(certificate), "accelmon_backup_secret": "s" * 32})


def test_a_line_is_crossed_after_a_backup_and_back_with_its_data(site):
    site.tells(victoriametrics="1.132.0")
    code, output, log = site.upgrade()
    assert code != 0 and log == [] and "mon1: accelmon_backup_directory = ''" in output, output
    (site.folder / "worse").write_text(json.dumps({"victoriametrics": "build of victoriametrics: 1.132.0 before, unknown after; 1.151.0 was to run"}))
    code, output, log = site.upgrade(*backups(site))
    assert code != 0 and log == [
        "mon1 backup converge", "mon1 backup take", STACK[0], "mon1 backup rewind /backups/1", "mon1 victoriametrics release 1.132.0"], output
    assert "1.132.0 runs again with the data of the backup, and the later ones are in /var/lib/accelmon/victoriametrics.before-1" in output


def test_one_host_that_fails_takes_all_exporters_back(site):
    (site.folder / "worse").write_text(json.dumps({"node_exporter": "build of node_exporter: 1.9.0 before, 1.9.0 after; 1.9.1 was to run"}))
    code, output, log = site.upgrade()
    assert code != 0 and log == STACK + ["gpu2 node_exporter release 1.9.1", "gpu2 node_exporter release 1.9.0"], output
    assert "gpu2: node_exporter: build of node_exporter: 1.9.0 before, 1.9.0 after; 1.9.1 was to run; 1.9.0 runs again" in re.sub(r"\s+", " ", output)


def test_site_stops_before_a_line(site):
    site.tells(victoriametrics="1.132.0")
    site.lock.write_text(site.releases(NEW))
    code, output, log = site.upgrade(playbook="site")
    assert code != 0 and log == [] and output.count("fatal: [") == 1, output
    assert "victoriametrics 1.132.0 is installed, and 1.151.0 would cross 1.133.0" in output and "run upgrade.yml" in output


RUNNING = {"victoriametrics": "1.151.0", "vmagent": "1.151.0", "vmalert": "1.151.0", "node_exporter": "1.9.1"}


@pytest.mark.parametrize("worse", [False, True])
def test_a_step_of_a_killed_run_is_compared_with_what_was_before_that(site, worse):
    """The storage's program runs already. It is compared with the values of the killed run, and goes back to its version."""
    assert site.killed("mon1 victoriametrics") == STACK[:1] and site.notes() == ["upgrade_victoriametrics.json"]
    site.tells(**{"victoriametrics": "1.151.0", "vmagent": "1.150.0", "vmalert": "1.150.0", "node_exporter": "1.9.0"})
    (site.folder / "worse").write_text(json.dumps({"victoriametrics": "active series: 9 before, 5 after"} if worse else {}))
    code, output, log = site.upgrade()
    assert site.looks()[0] == {"series": 9} and site.notes() == [], output
    if worse:
        assert code != 0 and log == STACK[:1] + ["mon1 victoriametrics release 1.150.0"] and site.lock.read_text() == site.releases(OLD), output
        assert "mon1: victoriametrics 1.150.0 -> 1.151.0: active series: 9 before, 5 after; 1.150.0 runs again" in output
    else:
        assert code == 0 and log[:4] == STACK + ["gpu2 node_exporter release 1.9.1"] and site.lock.read_text() == site.releases(NEW), output


def test_a_killed_step_over_a_line_goes_back_with_the_backup_that_was_taken_then(site):
    site.tells(victoriametrics="1.132.0")
    arguments = backups(site)
    assert site.killed("mon1 victoriametrics", *arguments) == ["mon1 backup converge", "mon1 backup take", STACK[0]]
    site.tells(victoriametrics="1.151.0")
    (site.folder / "worse").write_text(json.dumps({"victoriametrics": "series of the time before: 9 before, 0 after"}))
    code, output, log = site.upgrade(*arguments)
    assert code != 0 and log == [STACK[0], "mon1 backup rewind /backups/1", "mon1 victoriametrics release 1.132.0"], output
    assert "1.132.0 runs again with the data of the backup, and the later ones are in /var/lib/accelmon/victoriametrics.before-1" in output


def test_exporters_of_a_killed_run_are_compared_and_go_back_on_all_hosts(site):
    """Also on hosts that the run after it does not reach, since a canary fails before."""
    assert site.killed("gpu1 node_exporter")[-1] == "gpu1 node_exporter release 1.9.1" and site.notes() == ["upgrade_node_exporter.json"]
    site.tells(**RUNNING)
    (site.folder / "worse").write_text(json.dumps({"node_exporter": "active series: 9 before, 5 after"}))
    code, output, log = site.upgrade()
    assert code != 0 and log[:2] == ["gpu2 node_exporter release 1.9.1", "gpu2 node_exporter release 1.9.0"], output
    assert sorted(log[2:]) == ["gpu1 node_exporter release 1.9.0", "mon1 node_exporter release 1.9.0"] and site.notes() == [], output
    assert "gpu2: node_exporter: active series: 9 before, 5 after; 1.9.0 runs again, on all hosts" in re.sub(r"\s+", " ", output)


def test_a_killed_run_is_completed_once_its_exporters_are_well(site):
    site.killed("gpu2 node_exporter")
    site.tells(**RUNNING)
    code, output, log = site.upgrade()
    assert code == 0 and log[0] == "gpu2 node_exporter release 1.9.1" and len(log) == 3 and site.looks() == [{"series": 9}] and site.notes() == [], output
