#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: ask_host
short_description: Run a module and continue even if it cannot run
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection, for its own roles and playbooks. Options and results may change in any release.
  - Runs another module on the host. An unreachable host, a refused login, a missing Python or the module's own failure is returned as a result
    instead of a failure.
  - Runs on the control node.
attributes:
  check_mode:
    support: full
    description: As supported by the other module.
  diff_mode:
    support: none
    description: It shows none of what the other module changes.
options:
  module:
    description: Name of the module.
    type: str
    required: true
  options:
    description: Its options.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Find the accelerators of hosts that may not answer
  accelmon.fleet.ask_host:
    module: accelmon.fleet.accelerator_facts
  register: found
"""

RETURN = r"""
unanswered:
  description: Why the module could not run or do its work. Otherwise, the result is the module's.
  returned: when there is no answer
  type: dict
  sample:
    what: ssh
    value: the user is not let in
    fix: set ansible_user and its key (ansible_ssh_private_key_file), or run with --ask-pass
"""

from ansible.module_utils.basic import AnsibleModule


def main():
    """Run only where the action plugin was passed over."""
    module = AnsibleModule(argument_spec=dict(module=dict(type="str", required=True), options=dict(type="dict", default={})), supports_check_mode=True)
    module.fail_json(msg="ask_host runs on the control node and cannot be run on its own")


if __name__ == "__main__":
    main()
