# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter preflight_findings: what is in the way of an installation."""
from __future__ import annotations

from ansible_collections.accelmon.fleet.plugins.plugin_utils.preflight import findings


def preflight_findings(hosts, hostvars, register, reached):
    """See preflight_findings.yml."""
    names = [str(host) for host in hosts]
    observed = {}
    for name in names:
        told = hostvars[name].get(register) or {}
        # Of a host that answered with anything else it is told there.
        if told.get("observed"):
            observed[name] = told["observed"] if isinstance(told["observed"], dict) else {}
    calls = {str(result["item"]): result["reached"] for result in reached if result.get("reached")}
    return findings(names, hostvars, observed, calls)


class FilterModule:
    """Announces the filter."""

    def filters(self):
        """{name: function}."""
        return {"preflight_findings": preflight_findings}
