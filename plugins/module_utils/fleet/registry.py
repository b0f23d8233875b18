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
   "status": "active" | "maintenance" | "pending" (never reached) | "retired" (no longer in the inventory) | "replaced" (another host
   is where it was: it is no target, and nothing is expected of it),
   "replaced_by"?: {"cluster", "host"} of that one,
   "seen": {vendor: {model: count}} when it last answered,
   "highest": {vendor: {model: count}}, the most ever recorded, lowered only by accepting what was seen,
   "unmonitored"?: [vendor] whose devices the host has though no exporter of it reads them,
   "uncounted"?: [[vendor, uuid]] of what all-smi shows as the vendor's device and is not counted, as graphics inside a processor,
   "links"?: {"expected", "seen", "highest": {kind: count}}: active links, of each device or of the host, as the inventory declares them, as
   they were when it last told them, and the most ever told, lowered only by accepting,
   "better"?: {vendor: [source that would know more, why the host cannot get it, the setting that brings it]},
   "alerts"?: {alert: name of the setting that the inventory gives this host alone}}
Nothing here forgets a host or lowers a count unless `prune`, `forget` or `accept` says so.
"""
import json
import os
import re

from ansible_collections.accelmon.fleet.plugins.module_utils import atomic
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.targets import encode

VERSION = 1
STATUSES = ("active", "maintenance", "retired", "pending", "replaced")

# Registries of the time before there was more than one source: what their exporters carried, and the vendors that it read.
FORMER_SOURCES = {"node_exporter": "textfile"}
FORMER_VENDORS = ("amd", "nvidia")

# What the inventory declares holds for a host that did not answer as well; the rest is what was found on it.
DECLARED = ("address", "labels", "state", "expected")
FOUND = ("unmonitored", "uncounted", "better")
# Declared too, and left out where there is none.
DECLARED_MORE = ("alerts",)


FIX = "restore the file from a backup, or move it away and run site.yml without --limit to rebuild it"


def empty(cluster):
    """A registry without hosts."""
    return {"version": VERSION, "cluster": cluster, "generation": 0, "hosts": {}}


def clusters(folder):
    """Names of the clusters that have a registry in a directory, sorted. Raises OSError."""
    return sorted(name[:-5] for name in os.listdir(folder) if name.endswith(".json"))


def read(path, cluster):
    """The registry in the file `path`, the one way in which everybody reads it. None if there is no such file.

    Raises Failure for one that is damaged, OSError for one that cannot be read.
    """
    data = atomic.read(path)
    if data is None:
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Failure("registry %s: not text; %s" % (path, FIX))
    return load(text, cluster, path)


def load(text, cluster, path):
    """The registry in `text`, the content of the file `path`. Raises Failure unless it is one, whole and undamaged."""
    fix = FIX
    try:
        registry = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Failure("registry %s: not JSON (%s); %s" % (path, error, fix))
    if not isinstance(registry, dict) or not isinstance(registry.get("hosts"), dict) or not is_count(registry.get("generation")):
        raise Failure("registry %s: not a fleet registry; %s" % (path, fix))
    if registry.get("version") != VERSION:
        raise Failure("registry %s: version %r, but this collection reads version %d; use the collection that wrote it"
                      % (path, registry.get("version"), VERSION))
    if registry.get("cluster") != cluster:
        raise Failure("registry %s: belongs to cluster %r, not %r; %s" % (path, registry.get("cluster"), cluster, fix))
    for host, entry in registry["hosts"].items():
        wrong = damage(entry) if is_address(host) else "not a host name"
        if wrong:
            raise Failure("registry %s: host %s: %s; %s" % (path, json.dumps(host)[:80], wrong, fix))
    return registry


def is_text(value):
    """Whether a value is one line that can be written."""
    if not isinstance(value, str) or "\n" in value or "\r" in value:
        return False
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def is_count(value):
    """Whether a value is a whole number that can count something."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10 ** 9


def list_of(check):
    """The check for a list."""
    return lambda value: isinstance(value, list) and all(check(item) for item in value)


