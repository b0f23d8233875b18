# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What alerts look at, and which alerts cannot fire where it is missing. Nothing is stubbed; the storage's part is in test_fleet_live.py."""
import json

import pytest

from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import verdict
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.inputs import blind_alerts
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.signals import alert_inputs
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import inputs

A, B, C = ({name} for name in "abc")


@pytest.fixture(autouse=True)
def _readings(monkeypatch):
    known = {name: {"from": {}} for name in "abc"}
    monkeypatch.setattr(inputs, "load", lambda part: {"readings": {**known, **load("readings")["readings"]}} if part == "readings" else load(part))


@pytest.mark.parametrize(("expression", "wanted"), [
    ("%a(> 1)%", [A]), ("%a()% - %b()% > 3", [A | B]), ("%a()% and on (cluster, node) %b()%", [A | B]),
    ("%a()% or on (cluster) %b()%", [A, B]), ("%a()% or %a()% and %b()%", [A]), ("%a()% unless %b()%", [A]),
    ("%a()% unless on (node) (%b()% or %c()%) and %c()%", [A | C]), ("(%a()% or %b()%) * %c()%", [A | C, B | C]),
    ("count by (cluster, or_node) (%a()% unless %maintenance%) >= %threshold%", [A]), ("%a(> %threshold%)%", [A]),
    ("up == 0", [set()]), ("%a()% or vector(0)", [set()]), ("%unknown(1h)% and %a()%", [A]),
    ("((%a()% and %b()%)\nor\n((%c()% < 1) unless %a()%))\nunless on (cluster, node) %maintenance%", [A | B, C]),
])
def test_readings_that_an_expression_needs(expression, wanted):
    assert [set(choice) for choice in inputs.needs(expression)] == wanted


def test_inputs_follow_from_the_catalogue_and_the_chosen_alerts():
    found = alert_inputs("m1", {"m1": {"inventory_hostname": "m1"}})
    json.dumps(found)
    assert found["alerts"]["AcceleratorRecoveryRequired"] == [["recovery_action"]] and "HostDown" not in found["alerts"]
    reading = found["readings"]["recovery_action"]
    assert {"textfile", "dcgm"} <= set(reading["sources"]) and "last_over_time(node_gpu_recovery_action{" in reading["present"]
    assert set(found["readings"]) == {name for choices in found["alerts"].values() for choice in choices for name in choice}
    for reading in found["readings"].values():
        # Whatever it is over time: an alert about an hour is not blind in the first one.
        assert "rate(" not in reading["present"] and "offset" not in reading["present"] and set(reading["sources"]) <= set(found["vendors"])
    assert "AcceleratorRecoveryRequired" not in alert_inputs("m1", {"m1": {"inventory_hostname": "m1", "accelmon_alert_presets": ["node"]}})["alerts"]
    disabled = {"inventory_hostname": "m1", "accelmon_alert_overrides": {"AcceleratorRecoveryRequired": {"state": "absent"}}}
    assert "AcceleratorRecoveryRequired" not in alert_inputs("m1", {"m1": disabled})["alerts"]


INPUTS = {
    "alerts": {"Hot": [["temperature"]], "Narrow": [["width", "load"]], "Slow": [["margin"], ["limit", "temperature"]], "Gaudi": [["gaudi"]]},
    "readings": {"temperature": {"sources": ["dcgm", "textfile"], "optional": False}, "width": {"sources": ["dcgm"], "optional": False},
                 "load": {"sources": ["dcgm", "textfile"], "optional": True}, "margin": {"sources": ["dcgm"], "optional": False},
                 "limit": {"sources": ["dcgm", "all_smi"], "optional": False}, "gaudi": {"sources": ["all_smi"], "optional": False}},
    "exporters": {"dcgm": "dcgm_exporter", "textfile": "textfile_collector", "all_smi": "all_smi"},
    "vendors": {"dcgm": ["nvidia"], "textfile": ["nvidia", "amd"], "all_smi": ["gaudi"]},
}


@pytest.mark.parametrize(("vendor", "source", "present", "of_equals", "broken", "unreported", "elsewhere"), [
    ("nvidia", "dcgm", {"temperature", "width", "load", "margin"}, set(), [], [], {}),
    ("nvidia", "dcgm", {"temperature", "width", "load", "limit"}, set(), [], [], {}),
    ("nvidia", "dcgm", {"temperature", "load"}, {"temperature"}, [], ["Narrow", "Slow"], {}),
    ("nvidia", "dcgm", {"temperature", "load"}, {"temperature", "width"}, ["Narrow"], ["Slow"], {}),
    # Equal devices may differ in load.
    ("nvidia", "dcgm", {"temperature"}, {"temperature", "width", "load", "margin"}, ["Slow"], ["Narrow"], {}),
    ("nvidia", "textfile", {"temperature", "load"}, {"temperature", "load"}, [], [], {"dcgm_exporter": ["Narrow", "Slow"]}),
    ("nvidia", "textfile", set(), {"temperature"}, ["Hot"], [], {"dcgm_exporter": ["Narrow", "Slow"]}),
    ("amd", "textfile", {"temperature", "load"}, set(), [], [], {}),
    ("gaudi", "all_smi", set(), set(), [], ["Gaudi"], {}),
])
def test_alerts_that_cannot_fire(vendor, source, present, of_equals, broken, unreported, elsewhere):
    assert blind_alerts(vendor, source, present, INPUTS, of_equals) == {"broken": broken, "unreported": unreported, "elsewhere": elsewhere}


