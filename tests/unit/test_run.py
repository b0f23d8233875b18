# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the summary of the tests says of a failure, and how parts run side by side. Nothing is stubbed: a real pytest fails, by itself and in a real task."""

import functools
import importlib.util
import os
import re
import sys
import threading
import time

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
    with pytest.MonkeyPatch.context() as patch:
        # As when it is run as a program.
        patch.syspath_prepend(os.path.join(ROOT, "tests"))
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


@pytest.mark.parametrize("said", [
    "ERROR: tests/test_it.py:6:0: unused-import: Unused pytest imported from conftest",
    "roles/one/meta/argument_specs.yml:0:0: entry_points -> adopt -> description[1]: O(x): option name does not reference to an existing option",
], ids=["sanity", "antsibull-docs"])
def test_a_place_that_a_linter_names_is_told(run, folder, said):
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


def test_bytecode_is_kept_and_not_in_the_checkout(run, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    (tmp_path / "imported.py").write_text("")
    run.command([sys.executable, "-c", "import imported"], cwd=tmp_path, env=run.environment())
    assert not (tmp_path / "__pycache__").exists() and list((tmp_path / "cache").rglob("imported.*.pyc"))


@pytest.fixture
def logs(run, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "LOGS", str(tmp_path / "logs"))
    monkeypatch.setattr(run, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(run, "LANES", {"waiting": 2, "working": 1})
    monkeypatch.setattr(run.Job, "stopped", threading.Event())
    return run


def lines(run, name, text, turn=lambda: None):
    """A job whose commands print this text in several lines, and that lets the others have their turn in between."""
    def work():
        for dummy in range(3):
            run.command(["echo", text])
            turn()
    return run.Job(name, work)


def test_jobs_run_side_by_side_and_their_output_does_not_mix(logs, capfd):
    both = threading.Barrier(3, timeout=60)
    jobs = [lines(logs, "molecule a", "AA", both.wait), lines(logs, "molecule b", "BB", both.wait), lines(logs, "lint", "CC", both.wait)]
    logs.side_by_side(jobs)
    said = capfd.readouterr().out
    assert [job.failure for job in jobs] == ["", "", ""] and all(job.seconds > 0 for job in jobs)
    for name, text in (("molecule a", "AA"), ("molecule b", "BB"), ("lint", "CC")):
        assert re.search("=== %s: passed after \\d+ s\n%s" % (name, ("\\$ echo %s\n%s\n" % (text, text)) * 3), said), said


def test_a_lane_runs_so_many_jobs_at_a_time(logs):
    running, most = [], []

    def work(name):
        running.append(name)
        most.append(len([other for other in running if other in ("lint", "build", "units")]))
        time.sleep(0.02)
        running.remove(name)
    logs.side_by_side([logs.Job(name, functools.partial(work, name)) for name in ("lint", "build", "units")])
    assert most == [1, 1, 1]


def test_scenarios_go_before_the_others(logs, capfd):
    # The priority is set once the process is there.
    logs.side_by_side([logs.Job(name, functools.partial(logs.command, ["sh", "-c", "sleep 0.5; nice"])) for name in ("molecule a", "lint")])
    said = capfd.readouterr().out
    own = os.nice(0)
    for name, niceness in (("molecule a", own), ("lint", min(own + 10, 19))):
        assert re.search("=== %s: passed .*\n.*\n%d\n" % (name, niceness), said), said


def test_what_runs_and_how_far_it_is_is_said_while_nothing_ends(logs, capfd):
    def work():
        logs.say("TASK [one : Do it] ****\n\n")
        time.sleep(0.3)
    logs.side_by_side([logs.Job("units", work), logs.Job("rules", lambda: None)])
    assert re.search(r"\.\.\. units runs for 0 s: TASK \[one : Do it\]\n", capfd.readouterr().out)


def test_a_job_that_fails_or_breaks_stops_no_other_and_is_named(logs, capfd):
    def fails():
        logs.command(["sh", "-c", "echo 'FAILED test_it.py::test_one - no'; exit 1"])

    jobs = [logs.Job("lint", fails), logs.Job("build", lambda: 1 / 0), lines(logs, "units", "CC")]
    logs.side_by_side(jobs)
    said = capfd.readouterr().out
    assert jobs[0].failure.endswith("FAILED test_it.py::test_one - no")
    assert jobs[1].failure == "ZeroDivisionError: division by zero" and "Traceback" in said
    assert jobs[2].failure == "" and "=== units: passed" in said


def test_an_interrupted_run_starts_nothing_more(logs, monkeypatch, tmp_path):
    def interrupted(job):
        raise KeyboardInterrupt

    def work():
        logs.Job.stopped.wait(60)
        logs.command(["touch", str(tmp_path / "more")])

    monkeypatch.setattr(logs, "report", interrupted)
    jobs = [logs.Job("lint", lambda: None), logs.Job("units", work), logs.Job("rules", work)]
    with pytest.raises(KeyboardInterrupt):
        logs.side_by_side(jobs)
    assert not (tmp_path / "more").exists()
    assert jobs[2].seconds is None


def test_what_waits_for_scrapes_runs_when_a_scenario_has_ended_and_beside_what_works(run):
    jobs = run.jobs_of(run.Run(False, [name for name in run.PARTS if name not in run.EXTRA_PARTS]))
    assert [job.name for job in jobs if job.lane == "waiting"] == ["molecule default", "molecule prometheus", "live"]
    assert [job.name for job in jobs if job.lane == "working"] == ["lint", "build", "galaxy", "sanity", "rules", "units"]


def test_every_part_is_one_job_but_molecule_which_is_one_for_each_scenario(run):
    names = [job.name for job in run.jobs_of(run.Run(False, ["lint", "units", "molecule"]))]
    assert names == ["lint", "units", "molecule default", "molecule prometheus"]


@pytest.mark.parametrize("everything, chosen", [(False, "-m 'not costly'"), (True, None)])
def test_a_plain_run_leaves_out_the_costly_tests_of_its_scenarios(run, monkeypatch, everything, chosen):
    started = []
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setattr(run, "command", lambda argv, env: started.append((argv[-1], env.get("PYTEST_ADDOPTS"))))
    for job in run.jobs_of(run.Run(everything, ["molecule"]))[:2]:
        job.work()
    assert started == [("default", chosen), ("prometheus", chosen)]


@pytest.mark.parametrize("paths, wanted", [
    (None, ["yamllint --strict .", "tests/lint.py --offline --profile production", "antsibull-changelog lint", "antsibull-docs lint-collection-docs"]),
    (["tests/run.py", "roles/gone/tasks/main.yml"], []),
    (["roles/rules/tasks/main.yml"], ["yamllint --strict roles/rules/tasks/main.yml", "tests/lint.py --offline --profile production roles/rules",
                                      "antsibull-docs lint-collection-docs"]),
    (["playbooks/site.yml"], ["yamllint --strict playbooks/site.yml", "tests/lint.py --offline --profile production playbooks/site.yml"]),
    (["changelogs/config.yaml"], ["yamllint --strict changelogs/config.yaml", "antsibull-changelog lint"]),
    (["plugins/module_utils/atomic.py"], ["antsibull-docs lint-collection-docs"]),
])
def test_the_linters_of_a_change(run, paths, wanted):
    assert [" ".join(argv).replace(" --plugin-docs " + ROOT, "").replace(sys.executable + " ", "") for argv in run.linters(paths)] == wanted


def test_a_change_runs_the_tests_that_it_concerns(run, capfd):
    found = run.concerned(run.Run(False, [], ["plugins/module_utils/atomic.py"]), "tests/unit/", "test_*.py")
    assert "tests/unit/test_run.py" not in found and "tests/unit/plugins/module_utils/test_atomic.py" in found
    assert re.search(r"tests/unit/: %d of \d+ programs are concerned" % len(found), capfd.readouterr().out)
    assert run.concerned(run.Run(False, [], ["plugins/plugin_utils/catalogue/reader.py"]), "tests/rules/", "run.py") == ["tests/rules/run.py"]
    assert run.concerned(run.Run(False, [], ["plugins/modules/fleet_status_info.py"]), "tests/rules/", "run.py") == []
