"""The components of health against the readings that they are made of. What the rules do is proven by tests/rules/cases/health.yml."""

import re

import pytest

from ansible_collections.accelmon.fleet.plugins.module_utils.durations import milliseconds
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import health, reserved
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.recording import recording_groups

COMPONENTS = load("health")["components"]
RULES, SCORES = health.health_rules("15s")
BY_COMPONENT = {rule["labels"]["component"]: rule["expr"] for rule in RULES if rule["record"] == health.STATE}


def test_every_component_is_complete():
    for component in COMPONENTS:
        assert {"fatal", "degraded"} & set(component) and set(component) <= {"component", "fatal", "degraded", "known", "counts"}, component
        assert set(component.get("fatal", {"when": "", "expr": []})) == {"when", "expr"}, component
        if "degraded" in component:
            assert set(component["degraded"]) == {"when", "expr", "score"} and component["degraded"]["score"] in (40, 70), component
    names = [component["component"] for component in COMPONENTS]
    assert len(set(names)) == len(names) == len(BY_COMPONENT)


def test_a_single_witness_never_makes_a_device_fatal():
    verdict = next(component for component in COMPONENTS if component["component"] == "verdict")
    assert "fatal" not in verdict and verdict["degraded"]["score"] == 40
    readings = {name for name, _condition in health.READING.findall(" ".join(verdict["degraded"]["expr"]))}
    fatal = " ".join(text for component in COMPONENTS if "fatal" in component for text in component["fatal"]["expr"])
    assert readings and not readings & {name for name, _condition in health.READING.findall(fatal)}


def test_known_follows_from_what_is_read_unless_a_component_says_otherwise():
    found = health.known({"fatal": {"expr": ["%row_remap_state(== 2)%", "%heat_throttled(> 0.1)%"]}, "degraded": {"expr": ["%row_remap_state(== 1)%"]}}, "15s")
    # The rate over five minutes is a question of how much, not of whether it is known.
    assert found[0] == "%row_remap_state()%" and len(found) == 2 and "DCGM_FI_DEV_THERMAL_VIOLATION" in found[1] and "rate(" not in found[1]
    assert health.known({"fatal": {"expr": ["%row_remap_state(> 1)%"]}, "known": ["%c()%"]}, "15s") == ["%c()%"]
    ratio = next(rule["expr"] for rule in RULES if rule["record"] == health.KNOWN)
    counted = [component["component"] for component in COMPONENTS if component.get("counts", True)]
    assert re.findall(r'"component", "(\w+)"', ratio) == counted and f") / {len(counted)}\n" in ratio


def test_what_is_recorded_of_devices_is_not_computed_again():
    read = {rule["labels"]["component"]: rule["expr"] for rule in RULES if rule["record"] == health.STATE}
    assert "max by (cluster, rack, node, index, uuid, vendor, model) (last_over_time(accelerator_row_remap_state[180s])) == 2" in read["memory"]
    assert "DCGM_" not in read["memory"] and "DCGM_" in read["recovery"]


@pytest.mark.parametrize("interval", ["500ms", "15s", "60s", "2m", "5m"])
def test_two_missed_evaluations_leave_no_gap_at_any_interval(interval):
    """Errors are recorded once a minute at most, so that no window may be shorter than three minutes either."""
    groups = {group["name"]: group["interval"] for group in recording_groups(interval)}
    least = 3 * max(milliseconds(groups["accelmon_devices_1"]), milliseconds(groups["accelmon_errors"]))
    expressions = [rule["expr"] for rule in health.health_rules(interval)[0]]
    windows = {window for expression in expressions for window in re.findall(r"last_over_time\(accelerator_\w+(?:{[^}]*})?\[(\w+)\]", expression)}
    assert windows and all(milliseconds(window) >= least for window in windows), (windows, least)


def test_a_healthy_device_has_two_series():
    """Its score and what is known of it. A state is recorded where it is not good, and the rest is of nodes."""
    assert sorted(rule["record"] for rule in RULES + SCORES if rule["record"] != health.STATE) == [
        health.KNOWN, health.SCORE, f"node:{health.SCORE}:min"]
    for name, expression in BY_COMPONENT.items():
        # Every value is of a device that meets a condition.
        assert "%" not in re.sub("% 2", "", expression) and re.match(r"0 \* \(\n", expression), name


def test_every_score_is_of_a_component_and_the_worst_counts():
    for rule in SCORES:
        levels = dict((score, names.split("|")) for score, names in re.findall(r'(\d+) \* \(\w+\{index!="",component=~"([\w|]+)"\} == 1\)', rule["expr"]))
        assert levels == {
            str(score): [item["component"] for item in COMPONENTS if item.get("degraded", {}).get("score") == score] for score in (40, 70)}
        assert f'({health.STATE}{{index!=""}} == 0)' in rule["expr"] and "min by" in rule["expr"]


def test_no_node_writes_its_own_score():
    pattern = "|".join(reserved.families())
    for rule in RULES + SCORES:
        assert re.fullmatch(pattern, rule["record"])
