# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter container_unit."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import containers


def container_unit(declaration, name, container, found):
    """See container_unit.yml."""
    if not isinstance(found, dict) or not found.get("id"):
        raise AnsibleFilterError(f"container_unit: there is no image for {name}: the module container_image has to run before")
    return containers.unit(declaration, name, container, found)


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"container_unit": container_unit}
