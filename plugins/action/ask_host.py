# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module ask_host, which is all here: run another module, and make an answer of whatever keeps it from running."""

from ansible.plugins.action import ActionBase
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import answers, facts, scrape_only

SCRAPE_ONLY = {"what": scrape_only.VARIABLE, "value": "true", "fix": "leave the host out of this run: Ansible does not log in to it"}


class ActionModule(ActionBase):
    """Ansible prints pages about a host that it cannot reach, and takes it out of the run. Who asks several hosts wants a line, and goes on."""

    def run(self, tmp=None, task_vars=None):
        """See the module."""
        super().run(tmp, task_vars)
        ours = self._task.args["module"].endswith(".accelerator_facts")
        try:
            declared = scrape_only.of_task(self._task, task_vars)
            if declared is not None:
                return {"changed": False, **({"ansible_facts": declared} if ours else {"unanswered": SCRAPE_ONLY})}
            told = self._execute_module(module_name=self._task.args["module"], module_args=self._task.args.get("options") or {}, task_vars=task_vars)
        except Exception as error:  # of connections, of privileges, of interpreters: which of them is in the words
            return {"changed": False, "unanswered": answers.unanswered(str(error))}
        finally:
            self._close()
        if not (told.get("failed") or told.get("unreachable")):
            told.pop("unanswered", None)  # ours to say
            try:
                return facts.let_through(told, ours=ours)
            except facts.Untrusted as problem:
                return {"changed": False, "unanswered": answers.refused(str(problem))}
        if told.get("_ansible_parsed") and told.get("msg"):  # the module ran: the words are its own
            return {"changed": False, "unanswered": answers.refused(str(told["msg"]))}
        words = [str(told.get(name) or "") for name in ("msg", "module_stderr", "module_stdout")]
        return {"changed": False, "unanswered": answers.unanswered("\n".join(words))}

    def _close(self):
        """Remove what was put on the host, if it can be reached at all."""
        try:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        except Exception:  # told above
            self._connection._shell.tmpdir = None
