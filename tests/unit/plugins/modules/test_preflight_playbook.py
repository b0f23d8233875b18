# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook preflight.yml by ansible-playbook: hosts that do not answer for several reasons, and variables that are wrong.

Stubbed: hosts that answer are this machine over a local connection. ssh is the real one where there is one.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[4]
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_become": False}
NODES = {
    "gpu1": LOCAL,
    "misspelt": dict(LOCAL, ansible_host="10.0.0.2", accelmon_exporter_tsl="managed", accelmon_labels=["x"]),
    "no_python": dict(LOCAL, ansible_host="10.0.0.3", ansible_python_interpreter="/opt/nope/python3"),
    "no_name": {"ansible_host": "nowhere.invalid"},
    "refused": {"ansible_host": "127.0.0.1", "ansible_port": 1, "accelmon_address": "10.0.0.4"},
}


def run(folder, nodes, *options):
    """(exit status, output, [lines of the result]) of preflight.yml."""
    inventory = {"all": {"vars": {"ansible_ssh_common_args": "-o ConnectTimeout=5 -o BatchMode=yes"}, "children": {
        "accelerator_nodes": {"hosts": nodes}, "monitoring": {"hosts": {"mon1": dict(LOCAL, ansible_host="10.0.0.9")}}}}}
    (folder / "inventory.json").write_text(json.dumps(inventory))
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", "inventory.json", str(ROOT / "playbooks/preflight.yml"), *options], cwd=str(folder), check=False,
        timeout=300, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
        env=dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"), ANSIBLE_HOME=str(folder / "home"),
                 ANSIBLE_NOCOLOR="1", ANSIBLE_LOCALHOST_WARNING="0"))
    shown = done.stdout[done.stdout.index("{\n", done.stdout.index("TASK [Show the result]")):]
    return done.returncode, done.stdout, json.JSONDecoder().raw_decode(shown)[0]["msg"]


@pytest.mark.skipif(not shutil.which("ssh"), reason="there is no ssh")
def test_a_host_that_does_not_answer_is_one_line_and_the_others_are_looked_at(tmp_path):
    code, out, lines = run(tmp_path, NODES)
    assert code == 2, out
    errors = [line for line in lines if line.startswith("error: ") and line.split(": ")[1] in NODES]
    assert [line for line in errors if "misspelt" in line and "accelmon_exporter_tsl" in line and "did you mean accelmon_exporter_tls" in line]
    assert [line for line in errors if "misspelt" in line and "accelmon_labels" in line]
    assert "error: no_python: Python = no interpreter found; set ansible_python_interpreter to an existing Python 3.6 or later, or unset it " \
        "so that Ansible discovers one" in errors
    assert [line for line in errors if line.startswith("error: no_name: ssh = the name does not resolve on the control node; ")]
    assert [line for line in errors if line.startswith("error: refused: ssh = nothing listens on its SSH port; ")]
    assert [line for line in lines if line.startswith("gpu1: ")]
    assert " of 6 hosts ready, " in lines[-1] and lines[-1].endswith("3 of them did not answer")
    # Not pages: one line for a host and task, and the result.
    assert "Traceback" not in out and "UNREACHABLE" not in out
    for name in ("no_python", "no_name", "refused"):
        assert len([line for line in out.splitlines() if name in line]) <= 8, out


def test_json_has_the_same(tmp_path):
    _code, _out, found = run(tmp_path, {"gpu1": LOCAL}, "-e", "accelmon_output=json")
    assert found[-1]["severity"] == "summary" and {"host", "what", "value", "fix", "severity", "line"} == set(found[0])
