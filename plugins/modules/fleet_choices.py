#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: fleet_choices
short_description: Read or keep the settings that somebody chose by a playbook
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection; C(change_alert.yml) and C(change_channel.yml) write with it, and whatever makes rules reads with it. Runs on a monitoring host.
  - Without O(document) it only reads.
attributes:
  check_mode:
    support: full
    description: Predicts the change without making it.
  diff_mode:
    support: full
    description: Shows the choices before and after. There are no secrets among them.
options:
  document:
    description: Choices to keep. Rejected unless they are newer than those that the host has, by their C(generation).
    type: dict
  state_dir:
    description: Directory of the file and its lock.
    type: path
    default: /var/lib/accelmon/choices
  lock_timeout:
    description: Seconds to wait for another run.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Read what was chosen
  accelmon.fleet.fleet_choices:
  register: chosen
"""

RETURN = r"""
document:
  description: The choices that the host has after this.
  returned: success
  type: dict
  sample:
    version: 1
    generation: 3
    alerts:
      HostDown: {change: {for: 10m}, by: ada, at: 1795834800, until: 1795921200, reason: new switch}
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import atomic, paths
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure, failing
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import choices


def differences(before, after):
    """Ansible's before and after."""
    return {"before_header": choices.NAME, "after_header": choices.NAME, "before": choices.dump(before), "after": choices.dump(after)}


def refused(document, known):
    """Why a host that knows these choices does not take a document, in one line, or None."""
    wrong = choices.damage(document)
    if wrong:
        return "document: %s; pass what a filter of the collection made" % wrong
    if document["generation"] <= known["generation"]:
        return "choices: another run changed them meanwhile (generation %d); run the playbook again" % known["generation"]
    return None


def keep(module, document):
    """Write the document unless the host has it. Returns (whether that changes something, the choices before). Raises Failure."""
    folder = module.params["state_dir"]
    known = choices.read(folder)
    if known == document:
        return False, known
    wrong = refused(document, known)
    if wrong:
        raise Failure(wrong)
    if not module.check_mode:
        relabel = atomic.relabeler(module)
        atomic.make_folders(folder, 0o750, relabel)
        with atomic.Lock(os.path.join(folder, "lock"), module.params["lock_timeout"]):
            # Somebody may have been faster.
            wrong = refused(document, choices.read(folder))
            if wrong:
                raise Failure(wrong)
            atomic.write(os.path.join(folder, choices.NAME), choices.dump(document).encode("utf-8"), 0o640, relabel=relabel)
    return True, known


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec=dict(
            document=dict(type="dict"),
            state_dir=dict(type="path", default=paths.CHOICES),
            lock_timeout=dict(type="int", default=60),
        ),
        supports_check_mode=True,
    )
    document = module.params["document"]
    with failing(module, module.params["state_dir"]):
        if document is None:
            module.exit_json(changed=False, document=choices.read(module.params["state_dir"]))
        changed, before = keep(module, document)
        diff = {"diff": differences(before, document)} if changed and module._diff else {}
        module.exit_json(changed=changed, document=document, **diff)


if __name__ == "__main__":
    main()
