# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter scrape_targets."""
from __future__ import annotations

DOCUMENTATION = r"""
name: scrape_targets
short_description: Lists what to scrape on hosts of the fleet
version_added: 0.1.0
author: accelmon.fleet contributors (@accelmon)
description:
  - Builds the scrape targets of hosts from their variables and, where M(accelmon.fleet.accelerator_facts) has run, from what it found.
  - File-based and HTTP service discovery of Prometheus and vmagent can read the entries.
  - A node without facts becomes a target of the exporters that follow from the inventory alone. M(accelmon.fleet.fleet_registry) writes the same
    targets, and also remembers hosts and devices that have gone.
positional: _input, hostvars
options:
  _input:
    description: Names of the hosts.
    type: list
    elements: str
    required: true
  hostvars:
    description: The variable C(hostvars), as it is.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Write the targets of the exporters for file-based discovery
  ansible.builtin.copy:
    content: "{{ item.value | to_nice_json }}"
    dest: "/etc/prometheus/targets/{{ item.key }}.json"
    mode: "0644"
  loop: "{{ groups['accelerator_nodes'] | accelmon.fleet.scrape_targets(hostvars) | dict2items }}"
  loop_control:
    label: "{{ item.key }}"
"""

RETURN = r"""
_value:
  description: Targets by job. Each has C(targets), one address with its port, and C(labels), including C(cluster) and C(node).
  type: dict
  sample:
    node_exporter:
      - targets: ["10.0.0.7:9100"]
        labels: {cluster: default, node: gpu7}
"""

from ansible.utils.display import Display
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import targets
from ansible_collections.accelmon.fleet.plugins.plugin_utils.filters import as_filter
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import records


@as_filter
def scrape_targets(hosts, hostvars):
    """{job: [{"targets", "labels"}]}, with all handing over between exporters done."""
    hosts = list(hosts)
    return targets.scrape_targets(records.fleet_records(hosts, hostvars, hosts, "retired", Display().warning))


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"scrape_targets": scrape_targets}
