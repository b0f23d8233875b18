# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter preflight_findings: what is in the way of an installation."""
from __future__ import annotations

from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.preflight import report


def preflight_findings(hosts, hostvars, reached):
    """See preflight_findings.yml."""
    names = [str(host) for host in hosts]
    observed, unanswered = {}, {}
    for name in names:
        told = hostvars[name].get("accelmon_seen") or {}
        why = (hostvars[name].get("accelmon_found") or {}).get("unanswered") or told.get("unanswered")
        if why:
            unanswered[name] = why
        # Of a host that answered with anything else it is told there.
        if told.get("observed"):
            observed[name] = told["observed"] if isinstance(told["observed"], dict) else {}
    calls = {str(result["item"]): result["reached"] for result in reached if result.get("reached")}
    checked = (hostvars["localhost"].get("accelmon_findings") or {}).get("hosts") or {}
    return report(names, hostvars, observed, calls, checked, unanswered)


class FilterModule:
    """Announces the filter."""

    def filters(self):
        """{name: function}."""
        return {"preflight_findings": preflight_findings}
