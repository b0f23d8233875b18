# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tests a change concerns. Nothing is stubbed: a small repository of git, and this one."""

import importlib.util
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FROM = "from ansible_collections.accelmon.fleet.plugins.module_utils"
FILES = {
    "plugins/module_utils/low.py": "",
    "plugins/module_utils/wing/high.py": FROM + " import low\n",
    "plugins/plugin_utils/catalogue/reader.py": "",
    "plugins/plugin_utils/catalogue/tables.yml": "a: 1\n",
    "roles/one/tasks/main.yml": "[]\n",
    "lab/hosts.py": "",
    "tests/unit/conftest.py": "",
    "tests/unit/a/test_low.py": FROM + ".low import x\n",
    "tests/unit/a/test_high.py": "import os\n" + FROM + ".wing import high\n",
    "tests/unit/a/test_reader.py": "from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue import reader\n",
    "tests/unit/b/support.py": FROM + ".wing.high import x\n",
    "tests/unit/b/test_support.py": "import support\n",
    "tests/unit/b/test_roles.py": 'ROLES = ROOT / "roles"\n',
    "tests/unit/b/test_lab.py": "import hosts\n",
}


@pytest.fixture(name="code", scope="module")
def _code():
    spec = importlib.util.spec_from_file_location("accelmon_tests_changed", ROOT / "tests" / "changed.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def git(folder, *arguments):
    subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(name="repository")
def _repository(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message=first")
    return tmp_path


def test_what_changed_on_the_branch_and_in_the_work_tree(code, repository):
    assert code.changed(repository) == []
    git(repository, "switch", "--quiet", "--create=mine")
    (repository / "committed.py").write_text("")
    git(repository, "add", "committed.py")
    git(repository, "commit", "--quiet", "--message=second")
    (repository / "new.py").write_text("")
    (repository / "lab/hosts.py").write_text("x = 1\n")
    (repository / "roles/one/tasks/main.yml").unlink()
    assert code.changed(repository) == ["committed.py", "lab/hosts.py", "new.py", "roles/one/tasks/main.yml"]


@pytest.mark.parametrize("path, wanted", [
    ("plugins/module_utils/low.py", {"a/test_low.py", "a/test_high.py", "b/test_support.py"}),
    ("plugins/module_utils/wing/high.py", {"a/test_high.py", "b/test_support.py"}),
    ("plugins/plugin_utils/catalogue/tables.yml", {"a/test_reader.py"}),
    ("roles/one/tasks/main.yml", {"b/test_roles.py"}),
    ("roles/gone/tasks/main.yml", {"b/test_roles.py"}),
    ("lab/hosts.py", {"b/test_lab.py"}),
    ("tests/unit/a/test_low.py", {"a/test_low.py"}),
    ("tests/unit/b/support.py", {"b/test_support.py"}),
    ("tests/unit/conftest.py", {name[len("tests/unit/"):] for name in FILES if "test_" in name}),
    ("changelogs/fragments/x.yml", set()),
])
def test_which_tests_a_change_concerns(code, repository, path, wanted):
    tests = [name for name in FILES if "/test_" in name]
    assert set(code.concerned(repository, tests, [path])) == {"tests/unit/" + name for name in wanted}


def test_every_test_of_this_repository_can_be_read(code):
    tests = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "tests" / "unit").rglob("test_*.py"))]
    found = code.concerned(ROOT, tests, ["plugins/module_utils/command.py"])
    assert "tests/unit/plugins/module_utils/test_command.py" in found and len(found) < len(tests)
