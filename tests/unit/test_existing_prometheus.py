# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The example playbook for a Prometheus that somebody else installed: it runs, and promtool accepts what it writes.

Stubbed: become, as the hosts are this machine. What it has of accelerators is whatever this machine has.
"""
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
import yaml

PLAYBOOK = pathlib.Path(__file__).resolve().parents[2] / "docs/playbooks/existing_prometheus.yml"
PROMETHEUS = """
scrape_config_files: [accelmon/scrape.yml]
rule_files: ["accelmon/*.rules.yml"]
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder where the playbook has run twice; `changed`: what the second run changed."""
    folder = tmp_path_factory.mktemp("existing")
    (folder / "textfiles").mkdir()
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_become": False}
    node = {**local, "accelmon_address": "10.0.0.7", "accelmon_expected": {"nvidia": 8}, "accelmon_custom_exporters": [{"job": "ipmi", "port": 9290}],
            "accelmon_labels": {"team": "red"}, "accelmon_alert_host_overrides": {"HostDown": {"severity": "warning"}}}
    (folder / "inventory.json").write_text(json.dumps({"all": {"children": {
        "accelerator_nodes": {"hosts": {"gpu7": node}}, "prometheus": {"hosts": {"prom1": {**local, "accelmon_label_names": ["team"]}}}}}}))
    places = {"folder": str(folder / "accelmon"), "state": str(folder / "registry"), "textfiles": str(folder / "textfiles")}
    for dummy in range(2):
        done = subprocess.run([sys.executable, "-m", "ansible", "playbook", "-i", "inventory.json", str(PLAYBOOK), "-e", json.dumps(places)], cwd=folder,
                              capture_output=True, text=True, check=False, env={**os.environ, "ANSIBLE_LOCALHOST_WARNING": "false"})
        assert done.returncode == 0, done.stdout + done.stderr
    (folder / "prometheus.yml").write_text(PROMETHEUS)
    return folder, done.stdout


def test_a_second_run_changes_nothing(written):
    assert written[1].count("changed=0") == 2, written[1]


def test_targets_and_expected_devices_are_written(written):
    targets = json.loads((written[0] / "accelmon/targets/custom/ipmi.default.json").read_text())
    assert targets == [{"targets": ["10.0.0.7:9290"], "labels": {"cluster": "default", "node": "gpu7", "team": "red", "job": "ipmi"}}]
    assert (written[0] / "accelmon/targets/node_exporter/default.json").is_file()
    series = "".join(path.read_text() for path in (written[0] / "textfiles").glob("*.prom"))
    assert 'accelmon_expected_accelerators{cluster="default",node="gpu7",vendor="nvidia"} 8' in series


def test_scrape_jobs_and_rules_are_complete(written):
    made = yaml.safe_load((written[0] / "accelmon/scrape.yml").read_text())
    assert set(made) == {"scrape_configs"} and {"node_exporter", "custom", "accelmon_fleet"} <= {job["job_name"] for job in made["scrape_configs"]}
    alerts = yaml.safe_load((written[0] / "accelmon/alerts.rules.yml").read_text())
    rules = {}
    for group in alerts["groups"]:
        for rule in group["rules"]:
            rules.setdefault(rule["alert"], []).append(rule)
    assert {"AcceleratorMissing", "Watchdog"} <= set(rules) and "NotificationsFailing" not in rules
    assert [(rule["for"], rule["labels"]["severity"]) for rule in rules["HostDown"]] == [("5m", "critical"), ("5m", "warning")]
    assert "group_left (team)" in rules["HostDown"][0]["expr"] and rules["HostDown"][0]["annotations"]["runbook_url"].endswith("/docs/alerts.md#hostdown")


def test_the_registry_publishes_what_the_rules_look_for(written):
    series = "".join(path.read_text() for path in (written[0] / "textfiles").glob("*.prom"))
    setting = re.search(r'accelmon_alert_setting\{alert="HostDown",cluster="default",node="gpu7",setting="(\w+)"\} 1', series).group(1)
    assert setting in (written[0] / "accelmon/alerts.rules.yml").read_text() and 'node="gpu7",state="active",team="red"' in series


def test_promtool_accepts_what_is_written(written, promtool):
    done = subprocess.run([promtool, "check", "config", "prometheus.yml"], cwd=written[0], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "2 rule files found" in done.stdout, done.stdout + done.stderr
