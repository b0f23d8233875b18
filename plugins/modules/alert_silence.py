#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: alert_silence
short_description: Create, list and expire silences of Alertmanager
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection; C(silence.yml) uses it. Runs on a monitoring host.
  - A silence that was asked for in the same words and for as long is left alone.
attributes:
  check_mode:
    support: full
    description: Reports what would change.
  diff_mode:
    support: none
    description: Shows no differences.
options:
  action:
    description: V(create) or V(expire) the silence for O(labels), or V(list) all.
    type: str
    choices: [create, expire, list]
    default: list
  labels:
    description: Labels that an alert must have to be silent. Each must be equal.
    type: dict
    default: {}
  comment:
    description: Why.
    type: str
    default: ""
  by:
    description: Who.
    type: str
    default: ""
  length:
    description: How long it lasts, in seconds.
    type: int
    default: 7200
  urls:
    description: Base URLs of the Alertmanagers. The first that answers is used.
    type: list
    elements: str
    required: true
extends_documentation_fragment: [accelmon.fleet.fleet_view.access]
"""

EXAMPLES = r"""
- name: Silence a node
  accelmon.fleet.alert_silence:
    action: create
    labels: {node: gpu7}
    comment: new power supply
    by: ada
    urls: [http://127.0.0.1:9093]
"""

RETURN = r"""
message:
  description: What was done.
  returned: always
  type: str
silences:
  description: Silences that are active or will be, after the change.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import failing
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import alertmanager, view


def silence(params, check_mode):
    """(changed, message, silences)."""
    api = alertmanager.Api(params["urls"], params["query_timeout"], view.stack_access(params))
    changed, message = False, ""
    if params["action"] == "create":
        changed, message = alertmanager.create(api, params["labels"], params["comment"], params["by"], params["length"], check_mode)
    elif params["action"] == "expire":
        changed, message = alertmanager.expire(api, params["labels"], check_mode)
    return changed, message, sorted((alertmanager.shown(one) for one in api.silences()), key=lambda one: (one["ends"], one["labels"]))


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec=dict(
            view.ACCESS_ARGUMENTS,
            action=dict(type="str", choices=["create", "expire", "list"], default="list"), labels=dict(type="dict", default={}),
            comment=dict(type="str", default=""), by=dict(type="str", default=""), length=dict(type="int", default=7200),
            urls=dict(type="list", elements="str", required=True)),
        supports_check_mode=True)
    with failing(module):
        changed, message, silences = silence(module.params, module.check_mode)
    module.exit_json(changed=changed, message=message, silences=silences)


if __name__ == "__main__":
    main()