def map_of(check):
    """The check for a dictionary by names."""
    return lambda value: isinstance(value, dict) and all(is_text(key) and check(item) for key, item in value.items())


def word_of(pattern):
    """The check for a text that a pattern describes."""
    return lambda value: is_text(value) and re.match(pattern + r"\Z", value) is not None


# A scraper that finds another name of a label, or no address, in a file of targets leaves out every target of that file.
is_label, is_address = word_of("[a-zA-Z_][a-zA-Z0-9_]*"), word_of(r"[^\s/]+")


def is_labels(value):
    """Whether a value is labels of a target."""
    return map_of(is_text)(value) and all(is_label(name) for name in value)


def is_exporter(value):
    """Whether a value is the entry of an exporter. Files of targets are named after its job."""
    return (isinstance(value, dict) and word_of("[a-zA-Z_][a-zA-Z0-9_-]*")(value.get("job")) and is_count(value.get("port")) and 0 < value["port"] < 65536
            and value.get("scheme", "http") in ("http", "https") and word_of("/.*")(value.get("path", "/"))
            and is_text(value.get("source", ""))
            and all(list_of(is_text)(value[name] or []) for name in ("elected", "standby", "requires") if name in value)
            and is_labels(value.get("labels") or {}))


LINKS = ("expected", "seen", "highest")

# Members of an entry: what each must be, in words, and the check. The last ones may be missing.
MEMBERS = (
    ("address", "an address", is_address), ("labels", "strings by name", is_labels),
    ("state", "active or maintenance", lambda value: value in ("active", "maintenance")),
    ("expected", "counts by vendor", map_of(is_count)), ("exporters", "a list of exporters", list_of(is_exporter)),
    ("reached", "true or false", lambda value: isinstance(value, bool)),
    ("status", "one of %s" % ", ".join(STATUSES), lambda value: value in STATUSES),
    ("seen", "counts by vendor and model", map_of(map_of(is_count))), ("highest", "counts by vendor and model", map_of(map_of(is_count))))
MORE = (
    ("unmonitored", "a list of vendors", list_of(is_text)),
    ("uncounted", "pairs of vendor and name", list_of(lambda value: list_of(is_text)(value) and len(value) == 2)),
    ("better", "three strings by vendor", map_of(lambda value: list_of(is_text)(value) and len(value) == 3)),
    ("alerts", "strings by alert", map_of(is_text)),
    ("links", "expected, seen and highest counts by kind", lambda value: map_of(map_of(is_count))(value) and set(value) == set(LINKS)),
    ("replaced_by", "a cluster and a host", lambda value: map_of(is_text)(value) and set(value) == set(("cluster", "host"))))


def damage(entry):
    """What is wrong with an entry, in words, or None."""
    if not isinstance(entry, dict):
        return "not a host entry"
    for name, words, check in MEMBERS:
        if name not in entry:
            return "%s is missing" % name
        if not check(entry[name]):
            return "%s is not %s" % (name, words)
    for name, words, check in MORE:
        if name in entry and not check(entry[name]):
            return "%s is not %s" % (name, words)
    if entry["status"] == "replaced" and "replaced_by" not in entry:
        return "replaced_by is missing"
    return None


def dump(registry):
    """Text of a registry: JSON with one host per line, sorted."""
    head = dict((key, value) for key, value in registry.items() if key != "hosts")
    lines = ["%s:%s" % (encode(host), encode(entry)) for host, entry in sorted(registry["hosts"].items())]
    opening = json.dumps(head, sort_keys=True)[:-1]
    return '%s, "hosts": {\n%s\n}}\n' % (opening, ",\n".join(lines))


def records(registry):
    """The hosts of a registry that are scraped, in the shape that `targets.scrape_targets` reads, sorted by name."""
    return [
        {"host": host, "cluster": registry["cluster"], "address": entry["address"], "labels": entry["labels"],
         "exporters": entry["exporters"]}
        for host, entry in present_hosts(registry)
    ]


