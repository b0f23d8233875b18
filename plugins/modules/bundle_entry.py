#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: bundle_entry
short_description: List an archive in the lock file of a bundle
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - A bundle is a directory of archives on the control node from which programs are installed offline. Its C(lock.json) lists its
    contents and their checksums. This module adds an archive in the bundle to that file, or updates its checksum. Nothing else in the
    file changes, and no archive does.
attributes:
  check_mode:
    support: full
    description: Predicts the change.
  diff_mode:
    support: full
    description: Shows the lock file before and after.
options:
  bundle:
    description: The directory of the bundle.
    type: path
    required: true
  name:
    description: Name of the release that roles look for, for example V(node_exporter).
    type: str
    required: true
  version:
    description: Its version.
    type: str
    required: true
  architecture:
    description: Its architecture, by its Go name.
    type: str
    required: true
  os:
    description: Its operating system.
    type: str
    default: linux
  file:
    description: Name of the archive in the bundle.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: List an archive that was built locally
  accelmon.fleet.bundle_entry:
    bundle: /srv/fleet/bundle
    name: all_smi
    version: 0.28.1
    architecture: amd64
    file: all-smi-0.28.1-linux-x86_64.tar.gz
  delegate_to: localhost
"""

RETURN = r"""
entry:
  description: The archive's entry in the lock file.
  type: dict
  returned: success
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import atomic
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import failing
from ansible_collections.accelmon.fleet.plugins.module_utils.programs import lock


def main():
    module = AnsibleModule(
        argument_spec={
            "bundle": {"type": "path", "required": True},
            "name": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "architecture": {"type": "str", "required": True},
            "os": {"type": "str", "default": "linux"},
            "file": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    bundle = params["bundle"]
    entry = dict((field, params[field]) for field in lock.KEY + ("file",))
    path = os.path.join(bundle, lock.BUNDLE)
    with failing(module, bundle):
        before = lock.before(lock.artifacts, bundle, "bundle") or []
        entry["sha256"] = lock.sha256_of(bundle, params["file"])
        changed = entry not in before
        new = lock.text_of("artifacts", lock.add(before, entry))
        old = lock.text_of("artifacts", before) if before and changed else "" if changed else new
        if changed and not module.check_mode:
            atomic.write(path, new.encode("utf-8"), 0o644)
    module.exit_json(changed=changed, entry=entry,
                     diff={"before_header": path, "after_header": path, "before": old, "after": new})


if __name__ == "__main__":
    main()
