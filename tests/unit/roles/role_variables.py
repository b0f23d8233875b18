# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What roles make of their variables, by ansible-playbook itself. None of their tasks runs."""
import json
import os
import pathlib
import subprocess
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]


def rendered(folder, roles, read, hosts, given=None, play=None, groups=None):
    """{host: {name of read: value}} of monitoring hosts.

    roles: whose defaults and vars there are, besides those of accelmon; read: {name: expression}; hosts: {name: its variables}; given: variables of all
    hosts; play: variables of the play; groups: {group: its hosts}
    """
    roles = ("accelmon", *roles)
    content = "{{ {" + ", ".join(f"'{name}': {expression}" for name, expression in read.items()) + "} | to_json }}"
    tasks = [{"ansible.builtin.copy": {"dest": str(folder) + "/{{ inventory_hostname }}.json", "mode": "0600", "content": content}}]
    variables = {}
    for role in roles:
        variables.update(yaml.safe_load((ROOT / "roles" / role / "defaults/main.yml").read_text()))
    variables.update(given or {}, ansible_connection="local", ansible_python_interpreter=sys.executable)
    (folder / "play.yml").write_text(json.dumps([{
        "hosts": "monitoring", "gather_facts": False, "vars": play or {}, "vars_files": [str(ROOT / "roles" / role / "vars/main.yml") for role in roles],
        "tasks": tasks}]))
    children = {"monitoring": {"hosts": hosts}, **{group: {"hosts": dict.fromkeys(members, {})} for group, members in (groups or {}).items()}}
    (folder / "inventory.json").write_text(json.dumps({"all": {"vars": variables, "children": children}}))
    return played(folder, hosts)


def played(folder, hosts):
    """{host: what play.yml has written of it}, played on inventory.json, both in folder."""
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", "inventory.json", "play.yml"], cwd=str(folder), check=False, timeout=600,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
        env=dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"), ANSIBLE_HOME=str(folder / "home"), ANSIBLE_NOCOLOR="1"))
    assert done.returncode == 0, done.stdout
    return {host: json.loads((folder / f"{host}.json").read_text()) for host in hosts}
