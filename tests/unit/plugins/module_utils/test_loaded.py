"""What a running process has read. Nothing is stubbed: files are real, the process is this one or its child."""

import os
import subprocess
import time

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.host import loaded


def test_digest_follows_content_names_and_number_of_files(tmp_path):
    pattern = str(tmp_path / "*.yml")
    empty = loaded.digest(pattern)
    (tmp_path / "a.yml").write_text("1")
    one = loaded.digest(pattern)
    os.utime(tmp_path / "a.yml", (1, 1))
    assert one != empty and loaded.digest(pattern) == one, "times do not count"
    (tmp_path / "a.yml").write_text("2")
    assert loaded.digest(pattern) not in (one, empty)
    (tmp_path / "a.yml").rename(tmp_path / "b.yml")
    moved = loaded.digest(pattern)
    (tmp_path / "other.txt").write_text("x")
    (tmp_path / "c.yml").mkdir()
    assert loaded.digest(pattern) == moved
    (tmp_path / "b.yml").unlink()
    assert loaded.digest(pattern) == empty


def test_process_tells_processes_apart_and_when_they_started():
    with subprocess.Popen(["sleep", "30"]) as child:
        identity, started = loaded.process(child.pid)
        assert identity.startswith("%d-" % child.pid) and abs(started - time.time()) < 5
        assert loaded.process(child.pid) == (identity, started)
        assert loaded.process(os.getpid())[0] != identity
        child.kill()
    assert loaded.process(child.pid) == ("", 0)
    assert loaded.process("0") == ("", 0)


def test_state_that_cannot_be_read_is_empty(tmp_path):
    nothing = {"process": "", "patterns": {}}
    assert loaded.read("x", str(tmp_path)) == nothing
    for text in ("", "{", "[]", "{}", '{"process": "1-2", "patterns": 3}'):
        (tmp_path / "x").write_text(text)
        assert loaded.read("x", str(tmp_path)) == nothing
    (tmp_path / "x").write_text(loaded.text({"process": "1-2", "patterns": {"/a": "b"}}))
    assert loaded.read("x", str(tmp_path)) == {"process": "1-2", "patterns": {"/a": "b"}}


@pytest.mark.parametrize("process,digest,age,current", [
    ("1-2", "same", 0, True),          # it has read this very content, however new the file is
    ("1-2", "other", 100, False),      # it has read something else
    ("1-1", "other", 100, True),       # another process, which began long after the last change
    ("1-1", "same", 0, False),         # another process, which began when the file changed: nobody knows
])
def test_is_current(tmp_path, process, digest, age, current):
    path = tmp_path / "rules.yml"
    path.write_text("x")
    digests = {str(path): loaded.digest(str(path))}
    state = {"process": process, "patterns": {str(path): digests[str(path)] if digest == "same" else "0"}}
    assert loaded.is_current(state, "1-2", time.time() + age, digests) is current


def test_a_removed_file_is_a_change_for_an_unknown_process(tmp_path):
    pattern = str(tmp_path / "*.yml")
    (tmp_path / "a.yml").write_text("x")
    os.utime(tmp_path, (1, 1))
    started = time.time() + 10
    (tmp_path / "a.yml").unlink()
    os.utime(tmp_path, (time.time() + 20, time.time() + 20))
    assert not loaded.is_current(loaded.read("x", str(tmp_path)), "1-2", started, {pattern: loaded.digest(pattern)})


def test_a_pattern_that_is_new_to_a_known_process_counts_by_time(tmp_path):
    path = tmp_path / "rules.yml"
    path.write_text("x")
    state = {"process": "1-2", "patterns": {}}
    assert loaded.is_current(state, "1-2", time.time() + 100, {str(path): "d"})
    assert not loaded.is_current(state, "1-2", time.time() - 100, {str(path): "d"})
