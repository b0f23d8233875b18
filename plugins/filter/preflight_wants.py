# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter preflight_wants: what to look at on a host before anything is installed."""
from __future__ import annotations

from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.preflight import places, wants


def preflight_wants(host, hostvars):
    """See preflight_wants.yml."""
    if isinstance(host, str):
        return wants(str(host), hostvars)
    return places([str(name) for name in host], hostvars)


class FilterModule:
    """Announces the filter."""

    def filters(self):
        """{name: function}."""
        return {"preflight_wants": preflight_wants}
