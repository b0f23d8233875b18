# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rule files from the catalogue, in the language that Prometheus and VictoriaMetrics share."""

import functools
import os
import re

import yaml

from ansible_collections.accelmon.fleet.plugins.module_utils.durations import milliseconds
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import limits
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import closest, dump, load, plain
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import STACK, switch

OPERATIONS = {
    "avg": "avg by ({by}) ({of})",
    "count": "count by ({by}) ({of})",
    "max": "max by ({by}) ({of})",
    "p50": "quantile by ({by}) (0.5, {of})",
    "p95": "quantile by ({by}) (0.95, {of})",
    "sum": "sum by ({by}) ({of})",
}
SEVERITIES = ("critical", "warning", "info", "none")
PART = re.compile(r"%([a-z_]+)%")
# Labels that tell one device from all others.
DEVICE = ("cluster", "node", "index", "uuid", "vendor")
# Percentiles and the like are evaluated this seldom, in milliseconds.
SLOW = 60_000
# Jobs by which a monitoring host asks its own services, and the node_exporter that publishes the registry.
SERVICES = STACK + ("accelmon_fleet",)
# What was scraped within this many milliseconds is recent, however short the interval.
LEAST_RECENT = 15_000
# When vmalert evaluates a group, as a part of the interval: roll-ups when devices are recorded and can be read, and then what is slow.
# Left to itself it takes any moment and gives results the time of the interval's beginning, up to an interval too early.
MOMENTS = {"devices": 0, "levels": 0.5, "slow": 0.6}
# Between two readings of a counter that are compared. A leap is believed after that, once another reading has confirmed it.
LEAP = "1m"
# No sensor tells as many degrees or watts of a device that it could read.
HOTTEST = 5000
# A median absolute deviation times this is the standard deviation of readings that vary evenly.
EVENLY = "1.4826"


def selector(metric, match, also=()):
    """metric{label="value",…} with the labels in order; also: matchers as they are. metric: its name, or a list of names."""
    if not isinstance(metric, str):
        metric, also = (metric[0], also) if len(metric) == 1 else ("", [f'__name__=~"{"|".join(metric)}"', *also])
    return "%s{%s}" % (metric, ",".join([f'{label}="{match[label]}"' for label in sorted(match)] + list(also)))


def number(value):
    """A number as it is written in an expression."""
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def raw(value, part):
    """A value in our unit in that of a raw series."""
    value = value * part.get("divide", 1) / part.get("multiply", 1)
    return number(int(value) if value == int(value) else value)


def raw_bounds(item, part):
    """(lowest, highest) of a raw series in its own unit, or None of one that has no value."""
    if "bounds" not in item:
        return None
    if "bounds" in part:
        return tuple(number(bound) for bound in part["bounds"])
    return tuple(raw(bound, part) for bound in item["bounds"])


def believed(part):
    """Matchers that leave out what is not to be believed."""
    return [f'{label}!~"{pattern}"' for label, pattern in part.get("except", {}).items()]


def matched(source, spec, part, also=()):
    """Selector of the raw rows of one raw series that count."""
    rows = [f'{label}=~"{pattern}"' for label, pattern in part.get("like", {}).items()]
    rows += [f'{label}!~"{pattern}"' for label, pattern in spec.get("further", {}).items()]
    return selector(part["metric"], {**part.get("match", {}), "source": source}, list(also) + believed(part) + rows)


def seen(source, spec, also=()):
    """Selector of the rows of which every device that a source sees has one at least."""
    return matched(source, spec, {"metric": spec["presence"]}, also)


def within(term, item, part):
    """The readings of a term that are within bounds; of what is aggregated already, as an engine aggregates a bare selector fastest."""
    bounds = raw_bounds(item, part)
    if not bounds:
        return term
    lowest, highest = bounds
    return f"{term} {'> 0' if item.get('zero') == 'unread' else f'>= {lowest}'} <= {highest}"


def leaps(rows, item, part, by=None):
    """The rows of a counter that have risen by more than they can; of devices, if by names the labels of one."""
    now, before = (rows, f"{rows} offset {LEAP}") if by is None else (f"max by ({by}) ({rows})", f"max by ({by}) ({rows} offset {LEAP})")
    return f"{now} - {before} > {raw(item['leap'], part)}"


def highest_of(rows, by, item, part):
    """One believable value for each device: the highest of its rows, unless it is out of bounds or a leap that nothing has confirmed yet."""
    term = within(f"max by ({by}) ({rows})", item, part)
    return f"({term} unless ({leaps(rows, item, part, by)}))" if "leap" in item else term


