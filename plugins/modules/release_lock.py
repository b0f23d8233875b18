#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: release_lock
short_description: Write a lock file of releases from upstream's checksums
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Reads upstream's checksum lists and writes the version, URL and SHA-256 of every wanted archive to a file.
    No archive is downloaded. Run it where upstream or a mirror is reachable; the lock file can then be used anywhere.
  - Other entries of the file are kept. The locked checksum of a version never changes; a different one is an error.
attributes:
  check_mode:
    support: full
    description: Reads the lists and writes nothing.
  diff_mode:
    support: full
    description: Shows the file before and after.
extends_documentation_fragment: accelmon.fleet.checksum_lists
options:
  path:
    description: The lock file.
    type: path
    required: true
  releases:
    description: What to lock, as returned by C(accelmon.fleet._releases_wanted).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Lock the releases in the catalogue, for both architectures
  accelmon.fleet.release_lock:
    path: /srv/fleet/releases.lock.json
    releases: "{{ {} | accelmon.fleet._releases_wanted(['amd64', 'arm64']) }}"
  delegate_to: localhost
"""

RETURN = r"""
releases:
  description: All entries that the lock file has now, or would have.
  type: dict
  returned: success
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import atomic
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure, failing
from ansible_collections.accelmon.fleet.plugins.module_utils.programs import lock


def main():
    module = AnsibleModule(
        argument_spec=dict(lock.ARGUMENTS, **{
            "path": {"type": "path", "required": True},
            "releases": {"type": "list", "elements": "dict", "required": True},
        }),
        supports_check_mode=True,
    )
    params = module.params
    path = params["path"]
    with lock.fetching(params, module.tmpdir) as get, failing(module, path):
        before = lock.before(lock.releases, path, "path")
        releases = lock.build(params["releases"], before or {}, get)
        old, new = lock.text_of("releases", before) if before else "", lock.text_of("releases", releases)
        if old != new and not module.check_mode:
            if not os.path.isdir(os.path.dirname(os.path.abspath(path))):
                raise Failure("path = %s: its directory does not exist; create it" % path)
            atomic.write(path, new.encode("utf-8"), 0o644)
    module.exit_json(changed=old != new, releases=releases,
                     diff={"before_header": path, "after_header": path, "before": old, "after": new})


if __name__ == "__main__":
    main()
