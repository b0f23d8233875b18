#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: node_hardware_info
short_description: Compare what is read of a host's devices with what their vendor's tool says
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection; used by C(hardware.yml). Options and results may change in any release.
  - Runs the vendors' tools and the textfile collector, from a temporary directory. Changes nothing of a device or its driver.
  - In check mode nothing is run, because a tool may load a kernel module and create device nodes.
attributes:
  check_mode:
    support: full
    description: Only counts the devices.
  diff_mode:
    support: none
    description: Changes nothing.
options:
  program:
    description: The files of the textfile collector, by their names.
    type: dict
    required: true
seealso:
  - module: accelmon.fleet.accelerator_facts
"""

EXAMPLES = r"""
- name: Compare the devices with their vendor's tool
  accelmon.fleet.node_hardware_info:
    program: "{{ {} | accelmon.fleet._collector_program }}"
  register: seen
"""

RETURN = r"""
hardware:
  description: What was checked, without what tells this host or its devices from others. docs/hardware.md explains it.
  returned: always
  type: dict
  contains:
    devices:
      description: How many devices are counted here.
      returned: always
      type: int
    rows:
      description: The checks; empty in check mode.
      returned: always
      type: list
      elements: dict
      sample: [{check: readings, what: power_draw_watts, device: "0000:1b:00.0", result: pass, tool: "69.85 to 70.1", found: "69.9", note: ""}]
    fixtures:
      description: Recorded files for the unit tests, by their paths.
      returned: always
      type: dict
    seconds:
      description: How long it took.
      returned: always
      type: float
"""

import os
import shutil
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import accelerators, states
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import failing
from ansible_collections.accelmon.fleet.plugins.module_utils.host.hardware import acceptance

PROGRAM = "accelmon_textfile_collector.py"


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec=dict(program=dict(type="dict", required=True)), supports_check_mode=True)
    if module.check_mode:
        counted = [one for one in accelerators.detect()["devices"] if states.counted(one)]
        module.exit_json(changed=False, hardware={"devices": len(counted), "rows": [], "fixtures": {}, "seconds": 0})
    folder = tempfile.mkdtemp(prefix="accelmon-collector-")
    try:
        with failing(module, folder):
            for name, text in module.params["program"].items():
                with open(os.path.join(folder, os.path.basename(name)), "w") as stream:
                    stream.write(text)
            found = acceptance.accept(os.path.join(folder, PROGRAM))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    module.exit_json(changed=False, hardware=found)


if __name__ == "__main__":
    main()
