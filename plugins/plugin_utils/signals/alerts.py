# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The alerts of the catalogue as rules, with a site's own settings."""

import hashlib
import json
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.durations import milliseconds
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import closest, dump, load, plain
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import error_series, limits
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.expressions import (
    IN_ANY_RACK, device_expression, in_charge, last, number, seen, selector)
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import STACK, named_duration, switch

SEVERITIES = ("critical", "warning", "info", "none")
STATES = {"present": True, "absent": False}
# Scopes of alerts about a single node, whose name they have as a label: hosts may have settings of their own for these.
NODE_SCOPES = ("accelerator", "exporter", "link", "node")
# Whom the registry says that a setting of an alert is for. A scrape of it that fails changes nothing.
SETTING = 'on (cluster, node) last_over_time(accelmon_alert_setting{alert="%s",setting%s"%s"}[%s])'
PART = re.compile(r"%([a-z_]+)%")
# A reading of devices with a condition, %recovery_action(>= 2)%, or a part with an argument, %errors(1h)%
READING = re.compile(r"%([a-z_]+)\(([^()%]*)\)%")
# A window as the catalogue writes it. Those that follow from the interval are in seconds.
WINDOW = re.compile(r"\[([0-9]+m)\]")
# Jobs by which a monitoring host asks its own services, and the node_exporter that publishes the registry.
SERVICES = STACK + ("accelmon_fleet",)
# What is slow, or can wait, is evaluated this seldom, in milliseconds. An alert can wait if it does so for PATIENT anyway and nobody is woken by it.
SLOW = 60_000
PATIENT = 5 * SLOW
# Their group: a single one, whose rules the storage answers one after the other.
SLOW_GROUP = "accelmon_slow"
# What was scraped within this many milliseconds is recent, however short the interval.
LEAST_RECENT = 15_000


def slow(interval):
    """How often what can wait is evaluated, beside what is evaluated at this interval."""
    return interval if milliseconds(interval) > SLOW else f"{SLOW // 1000}s"


def recent(interval):
    """How long ago something was scraped at most that is scraped at this interval, with two scrapes to spare."""
    return f"{max(3 * milliseconds(interval), LEAST_RECENT) // 1000}s"


def parts(alerts, sources, interval="15s", chosen_limits=None):
    """The shared parts of expressions: those of the catalogue, and those that follow from the sources, the interval and the limits."""
    recently = recent(interval)

    def devices(rows_within):
        """How many devices sources see, by cluster, node and vendor; of now if rows_within is empty."""
        found = []
        for name, source in sources.items():
            rows = f"group by (cluster, node, vendor, index, uuid) ({last(seen(name, source), rows_within)})"
            found.append(f"count by (cluster, node, vendor) {in_charge(rows, name, source, recently)}")
        return "(" + "\nor ".join(found) + ")"

    elected = f"max by (cluster, node, vendor, job) (last_over_time(accelmon_source_elected%s[{recently}]) == 1)"
    answers = f"max by (cluster, node, job) (max_over_time(up[{recently}]) == 1)"
    made = {"present": devices(recently), "shown": devices(""),
            "source_down": f"{elected % ''} unless on (cluster, node, job) {answers}",
            "recent": recently, "interval": interval, "services": "|".join(SERVICES), "in_any_rack": IN_ANY_RACK,
            "refused": limits.refused(chosen_limits), "growing": limits.growing(chosen_limits)}
    for name in sources:
        made[f"{name}_up"] = f"max by (cluster, node, vendor) ({elected % selector('', {'source': name})} and on (cluster, node, job) {answers})"
    return {**alerts["parts"], **made}


def reading_of(name):
    """What readings.yml says of a reading, with what series.yml says where it is that of a recorded series."""
    spec = load("readings")["readings"][name]
    if "series" not in spec:
        return spec
    series = load("series")
    item = next(item for item in series["devices"] + series["links"]["readings"] if item["name"] == spec["series"])
    variant = next(variant for variant in item["variants"] if spec.get("variant", {}).items() <= variant.get("labels", {}).items())
    return {**item, "from": variant["from"], "labels": [], "recorded": selector(spec["series"], variant.get("labels", {})).removesuffix("{}"), **spec}


def without(spec, *keys):
    """A copy of a description that lacks these keys."""
    return {key: value for key, value in spec.items() if key not in keys}


