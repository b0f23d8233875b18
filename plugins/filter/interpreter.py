# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter interpreter."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.module_utils.host.interpreter import LASTING, is_clean
from ansible_collections.accelmon.fleet.plugins.plugin_utils.oneline import shown


def interpreter(claimed):
    """See interpreter.yml."""
    path = (claimed or {}).get("python") or LASTING[0]
    if not isinstance(path, str) or not is_clean(path):
        raise AnsibleFilterError(f"python = {shown(path)}: the host names no plain absolute path as its interpreter; look at that host")
    return path


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"interpreter": interpreter}