def of_read(term, source, spec, item, also):
    """Without the zeros of devices that were not read, where a source writes 0 for what it cannot read."""
    if "sensors" not in spec or item.get("zero") == "unread":
        return term
    key = "cluster, node, index, uuid"
    rows = matched(source, spec, {"metric": spec["sensors"]}, also)
    silent = f"group by ({key}) ({rows}) unless on ({key}) ({rows} > 0 < {HOTTEST})"
    return f"({term} unless on ({key}) ({silent} unless on ({key}) ({term} > 0)))"


def one_of_each(source, spec, item, part, by, also):
    """One value for each device from one raw series, scaled to our unit: rows of parts and of jobs become one."""
    names = ", ".join(by)
    if item["unit"] == "always 1":
        return f"group by ({names}) ({matched(source, spec, part, also)})"
    if "labels_of" in part:
        inner = [label for label in by if label not in ("vendor", "model")]
        keys = [label for label in inner if label not in ("rack", "source")]
        others = f"group by ({', '.join(keys)}, vendor, model) ({selector(part['labels_of'], {'source': source}, believed(part))})"
        rows = selector(part["metric"], {**part.get("match", {}), "source": source}, also)
        counted = of_read(highest_of(rows, ", ".join(inner), item, part), source, spec, item, also)
        term = (f"({counted})"
                f" * on ({', '.join(keys)}) group_left (vendor, model) topk by ({', '.join(keys)}) (1, {others})")
    elif part.get("sum"):
        label = spec["parts"]
        whole = matched(source, spec, part, list(also) + [f'{label}=""'])
        parts_of = matched(source, spec, part, list(also) + [f'{label}!=""'])
        # A part that could not be read leaves the sum out of bounds: it is not known, and not the sum of the others.
        of_parts = within(f"sum by ({names}) (max by ({names}, {label}) ({parts_of}))", item, part)
        term = within(f"max by ({names}) ({whole})", item, part) + f" or {of_parts}"
    else:
        term = of_read(highest_of(matched(source, spec, part, also), names, item, part), source, spec, item, also)
    if "times" in part:
        return f"{part['times']} * ({term} > 0)"
    for word, sign in (("divide", "/"), ("multiply", "*")):
        if word in part:
            return f"({term}) {sign} {part[word]}"
    return term


def counted(term, spec):
    """Without what the source shows as a device and the registry does not count, as graphics inside a processor."""
    return f"{term} unless on (cluster, node, uuid) accelmon_fleet_uncounted_device" if "uncounted" in spec else term


def in_charge(term, source, spec):
    """What another source is in charge of is left out. Without the registry's series nothing is."""
    return f'({counted(term, spec)} unless on (cluster, node, vendor) ({selector("accelmon_source_elected", {"source": source})} == 0))'


def first_of(terms):
    """What the first term has, and what only the others have.

    All series of a side pass through an `or`, even if nothing comes from the other: what many devices have has to stand first, and what
    few have in the innermost brackets.
    """
    return terms[0] if len(terms) == 1 else f"{terms[0]}\nor ({first_of(terms[1:])})"


def device_expression(item, variant, labels, sources, also=()):
    """One value for each device, from whichever source is in charge of it.

    It is one expression and not one rule for each source: when the election changes, a rule that no longer has a device
    would end the series which another rule goes on with. also: further matchers.
    """
    by = labels + item.get("labels", [])
    terms = []
    for source in sources:
        if source in variant["from"]:
            choices = [one_of_each(source, sources[source], item, part, by, also) for part in variant["from"][source]]
            terms.append(in_charge(" or ".join(choices) if len(choices) == 1 else f"({' or '.join(choices)})", source, sources[source]))
    return first_of(terms)


def device_rules(series, sources):
    """One recording rule for each variant of each device series."""
    rules = []
    for item in series["devices"]:
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


def slow_rules(series):
    """Percentiles and buckets, from recorded series of devices."""
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
    return rules


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
            rules.append({"record": f"{peers}:{reading['of']}:straggler", "expr": "\n".join([
                f"{sign}({away})",
                f"/ on ({group}) group_left () clamp_min({EVENLY} * quantile by ({group}) (0.5, abs({away})), {reading['least']})",
                f">= {spec['deviations']}",
                f"and on ({group}) (count by ({group}) ({value}) >= {spec['peers']})"])})
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


def duration(what, value):
    """value as text if it is a duration, else a Problem that names it as what."""
    try:
        milliseconds(value)
    except ValueError:
        raise Problem("not a duration; write a number with a unit, for instance 30s or 5m", what, value) from None
    return str(value)


