# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter exporter_plan: what runs on a host and what is scraped there."""
from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.hosts import FleetError, HostVariables
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.records import make_plan


def exporter_plan(host_variables, findings=None):
    """{"roles", "exporters", "listen"} of the host whose `hostvars` entry is given; an error if it is among the findings."""
    if findings and str(host_variables["inventory_hostname"]) in findings:
        raise AnsibleFilterError(findings[str(host_variables["inventory_hostname"])])
    try:
        host = str(host_variables["inventory_hostname"])
        return make_plan(host, HostVariables({host: host_variables}, host))
    except FleetError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """Announces the filter."""

    def filters(self):
        """{name: function}."""
        return {"exporter_plan": exporter_plan}
