# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts that Ansible does not log in to: their facts, plan and record from the inventory alone, and playbooks that leave them alone.

The playbooks run by ansible-playbook. The monitoring host is this machine, over a local connection; that of the node is a program that does not exist,
so that every use of it fails.
"""
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import registry
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import facts, hosts as fleet, records, scrape_only

ROOT = pathlib.Path(__file__).parents[4]
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_become": False}
NODE = {"accelmon_scrape_only": True, "accelmon_scrape_only_devices": {"nvidia": 8}}
PLAY = """
- ansible.builtin.import_playbook: {root}/playbooks/parts/check.yml
- ansible.builtin.import_playbook: {root}/playbooks/parts/plan.yml
- hosts: accelerator_nodes:monitoring
  gather_facts: false
  tasks:
    - accelmon.fleet.fleet_registry:
        records: "{{{{ ansible_play_hosts_all | accelmon.fleet.fleet_records(hostvars, answered=ansible_play_hosts) }}}}"
        inventory_hosts: "{{{{ groups['all'] }}}}"
        state_dir: "{{{{ lookup('ansible.builtin.env', 'PWD') }}}}/state"
        targets_dir: "{{{{ lookup('ansible.builtin.env', 'PWD') }}}}/targets"
        series_dir: "{{{{ lookup('ansible.builtin.env', 'PWD') }}}}/series"
      run_once: true
      delegate_to: mon1
