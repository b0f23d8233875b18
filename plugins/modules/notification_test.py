#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: notification_test
short_description: Send a test through every receiver of Alertmanager
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection; C(test_notification.yml) uses it. Runs on a monitoring host, and reads Alertmanager's journal there.
  - Sends one alert through each receiver, one after the other, and reports what became of it.
attributes:
  check_mode:
    support: none
    description: Would send nothing, and so learn nothing; it is skipped.
  diff_mode:
    support: none
    description: Shows no differences.
options:
  receivers:
    description: Receivers to test, each with C(name) and C(integration).
    type: list
    elements: dict
    required: true
  host:
    description: Name of this host in the inventory, for the message.
    type: str
    required: true
  url:
    description: Base URL of this host's Alertmanager.
    type: str
    required: true
  wait:
    description: Seconds to wait for each receiver. The second of a pair of Alertmanagers waits 15 s before it sends.
    type: int
    default: 40
extends_documentation_fragment: [accelmon.fleet.fleet_view.access]
"""

EXAMPLES = r"""
- name: Send a test through a receiver
  accelmon.fleet.notification_test:
    receivers: [{name: ops, integration: slack}]
    host: mon1
    url: http://127.0.0.1:9093
"""

RETURN = r"""
tests:
  description: What became of each test.
  returned: always
  type: list
  elements: dict
  sample: [{receiver: ops, integration: slack, delivered: false, error: unexpected status code 404}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import command
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import failing
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import alertmanager, view

UNIT = "accelmon-alertmanager.service"


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec=dict(
            view.ACCESS_ARGUMENTS,
            receivers=dict(type="list", elements="dict", required=True), host=dict(type="str", required=True), url=dict(type="str", required=True),
            wait=dict(type="int", default=40)))
    module.run_command = command.of_module(module)
    params = module.params

    def log(since):
        return module.run_command(["journalctl", "-u", UNIT, "-o", "cat", "--no-pager", "--since", "@%d" % since])[1]

    with failing(module):
        api = alertmanager.Api([params["url"]], params["query_timeout"], view.stack_access(params))
        tests = [alertmanager.deliver(api, one["name"], one["integration"], params["host"], log, params["wait"]) for one in params["receivers"]]
    module.exit_json(changed=bool(tests), tests=tests)


if __name__ == "__main__":
    main()
