# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module service, which is all here: ask service_unit for what a service's declaration comes to."""

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import declaration


class ActionModule(ActionBase):
    """A template for each argument would cost the control node more than everything else of a converged service."""

    def run(self, tmp=None, task_vars=None):
        """See the module."""
        result = super().run(tmp, task_vars)
        declared = self._task.args["declaration"]
        looked = "accelmon_node" in (task_vars.get("ansible_facts") or {})
        phase = declaration.phase(declared, looked, boolean(self._task.args.get("installed", False)))
        try:
            arguments = declaration.arguments(declared, self._task.args.get("secrets") or {}, phase)
        except Problem as problem:
            raise AnsibleActionFail(str(problem)) from None
        answer = self._execute_module(module_name="accelmon.fleet.service_unit", module_args=arguments, task_vars=task_vars)
        if not answer.get("failed") and not answer.get("unreachable"):
            answer["steps"] = [] if phase == "run" else declaration.steps(declared, looked, answer.get("package"))
        result.update(answer)
        return result
