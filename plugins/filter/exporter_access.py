# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter exporter_access."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.exporters import access
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.formats import read


def exporter_access(tls, auth="none", client_auth=True, path="/metrics"):
    """See exporter_access.yml."""
    for name, value, known in (("accelmon_exporter_tls", tls, ("none", "managed", "files")), ("accelmon_exporter_auth", auth, ("none", "basic"))):
        if value not in known:
            raise AnsibleFilterError(f"{name} = {value}: not a choice; use {' or '.join(known)}")
    return access(str(tls), str(auth), read("accelmon_tls_client_auth", client_auth), str(path))


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"exporter_access": exporter_access}
