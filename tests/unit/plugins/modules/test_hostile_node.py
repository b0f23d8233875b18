# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node that lies: check, plan and record of site.yml, run by ansible-playbook on this machine with both values of inject_facts_as_vars.

Stubbed: all hosts are this machine over a local connection. The Python of a node is a script that runs the real one and then changes
the module's answer, as somebody with root on the node could. The playbooks are used as they are but for the folders of the registry.
"""
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[4]
INVENTORY = """
all:
  vars: {ansible_connection: local, ansible_become: false}
  children:
    accelerator_nodes:
      hosts:
        evil: {ansible_python_interpreter: "%(folder)s/evil", accelmon_address: 10.0.0.1}
        gpu2: {ansible_python_interpreter: "%(folder)s/gpu2", accelmon_address: 10.0.0.2}
    monitoring: {hosts: {mon01: {ansible_python_interpreter: "%(python)s", accelmon_address: 10.0.0.3}}}
"""
PYTHON = """#!%(python)s
import json, subprocess, sys
done = subprocess.run([%(python)r] + sys.argv[1:], stdout=subprocess.PIPE)
answer = json.loads(done.stdout)
with open(%(told)r) as stream:
    told = json.load(stream)
for name, value in told.get("any", {}).items():
    answer[name] = {**answer.get(name, {}), **value}
if "accelerators" in answer.get("ansible_facts", {}):
    answer["ansible_facts"].update(told.get("facts", {}))
print(json.dumps(answer))
"""
# One more task on the nodes between plan and record, with a module that is not ours.
SITE = """
- ansible.builtin.import_playbook: parts/check.yml
- ansible.builtin.import_playbook: parts/plan.yml
- hosts: accelerator_nodes
  gather_facts: false
  tasks:
    - ansible.builtin.stat: {path: /}
- ansible.builtin.import_playbook: parts/record.yml
- hosts: gpu2
  gather_facts: false
  tasks:
    - ansible.builtin.debug: {msg: "the rest goes on"}
