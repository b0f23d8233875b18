# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts and registries with anything in them: refused in one line that says what to do, or read by everybody.

Nothing is stubbed. The inputs are made by hypothesis, the same in every run.
"""
import copy
import json

import hypothesis
from ansible_collections.accelmon.fleet.plugins.filter.fleet_records import fleet_records
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import registry, targets, verdict
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import facts, hosts as fleet, records
from ansible_collections.accelmon.fleet.tests.unit.plugins.fleet_samples import device, exporter, record, unanswered
from ansible_collections.accelmon.fleet.tests.unit.plugins.fleet_samples import facts as told_facts
from hypothesis import strategies

BOUNDED = hypothesis.settings(max_examples=150, deadline=None, derandomize=True, database=None,
                              suppress_health_check=list(hypothesis.HealthCheck))
NUMBERS = strategies.integers() | strategies.floats() | strategies.sampled_from([10 ** 9, 10 ** 30, -1, 2 ** 63])
WORDS = strategies.text(max_size=6) | strategies.sampled_from(
    ["nvidia", "amd", "{{ 7 * 7 }}", "a\nb", 'a"b', "\x1b[2J", "\ud800", "x" * 5000, "accelmon_accept", "group_names", "10.0.0.1", "::1"])
ANYTHING = strategies.recursive(
    strategies.none() | strategies.booleans() | NUMBERS | WORDS,
    lambda inner: strategies.lists(inner, max_size=4) | strategies.dictionaries(WORDS | strategies.integers(), inner, max_size=4), max_leaves=8)


def paths(value, path=()):
    """All places in nested data."""
    found = [path]
    if isinstance(value, dict):
        found += [one for key, item in value.items() for one in paths(item, path + (key,))]
    elif isinstance(value, list):
        found += [one for key, item in enumerate(value) for one in paths(item, path + (key,))]
    return found


def put(value, path, new, how):
    """A copy of nested data with something else at a place: replaced, taken away, or one thing more."""
    made = copy.deepcopy(value)
    place = made
    for key in path[:-1]:
        place = place[key]
    if how == "gone":
        del place[path[-1]]
    elif how == "more" and isinstance(place[path[-1]], dict):
        place[path[-1]][str(new)[:20]] = new
    else:
        place[path[-1]] = new
    return made


TOLD = dict(told_facts(device(uuid="GPU-1", numa_node=0), device("amd", partitions={"mode": "CPX", "count": 8}), addresses=["10.0.0.7"],
                       node={"architecture": "amd64", "distribution": "debian", "libc": {"name": "glibc"}, "exporters": ["node_exporter"]}))
GOOD = {"ansible_facts": told_facts(device(), device()), "accelmon_accelerator_source": "textfile"}


@BOUNDED
@hypothesis.given(strategies.sampled_from(paths(TOLD)[1:]), ANYTHING, strategies.sampled_from(["instead", "gone", "more"]))
def test_whatever_a_node_tells_it_is_refused_or_harmless(path, new, how):
    told = put(TOLD, path, new, how)
    hostvars = {"evil": dict(GOOD, ansible_facts=told), "gpu2": GOOD}
    made = {one["host"]: one for one in json.loads(fleet_records(["evil", "gpu2"], hostvars, ["evil", "gpu2"]))["records"]}
    assert made["gpu2"]["answered"] and made["gpu2"]["accelerators"] == {"nvidia": {"H100 SXM": 2}}
    try:
        records.make_plan("evil", fleet.HostVariables(hostvars, "evil"))
        kept = facts.read(told)
    except Problem as error:
        assert "\n" not in str(error) and "; " in str(error) and len(str(error)) < 700
        assert "{{" not in str(error) and "\x1b" not in str(error)
        return
    assert "{{" not in json.dumps(kept) and set(kept) <= set(facts.OURS)
    of_run, _changes = registry.merge(registry.empty("c"), made, set(made), full_run=True)
    assert registry.load(registry.dump(of_run), "c", "")["hosts"]["gpu2"]["seen"] == {"nvidia": {"H100 SXM": 2}}
    readers(of_run)


def good_registry():
    """A registry with every kind of member."""
    one = record("a", better={"amd": ["amd_exporter", "not there", "amd_exporter_source"]}, unmonitored=["amd"], expected={"nvidia": 8}, exporters=[
        exporter(elected=["nvidia"]), {"job": "ipmi", "port": 9290, "scheme": "https", "path": "/ipmi", "elected": [], "custom": True, "labels": {"x": "y"}}])
    made, _changes = registry.merge(registry.empty("c"), {"a": one, "b": unanswered("b"), "old": record("old")}, {"a", "b", "old"}, full_run=True)
    return registry.merge(made, {"a": one}, {"a", "b"}, full_run=True, replaced={"old": {"cluster": "c", "host": "a"}})[0]


def readers(data):
    """Everything that reads a registry."""
    registry.series(data).encode()
    targets.target_files("c", registry.records(data))
    registry.better_sources({"c": data})
    seen = verdict.empty_seen()
    verdict.report(verdict.verdict({"c": data}, seen, {}, "mon01"))
    rows = verdict.status_rows({"c": data}, seen)
    verdict.table(verdict.worst_first(rows)).encode()
    verdict.totals_line(verdict.totals(rows))
    again, _changes = registry.merge(data, {"a": record("a")}, {"a"}, full_run=True, accept=["a"], prune=True, prune_force=True)
    registry.successions({"c": data}, {"d": {"a": record("a", cluster="d")}}, {"a"})
    return again


REGISTRY = good_registry()


def test_the_good_one_is_read():
    assert registry.load(registry.dump(REGISTRY), "c", "") == REGISTRY
    readers(REGISTRY)


@BOUNDED
@hypothesis.given(strategies.sampled_from(paths(REGISTRY)[1:]), ANYTHING, strategies.sampled_from(["instead", "gone", "more"]))
def test_a_damaged_registry_is_refused_or_read_by_everybody(path, new, how):
    text = json.dumps(put(REGISTRY, path, new, how))
    try:
        data = registry.load(text, "c", "/r/c.json")
    except Failure as error:
        assert str(error).startswith("registry /r/c.json: ") and "; " in str(error) and "\n" not in str(error)
        return
    readers(data)


@BOUNDED
@hypothesis.given(strategies.integers(0, len(registry.dump(REGISTRY))), strategies.binary(max_size=4))
def test_a_registry_that_was_cut_or_overwritten(place, what):
    text = registry.dump(REGISTRY)
    for damaged in (text[:place], text[:place] + what.decode("latin-1") + text[place + len(what):]):
        try:
            readers(registry.load(damaged, "c", "/r/c.json"))
        except Failure as error:
            assert "; " in str(error) and "\n" not in str(error)
