#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: release_lock
short_description: Write a lock file of releases from upstream's checksums
version_added: 0.1.0
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
  token:
    description: Sent as a bearer token, only to the scheme, host and port of O(token_url).
    type: str
  token_url:
    description: URL that O(token) is for.
    type: str
    default: https://github.com
  timeout:
    description: Timeout per list, in seconds.
    type: int
    default: 60
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
import shutil
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import atomic
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure, failing
from ansible_collections.accelmon.fleet.plugins.module_utils.programs import lock
from ansible_collections.accelmon.fleet.plugins.module_utils.programs.release import UPSTREAM


def main():
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "releases": {"type": "list", "elements": "dict", "required": True},
            "token": {"type": "str", "no_log": True},
            "token_url": {"type": "str", "default": UPSTREAM, "no_log": False},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    params = module.params
    path = params["path"]
    folder = tempfile.mkdtemp(dir=module.tmpdir)
    try:
        with failing(module, path):
            before = lock.before(lock.releases, path, "path")
            releases = lock.build(
                params["releases"], before or {},
                lambda url: lock.fetch(url, folder, params["timeout"], params["token"] or "", params["token_url"]))
            old, new = lock.text_of("releases", before) if before else "", lock.text_of("releases", releases)
            if old != new and not module.check_mode:
                if not os.path.isdir(os.path.dirname(os.path.abspath(path))):
                    raise Failure("path = %s: its directory does not exist; create it" % path)
                atomic.write(path, new.encode("utf-8"), 0o644)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    module.exit_json(changed=old != new, releases=releases,
                     diff={"before_header": path, "after_header": path, "before": old, "after": new})


if __name__ == "__main__":
    main()
