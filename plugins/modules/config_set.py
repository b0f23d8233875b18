#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: config_set
short_description: Write, check, replace and remove a set of files together
version_added: 0.1.0
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection, for its own roles and playbooks. Options and results may change in any release.
  - Owns a set of files by name. All of them are staged, checked by the daemon's own checker, and only then put in place,
    each by a rename. If a check fails, nothing is changed; if a replacement fails, those before it are taken back.
  - A manifest records what was written. Only files of the manifest are ever removed. A file that somebody changed by hand,
    or that was there before us, is copied to C(/var/lib/accelmon/kept) before it is replaced or removed, and a warning says so.
  - A run that is killed leaves every file whole, old or new, and the next run completes it.
  - If files, directories and manifest are as they should be, nothing is staged and no checker runs.
attributes:
  check_mode:
    support: full
    description:
      - Predicts the change; changes nothing. The checkers run on a staged copy; those that are not installed yet
        are left out with a warning, and an owner that does not exist yet is taken for granted.
  diff_mode:
    support: full
    description: Shows every file before and after. Of secrets it shows only that they change.
options:
  name:
    description: Name of the set. No two sets of a host may own the same file.
    type: str
    required: true
  state:
    description:
      - With V(absent), the files of the manifest are removed, and those directories that the set made and that are empty then.
        The other options are not needed.
    type: str
    choices: [present, absent]
    default: present
  owned_directories:
    description:
      - Directories in which every file should belong to some set. Others are reported as RV(unknown), and left as they are.
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
- name: Configure an alert router, checked by its own checker
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
  description: For each file that was not as we wrote it, where it is kept.
  type: dict
  returned: success
unknown:
  description: Files in O(owned_directories) that belong to no set.
  type: list
  elements: str
  returned: success
validator:
  description: The checker that refused, its C(argv), its status C(rc) and its C(output), with secrets blotted out.
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
