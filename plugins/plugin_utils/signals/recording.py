# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recording layer: rules that make one set of series for every vendor and every source."""

from ansible_collections.accelmon.fleet.plugins.module_utils.durations import milliseconds
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import dump, load, plain
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import error_series
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.alerts import alert_groups, slow
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.expressions import (
    counted, device_expression, leaps, matched, number, raw_bounds, selector)
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.health import health_rules
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import named_duration

OPERATIONS = {
    "avg": "avg by ({by}) ({of})",
    "count": "count by ({by}) ({of})",
    "max": "max by ({by}) ({of})",
    "p50": "quantile by ({by}) (0.5, {of})",
    "p95": "quantile by ({by}) (0.95, {of})",
    "sum": "sum by ({by}) ({of})",
}
# Labels that tell one device from all others.
DEVICE = ("cluster", "node", "index", "uuid", "vendor")
# When vmalert evaluates a group, as a part of the interval: roll-ups when devices are recorded and can be read, then what is slow, then scores.
# Left to itself it takes any moment and gives results the time of the interval's beginning, up to an interval too early.
MOMENTS = {"devices": 0, "levels": 0.5, "slow": 0.6, "scores": 0.95}
# What is slow comes in different intervals of its minute, so that none of them has all of it.
TURNS = {"stragglers": 1, "invalid": 2, "errors": 2, "health": 3, "health_scores": 3}
# A median absolute deviation times this is the standard deviation of readings that vary evenly.
EVENLY = "1.4826"


def device_rules(items, series, sources):
    """One recording rule for each variant of series of devices."""
    rules = []
    for item in items:
        for variant in item["variants"]:
            rule = {"record": item["name"], "expr": device_expression(item, variant, series["labels"], sources)}
            if variant.get("labels"):
                rule["labels"] = dict(variant["labels"])
            rules.append(rule)
    return rules


def collided(part):
    """A raw series whose labels have been renamed, as labels of the target have taken their names."""
    return {**part, **{key: {f"exported_{label}": value for label, value in part[key].items()} for key in ("match", "like") if key in part}}


def expected_series(series=None, sources=None):
    """What must be recorded: [{"name", "recorded": selector, "told": expression of the devices of which a source tells it}].

    It is told also where the rule does not find it any more, for a label by which it selects has become another one's.
    """
    series, sources = series or load("series"), sources or load("sources")["sources"]
    found = []
    for item in series["devices"]:
        for variant in item["variants"]:
            other = {**variant, "from": {source: [collided(part) for part in choices] for source, choices in variant["from"].items()}}
            forms = [device_expression(item, one, series["labels"], sources) for one in ([variant] if other == variant else [variant, other])]
            found.append({"name": item["name"], "recorded": selector(item["name"], variant.get("labels", {})),
                          "told": "count by (cluster, node, vendor) (%s)" % " or ".join(f"({form})" for form in forms)})
    return found


def recorded(rollup, also=()):
    """Selector of the recorded series of devices that a roll-up is of."""
    return selector(rollup["of"], rollup.get("variant", {}), also)


def rollup_rules(series, level, sources):
    """The recording rules of one level: node, rack or cluster.

    They read the recorded series of devices, which have one value for each device: rows of partitions and of jobs are one by then.
    How many devices there are is counted from what their sources tell, and the other levels add up the counts of nodes: the
    labels of accelerator_info change with the source, and while vmalert writes the end of one series and the beginning of the next, the device
    may for a moment have neither.
    """
    rules = []
    for rollup in series["rollups"]:
        if rollup["level"] != level:
            continue
        # Nodes without a rack are in no rack's roll-up, rather than in that of a rack without a name.
        racked = ['rack!=""'] if level == "rack" else []
        by = ", ".join(series["levels"][level])
        for operation in rollup["operations"]:
            record = f"{level}:{rollup['of']}:{operation}"
            if operation != "count":
                expression = OPERATIONS[operation].format(by=by, of=recorded(rollup, racked))
            elif level == "node":
                # What makes a device, and no more: another driver's version, for a moment, is no second device.
                item = next(item for item in series["devices"] if item["name"] == rollup["of"])
                rows = device_expression({**item, "labels": []}, item["variants"][0], made_of(series, level), sources)
                expression = OPERATIONS[operation].format(by=by, of=f"\n{rows}\n")
            else:
                expression = OPERATIONS["sum"].format(by=by, of=selector(f"node:{rollup['of']}:{operation}", {}, racked))
            rules.append({"record": record, "expr": expression})
    return rules


def made_of(series, level):
    """Labels that tell one device from all others, and those of the level."""
    return [label for label in series["labels"] if label in DEVICE or label in series["levels"][level]]


