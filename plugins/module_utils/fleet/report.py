# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as data: what registry, storage and rule evaluator say about the fleet, as one document. Pure functions, but for `observe`, which asks.

views: the catalogue's, with what is asked of the storage
answers: what it said, see `no_answers`
A value that is not known is None, never 0.
"""
import math

from ansible_collections.accelmon.fleet.plugins.module_utils.durations import seconds
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import query
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.compare import DEVICE, key_of
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.verdict import WATCHDOG, listing, natural, shortfall, worst_first

LINE = ("cluster", "vendor")
# What tells one fault from another: what has no index, such as a device that is missing, is of its node.
FAULT = DEVICE + ("pci_bus_id", "component")
# Labels of a device that its row has besides.
IDENTITY = ("rack", "model", "driver_version", "serial", "pci_bus_id")
# Where something is: the labels that name the place.
PLACE = ("cluster", "rack", "node", "vendor", "index", "pci_bus_id", "job", "instance")
PLACES = 10  # places that are named; the others are counted
GRADES = ("fatal", "degraded")


def no_answers(views, now):
    """The answers before anything was asked.

    devices: [labels]; values: {view: [(labels, value)]} of views that are no trends
    times: of the points of lines; trends: {view: [(labels, [value or None])]}
    """
    window, step = seconds(views["window"]), seconds(views["step"])
    end = int(now) // step * step
    return {"devices": [], "values": {}, "trends": {}, "times": list(range(end - window + step, end + 1, step))}


def filled(expression, views, clusters, hosts):
    """The query of a view for these clusters and nodes; hosts: None for all."""
    where = query.matcher("cluster", clusters)
    nodes = where + ("," + query.matcher("node", hosts) if hosts is not None else "")
    return expression.replace("@nodes@", nodes).replace("@clusters@", where).replace("@step@", views["step"])


def observe(answers, views, devices, ask, ask_range, clusters, hosts):
    """Fill in the answers and return the problems: an error of the storage ends it, and what it answered before stays.

    devices: the query for the devices that are there
    ask: function of an expression that gives [(labels, value)]; ask_range: function of (expression, start, end, step) that gives [(labels, samples)]
    """
    def asked(view):
        return filled(view["query"], views, clusters, hosts)

    try:
        answers["devices"] = [labels for labels, _value in ask(devices)]
        for part in ("devices", "rows"):
            for name, view in sorted(views[part].items()):
                answers["values"][name] = ask(asked(view))
        for name, view in sorted(views["trends"].items()):
            found = ask_range(asked(view), answers["times"][0], answers["times"][-1], seconds(views["step"]))
            answers["trends"][name] = [(labels, list(map(dict(samples).get, answers["times"]))) for labels, samples in found]
    except Failure as error:
        return [str(error)]
    return []


def known(value):
    """A value as it stands in the document: with four decimals at most, and None instead of what is no number."""
    return round(value, 4) if value is not None and not math.isnan(value) and not math.isinf(value) else None


def place_key(labels):
    """Sort key of what has the labels of a place."""
    return [natural(labels.get(name, "")) for name in PLACE]


def best(rows, names, choose):
    """{key: (labels, value)}: of rows that are equal in `names` the one that `choose`, min or max, takes by its value.

    For two minutes after a host has come to another rack, what is recorded of its devices is there with both.
    """
    found = {}
    for labels, value in rows:
        found.setdefault(key_of(labels, names), []).append((labels, value))
    return dict((key, choose(same, key=lambda row: row[1])) for key, same in found.items())


def found_faults(answers):
    """[(labels, value)] of components that are not well, each once."""
    return list(best(answers["values"].get("faults", ()), FAULT, min).values())


def device_rows(views, answers):
    """One row for each device that is there: its labels, the value of every view, and `faults`, the names of components that are not well."""
    values = dict((name, dict((key_of(labels, DEVICE), known(value)) for labels, value in answers["values"].get(name, ()))) for name in views["devices"])
    broken = {}
    for labels, _value in found_faults(answers):
        broken.setdefault(key_of(labels, DEVICE), set()).add(labels.get("component", ""))
    rows = {}
    for labels in answers["devices"]:
        key = key_of(labels, DEVICE)
        row = rows[key] = dict(zip(DEVICE, key))
        row.update((name, labels[name]) for name in IDENTITY if name in labels)
        row.update((name, found.get(key)) for name, found in values.items())
        if key in broken:
            row["faults"] = sorted(broken[key])
    return [rows[key] for key in sorted(rows, key=lambda key: [natural(part) for part in key[:-1]])]


def grouped(items, names):
    """Items that have the same values of some members, as one: those members, `count`, and the first `places`.

    items: [{"labels", ...}]; names: of members that tell groups apart. The other members are those of the first item.
    """
    groups = {}
    for item in items:
        groups.setdefault(tuple(item[name] for name in names), []).append(item)
    found = []
    for members in groups.values():
        places = []
        for item in sorted(members, key=lambda item: place_key(item["labels"])):
            place = dict((name, item["labels"][name]) for name in PLACE if item["labels"].get(name))
            if place and place not in places:
                places.append(place)
        whole = dict((name, value) for name, value in members[0].items() if name != "labels")
        found.append(dict(whole, count=len(members), places=places[:PLACES], more=max(0, len(places) - PLACES)))
    return found


def alerts(firing, clusters, hosts):
    """The alerts that fire, but for the watchdog: one entry for each name and thing to do, the worst first.

    [{name, severity, summary, description, action, link, since, count, places, more}]; since: of the oldest one, or ""
    """
    items = []
    for alert in firing:
        labels, texts = alert["labels"], alert["annotations"]
        if labels.get("alertname") == WATCHDOG or labels.get("cluster", "") not in list(clusters) + [""]:
            continue
        if hosts is not None and labels.get("node") and labels["node"] not in hosts:
            continue
        items.append({"labels": labels, "name": labels.get("alertname", ""), "severity": labels.get("severity", ""), "since": alert["since"],
                      "summary": texts.get("summary", ""), "description": texts.get("description", ""), "action": texts.get("action", ""),
                      "link": texts.get("runbook_url", "")})
    items.sort(key=lambda item: item["since"])
    return sorted(grouped(items, ("name", "severity", "action")), key=lambda one: (severity_rank(one["severity"]), one["name"], one["action"]))


def firing_of(found, rank):
    """How many alerts of a rank fire, of the entries of `alerts`."""
    return sum(one["count"] for one in found if severity_rank(one["severity"]) == rank)


def severity_rank(severity):
    """How bad a severity is: 0 is worst. A site's own are taken for warnings."""
    return {"critical": 0, "info": 2, "none": 2}.get(severity, 1)