def present_hosts(registry):
    """[(host, entry)] of the hosts that stand for a machine, sorted: all but those that another one replaced."""
    return sorted((host, entry) for host, entry in registry["hosts"].items() if entry["status"] != "replaced")


def expected(entry):
    """{vendor: number of accelerators that must be there}: declared, else the highest counts of all models together."""
    counts = {}
    for vendor, models in entry["highest"].items():
        counts[vendor] = sum(models.values())
    counts.update(entry["expected"])
    return counts


def expected_links(entry):
    """{kind: number of active links that must be there}: declared, else the highest number seen."""
    links = entry.get("links", {})
    return dict(links.get("highest", {}), **links.get("expected", {}))


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
            found += [(vendor, source, exporter["job"], True) for vendor in exporter.get("elected") or ()]
            found += [(vendor, source, exporter["job"], False) for vendor in exporter.get("standby") or ()]
    return sorted(found)


def is_monitored(entry, vendor):
    """Whether this vendor's devices are missed when they are not there.

    That is so where an exporter is in charge of them, and where all of them are gone, as then nobody can be in charge. Not so
    where they are there and no exporter of the host reads them.
    """
    if vendor in entry.get("unmonitored", ()):
        return False
    if any(vendor in (exporter.get("elected") or ()) for exporter in entry["exporters"]):
        return True
    former = any("standby" not in exporter for exporter in entry["exporters"] if not exporter.get("custom"))
    return vendor in FORMER_VENDORS or not former


def monitored(entry):
    """The part of expected() that alerts and checks go by."""
    return dict((vendor, count) for vendor, count in expected(entry).items() if is_monitored(entry, vendor))


def unmonitored(entry):
    """The part of expected() that is only recorded, without zeros."""
    return dict((vendor, count) for vendor, count in expected(entry).items() if count and not is_monitored(entry, vendor))


def better_sources(clusters):
    """[one line for each vendor and source that hosts go without]: who they are, why, and what brings it.

    clusters: {cluster: registry}
    """
    found = {}
    for _cluster, data in sorted(clusters.items()):
        for host, entry in present_hosts(data):
            for vendor, told in (entry.get("better") or {}).items():
                used = next((source for one, source, _job, charge in elections(entry) if one == vendor and charge), "nothing")
                found.setdefault((vendor, used) + tuple(told), []).append(host)
    return ["%s: %s is read by %s instead of %s: %s; to change that, set %s" % (_named(hosts), vendor, used, source, why, setting)
            for (vendor, used, source, why, setting), hosts in sorted(found.items())]


def _named(hosts):
    """The first hosts by name, and how many more there are."""
    return ", ".join(hosts[:3]) + (" and %d more" % (len(hosts) - 3) if len(hosts) > 3 else "")


def handed_over(before, after, hosts):
    """[one line for each vendor that another source has come to read on some of these hosts]; before, after: the registry at both times."""
    found = {}
    for host in sorted(hosts):
        former, now = ({vendor: source for vendor, source, _job, charge in elections(entry) if charge} if entry else {}
                       for entry in (before["hosts"].get(host), after["hosts"].get(host)))
        for vendor, source in now.items():
            if former.get(vendor, source) != source:
                found.setdefault((vendor, former[vendor], source), []).append(host)
    return ["%s: %s is now read by %s instead of %s" % (_named(hosts), vendor, source, former)
            for (vendor, former, source), hosts in sorted(found.items())]


def by_cluster(records_of_run):
    """{cluster: {host: record}}. Raises Failure when a host occurs twice."""
    clusters = {}
    seen = set()
    for record in records_of_run:
        if record["host"] in seen:
            raise Failure("%s: more than one record in this run; list each host once" % record["host"])
        seen.add(record["host"])
        clusters.setdefault(record["cluster"], {})[record["host"]] = record
    return clusters


def places(entry):
    """{(address, port)} at which a host is scraped."""
    return set((entry["address"].lower().rstrip("."), exporter["port"]) for exporter in entry["exporters"])


