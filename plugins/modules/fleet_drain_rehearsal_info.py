#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: fleet_drain_rehearsal_info
short_description: Rehearse draining nodes of Slurm over the stored past
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Runs on a monitoring host. Makes the decisions of the role C(slurm_drain) for each step of the stored past, and returns which nodes would have been
    drained, and which not.
  - A node that would have been drained counts as drained until its verdicts are over, and as resumed then.
  - Between queries, the storage rests for as long as the answer took.
  - Changes nothing.
extends_documentation_fragment: [accelmon.fleet.fleet_view.access]
options:
  rehearsed:
    description: Clusters to rehearse, with their limits and query, which is the output of the filter C(accelmon.fleet._rehearsed_drains).
    type: list
    elements: dict
    required: true
  days:
    description: How many days of the past.
    type: int
    default: 7
  step:
    description: Seconds between two decisions. At most 100,000 steps.
    type: int
    default: 60
  storage_url:
    description: Base URL of the storage on this host.
    type: str
    default: http://127.0.0.1:8428
  storage_access:
    description: C(user) and C(password_file), both maybe empty, of a storage of the site's own. Without them it is one of the stack, with its password.
    type: dict
    default: {}
seealso:
  - module: accelmon.fleet.fleet_rehearsal_info
"""

EXAMPLES = r"""
- name: See which nodes would have been drained in the last two weeks
  accelmon.fleet.fleet_drain_rehearsal_info:
    rehearsed: "{{ groups | accelmon.fleet._rehearsed_drains(hostvars) }}"
    days: 14
  register: rehearsed

- name: Show the table
  ansible.builtin.debug:
    msg: "{{ rehearsed.table.splitlines() }}"
"""

RETURN = r"""
rows:
  description:
    - One row per decision that differs from the one before about the node, in the order of time. At most 500 for each cluster.
    - C(action) is V(drain), V(kept), V(blocked) or V(left); C(why) names the limit, or why the node is left alone.
  returned: always
  type: list
  elements: dict
  sample:
    - {at: 1795900000, cluster: west, node: gpu7, action: drain, cause: error, why: "", reason: "accelmon: error gpu=3 xid-79 2026-11-28T21:05Z"}
table:
  description: The rows as aligned text.
  returned: always
  type: str
notes:
  description: What limits the result, one line each.
  returned: always
  type: list
  elements: str
problems:
  description: What could not be rehearsed, one line each.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import failing
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import drain_rehearsal, view


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec=dict(
            view.ACCESS_ARGUMENTS,
            rehearsed=dict(type="list", elements="dict", required=True),
            days=dict(type="int", default=7),
            step=dict(type="int", default=60),
            storage_url=dict(type="str", default="http://127.0.0.1:8428"),
            storage_access=dict(type="dict", default={}),
        ),
        supports_check_mode=True,
    )
    params = module.params
    with failing(module):
        module.exit_json(changed=False, **drain_rehearsal.rehearse(
            params["rehearsed"], params["days"], params["step"], params["storage_url"], params["query_timeout"], view.storage_access(params)))


if __name__ == "__main__":
    main()
