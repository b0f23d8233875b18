#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: fleet_compare
short_description: Lay the readings of several sources side by side
version_added: 0.1.0
author: accelmon.fleet contributors (@accelmon)
description:
  - Runs on a scraping host. For nodes whose accelerators are read by two sources, for instance DCGM's exporter and all-smi,
    gives the value of each source for each device and series, in the unit of that series, and how far they are apart.
  - Beside them, what each exporter costs, as far as it tells.
  - Changes nothing.
attributes:
  check_mode:
    support: full
    description: Reads only; does the same as without check mode.
  diff_mode:
    support: none
    description: Changes nothing.
options:
  questions:
    description: What the filter P(accelmon.fleet.source_comparisons#filter) makes.
    type: dict
    required: true
  clusters:
    description: Clusters to look at; empty means all.
    type: list
    elements: str
    default: []
  hosts:
    description: Names of the nodes to look at; without it all.
    type: list
    elements: str
  tolerance:
    description: Percent by which readings must differ to be listed; V(0) lists all.
    type: float
    default: 0
  storage_url:
    description: Base URL of the storage, VictoriaMetrics or Prometheus, on this host.
    type: str
    default: http://127.0.0.1:8428
  query_timeout:
    description: Seconds that one query may take.
    type: int
    default: 15
  password_file:
    description: File on this host with the password of the user C(accelmon) for the storage. One that does not exist counts as none.
    type: path
    default: /etc/accelmon/secrets/stack_password
  ca_file:
    description: File on this host with the authorities that the storage's certificate must lead to. One that does not exist counts as none.
    type: path
    default: /etc/accelmon/tls/ca.crt
seealso:
  - module: accelmon.fleet.fleet_status
"""

EXAMPLES = r"""
- name: Compare what two exporters tell of the same devices
  accelmon.fleet.fleet_compare:
    questions: "{{ ['dcgm', 'all_smi'] | accelmon.fleet.source_comparisons }}"
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
from ansible_collections.accelmon.fleet.plugins.module_utils import source_compare
from ansible_collections.accelmon.fleet.plugins.module_utils.client_access import Access


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec=dict(
            questions=dict(type="dict", required=True),
            clusters=dict(type="list", elements="str", default=[]),
            hosts=dict(type="list", elements="str"),
            tolerance=dict(type="float", default=0),
            storage_url=dict(type="str", default="http://127.0.0.1:8428"),
            query_timeout=dict(type="int", default=15),
            password_file=dict(type="path", default="/etc/accelmon/secrets/stack_password", no_log=False),
            ca_file=dict(type="path", default="/etc/accelmon/tls/ca.crt"),
        ),
        supports_check_mode=True,
    )
    params = module.params
    module.exit_json(changed=False, **source_compare.compare(
        params["questions"], params["storage_url"], params["query_timeout"], Access(params["password_file"], params["ca_file"], names=False),
        params["clusters"], params["hosts"], params["tolerance"]))


if __name__ == "__main__":
    main()
