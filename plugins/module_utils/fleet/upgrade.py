# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a fleet is as well after an upgrade as before, by what its programs and its storage tell.

seen: {"builds": {role: version or "" where it does not tell one}, "age": seconds of the newest sample or None, "series": how many are active
       or None, "at": when they were counted, "kept": how many are found of those that were active before, None without a look before,
       "rule_errors": [line], "silent": [URL of an Alertmanager without the watchdog], "storage_error": line or None}
"""
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import query, view
from ansible_collections.accelmon.fleet.plugins.module_utils.durations import seconds

# So much of the active series has to be there again.
ENOUGH = 0.95
# Scrapes that may be missing at the moment of looking.
INTERVALS = 4
BUILD = re.compile(r"^(?:vm_app_version|prometheus_build_info|alertmanager_build_info|grafana_build_info)\{(.*)\}", re.MULTILINE)


def reported(page):
    """The version that a program's own page of metrics tells, "" if none."""
    found = BUILD.search(page)
    labels = dict(re.findall(r'(\w+)="([^"]*)"', found.group(1))) if found else {}
    return (labels.get("short_version") or labels.get("version", "")).lstrip("v")


def builds_of_stack(params, roles):
    """{role: version} as services of this host tell it themselves."""
    found = {}
    for role in roles:
        url = params["stack_urls"].get(role)
        try:
            page = query.get_text(role, url + "/metrics", params["query_timeout"], access=view.stack_access(params)).decode("utf-8", "replace") if url else ""
        except Failure:
            page = ""
        found[role] = reported(page)
    return found


def builds_of_exporters(ask, node, roles):
    """{role: version} of a node's exporters as the storage has it from their last scrapes."""
    newest = {}
    for labels, at in ask('timestamp({__name__=~"(node_exporter|all_smi)_build_info",%s})' % query.exactly("node", node)):
        role, version = labels.get("job", ""), labels.get("version", "")
        newest[role] = max(newest.get(role, (0, "")), (at, version))
    return dict((role, newest.get(role, (0, ""))[1]) for role in roles)


def rule_errors(params):
    """[line] of the collection's rules that fail, or of their evaluator that does not answer."""
    try:
        groups = query.rule_groups(params["rules_url"], params["query_timeout"], view.stack_access(params))
    except Failure as error:
        return [str(error)]
    return sorted("%s: %s" % (rule["name"], rule["last_error"]) for group in groups if group["name"].startswith("accelmon_")
                  for rule in group["rules"] if rule["health"] == "err" or rule["last_error"])


def number(counted):
    """The number that an expression has counted; 0 if it has found nothing."""
    return int(counted[0][1]) if counted else 0


def observe(params, roles, now):
    """What is `seen`. roles: whose builds; params: of the module fleet_upgrade_info; now: seconds since the epoch"""
    ask, node = view.asking(params)[0], params["node"]
    where = "{%s}" % query.exactly("node", node) if node else ""
    seen = {"builds": {} if node else builds_of_stack(params, roles), "age": None, "series": None, "at": int(now), "kept": None, "rule_errors": [],
            "silent": [], "storage_error": None}
    selector = where or '{__name__!=""}'
    try:
        newest = [at for _labels, at in ask("max(timestamp(up%s))" % where)]
        seen["age"] = now - newest[0] if newest else None
        if node:
            seen["builds"] = builds_of_exporters(ask, node, roles)
        seen["series"] = number(ask("count(%s)" % selector))
        if params["before"]:
            seen["kept"] = number(ask("count(%s @ %d)" % (selector, params["before"]["at"])))
    except Failure as error:
        seen["storage_error"] = str(error)
    seen["rule_errors"] = rule_errors(params)
    seen["silent"] = [url for url, error, arrived in view.arrivals(params) if error or not arrived]
    return seen


def compare(before, after, wanted, interval):
    """[{"check", "before", "after", "line"}] of what is worse than before.

    wanted: {role: version} that have to run, "" where any will do; interval: text of the scrape interval
    """
    found, limit = [], INTERVALS * seconds(interval)

    def note(check, old, new, problem):
        found.append({"check": check, "before": old, "after": new, "line": "%s: %s before, %s after; %s" % (check, old, new, problem)})

    def shown(value, unit=""):
        return "unknown" if value is None or value == "" else "%s%s" % (value, unit)
    for role, version in sorted(wanted.items()):
        now = after["builds"].get(role, "")
        if version and now != version:
            note("build of " + role, shown(before["builds"].get(role)), shown(now), "%s was to run" % version)
    if after["storage_error"]:
        note("storage", shown(before["storage_error"] or "answering"), after["storage_error"], "it has to answer")
        return found
    if before["age"] is not None and before["age"] <= limit and (after["age"] is None or after["age"] > limit):
        note("age of the newest sample", "%.0f s" % before["age"], "none" if after["age"] is None else "%.0f s" % after["age"],
             "at most %.0f s is fine" % limit)
    if before["series"] and (after["series"] or 0) < ENOUGH * before["series"]:
        note("active series", before["series"], shown(after["series"]), "at least %d %% have to be there" % (100 * ENOUGH))
    # A storage that cannot read what another version has stored soon has as many active series again.
    if before["series"] and (after["kept"] or 0) < ENOUGH * before["series"]:
        note("series of the time before", before["series"], shown(after["kept"]), "at least %d %% have to be found" % (100 * ENOUGH))
    for check, key, problem in (("rules", "rule_errors", "none may be new"), ("watchdog", "silent", "it has to arrive at each Alertmanager")):
        new = sorted(set(after[key]) - set(before[key]))
        if new:
            note(check, "%d failing" % len(before[key]), "%d failing (%s)" % (len(after[key]), query.one_line("; ".join(new), 300)), problem)
    return found
