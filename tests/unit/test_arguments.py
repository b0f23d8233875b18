# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run is asked for is checked before anything is done. Nothing is stubbed; no host is reached."""
import os
import pathlib
import re
import subprocess
import sys

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.variables import fleet_variables

ROOT = pathlib.Path(__file__).resolve().parents[2]
INVENTORY = "[accelerator_nodes]\ngpu1 ansible_host=192.0.2.1\n[monitoring]\nmon1 ansible_host=192.0.2.9\n"


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml")))
def test_every_playbook_begins_with_a_check(name):
    first = yaml.safe_load((ROOT / "playbooks" / f"{name}.yml").read_text())[0]
    assert first.get("ansible.builtin.import_playbook") == "parts/check.yml" or first["tasks"][0]["name"] == "Check what was asked for"


@pytest.mark.parametrize("playbook,argument,words", [
    ("verify", "accelmon_verify_wiat=60", "accelmon_verify_wiat = 60: no such variable; did you mean accelmon_verify_wait?"),
    ("status", "accelmon_output=yaml", "accelmon_output = yaml: not a choice; use text or json"),
    ("lock", "accelmon_output=json", "accelmon_lock_file = '': there is no file to write"),
    ("image", "accelmon_scrape_interval=1ms", "accelmon_scrape_interval = 1ms: out of range"),
])
def test_a_wrong_argument_ends_the_run(tmp_path, playbook, argument, words):
    (tmp_path / "hosts.ini").write_text(INVENTORY)
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", str(tmp_path / "hosts.ini"), str(ROOT / "playbooks" / f"{playbook}.yml"), "-e", argument],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=600, check=False, cwd=str(tmp_path),
        env=dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"), ANSIBLE_HOME=str(tmp_path / "home"), ANSIBLE_NOCOLOR="1"))
    assert words in done.stdout and done.returncode, done.stdout


def test_arguments_stand_apart_in_the_docs():
    settings, _heading, arguments = (ROOT / "docs" / "variables.md").read_text().partition("## Arguments of one run")
    for name, spec in fleet_variables().items():
        assert bool(re.search(rf"^\| `{name}` ", arguments if spec.get("run") else settings, re.MULTILINE)), name