def successions(registries, found, inventory):
    """({cluster: {host: {"cluster", "host"}}}, {(cluster, host): entry}): who replaces whom in this run, and whose entry each goes on with.

    registries: {cluster: registry} before the run; found: {cluster: {host: record}} of it; inventory: names of all its hosts

    A machine is where it is scraped. Who has a record there takes over from a name that has none, if that name left the inventory or this
    cluster, or if the new one answered. What was counted follows the machine: a new name goes on with what was counted there. A name
    that was elsewhere before goes on with what it has seen itself or what was seen there, whichever fits what it sees now; if neither
    does, with the higher counts of both.
    """
    home = dict((host, cluster) for cluster, records_of in found.items() for host in records_of)
    taken = _places_taken(found)
    replaced, left, there = {}, {}, {}
    for cluster, registry in sorted(registries.items()):
        for host, entry in sorted(registry["hosts"].items()):
            if entry["status"] == "replaced":
                continue
            heirs = [taken[place] for place in sorted(places(entry)) if place in taken]
            mover = (home[host], host) if home.get(host, cluster) != cluster else None
            heir, gone, beside = _heir((cluster, host), heirs, mover, cluster in found, host not in inventory)
            if heir is None:
                continue
            (left if gone else there).setdefault(heir, []).append(entry)
            for other in beside:
                there.setdefault(other, []).append(entry)
            if host not in found.get(cluster, ()) and (gone or found[heir[0]][heir[1]]["answered"]):
                replaced.setdefault(cluster, {})[host] = {"cluster": heir[0], "host": heir[1]}
    former = {}
    for cluster, host in set(left) | set(there):
        own = registries.get(cluster, {"hosts": {}})["hosts"].get(host)
        entry = _former(own, found[cluster][host], left.get((cluster, host), []), there.get((cluster, host), []))
        if entry is not None:
            former[(cluster, host)] = entry
    return replaced, former


def _places_taken(found):
    """{place: (cluster, host)}: who is scraped where in this run; of several, the first by name."""
    taken = {}
    for cluster in sorted(found):
        for host, record in sorted(found[cluster].items()):
            for place in places(record):
                taken.setdefault(place, (cluster, host))
    return taken


def _heir(name, heirs, mover, cluster_runs, left):
    """Who takes over the machine of a name, a (cluster, host): (heir or None, whether the name is gone from there, others who are there too).

    heirs: who has a record at the places of the name; mover: the same host in another cluster of this run, or None
    cluster_runs: whether this run has hosts of the name's cluster; left: whether the host left the inventory
    """
    if mover and (mover in heirs or cluster_runs):
        # A name that is in another cluster now; one of another inventory, which only is called the same, is at another place.
        return mover, True, set(heirs) - set([mover])
    if heirs and name not in heirs:
        return heirs[0], left, ()
    return None, False, ()


def _former(own, record, left, there):
    """The entry that a host goes on with, or None for a new one. left: entries of names that are gone; there: of names that live on."""
    if own is None or own["status"] == "replaced":
        # Who was there last; a name that left the inventory long ago may have been another machine.
        latest = [entry for entry in left if entry["status"] != "retired"] or left
        return _together(latest) if latest else own
    if places(own) & places(record):
        return own
    others = left + there
    if not record["answered"] or own["seen"] == record["accelerators"]:
        return own
    fitting = [entry for entry in others if entry["seen"] == record["accelerators"]]
    return fitting[0] if fitting else _together([own] + others)


def _together(entries):
    """The first entry, with the highest counts of all."""
    highest = {}
    for entry in entries:
        highest = _highest(highest, entry["highest"])
    return dict(entries[0], highest=highest)


