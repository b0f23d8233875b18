# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter expected_series."""

from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.rules import expected_series


def series_of(names):
    """See expected_series.yml."""
    return [item for item in expected_series() if not names or item["name"] in names]


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"expected_series": series_of}
