# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight check, plan, records and registry through a real `ansible-playbook`, of whatever core runs the tests.

Stubbed: accelerator_facts, whose facts `set_fact` puts into the fact cache; no task leaves this machine.
"""
import json
import os
import pathlib
import subprocess
import sys

import pytest
from ansible_collections.accelmon.fleet.tests.unit.plugins.fleet_samples import device, facts

REPOSITORY = pathlib.Path(__file__).resolve().parents[4]

LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
NODES = {
    "gpu1": {"ansible_host": "10.0.0.1", "accelmon_rack": "r{{ 1 + 0 }}", "room": "b", "accelmon_labels": {"room": "{{ room }}"},
             "accelmon_accelerator_source": "textfile"},
    "gpu2": {"accelmon_address": "2001:DB8::2", "accelmon_expected": {"amd": "4"}, "node_exporter_port": "9200",
             "accelmon_custom_exporters": [{"job": "ipmi", "port": 9290, "path": "/ipmi"}], "accelmon_accelerator_source": {"amd": "textfile"}},
    "gpu3": {"ansible_host": "127.0.0.1", "accelmon_state": "maintenance", "accelmon_cluster": "other"},
    "gpu4": {"ansible_host": "10.0.0.4", "accelmon_expected": {"nvidia": 2}, "accelmon_accelerator_source": "textfile"},
}
TOLD = {"gpu1": facts(device(), device(), addresses=["10.0.0.1"]), "gpu2": facts(device("amd")), "gpu3": facts()}

FLEET = """
- hosts: "{{ 'accelerator_nodes:monitoring' | accelmon.fleet._loaded }}"
  gather_facts: false
  tasks:
    - ansible.builtin.set_fact:
        accelerators: "{{ told[inventory_hostname].accelerators }}"
        accelmon_node: "{{ told[inventory_hostname].accelmon_node }}"
        cacheable: true
      when: inventory_hostname in told
    - ansible.builtin.set_fact:
        planned: "{{ {'roles': plan.roles, 'listen': hostvars[inventory_hostname] | accelmon.fleet._listen} }}"
      vars:
        plan: "{{ hostvars[inventory_hostname] | accelmon.fleet._plan }}"
    - ansible.builtin.copy:
        content: "{{ dict(ansible_play_hosts | zip(ansible_play_hosts | map('extract', hostvars, 'planned'))) | to_json }}"
        dest: "{{ root }}/plans_of_{{ ansible_limit | default('all') }}.json"
        mode: "0644"
      changed_when: false
      run_once: true
      delegate_to: localhost
    - accelmon.fleet.fleet_registry:
        records: "{{ ansible_play_hosts_all | accelmon.fleet.fleet_records(hostvars, answered=told) }}"
        inventory_hosts: "{{ groups['all'] }}"
        full_run: "{{ ansible_limit is not defined }}"
        state_dir: "{{ root }}/state"
        targets_dir: "{{ root }}/targets"
        series_dir: "{{ root }}/textfile"
      run_once: true
      delegate_to: mon1
"""
CHECK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.set_fact:
        findings: "{{ groups | accelmon.fleet._fleet_check(hostvars) }}"
    - ansible.builtin.copy:
        content: "{{ findings | to_json }}"
        dest: "{{ root }}/findings.json"
        mode: "0644"
"""


def play(root, playbook, nodes, *options, monitoring=None):
    """(exit status, output) of a playbook over an inventory."""
    inventory = {"accelerator_nodes": {"hosts": nodes, "vars": LOCAL}, "monitoring": {"hosts": {"mon1": monitoring or {}}, "vars": LOCAL}}
    (root / "inventory.json").write_text(json.dumps(inventory))
    (root / "play.yml").write_text(playbook)
    environment = dict(
        os.environ, ANSIBLE_CONFIG=str(REPOSITORY / "ansible.cfg"), ANSIBLE_COLLECTIONS_PATH=str(REPOSITORY / ".collections"),
        ANSIBLE_LOCALHOST_WARNING="False", ANSIBLE_HOME=str(root / "home"), ANSIBLE_NOCOLOR="True")
    variables = json.dumps({"root": str(root), "told": TOLD})
    process = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", "inventory.json", "-e", variables, "play.yml", *options],
        cwd=str(root), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return process.returncode, process.stdout.decode()