def merge(registry, found, present, full_run=False, prune=False, prune_force=False, accept=(), replaced=None, former=None):
    """The registry after a run, and what changed.

    found: {host: record} of this run and this cluster
    present: set of the hosts that the inventory has in this cluster, or without a record in this run
    full_run: whether the run saw the whole inventory; only then are hosts retired, and pruned with `prune`
    accept: names of hosts whose last seen accelerators become the expected ones
    replaced: {host: who is in its place}; former: {host: the entry it goes on with}; both as `successions` finds them
    Returns (registry, {"added", "updated", "removed": names of this run, "retired", "replaced"?, "pending": all such hosts,
    "accepted": {host: {vendor or kind of links: [expected before, after]}}}). The argument is left as it was.
    Raises Failure when pruning would remove too many hosts; nothing is merged then.
    """
    hosts = registry["hosts"]
    replaced, former = replaced or {}, former or {}
    merged = dict((host, _without_record(host, entry, replaced, full_run and host not in present)) for host, entry in hosts.items())
    for host, record in found.items():
        merged[host] = _merge_record(former.get(host, hosts.get(host)), record)
    accepted = _accept(merged, accept)
    removed = _with(merged, "retired", "replaced") if prune and full_run else []
    _guard(registry["cluster"], removed, len(hosts), prune_force)
    for host in removed:
        del merged[host]
    after = {"version": VERSION, "cluster": registry["cluster"], "generation": registry["generation"] + (merged != hosts), "hosts": merged}
    return after, _changes(hosts, merged, removed, accepted)


def forget(registry, names):
    """The registry without these hosts, [(cluster, host)], and those that they replaced; and what changed, as `merge` returns it."""
    hosts = registry["hosts"]
    removed = sorted(host for host, entry in hosts.items() if (registry["cluster"], host) in names
                     or entry["status"] == "replaced" and (entry["replaced_by"]["cluster"], entry["replaced_by"]["host"]) in names)
    left = dict((host, entry) for host, entry in hosts.items() if host not in removed)
    return dict(registry, generation=registry["generation"] + bool(removed), hosts=left), _changes(hosts, left, removed, {})


def _without_record(host, entry, replaced, gone):
    """The entry of a host that has no record in this run. gone: whether the inventory no longer has the host."""
    if host in replaced:
        return dict(entry, status="replaced", replaced_by=replaced[host])
    if entry["status"] == "replaced":
        return entry  # until it has a record again
    return _with_status(entry, retired=gone or entry["status"] == "retired")


def _accept(merged, names):
    """Expect of these hosts what was last seen on them. Returns what that changes: {host: {vendor or kind of links: [expected before, after]}}."""
    accepted = {}
    for host in names:
        if host in merged:
            before = dict(expected(merged[host]), **expected_links(merged[host]))
            merged[host] = dict(merged[host], highest=_copy(merged[host]["seen"]))
            if "links" in merged[host]:
                merged[host]["links"] = dict(merged[host]["links"], highest=dict(merged[host]["links"]["seen"]))
            change = _changed_counts(before, dict(expected(merged[host]), **expected_links(merged[host])))
            if change:
                accepted[host] = change
    return accepted


def _with(merged, *statuses):
    """Names of the hosts that have one of these states."""
    return sorted(host for host, entry in merged.items() if entry["status"] in statuses)


def _changes(before, after, removed, accepted):
    """What a run changed, by its hosts before and after."""
    changes = {
        "added": sorted(host for host in after if host not in before),
        "updated": sorted(host for host in after if host in before and after[host] != before[host]),
        "removed": removed,
        "retired": _with(after, "retired"),
        "pending": _with(after, "pending"),
        "accepted": accepted,
    }
    replaced = _with(after, "replaced")
    if replaced:
        changes["replaced"] = replaced
    return changes


def _merge_record(entry, record):
    """The entry of a host after a record of it. `entry` is None for a host that is new."""
    merged = dict((name, record[name]) for name in DECLARED)
    merged["exporters"] = _exporters(entry, record)
    old = entry or {"reached": False, "seen": {}, "highest": {}}
    merged["reached"] = old["reached"] or record["answered"]
    merged["seen"] = _copy(record["accelerators"]) if record["answered"] else old["seen"]
    merged["highest"] = _highest(old["highest"], merged["seen"])
    merged.update((name, record[name]) for name in DECLARED_MORE if record.get(name))
    merged.update(_links(old.get("links", {}), record.get("links", {})))
    for name in FOUND:
        found = (record if record["answered"] else old).get(name)
        if found:
            merged[name] = found
    return _with_status(merged, retired=False)


