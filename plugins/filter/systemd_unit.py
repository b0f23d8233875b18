# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter systemd_unit."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.units import UnitError, unit_text


def systemd_unit(declaration, overrides=None, daemon=True):
    """See systemd_unit.yml."""
    try:
        return unit_text(declaration, overrides, daemon)
    except UnitError as error:
        raise AnsibleFilterError(f"unit: {error}") from None


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"systemd_unit": systemd_unit}
