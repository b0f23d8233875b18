# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scenarios' tests say when they fail: in the first line, because pytest's summary has no other. Stubbed: podman.

And that they wait for what they ask the storage for.
"""

import ast
import importlib.util
import json
import pathlib
import re
import subprocess
import types

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
# guessed: cut down from the output of ansible-playbook
OUTPUT = """
TASK [accelmon.fleet.check : Check] ***
ok: [mon1]
fatal: [plain1]: FAILED! => {"changed": false, "msg": "node_exporter_port = 99999: no \\"port\\""}
fatal: [ghost1]: UNREACHABLE! => {"changed": false, "msg": "Connection refused", "unreachable": true}

PLAY RECAP *********************************************************************
mon1                       : ok=9    changed=2    unreachable=0    failed=0    skipped=1    rescued=0    ignored=0
plain1                     : ok=3    changed=1    unreachable=0    failed=1    skipped=0    rescued=0    ignored=0
"""


@pytest.fixture(name="code")
def _code(monkeypatch):
    spec = importlib.util.spec_from_file_location("accelmon_lab_fleet", ROOT / "molecule" / "shared" / "tests" / "lab_fleet.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    return module


@pytest.fixture(name="fleet")
def _fleet(code, tmp_path, monkeypatch):
    """A fleet whose pages are the texts of `fleet.pages` {a part of the URL: page}."""
    (tmp_path / "molecule.yml").write_text(json.dumps({
        "platforms": [{"name": "mon1", "groups": ["monitoring"]}], "provisioner": {"inventory": {"group_vars": {"all": {}}}}}))
    fleet = code.Fleet(tmp_path, "name", "inventory.json")
    fleet.pages = {}
    monkeypatch.setattr(fleet, "shell", lambda host, command: next(page for part, page in fleet.pages.items() if part in command))
    return fleet


def test_a_playbook_that_failed_says_why_in_the_first_line(code):
    run = code.Run(subprocess.CompletedProcess([], 2, OUTPUT))
    assert run.output.partition("\n")[0] == 'exit status 2 plain1: node_exporter_port = 99999: no \\"port\\"; ghost1: Connection refused'
    assert run.output.endswith(OUTPUT)
    assert run.recap["plain1"]["failed"] == 1 and run.changed() == 3


def test_a_playbook_that_does_not_end_is_ended_and_says_how_far_it_came(code, fleet, monkeypatch):
    monkeypatch.setattr(code, "PLAY_SECONDS", 0.5)
    process = subprocess.Popen(["sh", "-c", "echo 'TASK [one : Do it] ****'; exec sleep 60", "site.yml"], stdout=subprocess.PIPE, text=True)
    with pytest.raises(AssertionError) as failure:
        fleet.ended(process)
    assert str(failure.value).partition("\n")[0] == "site.yml: not within 0.5 s; last seen: ['TASK [one : Do it]']"
    assert process.returncode == -9


def test_who_waits_in_vain_says_what_was_seen_last(code, fleet):
    fleet.pages["/query"] = json.dumps({"data": {"result": [{"metric": {"node": "a"}, "value": [1, "0"]}]}})
    with pytest.raises(AssertionError) as failure:
        code.eventually(lambda: fleet.values("up") == {"a": 1}, "a is up", seconds=0)
    assert str(failure.value).partition("\n")[0] == "not within 0 s: a is up; last seen: up = [({'node': 'a'}, '0')]"


def test_who_waits_for_an_alert_in_vain_says_which_there_are(code, fleet):
    fleet.pages["/alerts"] = json.dumps({"data": {"alerts": [
        {"labels": {"alertname": "HostDown", "node": "a"}, "state": "pending"}, {"name": "Watchdog", "labels": {}, "state": "firing"}]}})
    with pytest.raises(AssertionError) as failure:
        code.eventually(lambda: fleet.firing("HostDown", node="a"), "HostDown fires", seconds=0)
    assert str(failure.value).partition("\n")[0] == "not within 0 s: HostDown fires; last seen: alerts: HostDown a pending, Watchdog  firing"


def test_who_waits_for_what_fails_says_how_it_failed(code):
    def condition():
        """the page answers"""
        assert False, "curl: 22"
    with pytest.raises(AssertionError, match="not within 0 s: the page answers; last seen: curl: 22; nothing"):
        code.eventually(condition, seconds=0)


def test_what_holds_in_the_end_is_given_back(code):
    values = iter([0, 0, 7])
    assert code.eventually(lambda: next(values), "seven") == 7


def test_who_waits_rests_as_long_as_asking_took(code, monkeypatch):
    clock, answers, rests = [0.0], [(0.1, False), (7.0, False), (0.1, True)], []

    def condition():
        took, answer = answers.pop(0)
        clock[0] += took
        return answer
    monkeypatch.setattr(code, "time", types.SimpleNamespace(monotonic=lambda: clock[0], sleep=rests.append))
    assert code.eventually(condition) is True
    assert rests == [1, 7.0]


def hasty(node):
    """Lines of a test that ask the storage for something that has to be there, and take its first answer. A function may be asked again and again."""
    if isinstance(node, (ast.FunctionDef, ast.Lambda)):
        return []
    absent = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    absent = absent or isinstance(node, ast.Compare) and isinstance(node.comparators[0], ast.Dict) and not node.comparators[0].keys
    if absent:
        return []
    asks = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("query", "values")
    own = [node.lineno] if asks and isinstance(node.func.value, ast.Name) and node.func.value.id == "fleet" else []
    return own + [line for child in ast.iter_child_nodes(node) for line in hasty(child)]


@pytest.mark.parametrize("path", sorted((ROOT / "molecule").glob("*/tests/test_*.py")), ids=lambda path: f"{path.parts[-3]}-{path.name}")
def test_no_test_takes_the_first_answer_of_a_query(path):
    """A busy machine misses a scrape, or writes it late: what has to be there is waited for with `eventually`."""
    tests = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    assert [line for test in tests for statement in test.body for line in hasty(statement)] == []


@pytest.mark.parametrize("path", sorted((ROOT / "molecule").glob("*/tests/test_*.py")), ids=lambda path: f"{path.parts[-3]}-{path.name}")
def test_no_command_of_a_test_waits_some_seconds_for_what_it_started(path):
    texts = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert [text for text in texts if re.search(r"(;|&&)\s*sleep [\d.]+\s*$", text)] == [], "wait for its answer with `eventually`"


def test_a_hasty_query_is_found():
    tree = ast.parse("assert fleet.query('a')\nassert not fleet.query('b')\neventually(lambda: fleet.query('c'))\nassert {} == {1: fleet.values('d')}")
    assert hasty(tree) == [1, 4]
