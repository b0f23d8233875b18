#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: fleet_rehearsal_info
short_description: Rehearse changed alerts over the stored past
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Runs on a monitoring host. Evaluates alerts over the stored past, as they would be and as they are loaded now, and returns how often, where
    and how long each would have fired, and did.
  - Evaluates in steps. What lasts less than a step can be missed, and an alert fires at the first step after its C(for).
  - After each query, the storage rests for as long as the answer took.
  - Changes nothing.
extends_documentation_fragment: [accelmon.fleet.fleet_view.access, accelmon.fleet.fleet_view.storage]
options:
  rules:
    description: The alerts as they would be, which is the output of the filter C(accelmon.fleet._rehearsed_rules).
    type: list
    elements: dict
    required: true
  alerts:
    description: Names of the alerts to rehearse. Empty means those that would change.
    type: list
    elements: str
    default: []
  days:
    description: How many days of the past.
    type: int
    default: 7
  step:
    description: Seconds between two evaluations. At most 100,000 steps per alert.
    type: int
    default: 60
  rules_url:
    description: Base URL of the rule evaluator, vmalert or Prometheus, on this host.
    type: str
    default: http://127.0.0.1:8880
seealso:
  - module: accelmon.fleet.fleet_status_info
"""

EXAMPLES = r"""
- name: See what changed alerts would have done in the last two weeks
  accelmon.fleet.fleet_rehearsal_info:
    rules: "{{ inventory_hostname | accelmon.fleet._rehearsed_rules(hostvars, groups) }}"
    days: 14
  register: rehearsed

- name: Show the table
  ansible.builtin.debug:
    msg: "{{ rehearsed.table.splitlines() }}"
"""

RETURN = r"""
rows:
  description:
    - One row per alert. C(change) is V(changed), V(severity) if only that changes, V(new), V(removed) or V(same).
    - C(now) is what the loaded alert did, C(then) what the alert would have done; null if there is no such alert, or the query failed.
    - The places are the 20 at which the alert fired longest; C(more) is the number of others.
  returned: always
  type: list
  elements: dict
  sample:
    - alert: NodeFilesystemFull
      severity: warning
      change: changed
      now: {times: 0, seconds: 0, places: [], more: 0}
      then:
        times: 2
        seconds: 5400
        places: [{labels: {cluster: west, node: gpu7, mountpoint: /scratch}, times: 2, seconds: 5400}]
        more: 0
table:
  description: The rows as aligned text.
  returned: always
  type: str
notes:
  description: What limits the result, one line each, for example that the storage does not reach back that far.
  returned: always
  type: list
  elements: str
problems:
  description: What could not be evaluated, one line each.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import rehearsal, view


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec=dict(
            view.STORAGE_ARGUMENTS,
            rules=dict(type="list", elements="dict", required=True),
            alerts=dict(type="list", elements="str", default=[]),
            days=dict(type="int", default=7),
            step=dict(type="int", default=60),
            rules_url=dict(type="str", default="http://127.0.0.1:8880"),
        ),
        supports_check_mode=True,
    )
    params = module.params
    module.exit_json(changed=False, **rehearsal.rehearse(
        params["rules"], params["alerts"], params["days"], params["step"], {"storage": params["storage_url"], "rules": params["rules_url"]},
        params["query_timeout"], {"storage": view.storage_access(params), "rules": view.stack_access(params)}, params["clusters"], params["hosts"]))


if __name__ == "__main__":
    main()
