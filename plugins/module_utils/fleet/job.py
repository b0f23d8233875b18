# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of one job as data: when it ran, on which devices, what it did with them and what happened to them.

Pure functions, but for those that get `ask` and `ask_range`: functions of (expression, moment) that give [(labels, value)], and of
(expression, start, end, step) that give [(labels, samples)]. views: what the filter `_job_views` gives
A value that is not known is None, never 0. Of a job that had a device twice, or of two racks, all rows count.
"""
import time

from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import query
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.compare import key_of
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.report import grouped, known, severity_rank, total, words
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.verdict import listing, natural

# What a device is known by. A job's own series has no vendor.
DEVICE = ("cluster", "node", "index", "uuid")
ON = "on (%s)" % ", ".join(DEVICE)
OWNER = ("user", "account", "partition")
IDENTITY = ("vendor", "model", "rack", "serial", "pci_bus_id")
MODEL = ("vendor", "model")
HOUR, DAY = 3600, 86400
# Seconds between two moments that are looked at: whole parts of an hour, then of a day.
TICKS = (60, 120, 300, 600, 900, 1800, 3600)
STEPS = (30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, DAY)
# Moments of the job's time: of each device, of a line, and of those at which others are compared, which are all devices of the cluster.
MOMENTS, POINTS, COMPARED = 300, 96, 4
# An error that ends a job is read, and alerts, a little after it.
AFTER = 300
ERROR = ("cluster", "node", "pci_bus_id", "index", "uuid", "kind", "code")
MOST = 3  # owners of a job that are named, and devices in a reason


def moment(seconds):
    """A time of the storage as text, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def least(sizes, wanted):
    """The smallest of the sizes that is not below what is wanted, or the largest."""
    return next((size for size in sizes if size >= wanted), sizes[-1])


def selected(job_id, cluster="", hosts=None):
    """Selector of the job's own series. job_id: any text; cluster, hosts: of these only, if given"""
    matchers = [query.exactly("job_id", job_id)] + ([query.exactly("cluster", cluster)] if cluster else [])
    return "accelerator_job_info{%s}" % ",".join(matchers + ([query.matcher("node", hosts)] if hosts is not None else []))


def runs(points):
    """[(first, last)] of the points in time, which are an hour apart, without those between."""
    found = []
    for point in sorted(points):
        if found and point - found[-1][1] <= HOUR:
            found[-1] = (found[-1][0], point)
        else:
            found.append((point, point))
    return found


def find(ask, ask_range, asked, days, interval, now):
    """{id, cluster, user, account, partition, begin, end, seconds, running, longer, earlier: [[begin, end]]} of the job's last run. Raises Failure.

    longer: whether it may have begun before the time that was looked at
    asked: (id, cluster or "", hosts or None); days: how far to look back; interval: seconds between two scrapes
    """
    job_id, cluster, hosts = asked
    # The newest seconds may not be stored yet.
    last = int(now - 5) // 60 * 60
    first = last - days * DAY
    rows = ask_range("count by (cluster, %s) (last_over_time(%s[1h]))" % (", ".join(OWNER), selected(*asked)), first, last, HOUR)
    points = {}
    for labels, samples in rows:
        points.setdefault(labels.get("cluster", ""), set()).update(int(at) for at, _count in samples)
    if not points:
        raise Failure(missing(ask, cluster, hosts, days, now))
    if len(points) > 1:
        times = ["%s (%s)" % (name, ", ".join("%s to %s" % (moment(began - HOUR), moment(end)) for began, end in runs(points[name])[-MOST:]))
                 for name in sorted(points)]
        raise Failure("%d clusters had a job with this id: %s; add -e accelmon_job_cluster=%s" % (len(points), listing(times), sorted(points)[0]))
    cluster, found = next(iter(points.items()))
    found = runs(found)
    begin, end = edges(ask_range, selected(job_id, cluster, hosts), found[-1], least(TICKS, 2 * interval))
    owners = dict((name, set()) for name in OWNER)
    for labels, samples in rows:
        if any(found[-1][0] <= at <= found[-1][1] for at, _count in samples):
            for name in OWNER:
                owners[name].update([labels[name]] if labels.get(name) else [])
    running = end >= last - least(TICKS, 2 * interval) and bool(ask("count(%s)" % selected(job_id, cluster, hosts), now))
    job = {"id": job_id, "cluster": cluster, "begin": begin, "end": end, "seconds": end - begin, "running": running,
           "longer": found[-1][0] == first, "earlier": [[began - HOUR, ended] for began, ended in found[:-1]]}
    job.update((name, ", ".join(sorted(texts)[:MOST])) for name, texts in owners.items())
    return job


