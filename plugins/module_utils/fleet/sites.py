# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a global place knows about sites from the roll-ups that they send. Nothing here needs a registry: that of a site stays there."""
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import query, verdict

# Seconds without a roll-up after which a site counts as cut off, as in the alert SiteSilent.
SILENT = 300


def rows(ask, sites):
    """One row for each cluster of `sites`, sorted: {"cluster", "age", "silent", "nodes", "accelerators": {vendor: {"seen", "expected"}}, "alerts"}.

    ask: function of an expression, as `view.asking` has it
    age: seconds since the newest roll-up, None if there is none within a day; silent: whether that is too long ago to say anything about now. Then
    nodes, the number of nodes, is None, and nothing is known of accelerators and alerts ({name: how many fire}).
    """
    where = query.matcher("cluster", sites)
    # `timestamp` of what is selected directly is when its sample was taken, in both storages.
    age = dict((labels.get("cluster"), value) for labels, value in ask(
        "time() - max by (cluster) (max_over_time(timestamp(accelmon_fleet_node_info{%s})[1d:1m]))" % where))
    found = dict((cluster, {
        "cluster": cluster, "age": max(0, int(age[cluster])) if cluster in age else None, "silent": age.get(cluster, SILENT) >= SILENT,
        "nodes": None, "accelerators": {}, "alerts": {}}) for cluster in sites)
    current = set(cluster for cluster in found if not found[cluster]["silent"])

    def each(expression, *names):
        for labels, value in ask(expression % where):
            if labels.get("cluster") in current:
                yield (found[labels["cluster"]], int(value)) + tuple(labels.get(name, "") for name in names)

    for row, value in each("count by (cluster) (count by (cluster, node) (accelmon_fleet_node_info{%s}))"):
        row["nodes"] = value
    for key, expression in (("expected", "sum by (cluster, vendor) (max by (cluster, node, vendor) (accelmon_expected_accelerators{%s}))"),
                            ("seen", "sum by (cluster, vendor) (max by (cluster, node, vendor) (node:accelerator_info:count{%s}))")):
        for row, value, vendor in each(expression, "vendor"):
            row["accelerators"].setdefault(vendor, {"seen": 0, "expected": 0})[key] = value
    for row, value, name in each('count by (cluster, alertname) (ALERTS{alertstate="firing",alertname!="Watchdog",%s})', "alertname"):
        row["alerts"][name] = value
    return [found[cluster] for cluster in sorted(found)]


def table(sites):
    """The rows as aligned text, "" if there are none."""
    cells = [["SITE", "NODES", "ACCELERATORS", "STATE", "ALERTS"]]
    for row in sites:
        state = "up to date" if not row["silent"] else "cut off" + (
            ", last roll-up %d min ago" % (row["age"] // 60) if row["age"] is not None else ", no roll-up within a day")
        cells.append([row["cluster"], "?" if row["nodes"] is None else str(row["nodes"]), "?" if row["silent"] else
                      verdict.accelerator_words(row["accelerators"]), state,
                      ", ".join("%s %d" % item for item in sorted(row["alerts"].items())) or ("?" if row["silent"] else "-")])
    return verdict.aligned(cells) if sites else ""
