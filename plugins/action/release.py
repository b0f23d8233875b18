# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's side of the module release: bring `src` to the host if, and only if, the host needs it."""

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import facts


class ActionModule(ActionBase):
    """Ask the module first; a converged host costs one module run and no transfer."""

    # Not TRANSFERS_FILES: that would make a directory on the host before it is known whether one is needed.

    def run(self, tmp=None, task_vars=None):
        """See the module."""
        result = super().run(tmp, task_vars)
        source = self._task.args.get("src")
        try:
            # With a `src` of the control node the module does all that can be done without it, and says whether it needs it.
            answer = self._execute_module(task_vars=task_vars)
            if answer.pop("needs_source", False) and source and not boolean(self._task.args.get("remote_src", False), strict=False):
                local = self._local_file(source, task_vars)
                if not self._task.check_mode:
                    answer = self._install(source, self._bring(local), task_vars)
            result.update(answer)
            return result
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)

    def _install(self, source, remote, task_vars):
        """Run the module with the file that was brought; errors call it as the user does."""
        answer = self._execute_module(module_args=dict(self._task.args, src=remote, remote_src=True), task_vars=task_vars)
        answer.pop("needs_source", None)
        if answer.get("failed"):
            answer["msg"] = str(answer.get("msg", "")).replace(remote, source)
        return answer

    def _local_file(self, source, task_vars):
        """The file on the control node. No fact of the host may have named it."""
        try:
            facts.refuse_forged(task_vars.get("ansible_facts"))
        except facts.Untrusted as problem:
            raise AnsibleActionFail(str(problem)) from None
        try:
            return self._loader.get_real_file(self._find_needle("files", source))
        except AnsibleError as error:
            raise AnsibleActionFail(
                f"src = {source}: no such file on the control node; put it there, or set remote_src: true if it is on the host") from error

    def _bring(self, local):
        """Copy a file into the task's private directory on the host; its path there."""
        if not self._connection._shell.tmpdir:
            self._make_tmp_path()
        remote = self._connection._shell.join_path(self._connection._shell.tmpdir, "accelmon_release")
        self._transfer_file(local, remote)
        self._fixup_perms2((self._connection._shell.tmpdir, remote))
        return remote
