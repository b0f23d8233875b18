# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module bundle, which is all here: makes a bundle on the control node, and says how far it is while it does."""

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.accelmon.fleet.plugins.module_utils import disk
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.modules.bundle import ARGUMENTS
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import bundling


class ActionModule(ActionBase):
    """An archive takes minutes, and a module says nothing before it has ended."""

    def run(self, tmp=None, task_vars=None):
        """See the module."""
        result = super().run(tmp, task_vars)
        _valid, params = self.validate_argument_spec(argument_spec=ARGUMENTS)
        say = (lambda line: None) if params["quiet"] else Display().display
        try:
            result.update(bundling.make(params["path"], params["artifacts"], say, params["key"] or "", params["token"] or "",
                                        params["token_url"], self._task.check_mode, params["packages"]))
        except (Problem, Failure) as error:
            raise AnsibleActionFail(str(error)) from None
        except OSError as error:
            raise AnsibleActionFail(f"accelmon_bundle = {params['path']}: {disk.explain(error, params['path'])}") from None
        return result
