# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The causes for which nodes are drained, the query for them, asked of promtool and of vmalert-tool, and whom a controller asks. Nothing is stubbed."""
import json
import os
import pathlib
import re
import subprocess

import pytest
import yaml

from ansible_collections.accelmon.fleet.plugins.module_utils import drain
from ansible_collections.accelmon.fleet.plugins.module_utils.durations import seconds
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import draining as places
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.access import fleet_passwords
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import draining

PROGRAMS = pathlib.Path(os.environ.get("ACCELMON_PROGRAMS", "/usr/bin"))
CAUSES = {one["cause"]: one for one in load("drain")["causes"]}
ALERTS = {alert["alert"]: alert for alert in load("alerts")["alerts"]}
ERRORS = draining.counted(CAUSES["error"]["errors"])


def test_every_cause_is_complete():
    for one in CAUSES.values():
        assert set(one) == {"cause", "least", "when", "errors" if "errors" in one else "alert"}, one
        for alert in one["errors"]["alerts"] if "errors" in one else [one["alert"]]:
            assert ALERTS[alert]["scope"] in ("accelerator", "link"), alert
            # Some versions of vmalert do not say since when an alert is active that fires at once.
            assert "errors" in one or seconds(ALERTS[alert]["for"]) > 0, alert
    assert set(CAUSES["error"]["errors"]["actions"]) <= set(load("errors")["actions"])


@pytest.mark.parametrize("code", [13, 31, 43, 45, 63, 68, 94])
def test_an_error_that_an_application_makes_or_the_device_has_handled_drains_nothing(code):
    """Xid 31, an application's, has cordoned nodes, with the action NONE."""
    assert ("xid", code) not in ERRORS


@pytest.mark.parametrize("event", [("xid", 48), ("xid", 64), ("xid", 79), ("xid", 95), ("xid", 119), ("sxid", 12020), ("ras", "ue"), ("kernel", "wedged")])
def test_an_error_that_needs_a_reset_drains(event):
    assert event in ERRORS


def test_what_only_an_exporter_says_drains_nothing():
    assert not [kind for kind, dummy in ERRORS if kind == "afid"]


@pytest.mark.parametrize("alert", ["AcceleratorNoData", "HostDown", "ExporterDown", "AcceleratorCollectorStale", "AcceleratorThermalThrottling",
                                   "AcceleratorPowerBrake", "AcceleratorErrorWarning", "AcceleratorUnhealthy"])
def test_nothing_follows_from_missing_data_from_heat_or_from_a_score(alert):
    assert alert in ALERTS and f'"{alert}"' not in draining.query("c") and f"{alert}|" not in draining.query("c")


def test_the_file_of_the_program():
    data = json.loads(draining.verdicts_file("c1"))
    assert data["causes"] == list(CAUSES) and data["query"] == draining.query("c1") and data["silences"] == draining.SILENCES


# Alerts as rules that fire when a series of their name is 1, and what is stored of them, minute by minute.
RULES = {"groups": [{"name": "g", "interval": "1m", "rules": [
    {"alert": name, "expr": f"x_{name} == 1", "for": ALERTS[name]["for"]} for one in CAUSES.values()
    for name in (one["errors"]["alerts"] if "errors" in one else [one["alert"]])]}]}
DEVICE = 'cluster="c1",node="%s",index="3",vendor="nvidia"'
ERROR = DEVICE + ',pci_bus_id="0000:1b:00.0",kind="%s",code="%s"'
# An alert about an error does not have the device's index, which may change.
ERROR_ALERT = ERROR.replace(',index="3"', "")


def rows(name, labels, values):
    return {"series": f"x_{name}{{{labels}}}", "values": values}


INPUT = [rows(one["alert"], DEVICE % one["cause"], "1x1600") for one in CAUSES.values() if "alert" in one] + [
    rows("AcceleratorMissing", DEVICE.replace("c1", "c2") % "elsewhere", "1x1600"),
    rows("AcceleratorMissing", DEVICE % "back", "1x1500 0x100"),
    rows("AcceleratorLinkDown", DEVICE % "flap", "1x1590 0 1x9")]
for node, kind, code in (("a", "xid", 79), ("b", "xid", 31), ("d", "afid", 20)):
    INPUT += [rows("AcceleratorErrorFatal", ERROR_ALERT % (node, kind, code), "1x1600"),
              {"series": f"accelerator_error_last_timestamp_seconds{{{ERROR % (node, kind, code)}}}", "values": "90000x1600"}]
INPUT += [rows("AmdRasUncorrectable", ERROR_ALERT % ("e", "ras", "ue"), "1x1600"),
          {"series": f'accelerator_error_last_timestamp_seconds{{{ERROR % ("e", "ras", "ue")}}}', "values": "90060x1600"},
          # The same event of the same device, as its host called that before.
          {"series": f'accelerator_error_last_timestamp_seconds{{{ERROR % ("a", "xid", 79)},uuid="x"}}', "values": "80000x1600"},
          {"series": f'accelerator_error_last_timestamp_seconds{{{ERROR % ("silent", "xid", 79)}}}', "values": "90000x1600"}]


