# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each variable is declared once: what roles know of the fleet's comes from the catalogue. Nothing is stubbed."""
import importlib.util
import pathlib
import re

import pytest
from ansible.module_utils.common.yaml import yaml_load
from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.variables import all_variables, fleet_variables, roles

ROOT = pathlib.Path(__file__).resolve().parents[3]


def generator():
    spec = importlib.util.spec_from_file_location("accelmon_roles", ROOT / "tools" / "roles.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = generator()
PAGES = GENERATOR.pages()


@pytest.mark.parametrize("path", sorted(PAGES))
def test_the_file_is_what_the_catalogue_says(path):
    """If not: run `make docs`."""
    assert (ROOT / path).read_text(encoding="utf-8") == PAGES[path]


@pytest.mark.parametrize("role", roles())
def test_a_role_declares_its_own_variables_only(role):
    prefix = f"{role}_"
    assert [name for name in yaml_load((ROOT / "roles" / role / "defaults/main.yml").read_text()) if not name.startswith(prefix)] == []
    own = yaml_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text().partition(GENERATOR.BEGIN)[0])
    options = [name for entry_point in own["argument_specs"].values() for name in entry_point.get("options") or {}]
    assert [name for name in options if not name.startswith(prefix)] == []


def test_no_inventory_and_no_fact_has_a_say_in_the_role_for_other_roles():
    """Both win over defaults, and names like service_groups may be a site's own. What is in vars/ wins over both."""
    assert not (ROOT / "roles/service/defaults").exists()
    names = set(yaml_load((ROOT / "roles/service/vars/main.yml").read_text()))
    assert all(name.startswith("service_") for name in names) and {"service_files", "service_package", "service_groups"} <= names


@pytest.mark.parametrize("role", roles() + ("service",))
def test_a_role_that_reads_variables_of_the_fleet_has_their_defaults(role):
    meta = yaml_load((ROOT / "roles" / role / "meta/main.yml").read_text())
    assert meta["dependencies"] == (["accelmon.fleet.accelmon"] if GENERATOR.read_by(role) else [])


def test_the_role_of_defaults_does_nothing():
    """It costs no result: no tasks, and no argument specification that would be checked."""
    assert sorted(path.relative_to(ROOT / "roles/accelmon").as_posix() for path in (ROOT / "roles/accelmon").rglob("*") if path.is_file()) == [
        "README.md", "defaults/main.yml", "meta/main.yml", "vars/main.yml"]


def test_no_default_of_a_variable_stands_where_it_is_read():
    """`x | default(…)` is for what a task registered or a host told, not for what is declared."""
    files = [path for pattern in ("roles/*/*/*.yml", "playbooks/*.yml", "playbooks/parts/**/*.yml") for path in ROOT.glob(pattern)]
    assert len(files) > 50
    found = {name for path in files for name in re.findall(r"\b(\w+)\s*\|\s*default\(", path.read_text())} & set(all_variables())
    # A file that need not be there yet.
    assert found == {"accelmon_lock_file"}


def test_no_role_reads_what_a_task_of_another_role_or_of_a_playbook_registered():
    """Who reads it depends on who ran before it. What a role needs of another it declares to that role, or asks itself."""
    texts = {path: path.read_text() for pattern in ("roles/*/*/*.yml", "playbooks/*.yml", "playbooks/parts/**/*.yml") for path in ROOT.glob(pattern)}
    home = {path: path.relative_to(ROOT).parts[1] if path.is_relative_to(ROOT / "roles") else "playbooks" for path in texts}
    registered = {(name, home[path]) for path, text in texts.items() for name in re.findall(r"(?m)^\s+register: (\w+)", text)}
    assert len(registered) > 20
    assert [(path.relative_to(ROOT).as_posix(), name) for path, text in texts.items() for name, owner in sorted(registered)
            if home[path] not in (owner, "playbooks") and re.search(rf"\b{name}\b", text)] == []


def test_nothing_is_excused_from_the_names_of_its_role():
    for path in ROOT.glob("roles/*/*/*.yml"):
        assert "noqa: var-naming" not in path.read_text(), path


