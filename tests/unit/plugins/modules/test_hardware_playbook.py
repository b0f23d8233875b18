# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook hardware.yml by ansible-playbook.

Stubbed: hosts are this machine over a local connection. A node with accelerators, and one that lies, have a Python that answers every module itself; the
others run the real module.
"""
import json
import os
import pathlib
import subprocess
import sys

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import accelerators

ROOT = pathlib.Path(__file__).parents[4]
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_become": False}
ROW = {"check": "detection", "what": "number of devices", "device": "nvidia", "result": "pass", "tool": "8", "found": "8", "note": ""}
GOOD = {"devices": 8, "rows": [ROW], "fixtures": {"machines/nvidia_h100_8.json": "{\n}\n"}, "seconds": 12.5}


def play(folder, nodes):
    """(status, output, the written report) of a run with these nodes: {name: what its module answers, None for the real one}."""
    hosts = {}
    for name, answer in nodes.items():
        hosts[name] = dict(LOCAL)
        if answer is not None:
            told = folder / name
            told.write_text("#!/bin/sh\ncat >/dev/null\ncat <<'END'\n%s\nEND\n" % json.dumps({"changed": False, "hardware": answer}))
            told.chmod(0o755)
            hosts[name]["ansible_python_interpreter"] = str(told)
    (folder / "inventory.json").write_text(json.dumps({"all": {"children": {"accelerator_nodes": {"hosts": hosts}}}}))
    report = folder / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", "inventory.json", str(ROOT / "playbooks/hardware.yml"), "-e", f"accelmon_report_file={report}"],
        cwd=str(folder), check=False, timeout=400, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
        env=dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"),
                 ANSIBLE_HOME=str(folder / "home"), ANSIBLE_NOCOLOR="1", ANSIBLE_LOCALHOST_WARNING="0"))
    return done.returncode, done.stdout, json.loads(report.read_text())


@pytest.mark.skipif(accelerators.detect()["summary"] != {}, reason="this machine has accelerators")
def test_hosts_with_and_without_accelerators(tmp_path):
    status, output, report = play(tmp_path, {"gpu1": GOOD, "login": None, "evil": dict(GOOD, fixtures={"../x": ""})})
    assert status == 2 and '"gpu1: accepted"' in output and '"note: login: no accelerators"' in output
    assert report == {"hosts": {"gpu1": dict(GOOD, verdict="accepted")}, "notes": ["login: no accelerators"]}
    assert "evil: facts: hardware.fixtures" in output and "def main(" not in output


@pytest.mark.skipif(accelerators.detect()["summary"] != {}, reason="this machine has accelerators")
def test_no_accelerators_are_no_success(tmp_path):
    status, output, dummy = play(tmp_path, {"login": None})
    assert status == 2 and "no accelerators on login; run this on hosts that have some" in output