def there(name, interval):
    """Expression of the devices that have a reading now, whatever it is over time: that costs less than a look at its window."""
    item = {**without(reading_of(name), "leap"), "recent": recent(interval)}
    if "over" in item or any("over" in part for choices in item["from"].values() for part in choices):
        # Bounds are those of what a window makes of the rows.
        item = without(item, "over", "bounds")
        item["from"] = {source: [without(part, "over", "bounds") for part in choices] for source, choices in item["from"].items()}
    return "(%s)" % device_expression(item, item, load("series")["labels"], load("sources")["sources"])


def reading(name, condition, interval, also=()):
    """Expression of a reading in readings.yml, of the devices of which it meets the condition (all if that is empty). also: further matchers

    A scrape that fails now and then does not take it away: it is the last of the recent ones.
    """
    item = {"recent": recent(interval), **reading_of(name)}
    labels, sources = load("series")["labels"], load("sources")["sources"]
    if "limits" not in item:
        return "(%s)" % device_expression(item, item, labels, sources, also, condition)
    terms = [device_expression(item, item, labels, asked, [*also, *more], f"* -1 + {celsius} {condition}")
             for celsius, asked, more in limits_by_model(load("readings")["limits"][item["limits"]], sources)]
    return "(%s)" % "\nor ".join(terms)


def limits_by_model(table, sources):
    """[(limit, sources and matchers of the devices that it is of)]: of the first limit in the table that fits a device, and of no other."""
    named, found = sorted({limit["vendor"] for limit in table if "vendor" in limit}), []
    for place, limit in enumerate(table):
        vendor = limit.get("vendor")
        asked = {name: source for name, source in sources.items() if (vendor in source["vendors"] if vendor else set(source["vendors"]) - set(named))}
        also = [f'vendor="{vendor}"' if vendor else 'vendor!~"%s"' % "|".join(named)]
        before = [other["model"] for other in table[:place] if other.get("vendor") == vendor]
        also += [f'model=~"(?i:.*(?:{limit["model"]}).*)"'] if "model" in limit else []
        also += ['model!~"(?i:.*(?:%s).*)"' % "|".join(before)] if before else []
        found.append((limit["celsius"], asked, also))
    return found


def called(name, argument, interval):
    """Expression of a part with an argument, or of a reading with its condition."""
    of_errors = {"errors": error_series.recent, "logged": error_series.logged, "when": error_series.when}
    if name in of_errors:
        return of_errors[name](argument, load("sources")["sources"])
    if name == "known":
        return error_series.known(argument)
    return reading(name, argument, interval)


def expanded(expression, values, interval="15s"):
    """The expression with every %part% and %reading(condition)% filled in; a part may have parts, and its lines keep the indentation of its place."""
    def fill(line):
        indent = "\n" + line[:len(line) - len(line.lstrip())]
        line = PART.sub(lambda match: expanded(values[match.group(1)], values, interval).replace("\n", indent), line)
        return READING.sub(lambda match: called(match.group(1), match.group(2), interval).replace("\n", indent), line)

    return widened("\n".join(fill(line) for line in expression.split("\n")), interval)


def widened(expression, interval):
    """The expression with no window of less than four scrapes: if two of them fail, a rate still has two values."""
    least = 4 * milliseconds(interval)
    return WINDOW.sub(lambda match: match.group(0) if milliseconds(match.group(1)) >= least else f"[{least // 1000}s]", expression)


def boolean(what, value):
    """value as a truth value; the surveys of AWX send text."""
    try:
        return switch(value)
    except Problem as problem:
        raise Problem(problem, what, value) from None


def threshold_value(what, spec, value):
    """A threshold as its alert's spec has it: {type: duration or number, default, at_least?, at_most?}."""
    if spec["type"] == "duration":
        return named_duration(what, value)
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


def presets(value, alerts=None):
    """Names of presets, as the catalogue has them. Raises Problem."""
    catalogue = alerts or load("alerts")
    found = []
    for entry in plain(value):
        name = catalogue["aliases"].get(str(entry), str(entry))
        if name not in catalogue["presets"]:
            raise Problem(f"{entry}: no such preset; {closest(entry, [*catalogue['presets'], *catalogue['aliases']])}")
        found.append(name)
    return list(dict.fromkeys(found))


