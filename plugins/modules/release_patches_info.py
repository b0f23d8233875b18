#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: release_patches_info
short_description: Find the newest patch release of locked versions
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection, for its own roles and playbooks. Options and results may change in any release.
  - Requests the checksum lists of the versions that would follow, C(1.9.2) after C(1.9.1) and so on, from upstream or a mirror, until
    three in a row do not exist. The major and minor version never change. No archive is downloaded and nothing is written.
  - A version counts only if its lists cover every architecture that O(releases) needs.
attributes:
  check_mode:
    support: full
    description: The module changes nothing.
  diff_mode:
    support: none
    description: Nothing to show.
extends_documentation_fragment: accelmon.fleet.checksum_lists
options:
  releases:
    description: What is locked, as returned by C(accelmon.fleet._releases_wanted) for the locked versions.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Look for a newer patch release
  accelmon.fleet.release_patches_info:
    releases: "{{ {'node_exporter': '1.9.0'} | accelmon.fleet._releases_wanted(['amd64'], '', ['node_exporter']) }}"
  delegate_to: localhost
  register: newest
"""

RETURN = r"""
versions:
  description: The newest version of each release; the locked one if there is no newer one.
  type: dict
  returned: success
  sample: {node_exporter: 1.9.1}
newer:
  description: Versions that are newer than the locked ones.
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import failing
from ansible_collections.accelmon.fleet.plugins.module_utils.programs import lock, patch


def main():
    module = AnsibleModule(
        argument_spec=dict(lock.ARGUMENTS, **{
            "releases": {"type": "list", "elements": "dict", "required": True},
        }),
        supports_check_mode=True,
    )
    params = module.params
    with lock.fetching(params, module.tmpdir) as get, failing(module):
        versions = dict((one["name"], patch.newest(one, get)) for one in params["releases"])
    locked = dict((one["name"], one["version"]) for one in params["releases"])
    module.exit_json(changed=False, versions=versions,
                     newer=dict((name, version) for name, version in versions.items() if version != locked[name]))


if __name__ == "__main__":
    main()