def raw_reads(data):
    """Variables that expressions read as they were given, without the filter `_given`: text where a number is meant, or nothing at all."""
    text = "\n".join(GENERATOR.expressions(data))
    text = re.sub(r"\b(\w+) \| accelmon\.fleet\._given\('\1'\)|\(\w+ \| string \| trim or [^\n]*? \| accelmon\.fleet\._given\('\w+'\)", "", text)
    return sorted(set(re.findall(r"(?<![.\w'])[a-z]\w+", re.sub(r"\w+=(?!=)", "", text))) & set(all_variables()))


@pytest.mark.parametrize("path", sorted(path.relative_to(ROOT).as_posix() for pattern in (
    "roles/*/defaults/*.yml", "roles/*/tasks/*.yml", "roles/*/vars/*.yml", "playbooks/*.yml", "playbooks/parts/*.yml", "playbooks/parts/tasks/*.yml")
    for path in ROOT.glob(pattern)))
def test_a_variable_is_read_in_its_type(path):
    """As _NAME, which tools/roles.py writes for roles, or through the filter `_given`. The lock file is a path, which is never anything but text."""
    assert [name for name in raw_reads(yaml_load((ROOT / path).read_text(encoding="utf-8"))) if name != "accelmon_lock_file"] == []


@pytest.mark.parametrize("role", roles() + ("service",))
def test_what_a_role_reads_is_there(role):
    ours = {name for name in GENERATOR.read_in(role) if name in all_variables()}
    theirs = set(yaml_load((ROOT / "roles/accelmon/vars/main.yml").read_text())) | set(yaml_load((ROOT / f"roles/{role}/vars/main.yml").read_text()))
    assert ours and {f"_{name}" for name in ours} <= theirs


def test_a_default_that_is_a_template_stands_for_an_empty_answer():
    assert GENERATOR.value("a_port", 9100) == """_a_port: "{{ a_port | accelmon.fleet._given('a_port') }}"\n"""
    assert GENERATOR.value("a_source", "{{ _accelmon_source }}") == (
        """_a_source: "{{ (a_source | string | trim or _accelmon_source) | accelmon.fleet._given('a_source') }}"\n""")
    assert "or ([5, 7] | min)) |" in GENERATOR.value("a_interval", "{{ [5, 7] | min }}")


def test_no_playbook_has_ansible_check_what_the_first_play_has_checked():
    """Its own check of a role's arguments refuses an empty answer and YAML as text."""
    for path in list(ROOT.glob("playbooks/*.yml")) + list(ROOT.glob("playbooks/parts/**/*.yml")):
        text = path.read_text()
        assert not re.search(r"(?m)^  roles:", text), path
        named = re.findall(r"(?m)^ +name: \"?accelmon\.fleet\.(?!service$).*\n(?: *#.*\n)?(.*)", text)
        assert [line for line in named if "rolespec_validate: false" not in line] == [], path


def test_expressions_are_found():
    data = [{"when": "accelmon_a == 'x'", "b": "{{ accelmon_b }} accelmon_c {% if accelmon_d %}"}]
    assert "|".join(GENERATOR.expressions(data)) == "accelmon_a == 'x'| accelmon_b | if accelmon_d "


def test_a_path_stands_in_one_place():
    """Documentation of modules shows paths as they are; everything else takes them from paths.py."""
    found = []
    for path in ROOT.glob("plugins/**/*.py"):
        text = re.sub(r"""(?ms)^(?:DOCUMENTATION|EXAMPLES|RETURN) = r?(\"{3}|'{3}).*?^\1""", "", path.read_text())
        if path.name != "paths.py" and path.parent.name != "doc_fragments":
            found += [(path.name, line) for line in text.splitlines() if re.search(r"/(etc|opt|run|var/lib|var/cache)/accelmon", line)]
    assert found == []
    assert fleet_variables()["accelmon_textfile_directory"]["default"] == paths.TEXTFILE