def link_rules(series, sources):
    """How many links of each device are up and down, and of all devices together, and what they do. All from raw rows: a group need not wait for itself."""
    spec = series["links"]
    rows = matched(spec["source"], sources[spec["source"]], {"metric": spec["metric"], "like": spec["values"]})
    links = f"max by ({', '.join([*series['labels'], *spec['values']])}) ({rows}) >= 0 <= {spec['highest']}"
    by = ", ".join([*series["levels"][spec["level"]], *spec["values"]])
    return [{"record": spec["name"], "expr": links},
            {"record": f"{spec['level']}:{spec['name']}:{spec['operation']}", "expr": OPERATIONS[spec["operation"]].format(by=by, of=f"\n{links}\n")},
            *device_rules(spec["readings"], series, sources)]


def slow_rules(series):
    """Percentiles, buckets and how many devices are in use, from recorded series of devices."""
    rules = []
    for rollup in series["slow"]["percentiles"]:
        for level in rollup["levels"]:
            for operation in rollup["operations"]:
                rules.append({"record": f"{level}:{rollup['of']}:{operation}", "expr": OPERATIONS[operation].format(
                    by=", ".join(series["levels"][level]), of=recorded(rollup, ['rack!=""'] if level == "rack" else []))})
    for rollup in series["slow"]["buckets"]:
        value = f"floor({recorded(rollup)} * {number(rollup['multiply'] / rollup['step'])}) * {rollup['step']}"
        rules.append({"record": f"{rollup['level']}:{rollup['of']}:buckets",
                      "expr": f'count_values by ({", ".join(series["levels"][rollup["level"]])}) ("{rollup["by"]}", {value})'})
    use, busy = series["slow"]["use"], number(load("views")["busy"])
    by, free = ", ".join(use["by"]), f"{use['of']} < {busy} unless on (cluster, node, index, uuid) accelerator_job_info"
    return rules + [{"record": f"{use['level']}:{use['of']}:busy", "expr": OPERATIONS["sum"].format(by=by, of=f"{use['of']} >= bool {busy}")},
                    {"record": f"{use['level']}:{use['of']}:free", "expr": OPERATIONS["count"].format(by=by, of=free)}]


def job_rules(series):
    """How many devices jobs have and how many of them are idle, of each job and by whose the jobs are; of each job also what its devices read."""
    spec, key = series["slow"]["jobs"], "cluster, node, index, uuid"
    held = f"max by ({key}, {', '.join(spec['levels']['job'][1:])}) ({spec['of']})"

    def of_jobs(operation, by, value):
        return OPERATIONS[operation].format(by=", ".join(by), of=f"{held} * on ({key}) group_left () {value}")

    idle = f"(max by ({key}) (accelerator_utilization_ratio) < bool {number(load('views')['busy'])})"
    rules = []
    for level, by in spec["levels"].items():
        rules += [{"record": f"{level}:{spec['of']}:count", "expr": OPERATIONS["count"].format(by=", ".join(by), of=held)},
                  {"record": f"{level}:{spec['of']}:idle", "expr": of_jobs("sum", by, idle)}]
    return rules + [{"record": f"job:{reading['of']}:{reading['operation']}",
                     "expr": of_jobs(reading["operation"], spec["levels"]["job"], f"max by ({key}) ({recorded(reading)})")} for reading in spec["readings"]]


def straggler_rules(series):
    """Devices that are far from the median of their peers while these work; only these have a series."""
    spec, key = series["slow"]["stragglers"], "cluster, node, index, uuid"
    jobs = f"topk by ({key}) (1, max by ({key}, job_id) (accelerator_job_info))"
    rules = []
    for peers, labels in spec["within"].items():
        group = ", ".join(labels)
        for reading in spec["readings"]:
            value = f"({recorded(reading)} and on ({key}) (accelerator_utilization_ratio >= {spec['load']}))"
            if "job_id" in labels:
                value = f"({value} * on ({key}) group_left (job_id) {jobs})"
            median = f"quantile by ({group}) (0.5, {value})"
            away = f"{value} - on ({group}) group_left () {median}"
            sign = "-1 * " if reading["side"] == "below" else ""
            # No deviation is below the least: without a device as far away as that VictoriaMetrics does not look at the rest. It takes only what is
            # aggregated for empty.
            kept = ", ".join([*series["labels"], *reading.get("variant", ()), *(["job_id"] if "job_id" in labels else [])])
            rules.append({"record": f"{peers}:{reading['of']}:straggler", "expr": "\n".join([
                f"max by ({kept}) ({sign}({away}) >= {spec['deviations'] * reading['least']})",
                f"/ on ({group}) group_left () (",
                f"clamp_min({EVENLY} * quantile by ({group}) (0.5, abs({away})), {reading['least']})",
                f"and on ({group}) (count by ({group}) ({value}) >= {spec['peers']})",
                f") >= {spec['deviations']}"])})
    return rules


