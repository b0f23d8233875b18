# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Weaken the alerts, one piece at a time: at least one case of an alert must notice.

    tests/rules/mutations.py [--programs DIR] [ALERT]...

Prints what no case notices, and fails then. A minute or more for ten alerts.
"""

import argparse
import re
import sys
import tempfile

import run

# pylint: disable=wrong-import-order
from ansible_collections.accelmon.fleet.plugins.module_utils.durations import milliseconds
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue import reader
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.alerts import alert_groups

# A comparison in an alert's own text, by which it says what is bad.
COMPARISON = re.compile(r"(?<![=!<>])(>=|<=|==|!=|>|<) (\d+(?:\.\d+)?|%threshold%)")
OPPOSITE = {">": "<=", "<": ">=", ">=": "<", "<=": ">", "==": "!=", "!=": "=="}
MAINTENANCE = re.compile(r"\s*unless on \(cluster, node\) %maintenance%")
# A label by which it chooses what it reads, and the comma behind it.
LABEL = re.compile(r'\b(\w+(?:=~|!~|!=|=)"[^"]*")\s*,?')


def weakened(alert):
    """[(what, the alert with it)] of an alert of the catalogue."""
    found = [("it fires at once", {**alert, "for": "0s"})] if milliseconds(alert["for"]) else []
    found.append(("it takes a week", {**alert, "for": "7d"}))
    text = alert["expr"]
    if MAINTENANCE.search(text):
        found.append(("maintenance does not matter", {**alert, "expr": MAINTENANCE.sub("", text)}))
    for match in COMPARISON.finditer(text):
        turned = f"{OPPOSITE[match.group(1)]} {match.group(2)}"
        found.append((f"{match.group(0)} is {turned}", {**alert, "expr": text[:match.start()] + turned + text[match.end():]}))
    # Everywhere: where two vectors are matched, it often says the same of both.
    for label in dict.fromkeys(LABEL.findall(text)):
        found.append((f"{label} does not matter", {**alert, "expr": LABEL.sub(lambda match: "" if match.group(1) == label else match.group(0), text)}))
    threshold = alert.get("threshold", {})
    if threshold.get("type") == "number":
        for factor in (0.5, 2):
            found.append((f"the threshold is {factor} times itself", {**alert, "threshold": {**threshold, "default": threshold["default"] * factor}}))
    return found


def unnoticed(programs, alert, catalogue):
    """What of an alert may be weakened without that a case fails; only promtool is asked."""
    name, found = alert["alert"], []
    tests = run.alert_tests((name,))
    for what, other in weakened(alert):
        groups = alert_groups(alerts={**catalogue, "alerts": [other]})
        with tempfile.TemporaryDirectory() as folder:
            rules = run.write(folder, "rules.yml", run.with_one_annotation(groups, name, "summary"))
            programs.run("promtool", "check", "rules", rules)
            paths = [run.write(folder, f"test-{evaluated}.yml", run.dumped({"rule_files": [rules], "evaluation_interval": evaluated, "tests": listed}))
                     for (dummy, evaluated), listed in tests.items()]
            try:
                programs.run("promtool", "test", "rules", *paths)
            except AssertionError:
                continue
            found.append(what)
    return found


def main(arguments=None):
    """0 if every weakness is noticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("alerts", nargs="*", metavar="ALERT", help="all without any")
    parser.add_argument("--programs", metavar="DIR", help="where promtool is; PATH without it")
    options = parser.parse_args(arguments)
    catalogue, failed = reader.load("alerts"), 0
    for alert in catalogue["alerts"]:
        if not options.alerts or alert["alert"] in options.alerts:
            for what in unnoticed(run.Programs(options.programs), alert, catalogue):
                failed = 1
                print(f"no case of {alert['alert']} notices: {what}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
