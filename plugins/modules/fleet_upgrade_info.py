#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: fleet_upgrade_info
short_description: Compare a fleet after an upgrade with what it was before
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection; used by C(upgrade.yml). Runs on a monitoring host.
  - Looks at versions that programs report, the age of the newest sample, the number of active series, errors of rules, and whether the watchdog
    arrives at each Alertmanager. With O(before) it waits until nothing is worse than then, or for O(wait) seconds.
options:
  wanted:
    description: Version that each role has to run. Empty means any.
    type: dict
    default: {}
  before:
    description: What this module returned before the upgrade, RV(seen).
    type: dict
  node:
    description: Node whose exporters are looked at. Empty means the services of this host.
    type: str
    default: ""
  wait:
    description: Seconds to wait for what takes a while after a restart.
    type: int
    default: 0
  alertmanager_urls:
    description: Alertmanagers, as this host reaches them.
    type: list
    elements: str
    default: []
  stack_urls:
    description: Services of this host, by role.
    type: dict
    default: {}
  watchdog:
    description: Name of the alert that always fires.
    type: str
    default: Watchdog
extends_documentation_fragment: [accelmon.fleet.fleet_view, accelmon.fleet.fleet_view.storage, accelmon.fleet.fleet_view.access]
"""

EXAMPLES = r"""
- name: Look before the upgrade
  accelmon.fleet.fleet_upgrade_info:
    wanted: {victoriametrics: 1.151.0}
    stack_urls: {victoriametrics: http://127.0.0.1:8428}
  register: before
"""

RETURN = r"""
seen:
  description: What was seen.
  returned: always
  type: dict
failures:
  description: What is worse than before, with C(check), C(before), C(after) and C(line).
  returned: always
  type: list
  elements: dict
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import upgrade, view

# Seconds between two looks.
PAUSE = 3

ARGUMENTS = dict(
    view.ARGUMENTS,
    wanted=dict(type="dict", default={}),
    before=dict(type="dict"),
    node=dict(type="str", default=""),
    wait=dict(type="int", default=0),
    alertmanager_urls=dict(type="list", elements="str", default=[]),
    stack_urls=dict(type="dict", default={}),
    watchdog=dict(type="str", default="Watchdog"),
)


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    try:
        view.windows(params)
    except ValueError as error:
        module.fail_json(msg=str(error))
    end = time.monotonic() + params["wait"]
    while True:
        seen = upgrade.observe(params, params["wanted"], time.time())
        failures = upgrade.compare(params["before"], seen, params["wanted"], params["interval"]) if params["before"] else []
        if not failures or time.monotonic() > end:
            break
        time.sleep(PAUSE)
    module.exit_json(changed=False, seen=seen, failures=failures)


if __name__ == "__main__":
    main()