def recording_groups(interval, backend="prometheus", series=None, sources=None):
    """The groups of the recording layer, evaluated at each interval; what is slow once a minute.

    Groups run side by side, the rules of one after each other: those of devices are two groups, so that two cores have work.
    backend: as in `accelmon_backend`; Prometheus chooses moments itself and refuses to be told
    """
    interval = duration("the interval of the recording rules", plain(interval))
    if not milliseconds(interval):
        raise Problem("it must be longer than 0", "the interval of the recording rules", interval)
    series = series or load("series")
    sources = sources or load("sources")["sources"]
    slow = interval if milliseconds(interval) > SLOW else f"{SLOW // 1000}s"
    devices = device_rules(series, sources)
    groups = [("devices_1", interval, "devices", devices[::2]), ("devices_2", interval, "devices", devices[1::2])]
    groups += [(f"{level}s", interval, "levels", rollup_rules(series, level, sources)) for level in series["levels"]]
    groups += [("percentiles", slow, "slow", slow_rules(series)), ("stragglers", slow, "slow", straggler_rules(series)),
               ("invalid", slow, "slow", invalid_rules(series, sources))]
    return [
        {"name": f"accelmon_{name}", "interval": every,
         **({"eval_offset": f"{round(milliseconds(interval) * MOMENTS[moment])}ms"} if backend == "victoriametrics" else {}), "rules": rules}
        for name, every, moment, rules in groups]


def recording_file(interval, backend="prometheus", series=None, sources=None):
    """Text of the rule file with the recording layer; see `recording_groups`."""
    return dump({"groups": recording_groups(interval, backend, series, sources)})


def group_names(interval, backend, overrides=None):
    """Names of the groups that whoever evaluates our rule files must have loaded."""
    return [group["name"] for group in recording_groups(interval, backend) + alert_groups(overrides)]


def recent(interval):
    """How long ago something was scraped at most that is scraped at this interval, with two scrapes to spare."""
    return f"{max(3 * milliseconds(interval), LEAST_RECENT) // 1000}s"


def parts(alerts, sources, interval="15s", chosen_limits=None):
    """The shared parts of expressions: those of the catalogue, and those that follow from the sources, the interval and the limits."""
    present = []
    for name, source in sources.items():
        devices = in_charge(f"group by (cluster, node, vendor, index, uuid) ({seen(name, source)})", name, source)
        present.append(f"count by (cluster, node, vendor) {devices}")
    elected = "max by (cluster, node, vendor, job) (accelmon_source_elected%s == 1)"
    answers = "max by (cluster, node, job) (up == 1)"
    made = {"present": "(" + "\nor ".join(present) + ")",
            "source_down": f"{elected % ''} unless on (cluster, node, job) {answers}",
            "recent": recent(interval), "services": "|".join(SERVICES),
            "refused": limits.refused(chosen_limits), "growing": limits.growing(chosen_limits)}
    for name in sources:
        made[f"{name}_up"] = f"max by (cluster, node, vendor) ({elected % selector('', {'source': name})} and on (cluster, node, job) {answers})"
    return {**alerts["parts"], **made}


def expanded(expression, values):
    """The expression with every %part% filled in; the lines of a part keep the indentation of its place."""
    def fill(line):
        indent = line[:len(line) - len(line.lstrip())]
        return PART.sub(lambda match: values[match.group(1)].replace("\n", "\n" + indent), line)

    return "\n".join(fill(line) for line in expression.split("\n"))


def boolean(what, value):
    """value as a truth value; the surveys of AWX send text."""
    try:
        return switch(value)
    except Problem as problem:
        raise Problem(problem, what, value) from None


def threshold_value(what, spec, value):
    """A threshold as its alert's spec has it: {type: duration or number, default, at_least?, at_most?}."""
    if spec["type"] == "duration":
        return duration(what, value)
    try:
        found = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        found = float("nan")
    lowest, highest = spec.get("at_least", 0), spec.get("at_most", float("inf"))
    if not lowest <= found <= highest or found == float("inf"):
        wanted = f"from {lowest} to {highest}" if "at_most" in spec else f"of at least {lowest}"
        raise Problem(f"not a threshold of this alert; give a number {wanted}", what, value)
    return found


def threshold_text(spec, value):
    """A threshold as it stands in the expression: a duration in seconds, else the number."""
    return (str(milliseconds(value) / 1000) if spec["type"] == "duration" else number(float(value))).removesuffix(".0")


