# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter updates_due."""

from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import updates


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"updates_due": updates.due}
