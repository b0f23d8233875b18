# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fleet registry of one cluster: pure functions that merge records into it and publish it.

A registry is
  {"version": 1, "cluster": name, "generation": n, "hosts": {host: entry}}
and an entry is
  {"address", "labels", "state", "expected", "exporters": as in the fleet record, each with "elected" and "standby":
   vendors that its `source` is in charge of, or could be,
   "reached": whether the host ever answered,
   "status": "active" | "maintenance" | "pending" (never reached) | "retired" (no longer in the inventory),
   "seen": {vendor: {model: count}} when it last answered,
   "highest": {vendor: {model: count}}, the most ever recorded, lowered only by accepting what was seen,
   "unwatched"?: [vendor] whose devices the host has though no exporter of it reads them,
   "uncounted"?: [[vendor, uuid]] of what all-smi shows as the vendor's device and is not counted, as graphics inside a processor,
   "better"?: {vendor: [source that would know more, why the host cannot get it, the setting that brings it]}}
Nothing here forgets a host or lowers a count unless `prune` or `accept` says so.
"""
import json

from ansible_collections.accelmon.fleet.plugins.module_utils.targets import encode

VERSION = 1
STATUSES = ("active", "maintenance", "retired", "pending")

# Registries of the time before there was more than one source: what their exporters carried, and the vendors that it read.
FORMER_SOURCES = {"node_exporter": "textfile"}
FORMER_VENDORS = ("amd", "nvidia")

# What the inventory declares holds for a host that did not answer as well; the rest is what was found on it.
DECLARED = ("address", "labels", "state", "expected")
FOUND = ("unwatched", "uncounted", "better")


class RegistryError(Exception):
    """The registry cannot be read, or a merge is refused. The message is one line with the mend."""


def empty(cluster):
    """A registry without hosts."""
    return {"version": VERSION, "cluster": cluster, "generation": 0, "hosts": {}}


def load(text, cluster, path):
    """The registry in `text`, the content of the file `path`. Raises RegistryError unless it is one."""
    mend = "restore the file from a backup, or move it away and run site.yml without --limit to build it anew"
    try:
        registry = json.loads(text)
    except ValueError as error:
        raise RegistryError("registry %s: not JSON (%s); %s" % (path, error, mend))
    if not isinstance(registry, dict) or not isinstance(registry.get("hosts"), dict) \
            or not isinstance(registry.get("generation"), int):
        raise RegistryError("registry %s: not a fleet registry; %s" % (path, mend))
    if registry.get("version") != VERSION:
        raise RegistryError("registry %s: version %r, but this collection reads version %d; use the collection that wrote it"
                            % (path, registry.get("version"), VERSION))
    if registry.get("cluster") != cluster:
        raise RegistryError("registry %s: belongs to cluster %r, not %r; %s" % (path, registry.get("cluster"), cluster, mend))
    return registry


def dump(registry):
    """Text of a registry: JSON with one host per line, sorted."""
    head = dict((key, value) for key, value in registry.items() if key != "hosts")
    lines = ["%s:%s" % (encode(host), encode(entry)) for host, entry in sorted(registry["hosts"].items())]
    opening = json.dumps(head, sort_keys=True)[:-1]
    return '%s, "hosts": {\n%s\n}}\n' % (opening, ",\n".join(lines))


def records(registry):
    """The hosts of a registry in the shape that `targets.scrape_targets` reads, sorted by name."""
    return [
        {"host": host, "cluster": registry["cluster"], "address": entry["address"], "labels": entry["labels"],
         "exporters": entry["exporters"]}
        for host, entry in sorted(registry["hosts"].items())
    ]


def expected(entry):
    """{vendor: number of accelerators that must be there}: declared, else the highest counts of all models together."""
    counts = {}
    for vendor, models in entry["highest"].items():
        counts[vendor] = sum(models.values())
    counts.update(entry["expected"])
    return counts


def source_of(exporter):
    """The source of series about devices that an exporter carries, or None."""
    if "standby" in exporter:
        return exporter.get("source")
    return FORMER_SOURCES.get(exporter["job"]) if exporter.get("elected") else None


def elections(entry):
    """[(vendor, source, job, whether it is in charge)] of a host, sorted."""
    found = []
    for exporter in entry["exporters"]:
        source = source_of(exporter)
        if source:
            found += [(vendor, source, exporter["job"], True) for vendor in exporter["elected"]]
            found += [(vendor, source, exporter["job"], False) for vendor in exporter.get("standby") or ()]
    return sorted(found)


def is_watched(entry, vendor):
    """Whether this vendor's devices are missed when they are not there.

    That is so where an exporter is in charge of them, and where all of them are gone, as then nobody can be in charge. Not so
    where they are there and no exporter of the host reads them.
    """
    if vendor in entry.get("unwatched", ()):
        return False
    if any(vendor in (exporter.get("elected") or ()) for exporter in entry["exporters"]):
        return True
    former = any("standby" not in exporter for exporter in entry["exporters"] if not exporter.get("custom"))
    return vendor in FORMER_VENDORS or not former


def watched(entry):
    """The part of expected() that alerts and checks go by."""
    return dict((vendor, count) for vendor, count in expected(entry).items() if is_watched(entry, vendor))


def unwatched(entry):
    """The part of expected() that is only recorded, without zeros."""
    return dict((vendor, count) for vendor, count in expected(entry).items() if count and not is_watched(entry, vendor))


def better_sources(clusters):
    """[one line for each vendor and source that hosts go without]: who they are, why, and what brings it.

    clusters: {cluster: registry}
    """
    found = {}
    for _cluster, data in sorted(clusters.items()):
        for host, entry in sorted(data["hosts"].items()):
            for vendor, told in (entry.get("better") or {}).items():
                used = next((source for one, source, _job, charge in elections(entry) if one == vendor and charge), "nothing")
                found.setdefault((vendor, used) + tuple(told), []).append(host)
    lines = []
    for (vendor, used, source, why, setting), hosts in sorted(found.items()):
        named = ", ".join(hosts[:3]) + (" and %d more" % (len(hosts) - 3) if len(hosts) > 3 else "")
        lines.append("%s: %s is read by %s, not by %s: %s; for that set %s" % (named, vendor, used, source, why, setting))
    return lines


def by_cluster(records_of_run):
    """{cluster: {host: record}}. Raises RegistryError when a host occurs twice."""
    clusters = {}
    seen = set()
    for record in records_of_run:
        if record["host"] in seen:
            raise RegistryError("%s: more than one record in this run; give each host once" % record["host"])
        seen.add(record["host"])
        clusters.setdefault(record["cluster"], {})[record["host"]] = record
    return clusters


def merge(registry, found, present, full_run=False, prune=False, prune_force=False, accept=()):
    """The registry after a run, and what changed.

    found: {host: record} of this run and this cluster
    present: set of the hosts that the inventory has in this cluster, or without a record in this run
    full_run: whether the run saw the whole inventory; only then are hosts retired, and pruned with `prune`
    accept: names of hosts whose last seen accelerators become the expected ones
    Returns (registry, {"added", "updated", "removed": names of this run, "retired", "pending": all such hosts,
    "accepted": {host: {vendor: [expected before, after]}}}). The argument is left as it was.
    Raises RegistryError when pruning would remove too many hosts; nothing is merged then.
    """
    hosts = registry["hosts"]
    merged = {}
    for host, entry in hosts.items():
        gone = full_run and host not in present and host not in found
        merged[host] = _with_status(entry, retired=gone or (entry["status"] == "retired" and host not in found))
    for host, record in found.items():
        merged[host] = _merge_record(hosts.get(host), record)
    accepted = {}
    for host in accept:
        if host in merged:
            before = expected(merged[host])
            merged[host] = dict(merged[host], highest=_copy(merged[host]["seen"]))
            change = _changed_counts(before, expected(merged[host]))
            if change:
                accepted[host] = change
    removed = []
    if prune and full_run:
        removed = sorted(host for host, entry in merged.items() if entry["status"] == "retired")
        _guard(registry["cluster"], removed, len(hosts), prune_force)
        for host in removed:
            del merged[host]
    generation = registry["generation"]
    if merged != hosts:
        generation += 1
    changes = {
        "added": sorted(host for host in merged if host not in hosts),
        "updated": sorted(host for host in merged if host in hosts and merged[host] != hosts[host]),
        "removed": removed,
        "retired": sorted(host for host, entry in merged.items() if entry["status"] == "retired"),
        "pending": sorted(host for host, entry in merged.items() if entry["status"] == "pending"),
        "accepted": accepted,
    }
    return {"version": VERSION, "cluster": registry["cluster"], "generation": generation, "hosts": merged}, changes


def _merge_record(entry, record):
    """The entry of a host after a record of it. `entry` is None for a host that is new."""
    merged = dict((name, record[name]) for name in DECLARED)
    if record["answered"] or entry is None or not entry["reached"]:
        merged["exporters"] = record["exporters"]
    else:
        merged["exporters"] = (
            [exporter for exporter in entry["exporters"] if not exporter.get("custom")]
            + [exporter for exporter in record["exporters"] if exporter.get("custom")])
    old = entry or {"reached": False, "seen": {}, "highest": {}}
    merged["reached"] = old["reached"] or record["answered"]
    merged["seen"] = _copy(record["accelerators"]) if record["answered"] else old["seen"]
    merged["highest"] = _highest(old["highest"], merged["seen"])
    for name in FOUND:
        found = (record if record["answered"] else old).get(name)
        if found:
            merged[name] = found
    return _with_status(merged, retired=False)


def _with_status(entry, retired):
    if retired:
        status = "retired"
    elif entry["state"] == "maintenance":
        status = "maintenance"
    else:
        status = "active" if entry["reached"] else "pending"
    return dict(entry, status=status)


def _highest(highest, seen):
    """The greater count of every vendor and model."""
    merged = _copy(highest)
    for vendor, models in seen.items():
        for model, count in models.items():
            known = merged.setdefault(vendor, {})
            known[model] = max(known.get(model, 0), count)
    return merged


def _copy(counts):
    return dict((vendor, dict(models)) for vendor, models in counts.items())


def _changed_counts(before, after):
    return dict((vendor, [before.get(vendor, 0), after.get(vendor, 0)]) for vendor in set(before) | set(after)
                if before.get(vendor, 0) != after.get(vendor, 0))


def allowed(total):
    """How many of `total` hosts may be pruned without force: 10 %, at least 3."""
    return max(3, total // 10)


def _guard(cluster, removed, total, force):
    if force or len(removed) <= allowed(total):
        return
    raise RegistryError(
        "cluster %s: accelmon_prune = true: %d of %d hosts would be forgotten, more than the %d allowed: %s; "
        "check that the inventory is whole, then set accelmon_prune_force to true for one run"
        % (cluster, len(removed), total, allowed(total), ", ".join(removed)))


def series(registry):
    """Text of the series that the scraping host publishes about the fleet, in the Prometheus text format."""
    cluster = registry["cluster"]
    lines = [
        "# HELP accelmon_fleet_generation Generation of the fleet registry, which grows with every change.",
        "# TYPE accelmon_fleet_generation gauge",
        "accelmon_fleet_generation%s %d" % (_labels(cluster=cluster), registry["generation"]),
        "# HELP accelmon_fleet_node_info Host of the fleet and its state in the registry.",
        "# TYPE accelmon_fleet_node_info gauge",
    ]
    hosts = sorted(registry["hosts"].items())
    for host, entry in hosts:
        lines.append("accelmon_fleet_node_info%s 1" % _labels(cluster=cluster, node=host, state=entry["status"]))
    lines.append("# HELP accelmon_expected_accelerators Number of accelerators that the host must have.")
    lines.append("# TYPE accelmon_expected_accelerators gauge")
    for host, entry in hosts:
        for vendor, count in sorted(watched(entry).items()):
            lines.append("accelmon_expected_accelerators%s %d" % (_labels(cluster=cluster, node=host, vendor=vendor), count))
    lines.append("# HELP accelmon_fleet_uncounted_device What an exporter shows as a device of the vendor and is not counted, as graphics inside a processor.")
    lines.append("# TYPE accelmon_fleet_uncounted_device gauge")
    for host, entry in hosts:
        for vendor, uuid in entry.get("uncounted", ()):
            lines.append("accelmon_fleet_uncounted_device%s 1" % _labels(cluster=cluster, node=host, vendor=vendor, uuid=uuid))
    lines.append("# HELP accelmon_source_elected Whether a source is in charge of the vendor's devices on the host (1) or stands by (0).")
    lines.append("# TYPE accelmon_source_elected gauge")
    for host, entry in hosts:
        for vendor, source, job, charge in elections(entry):
            labels = _labels(cluster=cluster, node=host, vendor=vendor, source=source, job=job)
            lines.append("accelmon_source_elected%s %d" % (labels, charge))
    return "\n".join(lines) + "\n"


def _labels(**labels):
    pairs = ('%s="%s"' % (name, value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"'))
             for name, value in sorted(labels.items()))
    return "{%s}" % ",".join(pairs)
