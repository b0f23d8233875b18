"""The watch: when it restarts, and what it leaves behind. Stubbed: systemctl, by a script that answers and notes its calls."""

import ast
import importlib.util
import json
import pathlib
import shutil
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def watch(tmp_path_factory):
    """The watch and what it imports, as the role puts them."""
    place = tmp_path_factory.mktemp("parts")
    shutil.copy(ROOT / "roles" / "service" / "files" / "accelmon_watch.py", place)
    shutil.copy(ROOT / "plugins" / "module_utils" / "host" / "inner.py", place / "accelmon_inner.py")
    spec = importlib.util.spec_from_file_location("accelmon_watch", place / "accelmon_watch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("pages,well", [
    ({"/-/ready": (200, "ready")}, True),
    ({"/-/ready": (503, "wait"), "/metrics": (200, "all_smi_up 0\n")}, False),
    ({"/metrics": (200, "# HELP all_smi_gpu_utilization x\nall_smi_gpu_utilization 1\n")}, True),
    ({"/metrics": (200, "")}, False),
    ({"/metrics": (200, "# HELP all_smi_gpu_utilization x\n")}, False),
    ({"/metrics": (500, "all_smi_gpu_utilization 1\n")}, False),
    ({"/metrics": (200, "all_smi_gpu_utilization 1\n", 9)}, False),
    ({}, False),
])
def test_what_is_well(watch, inner, pages, well):
    inner.pages = pages
    assert watch.answers(inner.place, "/metrics", "/-/ready", "all_smi_", 5)[0] is well


def test_a_socket_that_is_gone_is_not_well(watch, tmp_path):
    well, seen = watch.answers(str(tmp_path / "none"), "/metrics", "/-/ready", "x", 5)
    assert not well and "No such file" in seen


def failures_until_restart(watch, state):
    for count in range(1, 200):
        state, restart = watch.judged(state, False, 1000, 60)
        if restart:
            return count, state
    raise AssertionError("never")


def test_each_restart_that_does_not_help_doubles_the_patience(watch):
    state, counts = {}, []
    for _again in range(7):
        count, state = failures_until_restart(watch, state)
        counts.append(count)
    assert counts == [3, 6, 12, 24, 48, 96, 96] and state["restarts"] == 7
    state, _restart = watch.judged(state, True, None, 60)
    assert (failures_until_restart(watch, state)[0], state["restarts"]) == (3, 7)


@pytest.mark.parametrize("running", [None, 59])
def test_what_is_stopped_or_just_started_is_left_alone(watch, running):
    state = {"restarts": 4, "failures": 2, "wasted": 0}
    assert watch.judged(state, False, running, 60) == ({"restarts": 4, "failures": 0, "wasted": 0}, False)


@pytest.fixture
def systemctl(tmp_path, monkeypatch):
    """A systemctl whose unit is active since boot; its calls."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "systemctl"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\necho ActiveState=active\necho ActiveEnterTimestampMonotonic=0\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    return tmp_path / "calls"


def test_a_hung_exporter_is_restarted_and_counted(watch, tmp_path, systemctl):
    (tmp_path / "textfile").mkdir()
    arguments = ["--name=all_smi", "--unit=accelmon-all-smi.service", f"--to={tmp_path}/none", "--rows=all_smi_", "--grace=0",
                 f"--state={tmp_path}/state.json", f"--output={tmp_path}/textfile/x.prom"]
    for runs, restarts in ((1, 0), (2, 0), (3, 1), (4, 1)):
        assert watch.main(arguments) == 0
        page = (tmp_path / "textfile" / "x.prom").read_text()
        assert page.splitlines()[-1] == 'accelmon_exporter_restarts_total{exporter="all_smi"} %d' % restarts, runs
    assert [line for line in systemctl.read_text().splitlines() if "show" not in line] == ["--no-block try-restart accelmon-all-smi.service"]
    assert json.loads((tmp_path / "state.json").read_text()) == {"failures": 1, "restarts": 1, "wasted": 1}
    (tmp_path / "state.json").write_text("{")
    assert watch.main(arguments) == 0, "a state that cannot be read begins anew"


@pytest.mark.parametrize("deed,words", [("exec sleep 60", "timed out after 0.2 seconds"), ("exit 4", "returned non-zero exit status 4")])
def test_a_restart_that_systemd_does_not_take_is_said(watch, tmp_path, systemctl, monkeypatch, capsys, deed, words):
    program = tmp_path / "bin" / "systemctl"
    program.write_text(program.read_text().replace("#!/bin/sh\n", f"#!/bin/sh\ntest $1 = show || {{ {deed}; }}\n"))
    (tmp_path / "state.json").write_text('{"restarts": 0, "failures": 2, "wasted": 0}')
    monkeypatch.setattr(watch, "SECONDS", 0.2)
    began = time.monotonic()
    assert watch.main(["--name=x", "--unit=u.service", f"--to={tmp_path}/none", "--grace=0", f"--state={tmp_path}/state.json",
                       f"--output={tmp_path}/x.prom"]) == 1
    assert time.monotonic() - began < 10
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_every_program_that_runs_on_a_node_has_a_time_limit():
    for path in sorted(ROOT.glob("roles/*/files/*.py")) + sorted(ROOT.glob("plugins/module*/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("subprocess." + name for name in ("run", "call", "check_call", "check_output")):
                assert "timeout" in [keyword.arg for keyword in node.keywords], f"{path}:{node.lineno}"


def test_a_missing_directory_of_text_files_is_no_failure(watch, tmp_path, systemctl):
    assert watch.main(["--name=x", "--unit=u", f"--to={tmp_path}/none", f"--state={tmp_path}/s", f"--output={tmp_path}/none/x.prom"]) == 0
    assert watch.main(["--name=x", "--unit=u", f"--to={tmp_path}/none", f"--state={tmp_path}/none/s", f"--output={tmp_path}/none/x.prom"]) == 1


@pytest.mark.parametrize("told,status", [("all-smi 0.28.1", 0), ("all-smi 0.21.0", 0), ("all-smi 0.20.1", 1), ("all-smi, who knows", 0)])
def test_a_packaged_program_that_is_too_old_is_refused(watch, tmp_path, capsys, told, status):
    program = tmp_path / "all-smi"
    program.write_text(f"#!/bin/sh\necho '{told}'\n")
    program.chmod(0o755)
    assert watch.main(["--require", str(program), "0.21.0"]) == status
    assert ("this host needs 0.21.0 or later" in capsys.readouterr().err) is bool(status)
    assert watch.main(["--require", str(tmp_path / "none"), "0.21.0"]) == 0, "what is not there yet, in check mode"
