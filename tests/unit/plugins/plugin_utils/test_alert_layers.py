# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which alerts a site gets, and with which settings on which hosts. Nothing is stubbed.

That the rules do it is shown by tests/rules/cases/layers.yml.
"""
import pathlib

import pytest
from ansible.module_utils.common.yaml import yaml_load
from ansible.errors import AnsibleFilterError

from ansible_collections.accelmon.fleet.plugins.filter.alert_rules import alert_rules
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import registry
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import alerting, hosts as fleet
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.check import fleet_check
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.formats import read
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.records import make_record
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.signals import alert_changes
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import alerts
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.recording import recording_groups

ROOT = pathlib.Path(__file__).resolve().parents[4]
ALWAYS = {"MonitoringDown", "ScrapingStopped", "Watchdog"}


def rules(text):
    return [rule for group in yaml_load(str(text))["groups"] for rule in group["rules"]]


def names(text):
    return {rule["alert"] for rule in rules(text)}


def hostvars(**hosts):
    return {name: {"inventory_hostname": name, **values} for name, values in hosts.items()}


# ---- presets ----

def test_every_alert_is_in_a_preset_and_every_preset_has_alerts():
    catalogue = load("alerts")
    used = {name for alert in catalogue["alerts"] for name in alert["presets"]}
    assert used == set(catalogue["presets"]) and set(catalogue["aliases"].values()) < used
    for alert in catalogue["alerts"]:
        assert "accelerator-production" in alert["presets"] or "accelerator-basic" not in alert["presets"], alert["alert"]
    assert {alert["alert"] for alert in catalogue["alerts"] if alert.get("always")} == ALWAYS


def test_only_alerts_of_the_chosen_presets_are_written_and_those_that_report_dead_monitoring():
    assert names(alert_rules({}, presets=[])) == ALWAYS
    basic = names(alert_rules({}, presets=["accelerator-basic"]))
    assert basic == ALWAYS | {alert["alert"] for alert in load("alerts")["alerts"] if "accelerator-basic" in alert["presets"]}
    assert str(alert_rules({}, presets=["gpu-basic", "accelerator-basic"])) == str(alert_rules({}, presets="[accelerator-basic]"))
    assert "CertificateExpiring" in names(alert_rules({})) - basic


def test_an_alert_of_another_preset_is_added_by_name():
    assert names(alert_rules({"HostDown": {"enabled": True}}, presets=[])) == ALWAYS | {"HostDown"}
    assert names(alert_rules({"HostDown": {"state": "present", "for": "9m"}}, presets=[])) == ALWAYS | {"HostDown"}
    assert names(alert_rules({"HostDown": {"for": "9m"}}, presets=[])) == ALWAYS
    assert "HostDown" not in names(alert_rules({"HostDown": {"state": "absent"}}))


@pytest.mark.parametrize(("value", "message"), [
    (["acelerator-basic"], "acelerator-basic: no such preset; did you mean accelerator-basic?"),
    (["gpu-prod"], "gpu-prod: no such preset; did you mean gpu-production?"),
    (["x", 3], "x: no such preset; known are accelerator-basic, accelerator-production, gpu-basic, gpu-production, node, slurm, stack"),
    ([["node"]], "no such preset"), ("node", "not a list"),
])
def test_a_wrong_preset(value, message):
    with pytest.raises(Problem) as caught:
        read("accelmon_alert_presets", value)
    assert message in str(caught.value)


# ---- layers ----

def test_a_later_layer_wins_key_by_key():
    layers = [{"HostDown": {"for": "1m", "severity": "info"}}, {"HostDown": {"for": "2m"}, "ExporterDown": {"enabled": False}}, {"HostDown": {"for": "3m"}}]
    assert alerts.resolved(*layers) == {"HostDown": {"for": "3m", "severity": "info"}, "ExporterDown": {"enabled": False}}
    assert alerts.resolved() == {}
    # An earlier state does not outlive a later enabled.
    fleet_wide, host = alerts.changes({"HostDown": {"state": "absent"}}), alerts.changes({"HostDown": {"enabled": "yes"}})
    assert alerts.resolved(fleet_wide, host) == {"HostDown": {"enabled": True}}


def test_a_host_has_what_its_group_has_unless_it_says_otherwise():
    of_group = {"HostDown": {"for": "5m", "severity": "info"}, "ExporterDown": {"enabled": "no"}}
    values = {name: read(name, value) for name, value in (
        ("accelmon_alert_group_overrides", of_group), ("accelmon_alert_host_overrides", '{"HostDown": {"for": "7m"}}'))}
    assert alerting.of_values(values) == {"HostDown": {"for": "7m", "severity": "info"}, "ExporterDown": {"enabled": False}}


def test_rules_grow_with_settings_and_not_with_hosts():
    quicker, gone = {"HostDown": {"for": "30s"}}, {"HostDown": {"enabled": False}}
    inventory = hostvars(**{f"gpu{number}": {"accelmon_alert_group_overrides": quicker} for number in range(50)},
                         old={"accelmon_alert_host_overrides": gone}, plain={}, m1={})
    changes = alert_changes(inventory, {"accelerator_nodes": list(inventory)[:-1], "monitoring": ["m1", "plain"]})
    assert len(changes) == 51
    made = [rule for rule in rules(alert_rules({}, hosts=changes)) if rule["alert"] == "HostDown"]
    assert [rule["for"] for rule in made] == ["2m", "30s"]
    quick, off = alerts.setting(quicker["HostDown"]), alerts.setting(gone["HostDown"])
    assert f'setting=~"{"|".join(sorted([quick, off]))}"' in made[0]["expr"] and "unless on (cluster, node) last_over_time" in made[0]["expr"]
    assert f'and on (cluster, node) last_over_time(accelmon_alert_setting{{alert="HostDown",setting="{quick}"}}[45s])' in made[1]["expr"]
    others = [rule for rule in rules(alert_rules({}, hosts=changes)) if rule["alert"] != "HostDown"]
    assert others == [rule for rule in rules(alert_rules({})) if rule["alert"] != "HostDown"]


def test_a_host_that_says_what_all_have_needs_no_rule():
    assert str(alert_rules({"HostDown": {"for": "30s"}}, hosts=[{"HostDown": {"for": "30s"}}])) == str(alert_rules({"HostDown": {"for": "30s"}}))
    made = [rule for rule in rules(alert_rules({"HostDown": {"for": "30s", "severity": "info"}}, hosts=[{"HostDown": {"for": "9m"}}]))
            if rule["alert"] == "HostDown"]
    assert [(rule["for"], rule["labels"]["severity"]) for rule in made] == [("30s", "info"), ("9m", "info")]


@pytest.mark.parametrize("name", ["accelmon_alert_group_overrides", "accelmon_alert_host_overrides"])
@pytest.mark.parametrize(("value", "message"), [
    ({"Watchdog": {"for": "1m"}}, 'Watchdog = {"for": "1m"}: Watchdog is not about a single node; change it for the whole fleet, in accelmon_alert_overrides'),
    ({"HostDwon": {}}, "HostDwon = {}: no such alert; did you mean HostDown?"),
    ({"HostDown": {"sevrity": "info"}}, "HostDown.sevrity = info: no such setting; did you mean severity?"),
    ({"AcceleratorCollectorStale": {"threshold": "5 m"}}, "AcceleratorCollectorStale.threshold = 5 m: not a duration"),
    ({"HostDown": {"state": "gone"}}, "HostDown.state = gone: no such state; known are absent, present"),
    ({"HostDown": {"state": "absent", "enabled": True}}, "HostDown.state = absent: it says the same as enabled; give one of them"),
])
def test_a_wrong_setting_of_a_host_stops_at_the_first_play(name, value, message):
    inventory = hostvars(m1={}, gpu7={name: value})
    found = fleet_check({"accelerator_nodes": ["gpu7"], "monitoring": ["m1"]}, inventory)
    assert found["fleet"] == [] and list(found["hosts"]) == ["gpu7"]
    assert f"gpu7: {name}" in found["hosts"]["gpu7"] and message in found["hosts"]["gpu7"] and "\n" not in found["hosts"]["gpu7"]


def test_a_value_that_only_nodes_have_of_a_fleet_wide_variable_is_refused():
    groups = {"accelerator_nodes": ["gpu7", "gpu8"], "monitoring": ["m1"]}
    changed = {"HostDown": {"for": "30s"}}
    found = fleet_check(groups, hostvars(m1={"accelmon_alert_overrides": {}}, gpu7={"accelmon_alert_overrides": changed}, gpu8={}))
    assert "gpu7: accelmon_alert_overrides = " in found["hosts"]["gpu7"] and "set accelmon_alert_group_overrides" in found["hosts"]["gpu7"]
    assert list(found["hosts"]) == ["gpu7"]
    # The same for all, or for the monitoring host alone.
    assert fleet_check(groups, hostvars(**{host: {"accelmon_alert_overrides": changed} for host in ("m1", "gpu7", "gpu8")})) == {"fleet": [], "hosts": {}}
    alone = hostvars(m1={"accelmon_alert_overrides": changed, "accelmon_alert_presets": ["node"]}, gpu7={}, gpu8={})
    assert fleet_check(groups, alone) == {"fleet": [], "hosts": {}}


def test_the_registry_publishes_the_settings_of_the_hosts_that_have_some():
    reader = fleet.Reader(fleet.plan_specs())
    change = {"HostDown": {"for": "30s"}}
    inventory = hostvars(gpu7={"accelmon_alert_host_overrides": change, "accelmon_labels": {"team": "red"}}, gpu8={})
    found = {host: make_record(host, fleet.HostVariables(inventory, host), reader, False) for host in inventory}
    assert "alerts" not in found["gpu8"] and found["gpu7"]["alerts"] == {"HostDown": alerts.setting(change["HostDown"])}
    made = registry.merge(registry.empty("default"), found, set(found))[0]
    text = registry.series(made)
    line = f'accelmon_alert_setting{{alert="HostDown",cluster="default",node="gpu7",setting="{alerts.setting(change["HostDown"])}"}} 1'
    assert [row for row in text.splitlines() if row.startswith("accelmon_alert_setting")] == [line]
    assert 'accelmon_fleet_node_info{cluster="default",node="gpu7",state="pending",team="red"} 1' in text
    assert registry.load(registry.dump(made), "default", "x") == made
    # A host that has none any more, and one that did not answer but declares another.
    found["gpu7"].pop("alerts")
    assert "accelmon_alert_setting{" not in registry.series(registry.merge(made, found, set(found))[0])
    found["gpu7"]["alerts"] = {"HostDown": 3}
    assert registry.damage(registry.merge(made, found, set(found))[0]["hosts"]["gpu7"]) == "alerts is not strings by alert"


def test_a_label_of_the_registry_never_replaces_what_we_say():
    entry = registry.merge(registry.empty("c1"), {"n1": {
        "address": "n1", "labels": {"state": "maintenance", "node": "n2", "cluster": "c2"}, "state": "active", "expected": {}, "exporters": [],
        "answered": False, "accelerators": {}}}, {"n1"})[0]
    assert 'accelmon_fleet_node_info{cluster="c1",node="n1",state="pending"} 1' in registry.series(entry)


# ---- labels of the site, links ----

def test_labels_are_joined_onto_alerts_about_nodes_alone():
    for rule in rules(alert_rules({}, labels=["team"])):
        assert ("group_left (team)" in rule["expr"]) == (rule["labels"]["scope"] in alerts.NODE_SCOPES), rule["alert"]


def test_every_rule_is_a_query_that_victoriametrics_takes_by_default():
    found = rules(alert_rules({}, labels=["team", "contract"])) + [rule for group in recording_groups("15s") for rule in group["rules"]]
    assert max(len(rule["expr"]) for rule in found) <= 16384


def test_a_label_that_no_host_has_is_named_with_the_nearest():
    groups = {"accelerator_nodes": ["gpu7"], "monitoring": ["m1"]}
    every = {"accelmon_label_names": ["taem"]}
    found = fleet_check(groups, hostvars(m1=every, gpu7={**every, "accelmon_labels": {"team": "red"}}))
    assert found["fleet"] == ['all hosts: accelmon_label_names = ["taem"]: no host has the label taem in its accelmon_labels; did you mean team?']
    right = {"accelmon_label_names": ["team"]}
    assert fleet_check(groups, hostvars(m1=right, gpu7={"accelmon_labels": {"team": "red"}})) == {"fleet": [], "hosts": {}}
    with pytest.raises(Problem, match="the label node is reserved"):
        read("accelmon_label_names", ["node"])


def test_every_alert_links_to_its_section():
    base = read("accelmon_alert_runbook_url", "https://wiki.example.com/alerts")
    headings = {line[3:].lower() for line in (ROOT / "docs/alerts.md").read_text().splitlines() if line.startswith("## ")}
    for rule in rules(alert_rules({}, runbook_url=base)):
        address, _hash, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert address == base and anchor == rule["alert"].lower() and anchor in headings
    assert all("runbook_url" not in rule["annotations"] for rule in rules(alert_rules({}, runbook_url="none")))
    published = yaml_load((ROOT / "galaxy.yml").read_text())["documentation"].rpartition("/")[0]
    assert rules(alert_rules({}))[0]["annotations"]["runbook_url"].startswith(f"{published}/docs/alerts.md#")


def test_a_wrong_option_of_the_filter_is_named():
    for options, message in (({"presets": ["nod"]}, "accelmon_alert_presets = \\[\"nod\"\\]: nod: no such preset; did you mean node"),
                             ({"labels": ["node"]}, "accelmon_label_names = .*: the label node is reserved"),
                             ({"runbook_url": "wiki"}, "accelmon_alert_runbook_url = wiki: not a URL"),
                             ({"hosts": [{}, {"Watchdog": {}}]}, "hosts.2.Watchdog = {}: Watchdog is not about a single node"),
                             ({"hosts": None}, "hosts = null: not a list but nothing; "), ({"hosts": {"HostDown": {}}}, "hosts = .*: not a list but a "),
                             ({"choices": ["HostDown"]}, "choices = .*: not a dictionary but a list; "),
                             ({"choices": {"HostDown": True}}, "choices.HostDown = true: no choice; give its change"),
                             ({"choices": {"HostDown": {"until": 1}}}, "choices.HostDown = .*: no choice; give its change"),
                             ({"choices": {"HostDwon": {"change": {}}}}, "choices.HostDwon = {}: no such alert; did you mean HostDown"),
                             ({"choices": {"HostDown": {"change": {"for": 5}}}}, "choices.HostDown.for = 5: not a duration; "),
                             ({"choices": {"HostDown": {"change": {}, "until": "1h"}}}, "choices.HostDown.until = 1h: not a whole number but a string; ")):
        with pytest.raises(AnsibleFilterError, match=message):
            alert_rules({}, **options)
