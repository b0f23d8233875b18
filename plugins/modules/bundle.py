#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: bundle
short_description: Make a bundle of all programs that a fleet installs
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection, for its own roles and playbooks. Options and results may change in any release.
  - Fetches archives and container images that are missing from a directory of the control node, adds the collection itself, lists
    everything with size, SHA-256 and source in C(lock.json), and signs that file. Prints a line for each file.
  - What is there and right stays, a part of a download is continued, and what is no longer wanted is removed. Files that somebody
    else listed with M(accelmon.fleet.bundle_entry) stay, and take the place of what would be fetched.
attributes:
  check_mode:
    support: full
    description: Says what would be fetched; fetches and writes nothing.
  diff_mode:
    support: none
    description: The result has what is new, changed and gone.
options:
  path:
    description: The directory of the bundle.
    type: path
    required: true
  artifacts:
    description: What belongs into it, as returned by C(accelmon.fleet._bundle_wanted).
    type: list
    elements: dict
    required: true
  packages:
    description: Packages of vendors that belong into it with what they need, as returned by C(accelmon.fleet._bundle_wanted). apt finds them.
    type: list
    elements: dict
    default: []
  key:
    description: File of the private key to sign with, in PEM. If unset, the bundle is not signed.
    type: path
  token:
    description: Token that is sent to O(token_url) alone.
    type: str
  token_url:
    description: URL of the mirror that wants the token.
    type: str
    default: https://github.com
  quiet:
    description: Whether to print nothing on the way.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Make the bundle
  accelmon.fleet.bundle:
    path: /srv/bundle
    artifacts: "{{ (groups | accelmon.fleet._bundle_wanted(hostvars, ['amd64'])).found.artifacts }}"
    key: /root/bundle.key
  delegate_to: localhost
"""

RETURN = r"""
files:
  description: Everything in the bundle, with C(name), C(version), C(os), C(architecture), C(file), C(size), C(sha256) and C(source).
  type: list
  elements: dict
  returned: success
bytes:
  description: Size of all files.
  type: int
  returned: success
new:
  description: What the bundle had not before.
  type: list
  elements: str
  returned: success
changed_files:
  description: What has another content than before.
  type: list
  elements: str
  returned: success
gone:
  description: What the bundle had before.
  type: list
  elements: str
  returned: success
signed:
  description: Whether it is signed.
  type: bool
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "artifacts": {"type": "list", "elements": "dict", "required": True},
    "packages": {"type": "list", "elements": "dict", "default": []},
    "key": {"type": "path", "no_log": False},
    "token": {"type": "str", "no_log": True},
    "token_url": {"type": "str", "default": "https://github.com", "no_log": False},
    "quiet": {"type": "bool", "default": False},
}


def main():
    """Run only where the action plugin was passed over."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    module.fail_json(msg="bundle does its work on the control node, and cannot be run by itself")


if __name__ == "__main__":
    main()
