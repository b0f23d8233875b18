# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook topology.yml by ansible-playbook: hosts that answer, one that does not, and one that lies.

Stubbed: hosts are this machine over a local connection; the one that lies has a Python that answers every module itself.
"""
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[4]
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_become": False}
LIE = {"changed": False, "topology": {"places": "{{ 1 }}"}, "ansible_facts": {"accelmon_output": "text"}}


def test_hosts_are_compared_and_who_does_not_answer_or_lies_is_a_note(tmp_path):
    liar = tmp_path / "liar"
    liar.write_text(f"#!/bin/sh\ncat >/dev/null\ncat <<'END'\n{json.dumps(LIE)}\nEND\n")
    liar.chmod(0o755)
    nodes = {"gpu1": LOCAL, "gpu2": LOCAL, "gone": dict(LOCAL, ansible_python_interpreter="/opt/nope/python3"),
             "evil": dict(LOCAL, ansible_python_interpreter=str(liar))}
    (tmp_path / "inventory.json").write_text(json.dumps({"all": {"children": {"accelerator_nodes": {"hosts": nodes}}}}))
    report = tmp_path / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", "inventory.json", str(ROOT / "playbooks/topology.yml"), "-e", "accelmon_output=json",
         "-e", f"accelmon_report_file={report}"], cwd=str(tmp_path), check=False, timeout=300, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        universal_newlines=True, env=dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"),
                                          ANSIBLE_HOME=str(tmp_path / "home"), ANSIBLE_NOCOLOR="1", ANSIBLE_LOCALHOST_WARNING="0"))
    assert done.returncode == 0, done.stdout
    found = json.loads(report.read_text())
    assert sorted(found["hosts"]) == ["gpu1", "gpu2"] and found["hosts"]["gpu1"] == found["hosts"]["gpu2"]
    assert found["hosts"]["gpu1"]["differences"] == [] and set(found["hosts"]["gpu1"]) >= {"places", "paths", "links", "numa_nodes", "tools"}
    notes = {note.split(": ")[0]: note for note in found["notes"]}
    assert notes["gone"].startswith("gone: Python = no interpreter found; ") and notes["evil"].startswith("evil: facts: topology = ")
    shown = done.stdout[done.stdout.index("{\n", done.stdout.index("TASK [Show the result]")):]
    assert json.JSONDecoder().raw_decode(shown)[0]["msg"] == found
