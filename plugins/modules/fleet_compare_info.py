#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: fleet_compare_info
short_description: Lay the readings of several sources side by side
version_added: 0.1.0
author: accelmon.fleet contributors (@accelmon)
description:
  - Runs on a scraping host. For nodes whose accelerators are read by two sources, for instance DCGM's exporter and all-smi,
    gives the value of each source for each device and series, in the unit of that series, and how far they are apart.
  - Beside them, what each exporter costs, as far as it tells.
  - Changes nothing.
extends_documentation_fragment: [accelmon.fleet.fleet_view.storage]
options:
  questions:
    description: What the filter C(accelmon.fleet._source_comparisons) makes.
    type: dict
    required: true
  tolerance:
    description: Percent by which readings must differ to be listed; V(0) lists all.
    type: float
    default: 0
seealso:
  - module: accelmon.fleet.fleet_status_info
"""

EXAMPLES = r"""
- name: Compare what two exporters tell of the same devices
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
  description: One row for each device and series. A value that a source does not have is null, and so is the difference from it.
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
  description: One row for each node and source. CPU in cores, memory in bytes; null where the exporter does not tell.
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
  description: What could not be asked or compared, one line each.
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
        params["questions"], params["storage_url"], params["query_timeout"], view.stack_access(params),
        params["clusters"], params["hosts"], params["tolerance"]))


if __name__ == "__main__":
    main()
