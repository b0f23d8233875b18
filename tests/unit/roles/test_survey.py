# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What roles read where a survey gave text or nothing, by ansible-playbook itself.

Stubbed: nothing. The variables of the roles are real; none of their tasks runs."""
import json
import pathlib
import sys

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.variables import all_variables, roles
from ansible_collections.accelmon.fleet.tests.unit.roles.role_variables import played

ROOT = pathlib.Path(__file__).resolve().parents[3]
TEXTS = {"node_exporter_extra_args": '["--web.max-requests=4", "a b"]', "node_exporter_unit_overrides": "Service:\n  Nice: 5\n  ProtectHome: null\n",
         "node_exporter_collectors": "pcidevice: true", "node_exporter_port": "9101", "node_exporter_lean": "no", "all_smi_groups": "- video"}
READ = {"node_exporter_extra_args": ["--web.max-requests=4", "a b"], "node_exporter_unit_overrides": {"Service": {"Nice": "5", "ProtectHome": None}},
        "node_exporter_collectors": {"pcidevice": True}, "node_exporter_port": 9101, "node_exporter_lean": False, "all_smi_groups": ["video"]}


def names():
    """Names of all variables that roles read in their type."""
    files = [ROOT / "roles" / role / "vars/main.yml" for role in ("accelmon", *roles())]
    return sorted(name[1:] for path in files for name in yaml.safe_load(path.read_text()) if name.startswith("_"))


@pytest.fixture(name="read", scope="module")
def _read(tmp_path_factory):
    """{"as_it_is", "empty", "texts": {name: value}}: what roles read without an answer, with empty ones, and with TEXTS."""
    folder = tmp_path_factory.mktemp("survey")
    files = [str(ROOT / "roles" / role / part / "main.yml") for part in ("defaults", "vars") for role in ("accelmon", *roles())]
    # One task for all variables of the roles: defaults first, the survey's answers over them as it has them, what the roles make of both last.
    play = {"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.copy": {
        "dest": str(folder) + "/{{ inventory_hostname }}.json", "mode": "0600",
        "content": "{{ {" + ", ".join(f"'{name}': _{name}" for name in names()) + "} | to_json }}"}}]}
    (folder / "play.yml").write_text(json.dumps([dict(play, hosts="all", vars_files=files[len(files) // 2:])]))
    answers = {"as_it_is": {}, "empty": {name: "" for name in names()}, "texts": TEXTS}
    defaults = {}
    for path in files[:len(files) // 2]:
        defaults.update(yaml.safe_load(pathlib.Path(path).read_text()) or {})
    (folder / "inventory.json").write_text(json.dumps({"all": {
        "vars": dict(defaults, ansible_connection="local", ansible_python_interpreter=sys.executable, accelmon_source="bundle"),
        "hosts": {host: {name: value for name, value in given.items() if name != "accelmon_source"} for host, given in answers.items()}}}))
    return played(folder, answers)


def test_roles_take_the_default_for_an_empty_answer(read):
    assert read["as_it_is"] == read["empty"]
    assert read["empty"]["node_exporter_source"] == read["empty"]["dcgm_exporter_source"] == "bundle"
    # Up to core 2.18 a number out of a template is text.
    assert [int(read["empty"][name]) for name in ("textfile_collector_interval", "accelmon_exporter_nice", "node_exporter_port")] == [15, 0, 9100]
    assert set(read["empty"]) <= set(all_variables()) and len(read["empty"]) > 150


def test_roles_read_text_as_what_it_is(read):
    assert {name: read["texts"][name] for name in READ} == dict(READ, node_exporter_port=read["texts"]["node_exporter_port"])
    assert int(read["texts"]["node_exporter_port"]) == READ["node_exporter_port"]
