# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter vm_client."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.stack import VM_CLIENTS, vm_client as arguments


def vm_client(services, kind, path=""):
    """See vm_client.yml."""
    if kind not in VM_CLIENTS:
        raise AnsibleFilterError(f"vm_client: {kind}: no such kind of client; use one of {', '.join(VM_CLIENTS)}")
    return arguments(str(kind), list(services), str(path))


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"vm_client": vm_client}