def faults(answers):
    """The components that are fatal or degraded somewhere, the fatal ones first: [{component, grade, count, places, more}]."""
    items = [{"labels": labels, "component": labels.get("component", ""), "grade": GRADES[value != 0]} for labels, value in found_faults(answers)]
    return sorted(grouped(items, ("component", "grade")), key=lambda one: (GRADES.index(one["grade"]), one["component"]))


def errors(views, answers, now):
    """The error codes of devices within the window, the latest first: [{kind, code, last, times, count, places, more}].

    last: seconds since the epoch, or None if only an exporter has the code, which does not give its time; times: how often, on how many (`count`) devices
    """
    names = ("cluster", "node", "vendor", "pci_bus_id", "index", "uuid", "kind", "code")
    last = dict((key_of(labels, names), known(value)) for labels, value in answers["values"].get("last", ()))
    items, sums = [], {}
    for key, (labels, value) in best(answers["values"].get("errors", ()), names, max).items():
        kind, code, at = labels.get("kind", ""), labels.get("code", ""), last.get(key)
        if at is not None and at < now - seconds(views["window"]):
            continue
        items.append({"labels": labels, "kind": kind, "code": code})
        total = sums.setdefault((kind, code), {"times": 0, "last": None})
        total["times"] += known(value) or 0
        total["last"] = at if total["last"] is None else max(at or 0, total["last"])
    found = [dict(group, **sums[group["kind"], group["code"]]) for group in grouped(items, ("kind", "code"))]
    return sorted(found, key=lambda one: (-(one["last"] or 0), one["kind"], natural(one["code"])))


def lines(views, answers):
    """One entry for each cluster and vendor: [{cluster, vendor, each trend: [value or None], energy_joules}]."""
    found = {}
    for name in views["trends"]:
        for labels, values in answers["trends"].get(name, ()):
            key = key_of(labels, LINE)
            line = found.setdefault(key, dict(zip(LINE, key), **dict((other, [None] * len(answers["times"])) for other in views["trends"])))
            line[name] = [known(value) for value in values]
    for line in found.values():
        line["energy_joules"] = total(value * seconds(views["step"]) for value in line["power"] if value is not None)
    return [found[key] for key in sorted(found)]