def real(without=""):
    """(inputs of the catalogue, the readings that a source has, by the source; without those whose name begins so)."""
    found = alert_inputs("m1", {"m1": {"inventory_hostname": "m1"}})
    return found, {source: {name for name, reading in found["readings"].items() if source in reading["sources"] and not (without and name.startswith(without))}
                   for source in found["exporters"]}


def test_counters_that_dcgm_leaves_out_until_they_count_make_no_alert_fail():
    """No. 18: since 4.5.3 error codes and errors of links are not there before the first one."""
    found, present = real(without="link_")
    assert not any(alert.startswith("AcceleratorError") for alert in found["alerts"])
    assert {"AcceleratorLinkErrors", "AcceleratorLinkRecoveryFailed"} <= set(found["alerts"])
    assert blind_alerts("nvidia", "dcgm", present["dcgm"], found, of_equals=real()[1]["dcgm"])["broken"] == []


def test_alerts_about_another_vendors_devices_are_not_missed_and_those_about_these_are():
    """No. 38: rules that look at series of NVIDIA alone can never fire for AMD."""
    found, present = real()
    assert blind_alerts("amd", "amd_exporter", present["amd_exporter"], found)["broken"] == []
    blind = blind_alerts("amd", "amd_exporter", set(), found)
    named = {*blind["unreported"], *(alert for alerts in blind["elsewhere"].values() for alert in alerts)}
    assert {"AcceleratorUnhealthy", "AcceleratorUncorrectableEcc", "AcceleratorNearSlowdown"} <= set(blind["unreported"])
    assert not named.intersection(("AcceleratorLinkErrors", "AcceleratorFabricNotReady", "AcceleratorFabricLimited"))
    assert "AcceleratorLinkErrors" in blind_alerts("nvidia", "dcgm", set(), found)["unreported"]


def fleet(**status):
    hosts = {}
    for name, what in status.items():
        hosts[name] = {"address": name, "status": what, "expected": {"nvidia": 8}, "highest": {}, "seen": {"nvidia": {"H100": 8}}, "labels": {}, "exporters": [
            {"job": "node_exporter", "port": 9100, "source": "textfile", "elected": ["nvidia"], "standby": []}]}
    return {"west": {"cluster": "west", "generation": 1, "hosts": hosts}}


def seen(clusters, readings):
    found = verdict.empty_seen()
    for node, host in clusters["west"]["hosts"].items():
        found["up"].update({("west", node, job, instance): True for job, _target, instance in verdict.exporter_targets(host)})
        found["devices"][("west", node, "nvidia")] = 8
        found["collector_age"][("west", node, "nvidia")] = 1
        found["readings"][("west", node, "nvidia")] = readings
    found["generations"]["west"] = {1}
    found["groups"] = [{"name": "g", "rules": []}]
    return found


def test_verify_names_alerts_that_cannot_fire_and_the_exporter_that_helps():
    clusters = fleet(gpu1="active", gpu2="active", gpu3="active", gpu10="active", gpu4="maintenance")
    found = verdict.verdict(clusters, seen(clusters, {"temperature", "load"}), {}, "m1", watchdog="", inputs=INPUTS)
    assert found["failures"] == [] and found["counts"]["fine"] == 4
    assert [(one["node"], one["note"]) for one in found["notes"] if one["node"] != "gpu4"] == [
        ("gpu1, gpu2, gpu3 and 1 more", "Narrow and Slow cannot fire for nvidia, read by textfile; dcgm_exporter provides what they look at")]


def test_verify_fails_where_a_node_lacks_what_an_equal_one_has():
    clusters = fleet(gpu1="active", gpu2="active", gpu3="active")
    clusters["west"]["hosts"]["gpu3"]["seen"] = {"nvidia": {"T4": 8}}
    answers = seen(clusters, {"load"})
    answers["readings"][("west", "gpu1", "nvidia")] = {"load", "temperature"}
    found = verdict.verdict(clusters, answers, {}, "m1", watchdog="", inputs=INPUTS)
    assert [one["line"] for one in found["failures"]] == [
        "gpu2: Hot cannot fire for nvidia: textfile does not report here what it reports of the same model elsewhere; "
        "compare the exporter's version, configuration and log on gpu2 with those of another node"]
    assert ("gpu3", "Hot cannot fire for nvidia, read by textfile: these devices do not report what they look at") in [
        (one["node"], one["note"]) for one in found["notes"]]


def test_devices_that_are_not_there_make_no_alert_blind():
    clusters = fleet(gpu1="active")
    answers = seen(clusters, set())
    answers["devices"] = {("west", "gpu2", "nvidia"): 8}
    found = verdict.verdict(clusters, answers, {}, "m1", watchdog="", inputs=INPUTS)
    assert [one["check"] for one in found["failures"]] == ["devices"] and found["notes"] == []
    assert verdict.verdict(clusters, seen(clusters, set()), {}, "m1", watchdog="")["failures"] == []
