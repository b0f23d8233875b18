#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: rules_replay
short_description: Record what a storage lacks after an outage
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection; C(replay.yml) uses it. Runs on a monitoring host with VictoriaMetrics.
  - Looks for times at which the storage has what was scraped and nothing that was recorded, and has vmalert evaluate the recording rules
    over them. Alerts are neither evaluated nor sent.
attributes:
  check_mode:
    support: full
    description: Finds what is missing and records nothing.
  diff_mode:
    support: none
    description: Shows no differences.
options:
  storage_url:
    description: Base URL of this host's VictoriaMetrics.
    type: str
    required: true
  hours:
    description: How many hours to look back.
    type: int
    default: 24
  step:
    description: Seconds between two evaluations.
    type: int
    default: 15
  recordable:
    description: Expression that has a value wherever there is something to record.
    type: str
    required: true
  stages:
    description: Texts of rule files. Each reads what those before it recorded.
    type: list
    elements: str
    required: true
  command:
    description: vmalert, with the arguments by which it reaches the storage.
    type: list
    elements: str
    required: true
  user:
    description: User that it runs as.
    type: str
    default: accelmon-vmalert
extends_documentation_fragment: [accelmon.fleet.fleet_view.access]
"""

EXAMPLES = r"""
- name: Record what is missing of the last two hours
  accelmon.fleet.rules_replay:
    storage_url: https://127.0.0.1:8428
    hours: 2
    recordable: node_gpu_info
    stages: ["{groups: []}"]
    command: [/usr/bin/vmalert, "-datasource.url=https://127.0.0.1:8428", "-remoteWrite.url=https://127.0.0.1:8428"]
"""

RETURN = r"""
gaps:
  description: Times that were recorded afterwards, or would be.
  returned: always
  type: list
  elements: str
  sample: ["2026-11-29T16:26:40Z to 2026-11-29T16:28:00Z"]
"""

import os
import shutil
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import command
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import failing
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import query, replay, view


def written(folder, stages):
    """Paths of the rule files, which vmalert's user may read."""
    os.chmod(folder, 0o755)
    paths = []
    for number, text in enumerate(stages):
        paths.append(os.path.join(folder, "%d.yml" % number))
        with open(paths[-1], "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(paths[-1], 0o644)
    return paths


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec=dict(
            view.ACCESS_ARGUMENTS, storage_url=dict(type="str", required=True), hours=dict(type="int", default=24), step=dict(type="int", default=15),
            recordable=dict(type="str", required=True),
            stages=dict(type="list", elements="str", required=True), command=dict(type="list", elements="str", required=True),
            user=dict(type="str", default="accelmon-vmalert")),
        supports_check_mode=True)
    params, access = module.params, view.stack_access(module.params)
    with failing(module):
        found = replay.search(params, access, params["step"])
        if found and not module.check_mode:
            folder = tempfile.mkdtemp(prefix="accelmon-replay-")
            try:
                rules = written(folder, params["stages"])
                replay.replay(params, command.of_module(module), rules, found)
            finally:
                shutil.rmtree(folder)
            # Answers that the storage remembers are from before.
            query.get_text("storage", params["storage_url"].rstrip("/") + "/internal/resetRollupResultCache", params["query_timeout"], None, access)
    module.exit_json(changed=bool(found), gaps=["%s to %s" % tuple(map(query.instant, gap)) for gap in found])


if __name__ == "__main__":
    main()
