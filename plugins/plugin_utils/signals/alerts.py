# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The alerts of the catalogue as rules, with a site's own settings."""

import re

from ansible_collections.accelmon.fleet.plugins.module_utils.durations import milliseconds
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import closest, dump, load, plain
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import limits
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.expressions import device_expression, in_charge, number, seen, selector
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.recording import recording_groups
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import STACK, named_duration, switch

SEVERITIES = ("critical", "warning", "info", "none")
PART = re.compile(r"%([a-z_]+)%")
# A reading of devices, with a condition: %recovery_action(>= 2)%
READING = re.compile(r"%([a-z_]+)\(([^()%]*)\)%")
# Jobs by which a monitoring host asks its own services, and the node_exporter that publishes the registry.
SERVICES = STACK + ("accelmon_fleet",)
# What was scraped within this many milliseconds is recent, however short the interval.
LEAST_RECENT = 15_000


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


def reading(name, condition, interval):
    """Expression of a reading in readings.yml, of the devices of which it meets the condition (all if that is empty).

    A scrape that fails now and then does not take it away: it is the last of the recent ones.
    """
    catalogue, series = load("readings"), load("series")
    item = {"zero": "counts", "over": f"last_over_time[{recent(interval)}]", **catalogue["readings"][name]}
    return "(%s)" % device_expression(item, item, series["labels"], load("sources")["sources"], condition=condition)


def expanded(expression, values, interval="15s"):
    """The expression with every %part% and %reading(condition)% filled in; the lines of a part keep the indentation of its place."""
    def fill(line):
        indent = "\n" + line[:len(line) - len(line.lstrip())]
        line = PART.sub(lambda match: values[match.group(1)].replace("\n", indent), line)
        return READING.sub(lambda match: reading(match.group(1), match.group(2), interval).replace("\n", indent), line)

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
            value = named_duration(what, value)
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
    """The groups of the alerts of the catalogue, one for each scope, in a list; an empty one if the site wants none.

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
    interval = named_duration("the scrape interval", plain(interval))
    values = parts(alerts, sources, interval, chosen_limits)
    groups = {}
    for alert in alerts["alerts"]:
        chosen = settings(alert, overrides.get(alert["alert"], {}), f"{variable}.{alert['alert']}")
        if not chosen["enabled"]:
            continue
        groups.setdefault(f"accelmon_{alert['scope']}", []).append({
            "alert": alert["alert"],
            "expr": expanded(alert["expr"], {**values, "threshold": chosen.get("threshold", "")}, interval),
            "for": chosen["for"],
            "labels": {"severity": chosen["severity"], "scope": alert["scope"]},
            "annotations": {key: alert[key] for key in ("summary", "description", "action")},
        })
    return [{"name": name, "rules": rules} for name, rules in groups.items()]


def alert_file(overrides=None, alerts=None, sources=None, variable="accelmon_alert_overrides", **options):
    """Text of the rule file with the alerts of the catalogue; see `alert_groups`."""
    return dump({"groups": alert_groups(overrides, alerts, sources, variable, **options)})


def group_names(interval, backend, overrides=None):
    """Names of the groups that whoever evaluates our rule files must have loaded."""
    return [group["name"] for group in recording_groups(interval, backend) + alert_groups(overrides)]