def total(values):
    """The sum of the values that are known; None if none is."""
    found = [value for value in values if value is not None]
    return round(sum(found), 4) if found else None


def totals(views, rows, devices, found, summary, fire):
    """The figures that the report begins with.

    rows: of nodes; devices: rows of devices; found: lines; summary: as verdict.totals gives it; fire: as `alerts` gives it, None if no rules are evaluated
    missing: expected and not seen, in maintenance left out; busy: None if no device says how busy it is
    """
    counted = [item for row in rows for item in row["accelerators"].values()]
    loads = [device["utilization"] for device in devices if device["utilization"] is not None]
    seen = [item["seen"] for item in counted]
    return {
        "nodes": summary["nodes"], "states": summary["states"], "expected": sum(item["expected"] for item in counted),
        "present": None if None in seen else sum(seen),
        "missing": None if None in seen else sum(shortfall(row["state"], item) for row in rows for item in row["accelerators"].values()),
        "busy": sum(load >= views["busy"] for load in loads) if loads else None,
        "power_watts": total(device["power"] for device in devices),
        "energy_joules": total(line["energy_joules"] for line in found),
        "critical_alerts": None if fire is None else firing_of(fire, 0), "warnings": None if fire is None else firing_of(fire, 1),
    }


def words(count, thing):
    """ "1 node", "2 nodes"."""
    return "%d %s%s" % (count, thing, "" if count == 1 else "s")


def named(rows):
    """Names of nodes, the first few of them."""
    names = [row["node"] for row in rows]
    return listing(names) if len(names) < 4 else "%s and %d more" % (", ".join(names[:3]), len(names) - 3)


# The answers, the worst first; `good` is none of them.
LEVELS = ("critical", "warning", "unknown")
# (state of nodes, which answer it is a reason for, what is said of them)
NOT_WELL = (("down", "critical", "down"), ("pending", "warning", "never answered"), ("retired", "warning", "no longer in the inventory"),
            ("replaced", "warning", "replaced by another host"))


def answer(figures, found, rows, problems):
    """{"state", "reasons"}: the answer to "is everything all right?".

    state: critical, warning, unknown (nothing bad is known, but not everything is) or good
    """
    reasons = list(alert_reasons(found)) + list(node_reasons(figures, rows)) + [("unknown", problem) for problem in problems]
    if not rows and not problems:
        reasons.append(("unknown", "no node is registered; run site.yml"))
    state = next((level for level in LEVELS if level in dict(reasons)), "good")
    return {"state": state, "reasons": [text for level in LEVELS for its, text in reasons if its == level]}


def alert_reasons(found):
    """(level, text) of what fires."""
    for rank, level, thing in ((0, "critical", "critical alert"), (1, "warning", "warning")):
        count = firing_of(found, rank)
        if count:
            yield level, "%s fire%s" % (words(count, thing), "s" if count == 1 else "")


def node_reasons(figures, rows):
    """(level, text) of accelerators, nodes and exporters that are not as they should be."""
    if figures["missing"]:
        yield "critical", "%d of %s %s missing" % (figures["missing"], words(figures["expected"], "accelerator"), "is" if figures["missing"] == 1 else "are")
    for state, level, text in NOT_WELL:
        count = figures["states"].get(state, 0)
        if count:
            # The names stand for themselves: one word fits one node and many.
            yield level, "%s %s: %s" % (words(count, "node"), text, named([row for row in rows if row["state"] == state]))
    quiet = [row for row in rows if row["state"] == "active" and "down" in row["exporters"].values()]
    if quiet:
        yield "warning", "%s with an exporter down: %s" % (words(len(quiet), "node"), named(quiet))


def document(views, answers, firing, told, rows, summary, notes, problems, clusters, hosts, now):
    """The whole report.

    firing: as `query.firing` gives them; told: whether these are all, because rules are evaluated
    rows, summary, notes: as the status of the fleet has them; problems: what could not be asked
    """
    devices, found, fire = device_rows(views, answers), lines(views, answers), alerts(firing, clusters, hosts)
    rows = worst_first(rows)
    figures = totals(views, rows, devices, found, summary, fire if told else None)
    return {
        "at": int(now), "clusters": sorted(clusters), "answer": answer(figures, fire, rows, problems), "totals": figures, "alerts": fire, "nodes": rows,
        "devices": devices, "faults": faults(answers), "errors": errors(views, answers, now), "notes": notes, "problems": problems,
        "trends": {"times": answers["times"], "lines": found},
    }