def invalid_rules(series, sources):
    """How many readings of a node's devices are out of bounds, by source; no series where none is."""
    rules = []
    for item in series["devices"]:
        for variant in item["variants"]:
            terms = []
            for source, choices in variant["from"].items():
                for part in choices:
                    bounds = raw_bounds(item, part)
                    if "leap" in item:
                        terms.append(counted(leaps(matched(source, sources[source], part), item, part), sources[source]))
                    if bounds:
                        # One look at the rows instead of two: further from the middle of the bounds than these are.
                        half = number((float(bounds[0]) + float(bounds[1])) / 2)
                        terms.append(counted(f"abs({matched(source, sources[source], part)} - {half}) > {half}", sources[source]))
            if terms:
                rules.append({"record": "node:accelerator_invalid_readings:count",
                              "expr": "count by (cluster, rack, node, vendor, source) (\n%s\n)" % "\nor\n".join(terms),
                              "labels": {"series": item["name"], **variant.get("labels", {})}})
    return rules


def site_rules(sites):
    """A series for each cluster whose site sends its roll-ups to the global place: without it nobody would miss one that never sent any."""
    return [{"record": load("series")["sent"]["site"], "expr": "vector(1)", "labels": {"cluster": cluster}} for cluster in sites]


def timed_groups(interval, sites=()):
    """[(name, interval, word of MOMENTS, rules)] of the groups of the recording layer.

    Groups run side by side, the rules of one after each other: those of devices are two groups, so that two cores have work.
    sites: as in `accelmon_sites`
    """
    interval = named_duration("the interval of the recording rules", plain(interval))
    if not milliseconds(interval):
        raise Problem("it must be longer than 0", "the interval of the recording rules", interval)
    series, sources = load("series"), load("sources")["sources"]
    seldom = slow(interval)
    devices = device_rules(series["devices"], series, sources)
    groups = [("devices_1", interval, "devices", devices[::2]), ("devices_2", interval, "devices", devices[1::2])]
    groups += [(f"{level}s", interval, "levels", rollup_rules(series, level, sources)) for level in series["levels"]]
    groups += [("percentiles", seldom, "slow", slow_rules(series)), ("jobs", seldom, "slow", job_rules(series)),
               ("stragglers", seldom, "slow", straggler_rules(series)),
               ("links", seldom, "slow", link_rules(series, sources)),
               ("invalid", seldom, "slow", invalid_rules(series, sources)),
               ("errors", seldom, "slow", error_series.device_rules(series["labels"], sources) + error_series.info_rules())]
    health, scores = health_rules(interval)
    groups += [("health", seldom, "slow", health), ("health_scores", seldom, "scores", scores)]
    return groups + ([("sites", interval, "devices", site_rules(sites))] if sites else [])


def replay_stages(interval):
    """Texts of rule files with the recording layer, to be evaluated over the past one after the other.

    vmalert evaluates the groups of a file in the order of their names then, clusters before the devices that they are of.
    """
    stages = {}
    for name, every, moment, rules in timed_groups(interval):
        # Those of devices read nothing that is recorded; the counts of a cluster are of those of its nodes, and health reads errors.
        stages.setdefault(name if moment != "devices" else moment, []).append({"name": f"accelmon_{name}", "interval": every, "rules": rules})
    return [dump({"groups": groups}) for groups in stages.values()]


def recording_groups(interval, backend="prometheus", sites=()):
    """The groups of the recording layer, evaluated at each interval; what is slow once a minute.

    backend: as in `accelmon_backend`; Prometheus chooses moments itself and refuses to be told
    sites: as in `accelmon_sites`
    """
    length = milliseconds(named_duration("the interval of the recording rules", plain(interval)))

    def moment_of(name, every, moment):
        return f"{round(length * (MOMENTS[moment] + TURNS.get(name, 0))) % milliseconds(every)}ms"

    return [
        {"name": f"accelmon_{name}", "interval": every,
         **({"eval_offset": moment_of(name, every, moment)} if backend == "victoriametrics" else {}), "rules": rules}
        for name, every, moment, rules in timed_groups(interval, sites)]


def recording_file(interval, backend="prometheus", sites=()):
    """Text of the rule file with the recording layer; see `recording_groups`."""
    return dump({"groups": recording_groups(interval, backend, plain(sites))})


def group_names(interval, backend, sites=(), **options):
    """Names of the groups that whoever evaluates our rule files must have loaded; options: those of `alerts.alert_groups`."""
    return [group["name"] for group in recording_groups(interval, backend, sites) + alert_groups(**options)]
