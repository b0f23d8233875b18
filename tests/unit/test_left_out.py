# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks that another one imports under a condition, which does not hold: Ansible skips each of their tasks by itself, and each has to bear that.

Stubbed: the hosts, by this machine over a local connection; no task runs on them.
"""
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
CONDITIONAL = sorted({name for path in (ROOT / "playbooks").rglob("*.yml")
                      for name in re.findall(r"import_playbook: (\S+)\n  when:", path.read_text(encoding="utf-8"))})
INVENTORY = """
[monitoring]
mon1
mon2
[accelerator_nodes]
gpu1
[slurm_controllers]
gpu1
"""


def test_there_are_some():
    assert {"site.yml", "upgrade.yml"} <= set(CONDITIONAL)


@pytest.mark.parametrize("name", CONDITIONAL)
def test_nothing_fails_and_nothing_runs(tmp_path, name):
    (tmp_path / "hosts.ini").write_text(INVENTORY)
    (tmp_path / "play.yml").write_text(json.dumps([{"import_playbook": str(ROOT / "playbooks" / name), "when": False}]))
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", "hosts.ini", "play.yml", "-e", "ansible_connection=local"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=600, check=False, cwd=str(tmp_path),
        env=dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"), ANSIBLE_HOME=str(tmp_path / "home"), ANSIBLE_NOCOLOR="1"))
    assert done.returncode == 0, done.stdout
    recap = dict(re.findall(r"^(\w+) +: (ok=\d+ +changed=\d+ +unreachable=\d+ +failed=\d+)", done.stdout, re.MULTILINE))
    assert {" ".join(counts.split()) for counts in recap.values()} == {"ok=0 changed=0 unreachable=0 failed=0"}, done.stdout
