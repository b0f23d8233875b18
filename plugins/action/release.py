# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's side of the module release: bring `src` to the host if, and only if, the host needs it."""

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Ask the module first; a converged host costs one module run and no transfer."""

    # Not TRANSFERS_FILES: that would make a directory on the host before it is known whether one is needed.

    def run(self, tmp=None, task_vars=None):
        """See the module."""
        result = super().run(tmp, task_vars)
        args = {name: value for name, value in self._task.args.items() if not name.startswith("_")}
        source = args.get("src")
        if not source or boolean(args.get("remote_src", False), strict=False) or args.get("state") == "absent":
            result.update(self._execute_module(module_args=args, task_vars=task_vars))
            return result
        try:
            probe = self._execute_module(module_args=dict(args, _probe=True), task_vars=task_vars)
            needs_source = probe.pop("needs_source", False)
            # A host that has the release may still have to switch to it, or to mend a mode: then only the module runs again.
            if not probe.get("failed") and needs_source:
                local = self._local_file(source)
            if probe.get("failed") or not probe.get("changed") or self._task.check_mode:
                result.update(probe)
                return result
            if needs_source:
                args.update(src=self._bring(local), remote_src=True, _called=source)
            else:
                args.update(remote_src=True)
            result.update(self._execute_module(module_args=args, task_vars=task_vars))
            return result
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)

    def _local_file(self, source):
        """The file on the control node."""
        try:
            return self._loader.get_real_file(self._find_needle("files", source))
        except AnsibleError as error:
            raise AnsibleActionFail(
                f"src = {source}: there is no such file on the control node; put it there, or set remote_src: true if it is on the host") from error

    def _bring(self, local):
        """Copy a file into the task's private directory on the host; its path there."""
        if not self._connection._shell.tmpdir:
            self._make_tmp_path()
        remote = self._connection._shell.join_path(self._connection._shell.tmpdir, "source")
        self._transfer_file(local, remote)
        self._fixup_perms2((self._connection._shell.tmpdir, remote))
        return remote