def changes(overrides, variable="accelmon_alert_overrides", alerts=None, per_host=False):
    """What a site changes, checked: {alert: {for?, severity?, enabled?, threshold?}}. It may be checked again.

    overrides: the same as the site gave it in variable, where `state` may stand for enabled
    per_host: they are those of some hosts alone, which is possible for alerts about one node
    Raises Problem with the alert, the key, the value and the nearest valid name.
    """
    known = {alert["alert"]: alert for alert in (alerts or load("alerts"))["alerts"]}
    overrides = plain({} if overrides is None else overrides)
    if not isinstance(overrides, dict):
        raise Problem("not a mapping; give a mapping of alerts to what to change", variable, overrides)
    found = {}
    for name, value in overrides.items():
        what = f"{variable}.{name}"
        if name not in known:
            raise Problem(f"no such alert; {closest(name, known)}", what, value)
        if per_host and known[name]["scope"] not in NODE_SCOPES:
            raise Problem(f"{name} is not about a single node; change it for the whole fleet, in accelmon_alert_overrides", what, value)
        found[name] = _change(known[name], value, what)
    return found


def of_hosts(overrides, variable):
    """The `changes` that hold for some hosts alone."""
    return changes(overrides, variable, per_host=True)


def _change(alert, given, variable):
    """What is changed of one alert, checked."""
    known = ["for", "severity", "enabled", "state"] + (["threshold"] if "threshold" in alert else [])
    if not isinstance(given, dict):
        raise Problem(f"not a mapping; give some of {', '.join(sorted(known))}", variable, given)
    chosen = {}
    for key, value in given.items():
        what = f"{variable}.{key}"
        if key == "threshold" and key not in known:
            raise Problem(f"{alert['alert']} has no threshold; {closest(key, known)}", what, value)
        if key not in known:
            raise Problem(f"no such setting; {closest(key, known)}", what, value)
        if key == "for":
            value = named_duration(what, value)
        elif key == "severity" and value not in SEVERITIES:
            raise Problem(f"no such severity; {closest(value, SEVERITIES)}", what, value)
        elif key == "state":
            if value not in list(STATES):  # it may be anything, also what no dictionary can be asked for
                raise Problem(f"no such state; {closest(value, STATES)}", what, value)
            if "enabled" in given:
                raise Problem("it says the same as enabled; give one of them", what, value)
            key, value = "enabled", STATES[value]
        elif key == "enabled":
            value = boolean(what, value)
        elif key == "threshold":
            value = threshold_value(what, alert["threshold"], value)
        chosen[key] = value
    return chosen


def resolved(*layers):
    """Several layers of `changes` as one: key by key, the last one that has it wins."""
    found = {}
    for layer in layers:
        for name, change in layer.items():
            found[name] = {**found.get(name, {}), **change}
    return found


def setting(change):
    """The name under which the registry publishes a change of an alert for a host; equal changes have the same."""
    return hashlib.sha256(json.dumps(change, sort_keys=True).encode()).hexdigest()[:8]


def settings(alert, change, chosen_presets=None):
    """What an alert's rule is made with: {for, severity, enabled, threshold?}.

    threshold comes as the text that goes into the expression: seconds for a duration, else the number.
    """
    wanted = chosen_presets is None or alert.get("always", False) or not set(alert["presets"]).isdisjoint(chosen_presets)
    spec = alert.get("threshold")
    made = {"for": alert["for"], "severity": alert["severity"], "enabled": wanted, **({"threshold": spec["default"]} if spec else {}), **change}
    return {**made, "threshold": threshold_text(spec, made["threshold"])} if spec else made


def variants(alert, fleet_wide, hosts, chosen_presets, recently):
    """[(condition, settings)], one for each rule that an alert needs: for most hosts, and for those that have something else.

    fleet_wide: the change for the whole fleet; hosts: {alert: change} of each host that has changes of its own; recently: as `recent` gives it
    """
    name = alert["alert"]
    usual = settings(alert, fleet_wide, chosen_presets)
    others = {}
    for change in (host[name] for host in hosts if name in host):
        made = settings(alert, {**fleet_wide, **change}, chosen_presets)
        if made != usual:
            others[setting(change)] = made
    if not others:
        return [("", usual)]
    # Who has a setting that no rule is for is not left without the alert.
    of_others = SETTING % (name, "=~", "|".join(sorted(others)), recently)
    return [(f"unless {of_others}", usual)] + [(f"and {SETTING % (name, '=', other, recently)}", made) for other, made in sorted(others.items())]


