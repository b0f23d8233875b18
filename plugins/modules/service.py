#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: service
short_description: Bring a declared service of the collection to its state
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection, for its own roles and playbooks. Options and results may change in any release.
  - Used by the role C(service) alone. It works out the arguments of M(accelmon.fleet.service_unit) on the control
    node and runs that module.
attributes:
  check_mode:
    support: full
    description: As M(accelmon.fleet.service_unit).
  diff_mode:
    support: full
    description: As M(accelmon.fleet.service_unit).
options:
  declaration:
    description: What a role declares of its service; see the README of the role.
    type: dict
    required: true
  secrets:
    description: Contents of its secret files, by path.
    type: dict
    default: {}
  installed:
    description: Whether everything is installed that the service needs. Otherwise the module may end after the claim.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Converge the service, unless something has to be installed first
  accelmon.fleet.service:
    declaration: "{{ service_declaration }}"
    secrets: "{{ service_secrets }}"
  register: service_claim
"""

RETURN = r"""
steps:
  description:
    - Task files of the role that have to be included now, in this order. Empty when the service is converged.
    - Beside this the result is that of M(accelmon.fleet.service_unit).
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule


def main():
    """Run only where the action plugin was passed over."""
    module = AnsibleModule(argument_spec=dict(
        declaration=dict(type="dict", required=True), secrets=dict(type="dict", default={}, no_log=True), installed=dict(type="bool", default=False),
    ), supports_check_mode=True)
    module.fail_json(msg="service does its work on the control node, and cannot be run by itself")


if __name__ == "__main__":
    main()
