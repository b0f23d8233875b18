#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: node_topology_info
short_description: Show how devices and network adapters of a host are connected
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection; used by C(topology.yml), which compares hosts. Options and results may change in any release.
  - Reads PCI paths, NUMA nodes and slots from sysfs, XGMI links from the kernel, and NVLinks from C(nvidia-smi topo -m).
  - Changes nothing. In check mode, nvidia-smi is not run, because it may load a module and create device nodes.
attributes:
  check_mode:
    support: full
    description: Reads only; nvidia-smi is not run.
  diff_mode:
    support: none
    description: Changes nothing.
options:
  timeout:
    description: Time limit for each of two calls of nvidia-smi, in seconds.
    type: int
    default: 20
seealso:
  - module: accelmon.fleet.accelerator_facts
"""

EXAMPLES = r"""
- name: See how the devices are connected
  accelmon.fleet.node_topology_info:
  register: seen
"""

RETURN = r"""
topology:
  description: What is connected how. docs/topology.md explains the words.
  returned: always
  type: dict
  contains:
    places:
      description: Devices, then network adapters. Unknown values are absent.
      returned: always
      type: list
      elements: dict
      sample: [{name: nvidia0, kind: device, vendor: nvidia, model: NVIDIA H100, pci_address: "0000:1b:00.0", numa_node: 0, lanes: 16, generation: 5}]
    paths:
      description: For each place, the way over PCI to each place.
      returned: always
      type: list
      elements: list
      sample: [[X, PIX], [PIX, X]]
    links:
      description: For each place, the links of the devices' own to each place; empty where there are none.
      returned: always
      type: list
      elements: list
      sample: [["", NV18], [NV18, ""]]
    numa_nodes:
      description: How many NUMA nodes the host has.
      returned: always
      type: int
    tools:
      description: Whether the vendor's tool answered; V(ok), V(missing), V(hung), V(failed) or V(skipped).
      returned: always
      type: dict
      sample: {nvidia: ok}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import accelerators, topology


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec=dict(timeout=dict(type="int", default=20)), supports_check_mode=True)
    if module.params["timeout"] < 1:
        module.fail_json(msg="timeout = %d: give at least 1 second" % module.params["timeout"])
    seen = topology.look("/", accelerators.detect()["devices"], 0 if module.check_mode else module.params["timeout"])
    module.exit_json(changed=False, topology=seen)


if __name__ == "__main__":
    main()