def periods(declared, choice=None):
    """[(condition, change for the whole fleet)], one for each time in which an alert has settings of its own: until a choice ends, and from then on.

    declared: the change as the site declares it; choice: {"change", "until"?} that somebody made instead, see module_utils/fleet/choices.py
    """
    if not choice:
        return [("", declared)]
    chosen = {**declared, **choice["change"]}
    if "until" not in choice:
        return [("", chosen)]
    # So nobody has to be there when it ends.
    return [(f"and on () vector(time()) {compared} {choice['until']}", change) for compared, change in (("<", chosen), (">=", declared))]


def rule_settings(alert, fleet_wide, choices, hosts, chosen_presets, recently):
    """(condition of the time, condition of the hosts, settings) for each rule that an alert needs; see `periods` and `variants`."""
    for period, change in periods(fleet_wide.get(alert["alert"], {}), choices.get(alert["alert"])):
        for condition, made in variants(alert, change, hosts, chosen_presets, recently):
            yield period, condition, made


def joined(labels, recently, everyone):
    """What joins labels of a node onto alerts. A node that the registry does not have, or while nothing is known of it, has alerts without these labels."""
    names = ", ".join(labels)
    info = f"group by (cluster, node, {names}) (last_over_time(accelmon_fleet_node_info[{recently}]))"
    return f"* on (cluster, node) group_left ({names}) (\n  topk by (cluster, node) (1, {info})\n  or on (cluster, node)\n  {everyone}\n)"


def alert_groups(overrides=None, alerts=None, sources=None, variable="accelmon_alert_overrides", interval="15s", chosen_limits=None,
                 chosen_presets=None, hosts=(), labels=(), runbook_url="", choices=None):
    """The groups of the alerts of the catalogue, in a list; an empty one if the site wants none. One for each scope, and one for what can wait.

    overrides: the changes for the whole fleet, as the site gave them in variable
    interval: at which everything is scraped; chosen_limits: {job: series}, a site's own limits of a page
    chosen_presets: names of the presets whose alerts are written, with those that are always there; None: every alert
    hosts: the changes of each host that has some of its own, checked; labels: names of labels to join onto alerts about nodes
    runbook_url: address of a page that has a section for each alert; "" or "none": no link
    choices: {alert: {"change", "until"?}} of what somebody chose instead, checked
    """
    alerts = alerts or load("alerts")
    sources = sources or load("sources")["sources"]
    fleet_wide = changes(overrides, variable, alerts)
    interval = named_duration("the scrape interval", plain(interval))
    values = parts(alerts, sources, interval, chosen_limits)
    groups = {}
    for alert in alerts["alerts"]:
        of_node = alert["scope"] in NODE_SCOPES
        annotations = {key: PART.sub(lambda match: values[match.group(1)], alert[key]) for key in ("summary", "description", "action")}
        if runbook_url not in ("", "none"):
            annotations["runbook_url"] = f"{runbook_url}#{alert['alert'].lower()}"
        for period, condition, chosen in rule_settings(alert, fleet_wide, choices or {}, hosts, chosen_presets, recent(interval)):
            if not chosen["enabled"]:
                continue
            expression = expanded(alert["expr"], {**values, "threshold": chosen.get("threshold", "")}, interval)
            everyone = joined(labels, recent(interval), expanded(values["everyone"], values, interval)) if labels and of_node else ""
            for more in (condition, everyone, period):
                expression = f"(\n{expression}\n)\n{more}" if more else expression
            waits = chosen["severity"] != "critical" and milliseconds(chosen["for"]) >= PATIENT
            groups.setdefault(SLOW_GROUP if waits else f"accelmon_{alert['scope']}", []).append({
                "alert": alert["alert"], "expr": expression, "for": chosen["for"],
                "labels": {"severity": chosen["severity"], "scope": alert["scope"]}, "annotations": annotations})
    return [{"name": name, **({"interval": slow(interval)} if name == SLOW_GROUP else {}), "rules": rules}
            for name, rules in sorted(groups.items(), key=lambda group: group[0] == SLOW_GROUP)]


def alert_file(overrides=None, alerts=None, sources=None, variable="accelmon_alert_overrides", **options):
    """Text of the rule file with the alerts of the catalogue; see `alert_groups`."""
    return dump({"groups": alert_groups(overrides, alerts, sources, variable, **options)})
