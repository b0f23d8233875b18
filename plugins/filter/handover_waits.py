# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter handover_waits: what a run has to wait for before exporters are taken away."""
from __future__ import annotations

from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import hosts as fleet, plan


def handover_waits(hosts, hostvars):
    """See handover_waits.yml."""
    reader, waits = fleet.Reader(fleet.plan_specs()), {"newcomer": False, "heir": False}
    for host in map(str, hosts):
        found = fleet.HostVariables(hostvars, host)
        chosen = plan.choose(reader.read_all(found)[0], fleet.facts_of(found))
        waits["newcomer"] |= chosen.charge != chosen.final
        waits["heir"] |= chosen.charge != chosen.final or plan.has_heir(chosen)
    return waits


class FilterModule:
    """Announces the filter."""

    def filters(self):
        """{name: function}."""
        return {"handover_waits": handover_waits}