def settings(alert, overrides, variable):
    """What an alert's rule is made with: {for, severity, enabled, threshold?} after the site's overrides for it.

    threshold comes as the text that goes into the expression: seconds for a duration, else the number.
    """
    threshold = alert.get("threshold")
    chosen = {"for": alert["for"], "severity": alert["severity"], "enabled": True}
    if threshold:
        chosen["threshold"] = threshold["default"]
    if not isinstance(overrides, dict):
        raise Problem(f"not a mapping; give some of {', '.join(sorted(chosen))}", variable, overrides)
    for key, value in overrides.items():
        what = f"{variable}.{key}"
        if key == "threshold" and not threshold:
            raise Problem(f"{alert['alert']} has no threshold; {closest(key, chosen)}", what, value)
        if key not in chosen:
            raise Problem(f"no such setting; {closest(key, chosen)}", what, value)
        if key == "for":
            value = duration(what, value)
        elif key == "severity" and value not in SEVERITIES:
            raise Problem(f"no such severity; {closest(value, SEVERITIES)}", what, value)
        elif key == "enabled":
            value = boolean(what, value)
        elif key == "threshold":
            value = threshold_value(what, threshold, value)
        chosen[key] = value
    if threshold:
        chosen["threshold"] = threshold_text(threshold, chosen["threshold"])
    return chosen


def alert_groups(overrides=None, alerts=None, sources=None, variable="accelmon_alert_overrides", interval="15s", chosen_limits=None):
    """The group with the alerts of the catalogue, in a list; an empty one if the site wants none.

    overrides: {alert: {for?, severity?, enabled?, threshold?}}, as the site gave them in variable.
    interval: at which everything is scraped; chosen_limits: {job: series}, a site's own limits of a page.
    Raises Problem with the alert, the key, the value and the nearest valid name.
    """
    alerts = alerts or load("alerts")
    sources = sources or load("sources")["sources"]
    overrides = plain({} if overrides is None else overrides)
    names = [alert["alert"] for alert in alerts["alerts"]]
    if not isinstance(overrides, dict):
        raise Problem("not a mapping; give a mapping of alerts to what to change", variable, overrides)
    for name, value in overrides.items():
        if name not in names:
            raise Problem(f"no such alert; {closest(name, names)}", f"{variable}.{name}", value)
    values = parts(alerts, sources, duration("the scrape interval", plain(interval)), chosen_limits)
    rules = []
    for alert in alerts["alerts"]:
        chosen = settings(alert, overrides.get(alert["alert"], {}), f"{variable}.{alert['alert']}")
        if not chosen["enabled"]:
            continue
        rules.append({
            "alert": alert["alert"],
            "expr": expanded(alert["expr"], {**values, "threshold": chosen.get("threshold", "")}),
            "for": chosen["for"],
            "labels": {"severity": chosen["severity"], "scope": alert["scope"]},
            "annotations": {key: alert[key] for key in ("summary", "description", "action")},
        })
    return [{"name": "accelmon_alerts", "rules": rules}] if rules else []


def alert_file(overrides=None, alerts=None, sources=None, variable="accelmon_alert_overrides", **options):
    """Text of the rule file with the alerts of the catalogue; see `alert_groups`."""
    return dump({"groups": alert_groups(overrides, alerts, sources, variable, **options)})


@functools.lru_cache(maxsize=None)
def _site_file(path, _state):
    """Text of a rule file of the site. Raises ValueError for what is none; _state: what tells one state of the file from another."""
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"it is no YAML: {' '.join(str(error).split())}") from None
    groups = found.get("groups") if isinstance(found, dict) else None
    if not isinstance(groups, list) or not all(isinstance(group, dict) and isinstance(group.get("rules", []), list) for group in groups):
        raise ValueError("it is no rule file, which begins with groups:")
    for group in groups:
        for number_of_rule, rule in enumerate(group.get("rules", []), 1):
            if not isinstance(rule, dict) or "expr" not in rule or ("record" in rule) == ("alert" in rule):
                raise ValueError(f"group {group.get('name')}, rule {number_of_rule}: it needs expr, and either record or alert")
    return text


def site_files(paths, directory, variable="accelmon_rule_files"):
    """[{"path" in directory, "content"}] of a site's own rule files. Raises Problem."""
    files = {}
    for path in paths:
        target = os.path.join(directory, f"site-{os.path.splitext(os.path.basename(path))[0]}.yml")
        if not os.path.isabs(path):
            raise Problem(f"the path is relative; give an absolute one, such as {{{{ inventory_dir }}}}/{path}", variable, path)
        if target in files:
            raise Problem("another file has the same name; rename one of them", variable, path)
        try:
            state = os.stat(path)
            files[target] = _site_file(path, (state.st_mtime_ns, state.st_size))
        except OSError as error:
            raise Problem(f"it cannot be read on the control node ({error.strerror}); correct the path", variable, path) from None
        except ValueError as error:
            raise Problem(f"it cannot be used ({error}); correct the file", variable, path) from None
    return [{"path": target, "content": content} for target, content in files.items()]
