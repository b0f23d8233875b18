# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host may come to another rack: what was scraped of it before has the old one, and is still the same host's.

So whatever an alert tells of the past is told without the rack. The cases in tests/rules show what comes of it.
"""
import re

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.durations import seconds
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.alerts import alert_groups
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.expressions import LEAP
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.recording import recording_groups

# A look back: a window, an offset, or both.
BACK = re.compile(r"(?P<name>\w+)?(?:\{[^{}]*\})?(?:\[(?P<window>\d+[smhd])(?::[^\]]*)?\](?: offset (?P<offset>\w+))?|(?<=[\w}]) offset (?P<alone>\w+))")
# What is made of a window of one row alone starts anew in another rack. Nothing is compared.
ALONE = re.compile(r"(?:rate|avg_over_time|max_over_time|sum_over_time|count_over_time)\($")
AGGREGATED = re.compile(r"\b(by|without) \(([^()]*)\) \($")
# Set operations match without changing what is on their left.
IGNORED = re.compile(r"\b(?:and|unless) ignoring \(rack\)\s*\($")
# The stack's own series have no rack.
STACK = re.compile(r"(?:vm|vmagent|vmalert|prometheus|alertmanager)_")
# Where the rack of now is looked for, last of all in the rows themselves.
LOOKED_FOR = re.compile(r" or on \(cluster, node\) count by \(cluster, rack, node\) \(last_over_time\([^()]*\)\)")


def openings(text, place):
    """What is before each bracket that is open at a place, with the bracket, from the inside out."""
    depth = 0
    for position in range(place - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(text[position], 0)
        if depth < 0:
            depth = 0
            yield text[:position + 1]


def tied(text):
    """The looks back of an expression that depend on the rack that a row had then."""
    text, found = LOOKED_FOR.sub("", text), []
    for match in BACK.finditer(text):
        before = list(openings(text, match.start()))
        offset = match.group("offset") or match.group("alone")
        # Leaps only leave out what is not to be believed.
        if STACK.match(match.group("name") or "") or offset == LEAP or not offset and (seconds(match.group("window")) < 3600 or ALONE.search(before[0])):
            continue
        around = before[1 if match.group("window") else 0]
        # Aggregated as it is: a difference inside of an aggregation is one of rows.
        aggregated = AGGREGATED.search(around) if re.match(r"(?:\w+\()?\Z", text[len(around):match.start()]) else None
        if not (aggregated and (aggregated.group(1) == "without") == ("rack" in aggregated.group(2).split(", ")) or IGNORED.search(around)):
            found.append(text[max(0, match.start() - 80):match.end()])
    return found


@pytest.mark.parametrize("text, wrong", [
    ("max by (cluster, rack, node) (last_over_time(x[5m] offset 1h))", 1),
    ("max by (cluster, node) (last_over_time(x[5m] offset 1h))", 0),
    ("max by (cluster, rack, node) (x - last_over_time(x[5m] offset 1h))", 1),
    ("max by (cluster, node) (x - last_over_time(x[5m] offset 1h))", 1),
    ("max by (cluster, node) (x - x offset 1h)", 1),
    ("max by (cluster, node) (x{y=\"z\"} offset 1h)", 0),
    ("x{y=\"z\"} == 1 and on (node) (x offset 1d == 0)", 1),
    ("max by (cluster, rack, node) (x - ignoring (rack) group_left () max without (rack) (last_over_time(x[5m] offset 1h)))", 0),
    ("max by (cluster, rack, node) (x - min_over_time(x[1h]))", 1),
    ("max by (cluster, rack, node) (last_over_time(x[2h]))", 1),
    ("max by (cluster, rack, node) (rate(x[2h]))", 0),
    ("max by (rack) (x == 1 and ignoring (rack) (last_over_time(x[5m] offset 1d) == 0))", 0),
])
def test_what_depends_on_the_rack_is_found(text, wrong):
    assert len(tied(text)) == wrong


def test_no_alert_compares_with_the_rack_of_before():
    found = {rule["alert"]: tied(rule["expr"]) for group in alert_groups() for rule in group["rules"]}
    assert {name: looks for name, looks in found.items() if looks} == {}
    assert set(found) == {alert["alert"] for alert in load("alerts")["alerts"]}


def test_nothing_recorded_compares_with_the_rack_of_before():
    assert [look for group in recording_groups("15s") for rule in group["rules"] for look in tied(rule["expr"])] == []
