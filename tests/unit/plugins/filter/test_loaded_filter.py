# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each task's process would load for itself is loaded once, before the first of them is forked."""

import pathlib

import pytest
from ansible.module_utils.common.yaml import yaml_load

ROOT = pathlib.Path(__file__).resolve().parents[4]


def first_play(path):
    """The first play of a playbook, which may be in one that it imports."""
    play = yaml_load(path.read_text())[0]
    imported = play.get("ansible.builtin.import_playbook")
    return first_play(path.parent / imported) if imported else play


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks").glob("*.yml")), ids=lambda path: path.stem)
def test_the_first_play_of_a_playbook_for_the_fleet_loads_what_tasks_need(path):
    hosts = first_play(path)["hosts"]
    assert hosts == "localhost" or "accelmon.fleet._loaded" in hosts, hosts
