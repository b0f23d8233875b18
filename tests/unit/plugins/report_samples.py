# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Made-up answers of a storage about a fleet, for the tests of the report. Guessed: the shape is that of the recorded series, the values are not."""
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import report, verdict
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load

NOW = 1795229324
VIEWS = load("views")


def device(node="gpu1", index=0, cluster="west", vendor="nvidia", model="NVIDIA H100 80GB HBM3", **changes):
    """Labels of a device."""
    return {"cluster": cluster, "rack": "r1", "node": node, "vendor": vendor, "index": str(index), "uuid": f"GPU-{node}-{index}", "model": model, **changes}


def devices(nodes, each=8):
    """Labels of the devices of so many nodes, 40 to a rack."""
    return [device(f"gpu{node}", index, rack=f"r{node // 40}") for node in range(1, nodes + 1) for index in range(each)]


def answers(found, **values):
    """What the storage said about devices; values: functions of a device and its place that give a value or None."""
    told = report.no_answers(VIEWS, NOW)
    told["devices"] = found
    usual = {"health": lambda *_: 100.0, "known": lambda *_: 0.8, "utilization": lambda _one, place: place % 11 / 10, "memory": lambda *_: 0.5,
             "temperature": lambda _one, place: 40.0 + place % 20, "power": lambda *_: 300.0, "power_limit": lambda *_: 700.0}
    for name, make in {**usual, **values}.items():
        made = [(one, make(one, place)) for place, one in enumerate(found)]
        told["values"][name] = [(labels, value) for labels, value in made if value is not None]
    count = len(told["times"])
    for cluster, vendor in sorted({(one["cluster"], one["vendor"]) for one in found}):
        labels = {"cluster": cluster, "vendor": vendor}
        told["trends"].setdefault("power", []).append((labels, [None] + [3600.0] * (count - 1)))
        told["trends"].setdefault("utilization", []).append((labels, [place / count for place in range(count)]))
        told["trends"].setdefault("missing", []).append((labels, [0.0] * count))
    return told


def node(name="gpu1", seen=8, expected=8, state="active", cluster="west", vendor="nvidia", alerts=(), **changes):
    """A row of the status of a node."""
    row = {"cluster": cluster, "node": name, "address": "10.0.0.1", "state": state, "accelerators": {vendor: {"seen": seen, "expected": expected}},
           "exporters": {"node_exporter": "down" if state == "down" else "up"}, "alerts": list(alerts), **changes}
    row["problem"] = state != "maintenance" and (state != "active" or seen != expected or bool(alerts))
    return row


def alert(name="HostDown", severity="critical", since="2026-11-21T02:38:44.5Z", action="Look at it.", **labels):
    """An alert that fires."""
    return {"labels": {"alertname": name, "severity": severity, **labels}, "since": since,
            "annotations": {"summary": f"{name} on {labels.get('node')}", "description": "It is so.", "action": action}}


def document(told=None, rows=(), firing=(), problems=(), notes=(), hosts=None, choices=(), evaluated=True):
    """The report of a fleet; evaluated: whether rules are."""
    told, rows = told or report.no_answers(VIEWS, NOW), list(rows)
    clusters = sorted({row["cluster"] for row in rows})
    found = report.document(VIEWS, told, list(firing), evaluated, rows, verdict.totals(rows), list(notes), list(problems), clusters, hosts, NOW)
    return {**found, "choices": list(choices), "monitoring_host": "mon01"}
