# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module import_proposals, which is all here: it reads files of the control node and writes there."""

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.accelmon.fleet.plugins.modules.import_proposals import ARGUMENTS
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import plain
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.imports import proposals


class ActionModule(ActionBase):
    """No host is asked for anything."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        """See the module."""
        super().run(tmp, task_vars)
        dummy, asked = self.validate_argument_spec(argument_spec=ARGUMENTS)
        asked = plain(asked)
        try:
            files, summary = proposals.propose(asked)
            fates, diffs = proposals.write(asked["directory"], files, self._task.check_mode)
        except Problem as problem:
            raise AnsibleActionFail(str(problem)) from None
        summary["files"] = fates
        return {"changed": bool(diffs), "summary": summary, "diff": diffs,
                "lines": proposals.lines(summary) + [f"{name}: {fate}" for name, fate in sorted(fates.items())]}
