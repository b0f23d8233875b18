#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: config_set
short_description: Write, check, replace and remove a set of files together
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection, for its own roles and playbooks. Options and results may change in any release.
  - Manages a named set of files. All of them are staged, validated by the daemon's own checker and only then put in place,
    each with a rename. If a check fails, nothing is changed; if a replacement fails, the previous ones are rolled back.
  - A manifest records what was written. Only files in the manifest are ever removed. A file that was edited by hand or existed
    before is copied to C(/var/lib/accelmon/kept) before it is replaced or removed, with a warning.
  - A killed run leaves every file intact, old or new, and the next run completes it.
  - If files, directories and manifest are up to date, nothing is staged and no checker runs.
attributes:
  check_mode:
    support: full
    description:
      - Predicts the change without making it. The checkers run on a staged copy; those not installed yet
        are skipped with a warning, and owners that do not exist yet are assumed to exist.
  diff_mode:
    support: full
    description: Shows every file before and after. For secrets, only shows that they change.
options:
  name:
    description: Name of the set. No two sets on a host may own the same file.
    type: str
    required: true
  state:
    description:
      - With V(absent), the files in the manifest are removed, as are directories that the set created and that are then empty.
        The other options are not needed.
    type: str
    choices: [present, absent]
    default: present
  owned_directories:
    description:
      - Directories in which every file should belong to a set. Others are reported as RV(unknown) and left unchanged.
    type: list
    elements: path
    default: []
  state_dir:
    description: Directory of manifests, stages and kept files.
    type: path
    default: /var/lib/accelmon
extends_documentation_fragment: [accelmon.fleet.config_set]
"""

EXAMPLES = r"""
- name: Configure an alert router, validated by its own checker
  accelmon.fleet.config_set:
    name: alertmanager
    files:
      - path: /etc/accelmon/alertmanager/alertmanager.yml
        content: "{{ lookup('ansible.builtin.template', 'alertmanager.yml.j2') }}"
      - path: /etc/accelmon/alertmanager/smtp_password
        secret: true
        group: accelmon-alertmanager
    secrets:
      /etc/accelmon/alertmanager/smtp_password: "{{ vault_smtp_password }}"
    validate:
      - argv: [amtool, check-config, "{stage}/etc/accelmon/alertmanager/alertmanager.yml"]

- name: Own a directory of rules
  accelmon.fleet.config_set:
    name: rules
    files:
      - path: /etc/accelmon/rules/recording.yml
        content: "{{ recording_rules }}"
    owned_directories: [/etc/accelmon/rules]

- name: Remove them
  accelmon.fleet.config_set:
    name: rules
    state: absent
"""

RETURN = r"""
written:
  description: Files whose content was replaced, or would be.
  type: list
  elements: str
  returned: success
removed:
  description: Files that were removed, or would be.
  type: list
  elements: str
  returned: success
kept_aside:
  description: For each file modified since it was written, the path of the copy.
  type: dict
  returned: success
unknown:
  description: Files in O(owned_directories) that belong to no set.
  type: list
  elements: str
  returned: success
validator:
  description: The checker that failed, its C(argv), exit status C(rc) and C(output), with secrets masked.
  type: dict
  returned: when a checker refuses
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import failing
from ansible_collections.accelmon.fleet.plugins.module_utils.host.config_set import ARGUMENTS, of_module


def main():
    module = AnsibleModule(
        argument_spec=dict(
            ARGUMENTS, name={"type": "str", "required": True}, state={"type": "str", "choices": ["present", "absent"], "default": "present"},
            owned_directories={"type": "list", "elements": "path", "default": []}, state_dir={"type": "path", "default": paths.STATE}),
        supports_check_mode=True,
    )
    with failing(module, name=module.params["name"]):
        module.exit_json(**of_module(module, **module.params))


if __name__ == "__main__":
    main()
