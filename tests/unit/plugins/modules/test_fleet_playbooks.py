# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks verify.yml and status.yml, run by ansible-playbook on this machine.

Stubbed: storage and rule evaluator as in test_fleet_modules; the monitoring host, by this machine over a local connection.
The playbooks are used as they are but for the folder of the registry, which they leave at its default.
"""
import contextlib
import json
import os
import pathlib
import stat
import subprocess
import sys

import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.recording import group_names
from test_fleet_modules import Services

ROOT = pathlib.Path(__file__).parents[4]
INVENTORY = """
all:
  vars: {ansible_connection: local, ansible_become: false, ansible_python_interpreter: "%(python)s"}
  children:
    accelerator_nodes: {hosts: {gpu1: , gpu2: }}
    monitoring: {hosts: {mon01: {victoriametrics_port: %(port)d, vmalert_port: %(port)d, vmagent_port: %(port)d, alertmanager_port: %(port)d}}}
"""


class Loaded(Services):
    """A rule evaluator that has loaded every group which verify.yml asks for today; those of the recording are its own."""

    def text(self, name):
        text = super().text(name)
        if name != "rules":
            return text
        told = json.loads(text)
        known = {group["name"] for group in told["data"]["groups"]}
        told["data"]["groups"] += [{"name": group, "rules": []} for group in group_names("15s", "victoriametrics", {}) if group not in known]
        return json.dumps(told)


class Playbooks:
    """Runs the playbooks; `out` of a run is what they print."""

    def __init__(self, folder, services):
        self.folder, self.services = folder, services
        (folder / "inventory.yml").write_text(INVENTORY % {"python": sys.executable, "port": services.server.server_address[1]})
        (folder / "none.yml").write_text("all: {hosts: {gpu1: {ansible_connection: local}}}")
        (folder / "parts").symlink_to(ROOT / "playbooks" / "parts")
        for name in ("verify", "status"):
            text = (ROOT / "playbooks" / (name + ".yml")).read_text()
            module = "        module: accelmon.fleet.fleet_%s_info\n        options:\n" % name
            assert text.count(module) == 1
            (folder / (name + ".yml")).write_text(text.replace(module, module + "          state_dir: %s\n" % services.state_dir))

    def run(self, name, *arguments, inventory="inventory.yml", **variables):
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", "-i", str(self.folder / inventory), str(self.folder / (name + ".yml")),
             "-e", json.dumps(variables)] + list(arguments),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=600, check=False, cwd=str(self.folder),
            env=dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"), ANSIBLE_HOME=str(self.folder / "home"),
                     ANSIBLE_LOCALHOST_WARNING="0", ANSIBLE_SHOW_CUSTOM_STATS="1", ANSIBLE_FORCE_COLOR="0", ANSIBLE_NOCOWS="1"))
        return done.returncode, done.stdout


def shown(out):
    """What the task that shows the result printed, as data."""
    start = out.index("{\n", out.index("TASK [Show "))
    return json.JSONDecoder().raw_decode(out[start:])[0]["msg"]


@pytest.fixture(name="playbooks")
def _playbooks(tmp_path):
    services = Loaded(tmp_path)
    with contextlib.closing(services):
        yield Playbooks(tmp_path, services)


def test_verify_prints_a_line_for_each_failure_fails_and_keeps_the_result(playbooks):
    report = playbooks.folder / "report.json"
    code, out = playbooks.run("verify", "--check", accelmon_report_file=str(report))
    assert code == 2
    lines = shown(out)
    assert lines[0].startswith("2 failures: 0 of 2 nodes fine") and [line.split(": ")[0] for line in lines[1:]] == ["gpu1", "gpu2"]
    assert "2 failure(s), listed above, of: gpu1, gpu2" in out
    saved = json.loads(report.read_text())
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert saved["ok"] is False and [item["node"] for item in saved["failures"]] == ["gpu1", "gpu2"]
    assert saved["monitoring"]["mon01"]["accelerators_fresh"] == 7
    assert '"accelmon_verify"' in out[out.index("CUSTOM STATS"):]


def test_verify_limited_to_a_node_asks_the_monitoring_host_about_that_node(playbooks):
    code, out = playbooks.run("verify", "--limit", "gpu2", accelmon_output="json")
    assert code == 2 and "ok: [gpu2 -> mon01]" in out
    result = shown(out)
    assert result["ok"] is False and [(item["node"], item["check"]) for item in result["failures"]] == [("gpu2", "target")]


def test_verify_of_what_is_well_succeeds(playbooks):
    # The recorded fleet has no node mon01: only the monitoring itself is verified.
    code, out = playbooks.run("verify", "--limit", "mon01")
    assert code == 0 and shown(out) == ["all is well: 0 of 0 nodes fine, 0 of 0 targets up, 0 of 0 accelerators fresh"]


def test_verify_finds_an_inventory_host_that_is_not_registered(playbooks):
    inventory = playbooks.folder / "inventory.yml"
    inventory.write_text(inventory.read_text().replace("gpu2: ", "gpu2: , gpu3: "))
    code, out = playbooks.run("verify", "--limit", "gpu3")
    assert code == 2 and shown(out)[1:] == ["gpu3: in the inventory, but not in the registry of mon01; run site.yml --limit gpu3"]


@pytest.mark.parametrize("name", ["verify", "status"])
def test_without_a_monitoring_host_there_is_a_clear_error(playbooks, name):
    code, out = playbooks.run(name, inventory="none.yml")
    assert code == 2 and "group monitoring is empty or missing; add the host that stores, scrapes and alerts" in out


def test_status_shows_a_table_and_writes_json_alone_to_a_file(playbooks):
    report = playbooks.folder / "status.json"
    code, out = playbooks.run("status", accelmon_report_file=str(report))
    assert code == 0, out
    assert shown(out) == [
        "NODE  ADDRESS    ACCELERATORS         EXPORTERS           STATE   ALERTS",
        "gpu2  127.0.0.1  nvidia 0/4 textfile  node_exporter down  down    HostDown",
        "gpu1  127.0.0.1  nvidia 7/8 textfile  node_exporter up    active  AcceleratorMissing",
        "2 nodes: 1 active, 1 down; accelerators nvidia 7/12; 2 alerts",
        "note: gpu2: down; run verify.yml to learn why",
        "note: gpu1: fewer accelerators than expected; run verify.yml to see which are gone; repair them, or accept it with accept_devices.yml"]
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    told = json.loads(report.read_text())["mon01"]
    assert set(told) == {"rows", "totals", "sites", "fleet_alerts", "choices", "notes", "problems"} and [row["node"] for row in told["rows"]]


def test_status_as_json_and_without_evaluator(playbooks):
    playbooks.services.broken = {"alerts"}
    code, out = playbooks.run("status", "--limit", "gpu1", accelmon_output="json", accelmon_only_problems="true")
    result = shown(out)
    assert code == 0 and result["monitoring_host"] == "mon01" and result["totals"]["nodes"] == 1
    assert [row["accelerators"] for row in result["rows"]] == [{"nvidia": {"seen": 7, "expected": 8, "source": "textfile"}}]
    assert len(result["problems"]) == 1 and "answers HTTP 500" in result["problems"][0]