def moment(minutes, program, folder, query, samples, inputs=None):
    """Have a program evaluate the rules and a query. samples: [(labels, value)]; inputs: series in the place of those for the rules"""
    if not (PROGRAMS / program).exists():
        pytest.skip(f"no {program}")
    samples = [{"labels": labels, "value": value} for labels, value in samples]
    key = {"promtool": "promql_expr_test", "vmalert-tool": "metricsql_expr_test"}[program]
    test = {"rule_files": [str(folder / "rules.yml")], "evaluation_interval": "1m", "tests": [
        {"interval": "1m", "input_series": inputs or INPUT, key: [{"expr": query, "eval_time": f"{minutes}m", "exp_samples": samples}]}]}
    (folder / "rules.yml").write_text(yaml.safe_dump(RULES))
    (folder / "test.yml").write_text(yaml.safe_dump(test))
    argv = {"promtool": ["promtool", "test", "rules", "test.yml"], "vmalert-tool": ["vmalert-tool", "unittest", "--files=test.yml"]}[program]
    done = subprocess.run([str(PROGRAMS / argv[0])] + argv[1:], cwd=folder, check=False, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("program", ["promtool", "vmalert-tool"])
def test_the_query(program, tmp_path):
    # The engines name and keep other labels of an alert; these are what a verdict is read from, and what most silences are about.
    query = f"sum by (node, cause, alertname, index, kind, code) ({draining.query('c1')})"
    expected = [(f'{{alertname="{one["alert"]}", cause="{one["cause"]}", index="3", node="{one["cause"]}"}}', 0) for one in CAUSES.values()
                if "alert" in one]
    expected += [('{alertname="AcceleratorErrorFatal", cause="error", code="79", index="3", kind="xid", node="a"}', 90000),
                 ('{alertname="AmdRasUncorrectable", cause="error", code="ue", index="3", kind="ras", node="e"}', 90060)]
    status, said = moment(1600, program, tmp_path, query, expected)
    assert status == 0, said


@pytest.mark.parametrize("program", ["promtool", "vmalert-tool"])
def test_the_query_for_silences(program, tmp_path):
    """What ended is told by its last time, and that there were any at all for a day."""
    series = [("silences_last_success", 'node="mon1"', 1600), ("silence_seen", r'node="mon1",matchers="[{\"name\":\"node\"}]"', 1600),
              ("silence_seen", 'node="mon1",matchers="over"', 1590), ("silence_seen", 'node="mon1",matchers="long over"', 1580),
              ("silences_last_success", 'node="mon2"', 200), ("silences_last_success", 'node="mon3"', 100)]
    inputs = [{"series": "accelmon_fleet_%s_timestamp_seconds{%s}" % (what, labels), "values": f"0+60x{last}"} for what, labels, last in series]
    expected = [('{node="mon1"}', 96000), (r'{matchers="[{\"name\":\"node\"}]", node="mon1"}', 96000), ('{matchers="over", node="mon1"}', 95400),
                ('{node="mon2"}', 12000)]
    status, said = moment(1600, program, tmp_path, f"max by (node, matchers) ({draining.SILENCES})", expected, inputs)
    assert status == 0, said


def test_the_page_has_every_cause_limit_and_reason():
    page = (pathlib.Path(__file__).resolve().parents[4] / "docs/drain.md").read_text()
    listed = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert {name for name in listed if not name.startswith("slurm_")} == {*CAUSES, *drain.LIMITS, *drain.LEFT}
    for one in CAUSES.values():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{one['cause']}` |"))
        assert all(alert in row for alert in (one["errors"]["alerts"] if "errors" in one else [one["alert"]])), row
    assert all(f"`{action}`" in page for action in drain.ACTIONS)


# Where a controller asks.

HOSTVARS = {
    "ctl": {"inventory_hostname": "ctl", "accelmon_slurm_controller": True, "accelmon_drain": "drain"},
    "mon1": {"inventory_hostname": "mon1", "ansible_host": "10.0.0.1", "victoriametrics_listen": "0.0.0.0", "victoriametrics_port": 9428},
    "mon2": {"inventory_hostname": "mon2", "accelmon_backend": "prometheus"},
    "gpu7": {"inventory_hostname": "gpu7", "accelmon_drain": "drain"}}


def test_a_controller_asks_all_monitoring_hosts_as_a_user_of_its_own():
    found = places.storages({"monitoring": ["mon1"]}, HOSTVARS, "ctl")
    assert found == {"urls": ["https://10.0.0.1:9428"], "user": "accelmon-drain", "password_file": "/etc/accelmon/secrets/drain_password",
                     "ca": "/etc/accelmon/tls/ca.crt", "needs": ["/etc/accelmon/secrets/drain_password", "/etc/accelmon/tls/ca.crt"]}
    with pytest.raises(Problem, match="no host of the group monitoring can be asked; set slurm_drain_storage_urls"):
        places.storages({}, HOSTVARS, "ctl")


@pytest.mark.parametrize("host, url, ca", [
    ("mon1", "https://127.0.0.1:9428", "/etc/accelmon/tls/ca.crt"), ("mon2", "http://127.0.0.1:9090", "")])
def test_a_monitoring_host_asks_its_own_storage(host, url, ca):
    found = places.storages({"monitoring": ["mon1", "mon2"]}, HOSTVARS, host)
    assert found == {"urls": [url], "user": "accelmon", "password_file": "/etc/accelmon/secrets/stack_password", "ca": ca,
                     "needs": ["/etc/accelmon/secrets/stack_password"]}


@pytest.mark.parametrize("nodes, monitoring, asked", [
    (["ctl", "gpu7"], ["mon1"], True), (["gpu7"], ["mon1"], False), (["ctl"], ["mon1", "ctl"], False), ([], [], False)])
def test_there_is_a_password_only_if_somebody_uses_it(nodes, monitoring, asked):
    groups = {"accelerator_nodes": nodes, "monitoring": monitoring}
    assert places.is_asked(HOSTVARS, groups) == asked
    if monitoring:
        assert ("drain" in fleet_passwords(groups, HOSTVARS)) == asked
