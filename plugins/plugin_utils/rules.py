# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rule files from the catalogue, in the language that Prometheus and VictoriaMetrics share."""

import re

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue import closest, dump, load, milliseconds, plain

OPERATIONS = {
    "avg": "avg by ({by}) ({of})",
    "count": "count by ({by}) ({of})",
    "max": "max by ({by}) ({of})",
    "p95": "quantile by ({by}) (0.95, {of})",
    "sum": "sum by ({by}) ({of})",
}
SEVERITIES = ("critical", "warning", "info", "none")
PART = re.compile(r"%([a-z_]+)%")


class RuleError(ValueError):
    """What is wrong with an option of a rule file, in one line."""


def selector(metric, match, also=()):
    """metric{label="value",…} with the labels in order; also: matchers as they are."""
    return "%s{%s}" % (metric, ",".join([f'{label}="{match[label]}"' for label in sorted(match)] + list(also)))


def raw(variant, also=()):
    """Raw series of a variant from all its sources, scaled to our unit.

    The label source is only on series of the source that is in charge of the vendor on that node,
    so that a device that two sources see is in here once. also: further matchers.
    """
    terms = []
    for source, part in variant["from"].items():
        term = selector(part["metric"], {**part.get("match", {}), "source": source}, also)
        terms.append(f"{term} / {part['divide']}" if "divide" in part else term)
    return " or ".join(terms)


def device_rules(series):
    """One recording rule for each variant of each device series."""
    rules = []
    for item in series["devices"]:
        by = ", ".join(series["labels"] + item.get("labels", []))
        for variant in item["variants"]:
            rule = {"record": item["name"], "expr": f"max by ({by}) ({raw(variant)})"}
            if variant.get("labels"):
                rule["labels"] = dict(variant["labels"])
            rules.append(rule)
    return rules


def rollup_rules(series, level):
    """The recording rules of one level: node, rack or cluster."""
    variants = {item["name"]: item["variants"] for item in series["devices"]}
    rules = []
    for rollup in series["rollups"]:
        if rollup["level"] != level:
            continue
        wanted = rollup.get("variant", {})
        variant = next(item for item in variants[rollup["of"]] if item.get("labels", {}) == wanted)
        # Nodes without a rack are in no rack's roll-up, rather than in that of a rack without a name.
        of = raw(variant, ['rack!=""'] if level == "rack" else [])
        for operation in rollup["operations"]:
            rules.append({
                "record": f"{level}:{rollup['of']}:{operation}",
                "expr": OPERATIONS[operation].format(by=", ".join(series["levels"][level]), of=of),
            })
    return rules


def duration(what, value):
    """value as text if it is a duration, else a RuleError that names it as what."""
    try:
        milliseconds(value)
    except ValueError:
        raise RuleError(f"{what} = {value!r}: not a duration; write a number with a unit, for instance 30s or 5m") from None
    return str(value)


def recording_file(interval, series=None):
    """Text of the rule file with the recording layer, evaluated at each interval.

    Each level is a group: groups run side by side, and none needs what another records.
    """
    interval = duration("the interval of the recording rules", plain(interval))
    if not milliseconds(interval):
        raise RuleError(f"the interval of the recording rules = {interval!r}: it must be longer than 0")
    series = series or load("series")
    groups = [{"name": "accelmon_devices", "interval": interval, "rules": device_rules(series)}]
    for level in series["levels"]:
        groups.append({"name": f"accelmon_{level}s", "interval": interval, "rules": rollup_rules(series, level)})
    return dump({"groups": groups})


def elected(vendors, matchers, value):
    """One value for each (cluster, rack, node, vendor) whose exporter in charge has up == value.

    A node's exporter carries the vendors that it is in charge of in one label, with commas between them.
    """
    terms = []
    for vendor in vendors:
        match = ",".join(matchers + [f'accelmon_elected=~"(.*,)?{vendor}(,.*)?"'])
        terms.append(f'label_replace(max by (cluster, rack, node) (up{{{match}}}) == {value}, "vendor", "{vendor}", "", "")')
    return "\nor ".join(terms)


def parts(alerts, sources):
    """The shared parts of expressions: those of the catalogue and those that follow from the sources."""
    present = [f'count by (cluster, node, vendor) ({selector(source["presence"], {"source": name})})'
               for name, source in sources.items()]
    vendors = list(dict.fromkeys(vendor for source in sources.values() for vendor in source["vendors"]))
    made = {"present": " or ".join(present), "source_down": elected(vendors, [], 0)}
    for name, source in sources.items():
        made[f"{name}_up"] = elected(source["vendors"], [f'job="{source["job"]}"'], 1)
    return {**alerts["parts"], **made}


def expanded(expression, values):
    """The expression with every %part% filled in; the lines of a part keep the indentation of its place."""
    def fill(line):
        indent = line[:len(line) - len(line.lstrip())]
        return PART.sub(lambda match: values[match.group(1)].replace("\n", "\n" + indent), line)

    return "\n".join(fill(line) for line in expression.split("\n"))


def boolean(what, value):
    """value as a truth value; the surveys of AWX send text."""
    if isinstance(value, bool):
        return value
    known = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    if str(value).lower() not in known:
        raise RuleError(f"{what} = {value!r}: neither true nor false; write one of them")
    return known[str(value).lower()]


def settings(alert, overrides, variable):
    """What an alert's rule is made with: {for, severity, enabled, threshold?} after the site's overrides for it.

    threshold comes as the text that goes into the expression: seconds for a duration, else the number.
    """
    threshold = alert.get("threshold")
    chosen = {"for": alert["for"], "severity": alert["severity"], "enabled": True}
    if threshold:
        chosen["threshold"] = threshold["default"]
    if not isinstance(overrides, dict):
        raise RuleError(f"{variable} = {overrides!r}: not a mapping; give some of {', '.join(sorted(chosen))}")
    for key, value in overrides.items():
        what = f"{variable}.{key}"
        if key == "threshold" and not threshold:
            raise RuleError(f"{what} = {value!r}: {alert['alert']} has no threshold; {closest(key, chosen)}")
        if key not in chosen:
            raise RuleError(f"{what} = {value!r}: no such setting; {closest(key, chosen)}")
        if key == "for":
            value = duration(what, value)
        elif key == "severity" and value not in SEVERITIES:
            raise RuleError(f"{what} = {value!r}: no such severity; {closest(value, SEVERITIES)}")
        elif key == "enabled":
            value = boolean(what, value)
        elif key == "threshold":
            value = duration(what, value)
        chosen[key] = value
    if threshold:
        chosen["threshold"] = str(milliseconds(chosen["threshold"]) / 1000).removesuffix(".0")
    return chosen


def alert_file(overrides=None, alerts=None, sources=None, variable="accelmon_alert_overrides"):
    """Text of the rule file with the alerts of the catalogue.

    overrides: {alert: {for?, severity?, enabled?, threshold?}}, as the site gave them in variable.
    Raises RuleError with the alert, the key, the value and the nearest valid name.
    """
    alerts = alerts or load("alerts")
    sources = sources or load("sources")["sources"]
    overrides = plain({} if overrides is None else overrides)
    names = [alert["alert"] for alert in alerts["alerts"]]
    if not isinstance(overrides, dict):
        raise RuleError(f"{variable} = {overrides!r}: not a mapping; give a mapping of alerts to what to change")
    for name, value in overrides.items():
        if name not in names:
            raise RuleError(f"{variable}.{name} = {value!r}: no such alert; {closest(name, names)}")
    values = parts(alerts, sources)
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
    return dump({"groups": [{"name": "accelmon_alerts", "rules": rules}] if rules else []})