def missing(ask, cluster, hosts, days, now):
    """Why a job was not found, as `wrong; fix`."""
    where = (" of cluster %s" % cluster if cluster else "") + (" of the hosts in --limit" if hosts is not None else "")
    if ask("count(accelerator_job_info)", now):
        return "no device%s had this job in the last %s; check the id, or look further back with accelmon_job_days" % (where, words(days, "day"))
    return "not found in the last %s, and no node reports any job now; docs/jobs.md says how to have jobs reported" % words(days, "day")


def edges(ask_range, selector, run, tick):
    """(begin, end) of a run that is known to the hour, to a tick."""
    expression = "group by (cluster) (last_over_time(%s[%ds]))" % (selector, tick)
    seen = []
    for hour in sorted(set(run)):
        for _labels, samples in ask_range(expression, hour - HOUR + tick, hour, tick):
            seen += [int(at) for at, _one in samples]
    # Where the storage lost samples meanwhile, the hours still hold.
    return (min(seen) - tick, max(seen)) if seen else (run[0] - HOUR, run[1])


def step_of(job, most, interval):
    """Seconds between two moments of which there are so many at most: each has samples of its own."""
    return least(STEPS, max(2 * interval, -(-job["seconds"] // most)))


def of_devices(expression, held):
    """The expression where the job has the device, one value for each."""
    return "max by (%s) (%s) and %s %s" % (", ".join(DEVICE + ("vendor",)), expression, ON, held)


def over(function, expression, seconds, step):
    """A function over the moments of an expression."""
    return "%s_over_time((%s)[%ds:%ds])" % (function, expression, seconds, step)


def observe(ask, ask_range, views, job, hosts, interval, now):
    """(answers, problems) about a job. An error of the storage ends it, and what it answered before stays.

    answers: {held, info (None before it was asked), values: {view: rows}, lines: {view: [(moment, value)]}, times, last, before, after, alerts: rows,
    peers: [rows of a moment], step}
    """
    answers = {"held": [], "info": None, "values": {}, "lines": {}, "times": [], "last": [], "before": [], "after": [], "alerts": [], "peers": [],
               "step": step_of(job, MOMENTS, interval)}
    seconds, end, step, every = job["seconds"], job["end"], answers["step"], step_of(job, POINTS, interval)
    answers["times"] = list(range(-(-job["begin"] // every) * every, end + 1, every)) or [end // every * every]
    held, cluster = selected(job["id"], job["cluster"], hosts), query.exactly("cluster", job["cluster"])
    try:
        answers["held"] = ask(over("count", "group by (%s) (%s)" % (", ".join(DEVICE), held), seconds, step), end)
        if not answers["held"]:
            # It had them for less than the time between two moments.
            answers["held"] = ask("group by (%s) (last_over_time(%s[%ds]))" % (", ".join(DEVICE), held, seconds), end)
        where = cluster + "," + query.roughly("node", set(labels.get("node", "") for labels, _value in answers["held"]))

        def filled(view, matchers=where):
            return view["query"].replace("@nodes@", matchers)

        answers["info"] = ask(over("count", "accelerator_info{%s} and %s %s" % (where, ON, held), seconds, step), end)
        for name, view in sorted(views["devices"].items()):
            answers["values"][name] = ask(over(view["over"], of_devices(filled(view), held), seconds, step), end)
        for name, view in sorted(views["lines"].items()):
            expression = "%s by (cluster) (%s)" % (view["over"], of_devices(filled(view), held))
            found = ask_range(expression, answers["times"][0], answers["times"][-1], every)
            answers["lines"][name] = [(int(at), value) for _labels, samples in found for at, value in samples]
        late = min(int(now), end + AFTER)
        span = late - job["begin"]
        stamped = "accelerator_error_last_timestamp_seconds{%s} >= %d <= %d" % (where, job["begin"], end + 60)
        answers["last"] = ask(over("max", stamped, span, least(STEPS, max(60, span // MOMENTS))), late)
        counts = "max by (%s) (last_over_time(accelerator_errors_total{%s}[10m]))" % (", ".join(ERROR), where)
        answers["before"], answers["after"] = ask(counts, job["begin"]), ask(counts, late)
        answers["alerts"] = ask(over("count", 'ALERTS{alertstate="firing",%s}' % where, span, step), late)
        for at in compared(job):
            answers["peers"].append(ask(peers(views, where, cluster, held), at))
    except Failure as error:
        return answers, [str(error)]
    return answers, []


def compared(job):
    """Moments at which the job's devices are compared with others."""
    count = max(1, min(COMPARED, job["seconds"] // 60))
    return [job["begin"] + int(job["seconds"] * (place + 0.5) / count) for place in range(count)]


def peers(views, where, cluster, held):
    """Expression: for each model, the medians of the readings of the job's devices and of busy ones that it does not have."""
    terms = []
    busy = "accelerator_utilization_ratio{%s} >= %s" % (cluster, views["busy"])
    for name in views["peers"]:
        reading = views["devices"][name]["query"]
        whose = {"job": "%s and %s %s" % (reading.replace("@nodes@", where), ON, held),
                 "others": "(%s and %s (%s)) unless %s %s" % (reading.replace("@nodes@", cluster), ON, busy, ON, held)}
        for who, expression in sorted(whose.items()):
            middle = "quantile by (vendor, model) (0.5, %s)" % expression
            terms.append('label_replace(label_replace(%s, "reading", "%s", "", ""), "whose", "%s", "", "")' % (middle, name, who))
    return " or ".join(terms)


def median(values):
    """The median of values, None of none."""
    values = sorted(values)
    middle = len(values) // 2
    if not values:
        return None
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2.0


def summed(rows):
    """{device: sum of the values} of rows that may have a device more than once."""
    found = {}
    for labels, value in rows:
        key = key_of(labels, DEVICE)
        found[key] = found.get(key, 0) + value
    return found


def values_of(view, rows, step):
    """{device: value} of a view; of a device that two vendors claim, the last one."""
    found = dict((key_of(labels, DEVICE), known(value * (step if view["over"] == "sum" else 1))) for labels, value in rows)
    if view["unit"] == "ratio":
        # A rate over a few samples may be somewhat above the whole.
        found = dict((key, None if value is None else min(1, value)) for key, value in found.items())
    return found


def use(views, row):
    """How a device was used: idle, half or busy; None if it is not known."""
    load = row["utilization"]
    return None if load is None else "idle" if load < views["busy"] else "half" if load < views["half"] else "busy"


def device_rows(views, answers, job):
    """One row for each device of the job: labels, `held` and `seen` in seconds, every view, `use`, and what stands `apart`; in natural order."""
    step, infos = answers["step"], {}
    for labels, value in answers["info"] or ():
        key = key_of(labels, DEVICE)
        infos.setdefault(key, []).append((value, sorted(labels.items())))
    values = dict((name, values_of(views["devices"][name], rows, step)) for name, rows in answers["values"].items())
    rows = []
    for key, count in summed(answers["held"]).items():
        row = dict(zip(DEVICE, key))
        about = dict(max(infos[key])[1]) if key in infos else {}
        row.update((name, about.get(name, "")) for name in IDENTITY)
        row["held"] = int(min(job["seconds"], count * step))
        # Both are counted at the same moments.
        row["seen"] = int(min(row["held"], sum(value for value, _labels in infos.get(key, ())) * step)) if answers["info"] is not None else None
        row.update((name, values.get(name, {}).get(key)) for name in views["devices"])
        row["use"], row["apart"] = use(views, row), []
        rows.append(row)
    rows.sort(key=lambda row: [natural(row[name]) for name in DEVICE])
    stand_apart(views["apart"], rows)
    return rows


def stand_apart(spec, rows):
    """Add to rows what is far from the median of the busy devices of the same model: {reading, value, median}.

    spec: what the recorded stragglers are found by, of series.yml
    """
    groups = {}
    for row in rows:
        if row["utilization"] is not None and row["utilization"] >= spec["load"]:
            groups.setdefault(key_of(row, MODEL), []).append(row)
    for group in groups.values():
        for reading in spec["readings"]:
            name = reading["view"]
            there = [row for row in group if row[name] is not None]
            if len(there) < spec["peers"]:
                continue
            middle = median(row[name] for row in there)
            spread = max(spec["evenly"] * median(abs(row[name] - middle) for row in there), reading["least"])
            for row in there:
                away = (row[name] - middle) * (-1 if reading["side"] == "below" else 1)
                if away / spread >= spec["deviations"]:
                    row["apart"].append({"reading": name, "value": row[name], "median": known(middle)})


def models(views, answers, rows):
    """One entry for each model of the job: {vendor, model, devices, each of `peers`: {job, others}}; medians."""
    found = {}
    for row in rows:
        found.setdefault(key_of(row, MODEL), []).append(row)
    made = []
    for key in sorted(found):
        one = dict(zip(MODEL, key), devices=len(found[key]))
        for name in views["peers"]:
            told = {"job": [], "others": []}
            for moment_rows in answers["peers"]:
                for labels, value in moment_rows:
                    if key_of(labels, MODEL) == key and labels.get("reading") == name and labels.get("whose") in told and known(value) is not None:
                        told[labels["whose"]].append(value)
            one[name] = dict((who, known(median(values))) for who, values in told.items())
        made.append(one)
    return made


def belonging(found, rows):
    """[(labels, value)] of what is of one of the job's devices, with its index, or of one of its nodes as a whole."""
    devices = dict((key_of(row, DEVICE), row) for row in rows)
    # An error outlives its device, and is known by where that was.
    buses = dict(((row["node"], row["pci_bus_id"]), row) for row in rows if row["pci_bus_id"])
    nodes, ours = set(row["node"] for row in rows), []
    for labels, value in found:
        if labels.get("index") or labels.get("uuid"):
            row = devices.get(key_of(labels, DEVICE))
        elif labels.get("pci_bus_id"):
            row = buses.get((labels.get("node"), labels["pci_bus_id"]))
        else:
            row = {"index": ""} if labels.get("node") in nodes else None
        if row is not None:
            ours.append((dict(labels, index=row["index"]), value))
    return ours


def errors(answers, rows):
    """Error codes of the job's devices and nodes during the job, by the time in the kernel log, as in the fleet's report."""
    latest = {}
    before, after = (dict((key_of(labels, ERROR), value) for labels, value in belonging(answers[name], rows)) for name in ("before", "after"))
    for labels, last in belonging(answers["last"], rows):
        key = key_of(labels, ERROR)
        if last >= latest.get(key, (labels, 0))[1]:
            latest[key] = (labels, last)
    items, sums = [], {}
    for key, (labels, last) in latest.items():
        kind, code = key[-2:]
        items.append({"labels": labels, "kind": kind, "code": code})
        one = sums.setdefault((kind, code), {"times": 0, "last": 0})
        rise = after.get(key, 0) - before.get(key, 0)
        one["times"] += int(rise) if rise > 0 else 1
        one["last"] = max(one["last"], int(last))
    found = [dict(group, **sums[group["kind"], group["code"]]) for group in grouped(items, ("kind", "code"))]
    return sorted(found, key=lambda one: (-one["last"], one["kind"], natural(one["code"])))


def alerts(answers, rows):
    """Alerts that fired for the job's devices and nodes: [{name, severity, seconds, count, places, more}], the worst first."""
    items, longest = [], {}
    for labels, count in belonging(answers["alerts"], rows):
        name, severity = labels.get("alertname", ""), labels.get("severity", "")
        items.append({"labels": labels, "name": name, "severity": severity})
        longest[name, severity] = max(longest.get((name, severity), 0), int(count * answers["step"]))
    found = [dict(group, seconds=longest[group["name"], group["severity"]]) for group in grouped(items, ("name", "severity"))]
    return sorted(found, key=lambda one: (severity_rank(one["severity"]), one["name"]))


def totals(rows):
    """The figures of a job."""
    loads = [(row["utilization"], row["held"]) for row in rows if row["utilization"] is not None]
    held = sum(seconds for _load, seconds in loads)
    uses = [row["use"] for row in rows if row["use"]]
    return {"devices": len(rows), "nodes": len(set(row["node"] for row in rows)), "device_seconds": sum(row["held"] for row in rows),
            "utilization": known(sum(load * seconds for load, seconds in loads) / held) if held else None,
            "idle": uses.count("idle") if uses else None, "half": uses.count("half") if uses else None,
            "memory": max((row["memory"] for row in rows if row["memory"] is not None), default=None), "power": total(row["power"] for row in rows),
            "energy": total(row["energy"] for row in rows)}


def named(rows):
    """Names of devices, the first few of them."""
    return shortened(["%s/%s" % (row["node"], row["index"] or row["uuid"]) for row in rows])


def shortened(names):
    """Names, the first few of them."""
    return listing(names) if len(names) <= MOST else "%s and %d more" % (", ".join(names[:MOST]), len(names) - MOST)


def throttled(row):
    """The greatest share of time in which something held the device's clocks down; None if it is not known."""
    shares = [row[name] for name in ("heat", "memory_heat", "brake") if row[name] is not None]
    return max(shares) if shares else None


def answer(views, rows, found_alerts, found_errors, problems):
    """{"state", "reasons"}: whether the job used its devices, and whether these were well."""
    reasons = {"critical": [], "warning": [], "unknown": []}
    for rank, state, thing in ((0, "critical", "critical alert"), (1, "warning", "warning")):
        names = sorted(set(one["name"] for one in found_alerts if severity_rank(one["severity"]) == rank))
        if names:
            reasons[state].append("%s fired: %s" % (words(len(names), thing), shortened(names)))

    def devices(state, text, fits):
        fitting = [row for row in rows if fits(row)]
        if fitting:
            be = "was" if len(fitting) == 1 else "were"
            reasons[state].append("%d of %s %s %s: %s" % (len(fitting), words(len(rows), "device"), be, text, named(fitting)))
    devices("warning", "not seen for part of the time", lambda row: row["seen"] and row["held"] - row["seen"] > views["notable"] * row["held"])
    devices("warning", "idle", lambda row: row["use"] == "idle")
    devices("warning", "busy less than half of the time", lambda row: row["use"] == "half")
    devices("warning", "unlike the others of the job", lambda row: row["apart"])
    devices("warning", "throttled", lambda row: (throttled(row) or 0) >= views["notable"])
    if found_errors:
        codes = ["%s %s" % (one["kind"], one["code"]) for one in found_errors]
        reasons["warning"].append("%s occurred: %s" % (words(len(codes), "error code"), shortened(codes)))
    reasons["unknown"] += problems
    devices("unknown", "without any reading", lambda row: row["seen"] == 0)
    state = next((level for level in ("critical", "warning", "unknown") if reasons[level]), "good")
    return {"state": state, "reasons": reasons["critical"] + reasons["warning"] + reasons["unknown"]}


def document(views, answers, job, problems, hosts, now):
    """The whole report."""
    rows = [row for row in device_rows(views, answers, job) if hosts is None or row["node"] in hosts]
    found_alerts, found_errors = alerts(answers, rows), errors(answers, rows)
    lines = dict((name, list(map(dict((at, known(value)) for at, value in answers["lines"].get(name, ())).get, answers["times"])))
                 for name in views["lines"])
    return {"at": int(now), "job": job, "answer": answer(views, rows, found_alerts, found_errors, problems), "totals": totals(rows), "devices": rows,
            "models": models(views, answers, rows), "alerts": found_alerts, "errors": found_errors, "lines": dict(lines, times=answers["times"]),
            "problems": problems}


def report(ask, ask_range, views, asked, days, interval, now):
    """(document or None, why there is none). asked: as `find` takes it"""
    try:
        job = find(ask, ask_range, asked, days, interval, now)
    except Failure as error:
        return None, str(error)
    answers, problems = observe(ask, ask_range, views, job, asked[2], interval, now)
    return document(views, answers, job, problems, asked[2], now), ""
