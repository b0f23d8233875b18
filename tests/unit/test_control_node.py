# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the inventory says for all hosts is not for the control node: nothing there asks for another user, interpreter, shell or folder.

Nothing is stubbed; /bin/false stands for sudo, so that whoever calls it fails.
"""
import os
import pathlib
import re
import subprocess
import sys

import pytest
from ansible.module_utils.common.yaml import yaml_load

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONTROL = {"ansible_become": False, "ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}",
           "ansible_remote_tmp": "{{ lookup('ansible.builtin.config', 'DEFAULT_LOCAL_TMP') }}", "ansible_shell_type": "sh",
           "ansible_shell_executable": "/bin/sh"}
# Actions that Ansible performs within itself, without a connection, so that no other user can be asked for.
WITHIN = {f"ansible.builtin.{name}" for name in (
    "assert", "debug", "fail", "group_by", "import_playbook", "import_role", "import_tasks", "include_role", "include_tasks", "meta", "pause", "set_fact",
    "set_stats")}
INVENTORY = """
[accelerator_nodes]
gpu1 ansible_host=10.3.0.1
%s
[monitoring]
mon1 ansible_host=10.3.0.9
[all:vars]
ansible_become=true
ansible_become_user=other
ansible_become_method=sudo
ansible_become_exe=/bin/false
ansible_become_password=password-of-the-nodes
ansible_python_interpreter=/no/such/python
ansible_remote_tmp=/proc/no/such/folder
ansible_shell_type=csh
ansible_shell_executable=/no/such/shell
"""


def tasks_of(tasks):
    """All tasks of a list, those within blocks too."""
    for task in tasks or []:
        yield task
        for part in ("block", "rescue", "always"):
            yield from tasks_of(task.get(part))


def plays():
    """(file, play) of each play, and of each file of tasks as a play for hosts of the fleet."""
    for path in sorted([*(ROOT / "playbooks").glob("*.yml"), *(ROOT / "playbooks").glob("parts/*.yml")]):
        yield from ((path.name, play) for play in yaml_load(path.read_text()))
    for path in sorted([*(ROOT / "playbooks").glob("parts/tasks/*.yml"), *(ROOT / "roles").glob("*/tasks/*.yml"), *(ROOT / "roles").glob("*/handlers/*.yml")]):
        yield str(path.relative_to(ROOT)), {"hosts": "", "tasks": yaml_load(path.read_text())}


def needs_connection(task):
    """Whether a task is more than what Ansible performs within itself."""
    return not WITHIN & set(task) and "block" not in task


@pytest.mark.parametrize("name,play", [pytest.param(name, play, id=f"{name}: {play.get('name', '')}")
                                       for name, play in plays() if "import_playbook" not in str(play.keys())])
def test_the_control_node_is_left_out_of_what_is_for_all_hosts(name, play):
    # The filter `_loaded` leaves a pattern as it is.
    hosts = re.sub(r"^{{ '(.*)' \| accelmon\.fleet\._loaded }}$", r"\1", str(play.get("hosts", "")))
    given = play.get("vars") or {}
    alone = hosts == "localhost"
    if alone:
        assert {key: given.get(key) for key in CONTROL} == CONTROL and play.get("become") is False
    elif "'localhost'" in hosts:
        assert given["ansible_become"] is False and play.get("become") is False
    for task in tasks_of([task for part in ("pre_tasks", "tasks", "post_tasks", "handlers") for task in play.get(part) or []]):
        assert "local_action" not in task and task.get("connection") is None, task
        where = str(task.get("delegate_to", ""))
        if "localhost" in where or "127.0.0.1" in where:
            assert not needs_connection(task) or {key: (task.get("vars") or {}).get(key) for key in CONTROL} == CONTROL, task
        elif "localhost" in hosts.split(":") and not alone:
            assert not needs_connection(task) or where, task
        if alone:
            assert not task.get("become") and not set(CONTROL) & set(task.get("vars") or {}), task


@pytest.mark.parametrize("localhost", ["", "localhost", "localhost ansible_become=true"])
def test_locking_releases_asks_for_no_other_user(tmp_path, localhost):
    (tmp_path / "hosts.ini").write_text(INVENTORY % localhost)
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", str(tmp_path / "hosts.ini"), str(ROOT / "playbooks" / "lock.yml"),
         "-e", f"accelmon_lock_file={tmp_path}/lock.json", "-e", "accelmon_release_url_prefix=http://127.0.0.1:9"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=600, check=False, cwd=str(tmp_path),
        env=dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"), ANSIBLE_HOME=str(tmp_path / "home"), ANSIBLE_NOCOLOR="1"))
    assert "http://127.0.0.1:9" in done.stdout and "refused" in done.stdout, done.stdout
