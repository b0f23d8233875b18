# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter planned: the hosts of a play about one role."""
from __future__ import annotations


def planned(groups, role):
    """See planned.yml."""
    name = f"accelmon_on_{role}"
    return name if name in groups else "all:!all"


class FilterModule:
    """Announces the filter."""

    def filters(self):
        """{name: function}."""
        return {"planned": planned}