@pytest.fixture(name="fleet", scope="module")
def fixture_fleet(tmp_path_factory):
    """A directory after one run over the whole fleet, which is checked first."""
    root = tmp_path_factory.mktemp("fleet")
    status, output = play(root, CHECK + FLEET.lstrip("\n"), NODES)
    assert status == 0, output
    return root


def test_plans(fleet):
    both = ["node_exporter", "textfile_collector"]
    assert json.loads((fleet / "plans_of_all.json").read_text()) == {
        "gpu1": {"roles": both + ["links"], "listen": "10.0.0.1"}, "gpu2": {"roles": both + ["links"], "listen": ""}, "gpu3": {"roles": both[:1], "listen": ""},
        "gpu4": {"roles": both, "listen": ""}, "mon1": {"roles": ["access", "victoriametrics", "node_exporter"], "listen": ""}}


def test_targets(fleet):
    assert json.loads((fleet / "targets" / "node_exporter" / "default.json").read_text()) == [
        {"targets": ["10.0.0.1:9100"], "labels": {"cluster": "default", "node": "gpu1", "rack": "r1", "room": "b"}},
        {"targets": ["[2001:db8::2]:9200"], "labels": {"cluster": "default", "node": "gpu2"}},
        {"targets": ["10.0.0.4:9100"], "labels": {"cluster": "default", "node": "gpu4"}},
        {"targets": ["mon1:9100"], "labels": {"cluster": "default", "node": "mon1"}},
    ]
    assert json.loads((fleet / "targets" / "custom" / "ipmi.default.json").read_text()) == [
        {"targets": ["[2001:db8::2]:9290"], "labels": {"cluster": "default", "node": "gpu2", "job": "ipmi", "__metrics_path__": "/ipmi"}}]
    assert json.loads((fleet / "targets" / "node_exporter" / "other.json").read_text()) == [
        {"targets": ["gpu3:9100"], "labels": {"cluster": "other", "node": "gpu3"}}]


def test_series(fleet):
    text = (fleet / "textfile" / "accelmon_fleet_default.prom").read_text()
    assert [line for line in text.splitlines() if not line.startswith("#")] == [
        'accelmon_fleet_generation{cluster="default"} 1',
        'accelmon_fleet_node_info{cluster="default",node="gpu1",rack="r1",room="b",state="active"} 1',
        'accelmon_fleet_node_info{cluster="default",node="gpu2",state="active"} 1',
        'accelmon_fleet_node_info{cluster="default",node="gpu4",state="pending"} 1',
        'accelmon_fleet_node_info{cluster="default",node="mon1",state="pending"} 1',
        'accelmon_expected_accelerators{cluster="default",node="gpu1",vendor="nvidia"} 2',
        'accelmon_expected_accelerators{cluster="default",node="gpu2",vendor="amd"} 4',
        'accelmon_expected_accelerators{cluster="default",node="gpu4",vendor="nvidia"} 2',
        'accelmon_source_elected{cluster="default",job="node_exporter",node="gpu1",source="textfile",vendor="nvidia"} 1',
        'accelmon_source_elected{cluster="default",job="node_exporter",node="gpu2",source="textfile",vendor="amd"} 1',
        'accelmon_source_elected{cluster="default",job="node_exporter",node="gpu4",source="textfile",vendor="nvidia"} 1',
    ]


