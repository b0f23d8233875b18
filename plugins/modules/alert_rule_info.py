#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: alert_rule_info
short_description: See whether an alert is loaded as it was written
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection; C(change_alert.yml) uses it. Runs on a monitoring host.
  - Asks the rule evaluator which rules of the alert it has loaded, until they are the wanted ones or the time is over.
attributes:
  check_mode:
    support: full
    description: Reads only; does the same as without check mode.
  diff_mode:
    support: none
    description: Changes nothing.
options:
  alert:
    description: Name of the alert.
    type: str
    required: true
  rules:
    description: The alerts as they should be, which is the output of the filter C(accelmon.fleet._rehearsed_rules).
    type: list
    elements: dict
    required: true
  rules_url:
    description: Base URL of the rule evaluator, vmalert or Prometheus, on this host.
    type: str
    default: http://127.0.0.1:8880
  storage_url:
    description: Base URL of the storage, which lays out expressions for comparing.
    type: str
    default: http://127.0.0.1:8428
  storage_access:
    description: C(user) and C(password_file), both maybe empty, of a storage of the site's own. Without them it is one of the stack, with its password.
    type: dict
    default: {}
  wait:
    description: Seconds to wait until they are loaded. vmalert looks for new rules every 10 s.
    type: int
    default: 60
extends_documentation_fragment: [accelmon.fleet.fleet_view.access]
"""

EXAMPLES = r"""
- name: See whether the alert is loaded
  accelmon.fleet.alert_rule_info:
    alert: HostDown
    rules: "{{ inventory_hostname | accelmon.fleet._rehearsed_rules(hostvars, groups) }}"
"""

RETURN = r"""
loaded:
  description: The rules of the alert that are loaded; none if it is switched off.
  returned: success
  type: list
  elements: dict
  sample: [{alert: HostDown, expr: up == 0, for: 180.0, severity: critical}]
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure, failing
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import query, rehearsal, view

PAUSE = 1


def look(params, access):
    """The loaded rules of the alert. Raises Failure unless they are the wanted ones."""
    alert, timeout = params["alert"], params["query_timeout"]
    loaded = query.loaded_alerts(params["rules_url"], timeout, access)

    def layout(expression):
        return query.formatted(params["storage_url"], expression, timeout, view.storage_access(params))

    for _alert, change, now, _then in rehearsal.pairs(params["rules"], loaded, [alert], layout):
        if change != "same":
            raise Failure("%s: the rule evaluator at %s has %d rule(s) of it that are not as written; look at its log, then run the playbook again"
                          % (alert, params["rules_url"], len(now)))
    return [rule for rule in loaded if rule["alert"] == alert]


def wait_for(params, access):
    """The same, as soon as they are loaded. Raises Failure."""
    end = time.monotonic() + params["wait"]
    while True:
        try:
            return look(params, access)
        except Failure:
            if time.monotonic() > end:
                raise
        time.sleep(PAUSE)


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec=dict(
            view.ACCESS_ARGUMENTS,
            alert=dict(type="str", required=True),
            rules=dict(type="list", elements="dict", required=True),
            rules_url=dict(type="str", default="http://127.0.0.1:8880"),
            storage_url=dict(type="str", default="http://127.0.0.1:8428"),
            storage_access=dict(type="dict", default={}),
            wait=dict(type="int", default=60),
        ),
        supports_check_mode=True,
    )
    with failing(module):
        module.exit_json(changed=False, loaded=wait_for(module.params, view.stack_access(module.params)))


if __name__ == "__main__":
    main()
