# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""playbooks/import.yml by ansible-playbook on the derived files in tests/fixtures/imports: what it writes is accepted by the variable check of site.yml.

Nothing is stubbed, and no host is contacted.
"""
import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests/fixtures/imports"


def play(folder, *arguments):
    done = subprocess.run([sys.executable, "-m", "ansible", "playbook", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600,
                          check=False, cwd=folder, env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"), "ANSIBLE_NOCOLOR": "1",
                                                        "ANSIBLE_HOME": str(folder / "home"), "ANSIBLE_LOCALHOST_WARNING": "false"})
    return done.returncode, done.stdout


def imported(folder, *more, **asked):
    asked = {"accelmon_import_directory": str(folder / "out"), "accelmon_import_prometheus": str(FIXTURES / "prometheus.yml"),
             "accelmon_import_silences": str(FIXTURES / "silences.json"), "accelmon_import_history": "/srv/snapshot", **asked}
    return play(folder, str(ROOT / "playbooks/import.yml"), "-e", json.dumps(asked), *more)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The folder where import.yml has run once, and what it said."""
    folder = tmp_path_factory.mktemp("import")
    code, said = imported(folder)
    assert code == 0, said
    return folder, said


def test_check_mode_writes_nothing(tmp_path):
    code, said = imported(tmp_path, "--check", "--diff")
    assert code == 0 and "changed=1" in said and "+      ansible_host: 10.0.1.1" in said and not (tmp_path / "out").exists(), said


def test_the_proposals_and_the_summary(first):
    folder, said = first
    files = sorted(str(path.relative_to(folder / "out")) for path in (folder / "out").rglob("*") if path.is_file())
    assert files == [".accelmon-import.json", "history.sh", "inventory.yml", "rules/gpu.rules.yml", "silences.sh", "summary.txt"]
    assert "inventory: 7 hosts from " in said and "3 of 6 work here" in said and "2 of 4 can be created here" in said
    # A value of the files that looks like a template is shown nowhere as one, and nothing runs it.
    assert "pipe" not in said and "pipe" not in (folder / "out/inventory.yml").read_text()


def test_the_variable_check_of_site_yml_accepts_the_inventory_and_the_rules(first, tmp_path):
    folder, dummy = first
    (tmp_path / "monitoring.yml").write_text(json.dumps({"all": {"children": {"monitoring": {"hosts": {"mon1": {
        "accelmon_rule_files": [str(folder / "out/rules/gpu.rules.yml")]}}}}}}))
    (tmp_path / "show.yml").write_text("""
- import_playbook: %s
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.debug: {msg: "hosts checked: {{ groups.accelerator_nodes | length }}, wrong: {{ hostvars.localhost.accelmon_findings.hosts }}"}
""" % (ROOT / "playbooks/parts/check.yml"))
    code, said = play(tmp_path, "-i", str(folder / "out/inventory.yml"), "-i", "monitoring.yml", "show.yml")
    assert code == 0 and "hosts checked: 7, wrong: {}" in said, said


def test_a_second_run_changes_nothing_and_an_edited_file_stays(tmp_path):
    assert "changed=1" in imported(tmp_path)[1]
    assert "changed=0" in imported(tmp_path)[1]
    edited = tmp_path / "out/inventory.yml"
    edited.write_text(edited.read_text().replace("10.0.1.1", "10.9.9.9"))
    code, said = imported(tmp_path)
    assert code == 0 and "inventory.yml: edited, and kept; the new proposal is inventory.yml.new" in said and "10.9.9.9" in edited.read_text()
    assert "10.0.1.1" in (tmp_path / "out/inventory.yml.new").read_text()
    assert "changed=0" in imported(tmp_path)[1]


def test_json_is_data(tmp_path):
    code, said = imported(tmp_path, accelmon_output="json")
    told = json.loads(said[said.index("=> {", said.index("TASK [Show what is proposed]")) + 3:said.index("PLAY RECAP")])["msg"]
    assert code == 0 and told["inventory"]["hosts"] == 7 and told["files"]["inventory.yml"] == "created" and told["silences"]["ready"] == 2
    assert {"job": "ipmi", "exporter": "custom", "targets": 1, "hosts": 1} in told["inventory"]["jobs"]


@pytest.mark.parametrize("asked,line", [
    ({"accelmon_import_directory": ""}, "accelmon_import_directory = '': there is no place for the proposals; give a directory on the control node"),
    ({"accelmon_import_prometheus": "/no/such.yml"}, "/no/such.yml: No such file or directory; name a file that can be read"),
    ({"accelmon_import_prometheus": "prometheus.yml"}, "accelmon_import_prometheus = prometheus.yml: not an absolute path; start it with /"),
    ({"accelmon_import_silences": "http://a:b@c/"}, "it contains credentials; put them into accelmon_import_login_file"),
    ({"accelmon_import_rules": "/a.yml,b.yml"}, "not an absolute path; start it with /"),
    ({"accelmon_import_directory": "/proc/none"},
     "accelmon_import_directory = /proc/none: it cannot be written (No such file or directory); use another directory"),
])
def test_what_is_wrong_is_one_line(tmp_path, asked, line):
    code, said = imported(tmp_path, **asked)
    assert code == 2 and line in said, said
