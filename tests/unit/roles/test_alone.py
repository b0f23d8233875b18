# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every role alone, in a play of the user's own that looked at nothing before: by ansible-playbook in check mode, on this machine.

Stubbed: systemctl, which knows no unit; apt-cache, which knows no package, so that check mode does not try apt. The roles, their modules and
Ansible are real.
"""
import json
import os
import pathlib
import random
import re
import socket
import subprocess
import sys

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.variables import INTERNAL_ROLES

ROOT = pathlib.Path(__file__).resolve().parents[3]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.name not in INTERNAL_ROLES)
SYSTEMCTL = """#!/bin/sh
case "$*" in
  show*) for unit in "$@"; do case "$unit" in show|-*) ;; *)
    printf 'LoadState=not-found\\nActiveState=inactive\\nUnitFileState=\\nMainPID=0\\nNeedDaemonReload=no\\nResult=success\\n\\n';; esac; done;;
esac
"""
VARIABLES = {
    "ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_become": False,
    # The role slurm_drain does nothing until it is turned on.
    "accelmon_drain": "observe", "slurm_drain_storage_urls": ["http://storage.example.org:9090"],
    # AMD has no packages for what this may be.
    "amd_exporter_source": "container", "amd_exporter_image": "docker.io/x/y@sha256:" + "0" * 64,
    "accelmon_backup_directory": "/srv", "accelmon_backup_recipient": "{{ inventory_dir }}/recipient.pem",
    "accelmon_backup_secret": "32-characters-that-nobody-guesses",
}


def ports():
    """{variable: number} of a free port for every role that listens: something may be on the usual ones of this machine, for instance the demo.

    They stay free while the roles look at them: no other test that asks for any free port gets one of these, or a connection that goes out.
    """
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as stream:
        first = int(stream.read().split()[0])
    names = [name for role in ROLES for name in yaml.safe_load((ROOT / "roles" / role / "defaults/main.yml").read_text()) if name.endswith("_port")]
    # Below the kernel's own, and below those of the lab.
    numbers = range(10000, min(first, 20000)) or range(10000, 20000)
    found = (port for port in random.sample(numbers, len(numbers)) if is_free(port))
    return {name: next(found) for name in names}


def is_free(port):
    """Whether nothing listens on the port, on any address."""
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


class Run:
    """One run with a play for each role, each on a host of its own; `text`: what it printed, `recap`: {role: {word: number}}."""

    def __init__(self, folder, **variables):
        (folder / "bin").mkdir()
        for name, text in (("systemctl", SYSTEMCTL), ("apt-cache", "#!/bin/sh\n")):
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)
        hosts = {role: dict(VARIABLES, **ports(), **{name: value for name, value in variables.items() if name.startswith(role + "_")}) for role in ROLES}
        (folder / "inventory.json").write_text(json.dumps({"all": {"children": {"mine": {"hosts": hosts}}}}))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=backup", "-keyout", folder / "recipient.key",
                        "-out", folder / "recipient.pem"], check=True, stderr=subprocess.DEVNULL)
        # A host is called like its role: one play of all of them takes half the time. What fails in `access` fails for all hosts of its play.
        # `_loaded` spares every task's process to load the filters for itself.
        (folder / "play.yml").write_text(json.dumps([{"hosts": "{{ '%s' | accelmon.fleet._loaded }}" % hosts, "gather_facts": False, "tasks": [
            {"ansible.builtin.include_role": {"name": "accelmon.fleet.{{ inventory_hostname }}"}}]} for hosts in ("all:!access", "access")]))
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", "--check", "-i", "inventory.json", "play.yml"], cwd=str(folder), check=False, timeout=600,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
            env=dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"), ANSIBLE_HOME=str(folder / "home"), ANSIBLE_NOCOLOR="1",
                     ANSIBLE_PIPELINING="1", ANSIBLE_LOCALHOST_WARNING="0", PATH=f"{folder}/bin:{os.environ['PATH']}"))
        self.text = done.stdout
        self.recap = {role: {word: int(number) for word, number in re.findall(r"(\w+)=(\d+)", line)}
                      for role, line in re.findall(r"(?m)^(\w+) +: (ok=.*)$", done.stdout)}


@pytest.fixture(name="present", scope="module")
def _present(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("present"))


@pytest.fixture(name="absent", scope="module")
def _absent(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("absent"), **{f"{role}_state": "absent" for role in ROLES})


@pytest.mark.parametrize("role", [role for role in ROLES if role != "access"])
def test_a_role_alone_gets_to_its_end(present, role):
    told = present.recap[role]
    assert (told["failed"], told["ignored"], told["changed"] > 0) == (0, 0, True), present.text


@pytest.mark.parametrize("role", [role for role in ROLES if role != "access"])
def test_a_role_alone_is_taken_away(absent, role):
    told = absent.recap[role]
    assert (told["failed"], told["ignored"]) == (0, 0), absent.text


@pytest.mark.parametrize("state", ["present", "absent"])
def test_the_role_access_says_what_it_needs_before_it_changes_anything(request, state):
    run = request.getfixturevalue(state)
    assert run.recap["access"]["changed"] == 0
    assert "inventory: monitoring = []: the role access keeps the fleet's passwords" in run.text or "the output has been hidden" in run.text


@pytest.mark.parametrize("role", ROLES)
def test_a_role_says_which_files_of_access_it_needs(role):
    """The module service_unit refuses to begin while one of them is missing."""
    for task in yaml.safe_load((ROOT / "roles" / role / "tasks/main.yml").read_text()):
        if task.get("ansible.builtin.import_role", {}).get("name") == "accelmon.fleet.service" and "service_probe" in task["vars"]:
            assert ".needs" in task["vars"]["service_needs"]
