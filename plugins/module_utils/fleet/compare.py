# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Readings of several sources side by side: pure functions, but for `observe`, which asks the storage.

Keys: device (cluster, node, vendor, index, uuid); node (cluster, node, vendor).
"""
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import query, verdict
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.verdict import aligned

DEVICE = ("cluster", "node", "vendor", "index", "uuid")
NODE = ("cluster", "node", "vendor")
PLACE = re.compile(r"@nodes@")
# What an exporter costs: {column: expression with the matcher of targets}.
COSTS = (
    ("cpu", "max by (cluster, node, job) (rate(process_cpu_seconds_total{%s}[5m]))"),
    ("memory", "max by (cluster, node, job) (process_resident_memory_bytes{%s})"),
    ("samples", "max by (cluster, node, job) (scrape_samples_scraped{%s})"),
    ("seconds", "max by (cluster, node, job) (scrape_duration_seconds{%s})"),
)


def key_of(labels, names):
    """The values of some labels; "" for one that is missing."""
    return tuple(labels.get(name, "") for name in names)


def observe(ask, questions, clusters, hosts):
    """What the storage knows: {"read": {(node key): set of sources}, "elected": {(node key, source): bool},
    "values": {series: {source: {device key: value}}}, "costs": {(cluster, node, job): {column: value}}}.

    ask: function of an expression that gives [(labels, value)]
    hosts: names of nodes, or None for all; only what at least two sources read is asked for further
    """
    def ask_of(nodes, expression):
        return ask(PLACE.sub(lambda _match: nodes, expression))

    everywhere = ([query.matcher("cluster", clusters)] if clusters else []) + ([query.matcher("node", hosts)] if hosts is not None else [])
    read = _read_by_several(questions["present"], lambda expression: ask_of(",".join(everywhere) or 'node!=""', expression))
    seen = {"read": read, "elected": {}, "values": {}, "costs": {}}
    if not read:
        return seen
    nodes = ",".join([query.matcher("cluster", set(key[0] for key in read)), query.matcher("node", set(key[1] for key in read))])
    sources = set().union(*read.values())
    for labels, value in ask("accelmon_source_elected{%s}" % nodes):
        seen["elected"][key_of(labels, NODE), labels.get("source", "")] = value == 1
    for item in questions["series"]:
        for source in [source for source in item["from"] if source in sources]:
            found = dict((key_of(labels, DEVICE), value) for labels, value in ask_of(nodes, item["from"][source]))
            seen["values"].setdefault(item["name"], {}).setdefault(source, {}).update(found)
    jobs = query.matcher("job", set(questions["jobs"][source] for source in sources))
    for column, expression in COSTS:
        for labels, value in ask(expression % (nodes + "," + jobs)):
            seen["costs"].setdefault(key_of(labels, ("cluster", "node", "job")), {})[column] = value
    return seen


def _read_by_several(present, ask):
    """{node key: set of sources} of the devices that more than one source reads. present: {source: expression}"""
    read = {}
    for source, expression in present.items():
        for labels, _value in ask(expression):
            read.setdefault(key_of(labels, NODE), set()).add(source)
    return dict((key, sources) for key, sources in read.items() if len(sources) > 1)


def within(tolerance, values, difference):
    """Whether values differ by no more than so many percent of the largest; without a tolerance never."""
    return bool(tolerance) and difference <= tolerance / 100.0 * max(abs(value) for value in values)


def device_rows(questions, seen, tolerance=0):
    """One row for each device and series that at least one source has: [{cluster, node, vendor, index, uuid, series, unit, values, difference}].

    values: {source: value or None}, for each source that reads the node's devices of this vendor
    difference: largest less smallest; None where only one source has a value
    tolerance: percent of the largest; rows that differ by less are left out, those that one source lacks never are
    """
    rows = []
    for item in questions["series"]:
        found = seen["values"].get(item["name"], {})
        for device in sorted(set(key for values in found.values() for key in values), key=lambda key: [verdict.natural(part) for part in key]):
            sources = seen["read"].get(device[:3], set()) & set(item["from"])
            values = dict((source, found.get(source, {}).get(device)) for source in sorted(sources))
            known = [value for value in values.values() if value is not None]
            if len(sources) < 2 or not known:
                continue
            difference = max(known) - min(known) if len(known) > 1 else None
            if len(known) < len(values) or not within(tolerance, known, difference):
                rows.append(dict(zip(DEVICE, device), series=item["name"], unit=item["unit"], values=values, difference=difference))
    return sorted(rows, key=lambda row: [verdict.natural(row[name]) for name in DEVICE])


def lone_devices(rows):
    """Devices of which one source alone has any value: [(node, index, uuid, source)]. To the others it is another device, or none."""
    having = {}
    for row in rows:
        having.setdefault((row["node"], row["index"], row["uuid"]), set()).update(source for source, value in row["values"].items() if value is not None)
    return [device + tuple(sources) for device, sources in sorted(having.items()) if len(sources) == 1]


def exporter_rows(questions, seen):
    """One row for each node, vendor and source: [{cluster, node, vendor, source, job, elected, cpu, memory, samples, seconds}].

    elected: True, False, or None where the registry has told nothing; cpu in cores, memory in bytes; None where an exporter does not tell it
    """
    rows = []
    for key in sorted(seen["read"]):
        for source in sorted(seen["read"][key]):
            job = questions["jobs"][source]
            costs = seen["costs"].get((key[0], key[1], job), {})
            rows.append(dict(zip(NODE, key), source=source, job=job, elected=seen["elected"].get((key, source)),
                             **dict((column, costs.get(column)) for column, _expression in COSTS)))
    return rows


def words(value):
    """A reading as text: whole numbers in full, others with four digits after the point at most, "-" for None."""
    if value is None:
        return "-"
    return "%d" % value if value == int(value) else ("%.4f" % value).rstrip("0").rstrip(".")


def table(rows):
    """The rows of devices as text, with a column for each source; "" without rows."""
    if not rows:
        return ""
    sources = sorted(set(source for row in rows for source in row["values"]))
    lines = [["NODE", "DEVICE", "UUID", "SERIES"] + [source.upper() for source in sources] + ["DIFFERENCE"]]
    for row in rows:
        lines.append([row["node"], "%s %s" % (row["vendor"], row["index"]), row["uuid"] or "-", row["series"]]
                     + [words(row["values"].get(source)) for source in sources] + [words(row["difference"])])
    return aligned(lines)


def exporter_table(rows):
    """The rows of exporters as text; "" without rows."""
    if not rows:
        return ""
    lines = [["NODE", "VENDOR", "SOURCE", "EXPORTER", "IN CHARGE", "CPU CORES", "MEMORY MB", "SAMPLES", "SCRAPE S"]]
    for row in rows:
        memory = None if row["memory"] is None else round(row["memory"] / 1e6, 1)
        lines.append([row["node"], row["vendor"], row["source"], row["job"], {True: "yes", False: "no", None: "-"}[row["elected"]],
                      words(row["cpu"]), words(memory), words(row["samples"]), words(row["seconds"])])
    return aligned(lines)


def compare(questions, storage_url, timeout, access, clusters, hosts, tolerance):
    """The result of fleet_compare_info; problems in its member `problems`."""
    def ask(expression):
        return query.instant_query(storage_url, expression, timeout, access=access)

    empty = {"rows": [], "exporters": [], "table": "", "exporter_table": "", "problems": []}
    try:
        seen = observe(ask, questions, clusters, hosts)
    except Failure as error:
        return dict(empty, problems=[str(error)])
    if not seen["read"]:
        return dict(empty, problems=["no node has accelerators that are read by two sources; list two exporters in accelmon_exporters and run site.yml"])
    rows, exporters = device_rows(questions, seen), exporter_rows(questions, seen)
    problems = ["%s: device %s (%s) is known by this index and UUID only to %s" % (node, index or "?", uuid or "no UUID", source)
                for node, index, uuid, source in lone_devices(rows)]
    rows = device_rows(questions, seen, tolerance)
    return {"rows": rows, "exporters": exporters, "table": table(rows), "exporter_table": exporter_table(exporters), "problems": problems}
