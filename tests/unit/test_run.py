# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the summary of the tests says of a failure. Nothing is stubbed: a real pytest fails, by itself and in a real task."""

import importlib.util
import os
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TEST = """
import pytest

@pytest.mark.parametrize("host", ["ansible://node1"])
def test_of_a_host(host):
    assert host == "C:\\\\node1", 'it said "no"'

@pytest.fixture
def lab():
    raise ValueError("no lab")

def test_of_a_lab(lab):
    pass

def test_that_passes():
    pass
"""
PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.command:
        argv: [%s, -m, pytest, -q, -rfEs, -p, no:cacheprovider, test_it.py]
      when: tests | default(true) | bool
    - ansible.builtin.fail:
        msg: the "name" is wrong
"""


@pytest.fixture(scope="module")
def run():
    spec = importlib.util.spec_from_file_location("accelmon_tests_run", os.path.join(ROOT, "tests", "run.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "test_it.py").write_text(TEST)
    (tmp_path / "play.yml").write_text(PLAYBOOK % sys.executable)
    return str(tmp_path)


PLAY = [sys.executable, "-m", "ansible.cli.playbook", "-i", "localhost,", "-e", "ansible_python_interpreter=" + sys.executable, "play.yml"]
TESTS = [sys.executable, "-m", "pytest", "-q", "-rfEs", "-p", "no:cacheprovider", "test_it.py"]


@pytest.mark.parametrize("argv", [TESTS, PLAY], ids=["pytest", "a task"])
def test_failed_tests_are_named(run, folder, argv):
    with pytest.raises(run.Failed) as failure:
        run.command(argv, cwd=folder)
    said = str(failure.value).split("\n")
    assert said[0].endswith("exit status %d" % (1 if argv is TESTS else 2))
    assert len(said) == 3
    assert said[1].startswith("FAILED test_it.py::test_of_a_host[ansible://node1] - AssertionError: it said ")
    assert said[2].startswith("ERROR test_it.py::test_of_a_lab - ValueError: no lab")


def test_the_message_of_a_failed_task_is_told(run, folder):
    with pytest.raises(run.Failed) as failure:
        run.command(PLAY + ["-e", "tests=false"], cwd=folder)
    assert str(failure.value).split("\n")[1:] == ['localhost: the \\"name\\" is wrong']


def test_a_place_that_sanity_names_is_told(run, folder):
    said = "ERROR: tests/test_it.py:6:0: unused-import: Unused pytest imported from conftest"
    with pytest.raises(run.Failed) as failure:
        run.command(["sh", "-c", "echo 'ERROR: Found 1 pylint issue(s) which need to be resolved:'; echo '%s'; exit 1" % said], cwd=folder)
    assert str(failure.value).split("\n")[1:] == [said]


def test_what_passes_raises_nothing_and_keeps_its_output(run, folder, capfd):
    run.command(TESTS + ["-k", "passes"], cwd=folder)
    assert "1 passed" in capfd.readouterr().out


def test_a_hang_is_named_although_its_child_keeps_the_output_open(run, folder, monkeypatch):
    monkeypatch.setattr(run, "LIMIT_SECONDS", 0.5)
    with pytest.raises(run.Failed, match="sh: took longer than 0.5 seconds"):
        run.command(["sh", "-c", "sleep 30 & wait"], cwd=folder)


def test_a_missing_program_is_named(run, folder):
    with pytest.raises(run.Failed, match="no-such-program: is not installed"):
        run.command(["no-such-program"], cwd=folder)
