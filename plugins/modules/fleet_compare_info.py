#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: fleet_compare_info
short_description: Compare the readings of several sources
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Runs on a monitoring host. For nodes whose accelerators are read by two sources, for example DCGM's exporter and all-smi,
    returns each source's value for each device and series, in the unit of that series, and the difference.
  - Also returns the cost of each exporter, if it reports it.
  - Changes nothing.
extends_documentation_fragment: [accelmon.fleet.fleet_view.access, accelmon.fleet.fleet_view.storage]
options:
  questions:
    description: The output of the filter C(accelmon.fleet._source_comparisons).
    type: dict
    required: true
  tolerance:
    description: Minimum difference between readings, in percent, to list them; V(0) lists all.
    type: float
    default: 0
seealso:
  - module: accelmon.fleet.fleet_status_info
"""

EXAMPLES = r"""
- name: Compare two exporters' readings of the same devices
  accelmon.fleet.fleet_compare_info:
    questions: "{{ ['dcgm', 'all_smi'] | accelmon.fleet._source_comparisons }}"
    tolerance: 5
  register: compared

- name: Show the table
  ansible.builtin.debug:
    msg: "{{ compared.table.splitlines() }}"
"""

RETURN = r"""
rows:
  description: One row per device and series. A value that a source lacks is null, and so is its difference.
  returned: always
  type: list
  elements: dict
  sample:
    - cluster: west
      node: gpu7
      vendor: nvidia
      index: "0"
      uuid: GPU-7
      series: accelerator_power_watts
      unit: watts
      values: {all_smi: 301, dcgm: 300.5}
      difference: 0.5
table:
  description: The rows as aligned text.
  returned: always
  type: str
exporters:
  description: One row per node and source. CPU in cores, memory in bytes; null if the exporter does not report it.
  returned: always
  type: list
  elements: dict
  sample:
    - cluster: west
      node: gpu7
      vendor: nvidia
      source: dcgm
      job: dcgm_exporter
      elected: true
      cpu: 0.01
      memory: 45000000
      samples: 320
      seconds: 0.02
exporter_table:
  description: The rows of exporters as aligned text.
  returned: always
  type: str
problems:
  description: What could not be queried or compared, one line each.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import compare, view


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec=dict(
            view.STORAGE_ARGUMENTS,
            questions=dict(type="dict", required=True),
            tolerance=dict(type="float", default=0),
        ),
        supports_check_mode=True,
    )
    params = module.params
    module.exit_json(changed=False, **compare.compare(
        params["questions"], params["storage_url"], params["query_timeout"], view.storage_access(params),
        params["clusters"], params["hosts"], params["tolerance"]))


if __name__ == "__main__":
    main()
