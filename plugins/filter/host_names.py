# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter host_names: what a host is called by."""
from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import access
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.hosts import HostVariables
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.records import FleetError


def host_names(host_variables):
    """See host_names.yml."""
    host = str(host_variables["inventory_hostname"])
    try:
        return access.host_names(host, HostVariables({host: host_variables}, host))
    except FleetError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """Announces the filter."""

    def filters(self):
        """{name: function}."""
        return {"host_names": host_names}