def test_run_limited_to_one_node_leaves_the_others_alone(fleet):
    """Without naming the monitoring host, and though the inventory says something new about another node."""
    status, output = play(fleet, FLEET, dict(NODES, gpu4={"accelmon_rack": "elsewhere"}), "--limit", "gpu1")
    assert status == 0, output
    assert "changed=0" in output
    plans = {limit: json.loads((fleet / f"plans_of_{limit}.json").read_text()) for limit in ("all", "gpu1")}
    assert plans["gpu1"] == {"gpu1": plans["all"]["gpu1"]}


def test_node_that_cannot_be_reached_stays_as_it_was_and_new_ones_are_pending(fleet):
    lost = {"ansible_connection": "ssh", "ansible_ssh_common_args": "-o BatchMode=yes -o ConnectTimeout=1", "ansible_port": 1}
    before = json.loads((fleet / "state" / "default.json").read_text())["hosts"]
    told = {host: told for host, told in TOLD.items() if host != "gpu1"}
    nodes = dict(NODES, gpu1=dict(NODES["gpu1"], ansible_host="127.0.0.1", accelmon_address="10.0.0.1", **lost),
                 new=NODES["gpu4"] | {"ansible_host": "10.0.0.5"})
    reach = "- hosts: all\n  gather_facts: false\n  tasks:\n    - ansible.builtin.raw: 'true'\n      changed_when: false\n"
    status, output = play(fleet, reach + FLEET.lstrip("\n"), nodes, "-e", json.dumps({"told": told}))
    assert status == 4, output
    after = json.loads((fleet / "state" / "default.json").read_text())["hosts"]
    assert after["gpu1"] == before["gpu1"]
    assert after["new"]["status"] == "pending"


def test_missing_driver_stops_only_its_host(tmp_path):
    broken = dict(TOLD, gpu3=facts(device(state="driver_missing")))
    status, output = play(tmp_path, FLEET, NODES, "-e", json.dumps({"told": broken}))
    assert status == 2
    assert "gpu3: accelmon_driver_missing = fail: 1 nvidia accelerator has no working driver" in output
    assert sorted(json.loads((tmp_path / "plans_of_all.json").read_text())) == ["gpu1", "gpu2", "gpu4", "mon1"]


def test_check_finds_what_is_wrong(tmp_path):
    nodes = {
        "a": {"accelmon_rak": "r1", "node_exporter_port": "99999"},
        "b": {"accelmon_rack": "{{ nosuch }}", "accelmon_labels": {"x": ["{{ nosuch }}"]}},
        "c": {"accelmon_labels": {"room": "{{ nosuch }}"}, "accelmon_prune": "yes"},
        "d": {"ansible_host": "{{ nosuch }}"},
        "e": {"accelmon_rack": "{{ 1 | nosuchfilter }}"},
        "fine": {"accelmon_rack": "{{ 'r' ~ 1 }}", "accelmon_prune": "{{ true }}", "node_exporter_port": "{{ 9000 + 100 }}"},
    }
    status, output = play(tmp_path, CHECK, nodes)
    assert status == 0, output
    found = json.loads((tmp_path / "findings.json").read_text())
    assert found["fleet"] == []
    lines = {host: text.splitlines() for host, text in found["hosts"].items()}
    assert sorted(lines) == ["a", "b", "c", "d", "e"]
    assert lines["a"] == [
        "a: node_exporter_port = 99999: not a port; use 1 to 65535",
        "a: accelmon_rak = r1: no such variable; did you mean accelmon_rack? If it belongs to another tool, add it to accelmon_foreign_variables"]
    for host, name in (("b", "accelmon_labels"), ("b", "accelmon_rack"), ("c", "accelmon_labels"), ("d", "ansible_host"), ("e", "accelmon_rack")):
        assert [line for line in lines[host] if line.startswith(f"{host}: {name} = ") and "cannot be evaluated" in line], lines


def test_check_of_a_sound_fleet_finds_nothing(fleet):
    assert json.loads((fleet / "findings.json").read_text()) == {"fleet": [], "hosts": {}}
