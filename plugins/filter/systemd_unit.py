# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter systemd_unit."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.units import unit_text


def systemd_unit(declaration, overrides=None, daemon=True):
    """See systemd_unit.yml."""
    for what, value in (("the declaration", declaration), ("the overrides", overrides or {})):
        if not isinstance(value, dict) or not all(isinstance(section, dict) for section in value.values()):
            raise AnsibleFilterError(f"systemd_unit: {what} must be a mapping of sections to mappings of directives, not {value!r}")
    return unit_text(declaration, overrides, daemon)


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"systemd_unit": systemd_unit}
