# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The syntax of playbooks and roles, checked together by the real ansible-playbook; ansible-lint's own check of each is stubbed."""

import importlib.util
import os
import pathlib
import sys
import types

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
pytest.importorskip("ansiblelint", reason="ansible-lint is not installed")


@pytest.fixture(name="lint", scope="module")
def _lint():
    spec = importlib.util.spec_from_file_location("lint", ROOT / "tests" / "lint.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("task, sound", [("ansible.builtin.debug", True), ("no.such.module", False)])
def test_ansible_lint_looks_at_each_file_only_if_one_of_them_is_wrong(lint, tmp_path, task, sound):
    (tmp_path / "role" / "tasks").mkdir(parents=True)
    (tmp_path / "role" / "tasks" / "main.yml").write_text("[{%s: {}}]\n" % task)
    (tmp_path / "play.yml").write_text("[{hosts: localhost, tasks: []}]\n")
    files = [types.SimpleNamespace(kind=kind, path=tmp_path / name) for kind, name in (("playbook", "play.yml"), ("role", "role"), ("tasks", "gone.yml"))]
    env = dict(os.environ, PATH=os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]]))
    app = types.SimpleNamespace(options=types.SimpleNamespace(extra_vars=None), runtime=types.SimpleNamespace(environ=env, **{lint.KNOWN: {}}))
    check = lint.together(lambda runner, worker, checked: [worker(file.path.name) for file in checked])
    assert check(types.SimpleNamespace(app=app), str.upper, files) == ([] if sound else ["PLAY.YML", "ROLE", "GONE.YML"])
    assert getattr(app.runtime, lint.KNOWN) == ({(str(tmp_path / "play.yml"), None): True} if sound else {})
