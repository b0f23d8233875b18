# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Alerts as rehearse_alerts.yml evaluates them over the stored past."""

import re

from ansible_collections.accelmon.fleet.plugins.module_utils.durations import milliseconds
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.query import matcher
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import closest, load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem

# What a rule asks the registry's series for: whether a node has a setting of its own, as alerts.SETTING writes it.
PUBLISHED = re.compile(r'last_over_time\(accelmon_alert_setting\{alert="(\w+)",setting=~?"([0-9a-f|]+)"\}\[\w+\]\)')


def evaluated(groups, nodes=None):
    """What makes the alerts of rule groups fire: [{"alert", "expr", "for": seconds, "severity", "rehearsed"}].

    rehearsed: the expression as if the registry had always published the settings of hosts
    nodes: {(alert, name of the setting): {cluster: [node]}}, who has a setting
    """
    def have(match):
        alert, names = match.groups()
        places = {}
        for name in names.split("|"):
            for cluster, found in (nodes or {}).get((alert, name), {}).items():
                places.setdefault(cluster, set()).update(found)
        return "max by (cluster, node) (%s)" % " or ".join(
            "up{%s,%s}" % (matcher("cluster", [cluster]), matcher("node", found)) for cluster, found in sorted(places.items()))

    return [{"alert": rule["alert"], "expr": rule["expr"], "for": milliseconds(rule["for"]) / 1000, "severity": rule["labels"]["severity"],
             "rehearsed": PUBLISHED.sub(have, rule["expr"])} for group in groups for rule in group["rules"]]


def alert_names(value):
    """Names of alerts of the catalogue, as a list."""
    known = [alert["alert"] for alert in load("alerts")["alerts"]]
    for name in value:
        if name not in known:
            raise Problem(f"{name} is not an alert; {closest(str(name), known)}")
    return value
