# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter dcgm_build."""

from ansible.errors import AnsibleFilterError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import dcgm


def dcgm_build(wanted, source):
    """See dcgm_build.yml."""
    try:
        return dcgm.build(dict(wanted, profiling=boolean(wanted.get("profiling") or False)), str(source))
    except dcgm.DcgmError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"dcgm_build": dcgm_build}
