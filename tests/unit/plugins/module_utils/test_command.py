# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that answers, fails, hangs, floods or leaves children behind. The programs are small shell scripts."""
import os
import pathlib
import re
import signal
import time

import pytest

from ansible_collections.accelmon.fleet.plugins.module_utils import command


@pytest.fixture
def script(tmp_path):
    def make(text, name="tool"):
        path = tmp_path / name
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)
        return str(path)
    return make


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open("/proc/%d/stat" % pid) as stream:
        return stream.read().rsplit(")", 1)[1].split()[0] != "Z"


def wait_for_end(pid):
    until = time.monotonic() + 5
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not alive(pid)


def test_code_and_both_outputs(script):
    assert command.run([script("echo out; echo err >&2; exit 9")], 5) == (9, "out\n", "err\n")


def test_c_locale_and_no_input(script):
    code, output, dummy = command.run([script('cat; echo "$LC_ALL"')], 5)
    assert (code, output) == (0, "C\n")


def test_arguments_go_through_no_shell(script):
    assert command.run([script('printf "%s" "$1"'), "$(id); a b"], 5)[1] == "$(id); a b"


def test_output_that_is_no_text(script):
    assert command.run([script(r"printf '\377\376ok'")], 5)[1].endswith("ok")


def test_a_hanging_tool_is_killed_with_its_children(script, tmp_path):
    started = time.monotonic()
    code, output, dummy = command.run([script("sleep 60 & echo $! $$; trap '' TERM; wait; sleep 60")], 0.4)
    assert code is None and time.monotonic() - started < 5
    for pid in (int(one) for one in output.split()):
        assert wait_for_end(pid)


def test_a_flood_is_cut_off(script):
    code, output, dummy = command.run([script("while :; do echo 0123456789012345678901234567890123456789; done")], 30)
    assert code is None and len(output) < 2 * command.LIMIT


def test_a_child_that_keeps_the_output_open_does_not_delay(script):
    started = time.monotonic()
    code, output, dummy = command.run([script("sleep 20 & echo $!")], 30)
    assert code == 0 and time.monotonic() - started < 5
    os.kill(int(output), signal.SIGKILL)


def test_closed_outputs_do_not_end_the_wait(script):
    assert command.run([script("exec >&- 2>&-; sleep 0.3; exit 4")], 5)[0] == 4


def test_a_program_that_cannot_start(tmp_path):
    with pytest.raises(OSError):
        command.run([str(tmp_path / "none")], 1)


def test_which_looks_beyond_the_search_path(script, monkeypatch, tmp_path):
    path = script("exit 0", "amd-smi")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(command, "FOLDERS", (str(tmp_path),))
    assert command.which("amd-smi") == path
    assert command.which("rocm-smi") is None


def ends_during_select(monkeypatch, go, late=0):
    """The first select() times out, and what it watches has written its output and ended before it comes back."""
    begin, real, calls = time.monotonic(), command.select.select, []

    def select(reading, writing, failing, timeout):
        calls.append(timeout)
        if len(calls) > 1:
            return real(reading, writing, failing, timeout)
        go.touch()
        children = open("/proc/self/task/%d/children" % os.getpid()).read().split()
        os.waitid(os.P_PID, int(children[-1]), os.WEXITED | os.WNOWAIT)
        if late:
            monkeypatch.setattr(command.time, "monotonic", lambda: begin + late)
        return [], [], []

    monkeypatch.setattr(command.select, "select", select)


@pytest.mark.parametrize("late", [0, 3600])
def test_what_a_program_writes_last_is_read(script, monkeypatch, tmp_path, late):
    """Under load a program writes and ends between a select() that found nothing and the next look at it."""
    ends_during_select(monkeypatch, tmp_path / "go", late)
    tool = script("while ! test -e %s; do sleep 0.01; done; echo out; echo err >&2; exit 9" % (tmp_path / "go"))
    assert command.run([tool], 5) == (9, "out\n", "err\n")


class Module:
    """Stands in for AnsibleModule."""

    def fail_json(self, **told):
        raise SystemExit(told["msg"])


def test_a_module_gets_what_a_program_writes_last(script, monkeypatch, tmp_path):
    ends_during_select(monkeypatch, tmp_path / "go")
    tool = script("while ! test -e %s; do sleep 0.01; done; echo out; echo err >&2; exit 3" % (tmp_path / "go"))
    assert command.of_module(Module())([tool, "x"]) == (3, "out\n", "err\n")


def test_a_module_ends_where_a_program_is_missing_and_not_where_it_floods(script, tmp_path):
    with pytest.raises(SystemExit, match="none: cannot be run \\(No such file or directory\\)"):
        command.of_module(Module())([str(tmp_path / "none")])
    code, dummy, errors = command.of_module(Module())([script("exec yes")])
    assert code == 1 and "its output exceeds" in errors


def test_every_module_that_runs_programs_does_it_this_way():
    root = pathlib.Path(__file__).resolve().parents[4]
    running = {path.name for path in (root / "plugins/modules").glob("*.py")
               if re.search(r"run_command\(|module_utils\.host\.service\.", path.read_text(encoding="utf-8"))}
    ours = {path.name for path in (root / "plugins/modules").glob("*.py")
            if "module.run_command = command.of_module(module)\n" in path.read_text(encoding="utf-8")}
    assert running == ours


def test_input_larger_than_a_pipe(script):
    data = b"0123456789abcdef" * 20000
    assert command.run_bytes([script("cat")], 20, data) == (0, data, b"")


def test_input_that_nobody_reads(script):
    assert command.run_bytes([script("exec <&-; echo done")], 20, b"x" * 300000)[:2] == (0, b"done\n")


def test_input_to_a_program_that_hangs(script):
    assert command.run_bytes([script("sleep 60")], 0.3, b"x" * 300000)[0] is None


def test_a_variable_and_a_folder_of_its_own(script, tmp_path):
    assert command.run_bytes([script('printf "%s %s" "$MINE" "$PWD"')], 5, folder=str(tmp_path), environment={"MINE": "1"})[1].decode() == \
        "1 %s" % tmp_path


# The only places that may start or wait for a program themselves, and why.
WAITING = {
    "plugins/module_utils/command.py": "the one way for modules and plugins",
    "plugins/module_utils/access/certificates.py": "a child without output",
    "plugins/module_utils/host/hardware/collector.py": "a program inside a run of command.py: only a parent learns what its child used",
    "plugins/module_utils/host/hardware/fixtures.py": "a program inside a run of command.py, between the collector and the tool that it calls",
    "plugins/module_utils/backup.py": "also part of a program of its own; streams through openssl's pipes, and systemctl has a timeout",
    "plugins/module_utils/bucket.py": "also part of a program of its own; follows rclone for hours, which has timeouts of its own",
    "roles/textfile_collector/files/accelmon_textfile_collector.py": "a program of its own, bounded()",
    "roles/backup/files/spare.py": "part of a program of its own; a storage that becomes another user, is asked while it runs, and is killed",
    "roles/service/files/accelmon_watch.py": "a program of its own, subprocess with a timeout and no children",
}


def test_there_is_one_way_to_wait_for_a_program():
    """Every further one would be a further place for the race above."""
    root = pathlib.Path(__file__).resolve().parents[4]
    found = {str(path.relative_to(root)) for folder in ("plugins", "roles") for path in (root / folder).rglob("*.py")
             if re.search(r"\b(subprocess|os\.fork|os\.popen|os\.waitpid|os\.spawn\w*|pty)\b", path.read_text(encoding="utf-8"))}
    assert found == set(WAITING)