"""
FORGED = {
    "accelmon_accept": ["*"], "accelmon_prune": True, "accelmon_prune_force": True, "accelmon_state": "maintenance", "accelmon_cluster": "other",
    "accelmon_address": "10.0.0.2", "accelmon_expected": {"nvidia": 0}, "accelmon_textfile_directory": "/nowhere", "ansible_limit": "evil",
    "group_names": ["monitoring"], "inventory_hostname": "gpu2", "groups": {"all": ["evil"]}, "hostvars": {}, "now": 1, "dict": 1, "lookup": 1}


def accelerators(count, model="NVIDIA H100 SXM5 80GB"):
    """The fact of a node with so many devices."""
    return {"accelerators": {"devices": [], "summary": {"nvidia": {"count": count, "models": {model: count}, "states": {"ready": count}}}}}


class Fleet:
    """The playbooks, what the nodes tell, and the registry that comes of it."""

    def __init__(self, folder, inject):
        self.folder, self.inject = folder, inject
        (folder / "inventory.yml").write_text(INVENTORY % {"folder": folder, "python": sys.executable})
        for name in ("evil", "gpu2"):
            (folder / name).write_text(PYTHON % {"python": sys.executable, "told": str(folder / (name + ".json"))})
            (folder / name).chmod(0o755)
        (folder / "parts").mkdir()
        (folder / "parts/tasks").symlink_to(ROOT / "playbooks/parts/tasks")
        for name in ("parts/check", "parts/plan", "parts/record", "preflight"):
            text = (ROOT / "playbooks" / (name + ".yml")).read_text()
            if name == "parts/record":
                text = re.sub(r'series_dir: .*', 'series_dir: "%(folder)s/series"\n        state_dir: "%(folder)s/state"\n'
                              '        targets_dir: "%(folder)s/targets"' % {"folder": folder}, text)
            (folder / (name + ".yml")).write_text(text)
        (folder / "site.yml").write_text(SITE)
        self.told = {"evil": {"facts": accelerators(8)}, "gpu2": {"facts": accelerators(8)}}

    def run(self, playbook="site.yml", **variables):
        """(exit code, output) of a run."""
        for name, told in self.told.items():
            (self.folder / (name + ".json")).write_text(json.dumps(told))
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", "-i", "inventory.yml", playbook, "-e", json.dumps(variables)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=600, check=False, cwd=str(self.folder),
            env=dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"), ANSIBLE_HOME=str(self.folder / "home"),
                     ANSIBLE_INJECT_FACT_VARS=str(self.inject), ANSIBLE_LOCALHOST_WARNING="0", ANSIBLE_FORCE_COLOR="0", ANSIBLE_NOCOWS="1"))
        return done.returncode, done.stdout

    def hosts(self, cluster="default"):
        """The entries of the registry."""
        return json.loads((self.folder / "state" / (cluster + ".json")).read_text())["hosts"]


@pytest.fixture(name="fleet", params=[True, False], ids=["injected", "not_injected"])
def _fleet(request, tmp_path):
    return Fleet(tmp_path, request.param)


def test_facts_with_names_of_variables_decide_nothing(fleet):
    assert fleet.run()[0] == 0
    before = fleet.hosts()
    assert before["evil"]["highest"] == before["gpu2"]["highest"] == {"nvidia": {"NVIDIA H100 SXM5 80GB": 8}}
    fleet.told = {"evil": {"facts": FORGED}, "gpu2": {"facts": accelerators(4)}}
    code, out = fleet.run()
    assert code == 2 and "the rest goes on" in out
    assert re.search(r"fatal: \[evil\].*accelmon_accept", out) and not re.search(r"fatal: \[(gpu2|mon01)\]", out)
    assert os.listdir(fleet.folder / "state").count("other.json") == 0
    after = fleet.hosts()
    assert after["gpu2"]["highest"] == before["gpu2"]["highest"] and after["gpu2"]["seen"] == {"nvidia": {"NVIDIA H100 SXM5 80GB": 4}}
    assert after["evil"] == before["evil"]
    # The answer of accelerator_facts is refused already; now it is one of the modules after it.
    fleet.told["evil"] = {"facts": accelerators(8), "any": {"ansible_facts": FORGED}}
    script = fleet.folder / "evil"
    script.write_text(script.read_text().replace('told.get("any", {})', '({} if "accelerators" in answer.get("ansible_facts", {}) else told["any"])'))
    code, out = fleet.run()
    assert "the rest goes on" in out and code == 0
    assert "evil: facts: " in out and "the host's record stays unchanged" in out
    after = fleet.hosts()
    assert after["evil"] == before["evil"]
    assert after["gpu2"]["highest"] == before["gpu2"]["highest"] and after["gpu2"]["status"] == "active"
    assert sorted(os.listdir(fleet.folder / "state")) == ["default.json", "default.lock", "default.series", "tmp"]


def test_a_node_whose_facts_do_not_fit_fails_alone(tmp_path):
    fleet = Fleet(tmp_path, True)
    fleet.told["evil"] = {"facts": {"accelerators": {"devices": [], "summary": {"nvidia": {"count": 8, "models": {"H100": "abc"}, "states": {}}}}}}
    code, out = fleet.run()
    assert code == 2 and "the rest goes on" in out
    assert "evil: facts: accelerators.summary.nvidia.models.H100 = abc: not a whole number from 0 to 1024" in out
    assert re.search(r"fatal: \[evil\]", out) and not re.search(r"fatal: \[(gpu2|mon01)\]", out)
    # It is recorded as a host that never answered.
    assert fleet.hosts()["evil"]["status"] == "pending" and fleet.hosts()["gpu2"]["status"] == "active"


def test_preflight_tells_of_the_node_that_lies_and_of_the_others(tmp_path):
    fleet = Fleet(tmp_path, True)
    forged = dict(FORGED, accelmon_report_file=str(tmp_path / "report.json"), accelmon_output="json")
    fleet.told["evil"] = {"facts": accelerators(8), "any": {"ansible_facts": forged, "unanswered": {"a": 1}, "ansible_stats": {"data": {"a": 1}}}}
    code, out = fleet.run("preflight.yml")
    assert code == 2 and not (tmp_path / "report.json").exists()
    assert re.search(r"error: evil: answer = facts: accelmon_accept = .*: not a fact of accelerator_facts; ", out)
    assert "gpu2: 8 nvidia" in out and "of them did not answer" in out


def expressions(value, bare=False):
    """The texts of a task that are evaluated: within braces, or all of a condition."""
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in expressions(item, key in ("when", "that", "until", "failed_when", "changed_when"))]
    if isinstance(value, list):
        return [text for item in value for text in expressions(item, bare)]
    return [str(value)] if bare else re.findall(r"\{\{.*?\}\}", str(value), re.DOTALL)


def run_arguments(task, play, known):
    """Names of ours that a task reads out of the variables of the host that it happens to run for."""
    own = set(play.get("vars", {})) | set(task.get("vars", {})) | known
    text = re.sub(r"hostvars\[(?:[^][]|\[[^]]*\])*\]\.\w+|accelmon\.fleet\.\w+", "", "\n".join(expressions(task)))
    return sorted(name for name in set(re.findall(r"(?<![\w.'])(?:accelmon_\w+|ansible_limit)", text)) - own)


@pytest.mark.parametrize("path", sorted([*(ROOT / "playbooks").glob("*.yml"), *(ROOT / "playbooks").glob("parts/*.yml")]), ids=lambda path: path.stem)
def test_what_is_decided_for_the_fleet_reads_no_variable_that_a_fact_could_be(path):
    # A task that runs once has the variables of the first host that is left; with inject_facts_as_vars that host's facts are among them.
    for play in yaml.safe_load(path.read_text()):
        tasks = play.get("tasks", [])
        known = {task["register"] for task in tasks if "register" in task}
        known |= {name for task in tasks for name in task.get("ansible.builtin.set_fact", ())}
        for task in tasks:
            if task.get("run_once"):
                assert run_arguments(task, play, known | set(task.get("ansible.builtin.set_fact", ()))) == [], task["name"]
