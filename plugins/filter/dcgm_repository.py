# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter dcgm_repository."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import dcgm


def dcgm_repository(base, node):
    """See dcgm_repository.yml."""
    try:
        return dcgm.repository(str(base), str(node.get("distribution", "")), str(node.get("distribution_version", "")), str(node.get("architecture", "")))
    except dcgm.DcgmError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"dcgm_repository": dcgm_repository}
