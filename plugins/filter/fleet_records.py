# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter fleet_records."""
from __future__ import annotations

DOCUMENTATION = r"""
name: fleet_records
short_description: Describes the hosts of the fleet for the registry
version_added: 0.1.0
author:
  - accelmon.fleet contributors (@accelmon)
description:
  - Creates one record per host from its variables and facts, in one pass.
  - The result is one JSON text for M(accelmon.fleet.fleet_registry); a list of 10,000 dictionaries would cost
    seconds on its way to the module.
positional: _input, hostvars
options:
  _input:
    description: Names of the hosts of this run.
    type: list
    elements: str
    required: true
  hostvars:
    description: The variable C(hostvars), as it is.
    type: dict
    required: true
  answered:
    description:
      - The hosts whose facts were gathered in this run. Any other host is recorded as not answering, whatever facts
        a cache has about it.
    type: list
    elements: str
    default: []
  stage:
    description:
      - How far the run has come in handing vendors over to another source.
      - V(first), exporters have not been changed yet; a new one is on standby. V(elected), the chosen one is in charge.
        V(retired), exporters that are no longer needed are gone and no longer targets.
    type: str
    choices: [first, elected, retired]
    default: first
"""

EXAMPLES = r"""
- name: Record what was found, on every monitoring host
  accelmon.fleet.fleet_registry:
    records: "{{ ansible_play_hosts_all | accelmon.fleet.fleet_records(hostvars, answered=ansible_play_hosts) }}"
    inventory_hosts: "{{ groups['all'] }}"
  loop: "{{ groups['monitoring'] }}"
  delegate_to: "{{ item }}"
  run_once: true
"""

RETURN = r"""
_value:
  description: >-
    JSON text with C(version) and C(records); a record has C(host), C(address), C(cluster), C(labels), C(state),
    C(answered), C(accelerators), C(expected) and C(exporters).
  type: str
"""

import json

from ansible.utils.display import Display
from ansible_collections.accelmon.fleet.plugins.plugin_utils.filters import as_filter
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import records


@as_filter
def fleet_records(hosts, hostvars, answered=(), stage="first"):
    """JSON text of the hosts' records.

    It begins with a blank: up to core 2.18 a text that begins like a dictionary would be evaluated as one.
    """
    made = records.fleet_records(hosts, hostvars, answered, stage, Display().warning)
    return " " + json.dumps({"version": 1, "records": made}, separators=(",", ":"))


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"fleet_records": fleet_records}
