# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter certificate_requests: the hosts that ask for a certificate."""
from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import access
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.records import FleetError


def certificate_requests(hosts, hostvars, register):
    """See certificate_requests.yml."""
    try:
        return access.certificate_requests([str(host) for host in hosts], hostvars, register)
    except FleetError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """Announces the filter."""

    def filters(self):
        """{name: function}."""
        return {"certificate_requests": certificate_requests}
