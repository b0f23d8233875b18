#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: import_proposals
short_description: Propose an inventory, rules and silences from an existing Prometheus
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection, for its own roles and playbooks. Options and results may change in any release.
  - Reads the configuration, rules and silences of a site that has its own Prometheus, and writes proposals to a directory. See docs/import.md.
  - Runs on the control node, and asks no host but the Alertmanager whose URL is given.
attributes:
  check_mode:
    support: full
    description: Reads everything and writes nothing.
  diff_mode:
    support: full
    description: Shows every file before and after.
options:
  directory:
    description: Directory for the proposals. Files in it that somebody has edited stay, with the new proposal beside them.
    type: str
    required: true
  prometheus:
    description: A C(prometheus.yml).
    type: str
    default: ""
  rules:
    description: Rule files, or patterns of them. If empty, those that O(prometheus) names.
    type: list
    elements: str
    default: []
  silences:
    description: URL of an Alertmanager, or a file with the output of C(amtool silence query -o json).
    type: str
    default: ""
  login_file:
    description: File with C(user:password), or a token alone, for that URL.
    type: str
    default: ""
  history:
    description: Directory of a snapshot of Prometheus on the monitoring host.
    type: str
    default: ""
  cluster:
    description: Label C(cluster) of its samples.
    type: str
    default: default
"""

EXAMPLES = r"""
- name: Propose an inventory from a copy of Prometheus' configuration
  accelmon.fleet.import_proposals:
    prometheus: /srv/copy/prometheus.yml
    directory: /srv/proposals
"""

RETURN = r"""
lines:
  description: The summary as text.
  type: list
  elements: str
  returned: success
summary:
  description:
    - What was found, what is left out and why, and what became of each file. C(inventory), C(rules), C(silences) and
      C(history) are there if they were asked for.
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

ARGUMENTS = {
    "directory": {"type": "str", "required": True},
    "prometheus": {"type": "str", "default": ""},
    "rules": {"type": "list", "elements": "str", "default": []},
    "silences": {"type": "str", "default": ""},
    "login_file": {"type": "str", "default": ""},
    "history": {"type": "str", "default": ""},
    "cluster": {"type": "str", "default": "default"},
}


def main():
    """Run only where the action plugin was passed over."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    module.fail_json(msg="import_proposals runs on the control node and cannot be run on its own")


if __name__ == "__main__":
    main()
