# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's side of the module fleet_backup: says how far a backup or its test is while the host works."""

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

LONGEST_WAIT = 10  # seconds between questions


class ActionModule(ActionBase):
    """A backup takes minutes or hours, and a module says nothing before it has ended. So the module is asked again and again."""

    def run(self, tmp=None, task_vars=None):
        """See the module."""
        result, asked, line = super().run(tmp, task_vars), dict(self._task.args), ""
        quiet = boolean(asked.get("quiet", False))
        while True:
            answer = self._execute_module(module_args=dict(asked, wait=LONGEST_WAIT), task_vars=task_vars)
            running = answer.get("running")
            if not running:
                result.update(answer)
                return result
            asked["since"] = running["since"]
            if running["line"] not in ("", line) and not quiet:
                line = running["line"]
                Display().display(f"{task_vars['inventory_hostname']}: {line}")
