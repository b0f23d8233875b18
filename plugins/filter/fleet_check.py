# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter fleet_check: what is wrong with the variables of the fleet."""
from __future__ import annotations

from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.check import fleet_check


class FilterModule:
    """Announces the filter."""

    def filters(self):
        """{name: function}."""
        return {"fleet_check": fleet_check}
