# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A vendor tool that answers, fails, hangs, floods or leaves children behind. The tools are small shell scripts."""
import os
import signal
import time

import pytest

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import command


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
