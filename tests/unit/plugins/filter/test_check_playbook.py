# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""playbooks/parts/check.yml as part of a run. Stubbed: the hosts, by this machine over a local connection."""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[4]
INVENTORY = """
all:
  vars: {ansible_connection: local, ansible_python_interpreter: "%s"}
  children:
    accelerator_nodes: {hosts: {gpu1: , gpu2: }}
    monitoring: {hosts: {mon1: }}
"""
PLAY = """
- import_playbook: %s/playbooks/parts/check.yml
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.set_fact:
        own: "{{ inventory_hostname }}"
        cacheable: true
    - ansible.builtin.assert:
        that: ansible_facts.own == inventory_hostname
"""


def test_hosts_share_nothing_after_the_check(tmp_path):
    """In ansible-core 2.21 they would share all facts, had they all got the check's result as one."""
    (tmp_path / "inventory.yml").write_text(INVENTORY % sys.executable)
    (tmp_path / "play.yml").write_text(PLAY % ROOT)
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", str(tmp_path / "inventory.yml"), str(tmp_path / "play.yml")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=600, check=False, cwd=str(tmp_path),
        env=dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"), ANSIBLE_HOME=str(tmp_path / "home"), ANSIBLE_NOCOWS="1"))
    assert done.returncode == 0, done.stdout
