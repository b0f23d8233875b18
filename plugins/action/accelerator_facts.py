# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's side of the module accelerator_facts: where the facts of a node arrive, and are looked at before they are kept."""

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import facts, scrape_only


class ActionModule(ActionBase):
    """Ask the module, and let nothing through but the facts that it documents."""

    def run(self, tmp=None, task_vars=None):
        """See the module."""
        result = super().run(tmp, task_vars)
        try:
            # What another module of this host, or a fact cache, left behind.
            facts.refuse_forged(task_vars.get("ansible_facts"))
            declared = scrape_only.of_task(self._task, task_vars)
            if declared is not None:
                return {**result, "changed": False, "ansible_facts": declared}
            answer = self._execute_module(task_vars=task_vars)
            result.update(facts.let_through(answer, ours=not (answer.get("failed") or answer.get("unreachable") or answer.get("skipped"))))
        except facts.Untrusted as problem:
            # The name may be what is forged; Ansible tells the right one.
            forged = "inventory_hostname" in (task_vars.get("ansible_facts") or {})
            raise AnsibleActionFail(str(problem) if forged else f"{task_vars['inventory_hostname']}: {problem}") from None
        except Problem as problem:
            raise AnsibleActionFail(str(problem)) from None
        return result