def _exporters(entry, record):
    """Those of a record; where the host did not answer, only the custom ones, which need no answer, beside those that were known."""
    if record["answered"] or entry is None or not entry["reached"]:
        return record["exporters"]
    return ([exporter for exporter in entry["exporters"] if not exporter.get("custom")]
            + [exporter for exporter in record["exporters"] if exporter.get("custom")])


def _links(old, record):
    """{"links": those of an entry} after a record of them, {} if nothing is known of any. What the host does not tell stays as it was."""
    # None are nothing to record as long as there have never been any: a host without links is the same before and after somebody counts them.
    seen = dict(old.get("seen", {}), **dict((kind, count) for kind, count in record.get("seen", {}).items() if count or kind in old.get("seen", {})))
    highest = dict((kind, max(count, old.get("highest", {}).get(kind, 0))) for kind, count in seen.items())
    links = {"expected": record.get("expected", {}), "seen": seen, "highest": dict(old.get("highest", {}), **highest)}
    return {"links": links} if any(links.values()) else {}


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
    raise Failure(
        "cluster %s: accelmon_prune = true: %d of %d hosts would be removed from the registry, more than the %d allowed: %s; "
        "check that the inventory is complete, then set accelmon_prune_force to true for one run"
        % (cluster, len(removed), total, allowed(total), ", ".join(removed)))


def series(registry):
    """Text of the series that the monitoring host publishes about the fleet, in the Prometheus text format."""
    cluster = registry["cluster"]
    hosts = present_hosts(registry)
    lines = []

    def family(name, text, rows):
        """rows: (labels, value) of each of its series."""
        lines.extend(["# HELP %s %s" % (name, text), "# TYPE %s gauge" % name])
        lines.extend("%s%s %d" % (name, _labels(**labels), value) for labels, value in rows)

    def of_hosts(rows):
        """The rows of every host with the labels of the host. rows: what to ask for the (labels, value) of an entry."""
        return [(dict(labels, cluster=cluster, node=host), value) for host, entry in hosts for labels, value in rows(entry)]

    family("accelmon_fleet_generation", "Generation of the fleet registry; increases with every change.",
           [({"cluster": cluster}, registry["generation"])])
    # With the labels that the site declares, for alerts and queries to join.
    family("accelmon_fleet_node_info", "Host of the fleet and its state in the registry.",
           of_hosts(lambda entry: [(dict(entry["labels"], state=entry["status"]), 1)]))
    family("accelmon_expected_accelerators", "Number of accelerators that the host must have.",
           of_hosts(lambda entry: [({"vendor": vendor}, count) for vendor, count in sorted(monitored(entry).items())]))
    family("accelmon_expected_links", "Number of active links that each device must have; of InfiniBand, ports that the host must have.",
           of_hosts(lambda entry: [({"kind": kind}, count) for kind, count in sorted(expected_links(entry).items()) if count]))
    family("accelmon_fleet_uncounted_device", "Shown by an exporter as a device of the vendor but not counted, such as integrated graphics.",
           of_hosts(lambda entry: [({"vendor": vendor, "uuid": uuid}, 1) for vendor, uuid in entry.get("uncounted", ())]))
    family("accelmon_alert_setting", "Setting of an alert that the host has instead of the fleet's.",
           of_hosts(lambda entry: [({"alert": alert, "setting": setting}, 1) for alert, setting in sorted(entry.get("alerts", {}).items())]))
    family("accelmon_source_elected", "Whether a source is in charge of the vendor's devices on the host (1) or on standby (0).",
           of_hosts(lambda entry: [({"vendor": vendor, "source": source, "job": job}, charge) for vendor, source, job, charge in elections(entry)]))
    return "\n".join(lines) + "\n"


def _labels(**labels):
    pairs = ('%s="%s"' % (name, value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"'))
             for name, value in sorted(labels.items()))
    return "{%s}" % ",".join(pairs)
