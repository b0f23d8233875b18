# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter setting: a variable as another place than its own role reads it."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import hosts as fleet


def setting(host_variables, name):
    """See setting.yml."""
    try:
        return fleet.setting(host_variables, str(name))
    except fleet.FleetError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """Announces the filter."""

    def filters(self):
        """{name: function}."""
        return {"setting": setting}