"""


def told(**variables):
    return scrape_only.told({"inventory_hostname": "k8s1", **variables})


def of_host(**variables):
    return fleet.HostVariables({"k8s1": {"inventory_hostname": "k8s1", "ansible_facts": told(**variables), **variables}}, "k8s1")


def plan(**variables):
    return records.make_plan("k8s1", of_host(**variables))


def record(**variables):
    return records.make_record("k8s1", of_host(**variables), fleet.Reader(fleet.plan_specs()), True)


def jobs(made):
    return {one["job"]: (one["port"], one["scheme"], one["elected"]) for one in made["exporters"]}


def test_other_hosts_are_asked():
    assert told() is None and told(accelmon_scrape_only=False, accelmon_scrape_only_devices={"nvidia": 8}) is None


def test_facts_are_those_of_a_host_that_answered():
    made = told(**NODE)
    assert facts.answer(made) == made
    assert made["accelerators"]["summary"] == {"nvidia": {"count": 8, "models": {"unknown": 8}, "states": {}}}


@pytest.mark.parametrize("vendor, job, port", [("nvidia", "dcgm_exporter", 9400), ("amd", "amd_exporter", 5000), ("intel_gaudi", "all_smi", 9401)])
def test_every_vendor_has_its_exporter_and_nothing_is_run(vendor, job, port):
    variables = {**NODE, "accelmon_scrape_only_devices": {vendor: 8}}
    made = plan(**variables)
    assert made["roles"] == []
    assert jobs(made) == {"node_exporter": (9100, "http", []), job: (port, "http", [vendor])}
    assert jobs(record(**variables)) == jobs(made)


def test_exporters_of_the_fleet_that_ask_for_something_ask_nothing_of_these():
    """Nobody can bring a certificate or a password there."""
    made = plan(accelmon_exporter_tls="managed", accelmon_exporter_auth="basic", node_exporter_managed="install", **NODE)
    assert made["roles"] == [] and {one["scheme"] for one in made["exporters"]} == {"http"}
    assert not any("requires" in one for one in made["exporters"])


def test_the_site_chooses_another_source():
    assert "all_smi" in jobs(plan(accelmon_accelerator_source="all_smi", **NODE))


def test_devices_of_unknown_number_have_an_exporter_and_no_count():
    made = record(accelmon_scrape_only=True, accelmon_scrape_only_devices={"nvidia": 0})
    assert made["accelerators"] == {} and jobs(made)["dcgm_exporter"][2] == ["nvidia"]
    assert jobs(record(accelmon_scrape_only=True, accelmon_expected={"amd": 4}))["amd_exporter"][2] == ["amd"]


def test_fewer_devices_do_not_lower_what_is_expected():
    """Neither when the list of nodes says so, nor when it no longer says how many there are."""
    known = registry.empty("default")
    for count in (8, 7, 0):
        made = record(accelmon_scrape_only=True, accelmon_scrape_only_devices={"nvidia": count})
        known = registry.merge(known, {"k8s1": made}, {"k8s1"})[0]
        entry = known["hosts"]["k8s1"]
        assert (entry["status"], registry.monitored(entry)) == ("active", {"nvidia": 8})


@pytest.mark.parametrize("variables, words", [
    ({"accelmon_accelerator_source": "textfile"}, "log in for textfile_collector and links;"), ({"accelmon_slurm_hooks": True}, "slurm_hooks"),
    ({"group_names": ["monitoring"]}, "access and victoriametrics;")])
def test_what_needs_a_login_is_refused(variables, words):
    with pytest.raises(Problem) as error:
        plan(**NODE, **variables)
    assert str(error.value).startswith(("k8s1: accelmon_scrape_only = true: ", "k8s1: accelmon_slurm_hooks = ")) and words in str(error.value)


def run(folder, playbook, **nodes):
    """(exit status, output) of a playbook for nodes that cannot be reached by any means. nodes: {name: variables}"""
    unreachable = {name: {"ansible_host": f"127.0.0.{number}", "ansible_ssh_executable": "/nowhere/ssh", **variables}
                   for number, (name, variables) in enumerate(nodes.items(), 2)}
    (folder / "inventory.json").write_text(json.dumps({"all": {"children": {
        "accelerator_nodes": {"hosts": unreachable}, "monitoring": {"hosts": {"mon1": dict(LOCAL, ansible_host="10.0.0.9")}}}}}))
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", "inventory.json", str(playbook)], cwd=str(folder), check=False,
        timeout=300, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
        env=dict(os.environ, PWD=str(folder), ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"),
                 ANSIBLE_HOME=str(folder / "home"), ANSIBLE_NOCOLOR="1", ANSIBLE_LOCALHOST_WARNING="0"))
    return done.returncode, done.stdout


def test_it_becomes_a_target_without_a_login(tmp_path):
    (tmp_path / "play.yml").write_text(PLAY.format(root=ROOT))
    status, output = run(tmp_path, tmp_path / "play.yml", k8s1=dict(NODE, accelmon_address="192.0.2.1"))
    assert status == 0 and "UNREACHABLE" not in output, output
    assert json.loads((tmp_path / "targets/dcgm_exporter/default.json").read_text()) == [
        {"targets": ["192.0.2.1:9400"], "labels": {"cluster": "default", "node": "k8s1"}}]
    series = (tmp_path / "series/accelmon_fleet_default.prom").read_text()
    assert 'accelmon_expected_accelerators{cluster="default",node="k8s1",vendor="nvidia"} 8\n' in series
    assert 'accelmon_fleet_node_info{cluster="default",node="k8s1",state="active"} 1\n' in series
    # Without the variable it would not be one: the test can fail.
    status, output = run(tmp_path, tmp_path / "play.yml", k8s1={"accelmon_address": "192.0.2.1"})
    assert status != 0 and "/nowhere/ssh" in output, output


def test_preflight_says_what_reads_it_and_looks_no_further(tmp_path):
    away = {"accelmon_address": "192.0.2.2"}
    dummy, output = run(tmp_path, ROOT / "playbooks/preflight.yml", k8s1=dict(NODE, accelmon_address="192.0.2.1"),
                        k8s2={**NODE, **away, "accelmon_accelerator_source": "textfile"})
    assert "k8s1: 8 nvidia → dcgm" in output.replace("\\u2192", "→"), output
    # Whether the monitoring host reaches it depends on the network here.
    assert "UNREACHABLE" not in output and not re.search("error: k8s1: (?!scrape address)", output), output
    assert "error: k8s2: accelmon_scrape_only = true: Ansible would have to log in for textfile_collector" in output, output


def test_a_task_that_another_host_does_is_done(tmp_path):
    (tmp_path / "play.yml").write_text("""
- hosts: accelerator_nodes
  gather_facts: false
  tasks:
    - accelmon.fleet.ask_host: {module: ansible.builtin.ping}
      delegate_to: mon1
      register: theirs
    - accelmon.fleet.ask_host: {module: ansible.builtin.ping}
      register: ours
    - ansible.builtin.assert:
        that: [theirs.ping == 'pong', ours.unanswered.what == 'accelmon_scrape_only']
""")
    status, output = run(tmp_path, tmp_path / "play.yml", k8s1=NODE)
    assert status == 0, output
