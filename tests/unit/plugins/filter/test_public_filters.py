# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which filters users see: those that are documented, and no other. Runs: the real ansible-doc."""
import importlib
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[4]
FILTERS = ROOT / "plugins" / "filter"
PUBLIC = sorted(path.stem for path in FILTERS.glob("[a-z]*.py"))
INTERNAL = sorted((ROOT / "plugins" / "plugin_utils" / "internal_filters").glob("[a-z]*.py"))


def names_in(path):
    module = importlib.import_module(f"ansible_collections.accelmon.fleet.plugins.filter.{path.stem}")
    return sorted(module.FilterModule().filters())


def test_ansible_doc_lists_the_public_filters_alone():
    told = subprocess.run([sys.executable, "-m", "ansible", "doc", "-t", "filter", "--list", "--json", "accelmon.fleet"], check=True, capture_output=True,
                          text=True, env=dict(os.environ))
    assert sorted(json.loads(told.stdout)) == [f"accelmon.fleet.{name}" for name in PUBLIC]
    assert "UNDOCUMENTED" not in told.stdout


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_filter_has_a_file_of_its_name_and_its_documentation_there(name):
    assert names_in(FILTERS / f"{name}.py") == [name]
    text = (FILTERS / f"{name}.py").read_text(encoding="utf-8")
    assert all(f'{part} = r"""' in text for part in ("DOCUMENTATION", "EXAMPLES", "RETURN"))


@pytest.mark.parametrize("path", sorted(FILTERS.glob("_*.py")), ids=lambda path: path.stem)
def test_an_internal_filter_is_named_so_and_says_what_it_does(path):
    names = names_in(path)
    assert names and all(name.startswith("_") for name in names)
    module = importlib.import_module(f"ansible_collections.accelmon.fleet.plugins.filter.{path.stem}")
    assert all(function.__doc__ for function in module.FilterModule().filters().values())


def test_internal_filters_are_linked_which_hides_them_and_there_is_nothing_else():
    assert sorted(path.name for path in FILTERS.iterdir() if path.name != "__pycache__") == sorted(
        [f"_{path.name}" for path in INTERNAL] + [f"{name}.py" for name in PUBLIC])
    for path in INTERNAL:
        assert os.readlink(FILTERS / f"_{path.name}") == f"../plugin_utils/internal_filters/{path.name}"


def test_every_filter_that_is_used_exists():
    used = {}
    for folder in ("roles", "playbooks", "molecule", "docs", "lab", "benchmarks", "plugins"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".yml", ".py", ".md", ".j2") and path.is_file():
                for name in re.findall(r"\|\s*accelmon\.fleet\.(\w+)", path.read_text(encoding="utf-8")):
                    used.setdefault(name, str(path))
    known = {name for path in FILTERS.glob("*.py") for name in names_in(path)}
    assert {name: path for name, path in used.items() if name not in known} == {}
    assert known - set(used) == set()
