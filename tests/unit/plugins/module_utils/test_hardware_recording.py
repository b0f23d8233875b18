# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is recorded of a machine is all that detection reads there: the record gives the same facts.

Stubbed: as in trees.py, what kind of system the kernel says it is, and which device nodes the user may use.
"""
import json

import pytest

from ansible_collections.accelmon.fleet.plugins.module_utils.host.hardware import recording
from ansible_collections.accelmon.fleet.tests.unit.plugins.module_utils.detect import trees

# Their devices are no files: the kernel tells of them.
NOT_FILES = ("mac_apple_silicon", "mac_intel", "mac_virtual_machine")


@pytest.mark.parametrize("name", [name for name in trees.names() if name not in NOT_FILES])
def test_a_recorded_machine_gives_the_same_facts(tmp_path, name):
    described, root, again = trees.load(name), str(tmp_path / "root"), str(tmp_path / "again")
    found = trees.look(described, root)
    with trees.user_of(described, root):
        recorded = json.loads(json.dumps(recording.machine(root, found, "a test")))
    assert trees.expected(recorded) == found
    assert trees.look(dict(recorded, system=trees.system(described)), again) == found
