"""Rolling runs: what `serial` is made from, and how Ansible takes it.

Stubbed: nothing; the play below is run by Ansible itself, with local hosts and a task that fails in place of an exporter.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.fleet import batches
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.formats import FORMATS

ROOT = pathlib.Path(__file__).resolve().parents[4]

PLAY = """
- hosts: accelerator_nodes
  gather_facts: false
  tasks:
    - group_by: {key: accelmon_on_x}
      changed_when: false
- hosts: accelmon_on_x
  gather_facts: false
  order: sorted
  serial: "{{ groups | accelmon.fleet._batches(hostvars | default({})) }}"
  max_fail_percentage: "{{ 0 if groups | accelmon.fleet._batches(hostvars | default({})) else 100 }}"
  tasks:
    - assert: {that: inventory_hostname != 'b', quiet: true}
    - debug: {msg: "healthy-{{ inventory_hostname }}"}
- hosts: accelmon_on_x
  gather_facts: false
  tasks:
    - debug: {msg: "next-{{ inventory_hostname }}"}
"""


@pytest.mark.parametrize("value,expected", [
    ("", []), ([], []), (2, [2]), ("2", [2]), ("20%", ["20%"]), ("1, 10,25%", [1, 10, "25%"]), ([1, "100%"], [1, "100%"])])
def test_batches_in_every_way_of_writing(value, expected):
    assert FORMATS["batches"](value) == expected
    assert batches({"accelerator_nodes": ["a"]}, {"a": {"accelmon_serial": value}}) == expected


@pytest.mark.parametrize("value", [0, -1, "0", "0%", "101%", "half", "1;2", [[1]], True, {"a": 1}, 1.5])
def test_what_is_no_batch_is_refused_with_the_fix(value):
    with pytest.raises(Problem, match="not a batch; use a number"):
        FORMATS["batches"](value)
    with pytest.raises(AnsibleFilterError, match="^a: accelmon_serial = .*not a batch"):
        batches({"accelerator_nodes": ["a"]}, {"a": {"accelmon_serial": value}})


def test_a_fleet_without_hosts_or_without_the_variable_goes_at_once():
    assert batches({}, {}) == []
    assert batches({"monitoring": ["m"]}, {"m": {}}) == []


def play(tmp_path, variables, *arguments):
    """Run the play over six local hosts of which b fails; who came through it, and through the play after it."""
    hosts = {name: {} for name in "abcdef"}
    (tmp_path / "inventory.json").write_text(json.dumps({"all": {
        "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, **variables},
        "children": {"accelerator_nodes": {"hosts": hosts}}}}))
    (tmp_path / "play.yml").write_text(PLAY)
    done = subprocess.run([str(pathlib.Path(sys.executable).with_name("ansible-playbook")), "-i", str(tmp_path / "inventory.json"),
                           str(tmp_path / "play.yml"), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True,
                          env={**os.environ, "ANSIBLE_HOME": str(tmp_path / "home"), "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections")})
    assert done.returncode == 2, done.stdout
    return [{name for name in hosts if f"{word}-{name}" in done.stdout} for word in ("healthy", "next")]


def test_without_batches_a_bad_host_stops_no_other(tmp_path):
    assert play(tmp_path, {}) == [set("acdef"), set("acdef")]


@pytest.mark.parametrize("value,healthy", [("1", "a"), (2, ""), (["1", "100%"], "a"), ("50%", "")])
def test_the_first_unhealthy_batch_is_the_last(tmp_path, value, healthy):
    assert play(tmp_path, {"accelmon_serial": value}) == [set(healthy), set()]


def test_batches_of_one_run(tmp_path):
    assert play(tmp_path, {}, "-e", "accelmon_serial=1") == [set("a"), set()]
