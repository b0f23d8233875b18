# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program as a whole: its file, state, lock, command line. Stubbed: nvidia-smi by a replayed fixture, sysfs by a folder."""

import fcntl
import glob
import json
import os
import random
import shutil
import stat
import subprocess
import sys
import time

import collector_support as support
import pytest

OLD_PYTHON = "3.6"


def both_vendors(node):
    support.amd_device(node.root, "0000:05:00.0", "mi300x")
    support.put(node.root, "sys/bus/pci/devices/0000:1b:00.0/vendor", "0x10de\n")
    support.put(node.root, "sys/bus/pci/devices/0000:1b:00.0/class", "0x030200\n")
    support.replayed_nvidia_smi(node.folder, "h100_8.csv")


def test_two_vendors_on_one_host(node):
    both_vendors(node)
    metrics = node.collect()
    assert [(device["vendor"], device["gpu"]) for device in metrics.devices()] == [("amd", "0")] + [("nvidia", str(n)) for n in range(8)]
    assert metrics.one("node_gpu_power_draw_watts", gpu="0", vendor="amd") == 542
    assert metrics.one("node_gpu_power_draw_watts", gpu="0", vendor="nvidia") == 69.85


def test_one_vendor_that_fails_leaves_the_other_alone(node):
    both_vendors(node)
    os.remove(str(node.folder / "nvidia-smi"))
    metrics = node.collect()
    assert [device["vendor"] for device in metrics.devices()] == ["amd"]
    assert metrics.one("accelmon_collector_success", vendor="nvidia") == 0
    assert metrics.one("accelmon_collector_success", vendor="amd") == 1


def test_a_defect_in_one_collector_is_a_failure_of_its_vendor(node, monkeypatch, program, capsys):
    both_vendors(node)
    monkeypatch.setitem(program.COLLECTORS, "amd", lambda *_: {}["x"])
    metrics = node.collect()
    assert metrics.errors("amd") == {"internal": 1} and len(metrics.devices()) == 8
    assert "amd: KeyError" in capsys.readouterr().err


def test_only_vendors_that_are_here_are_read(node):
    assert {name for name, _labels in node.collect().series} == {"accelmon_collector_kernel_log_problem"}
    support.put(node.root, "sys/module/nvidia/version", "590.48.01\n")  # its devices are all lost
    assert node.collect().error("nvidia", "tool_missing") == 1


def test_every_error_counter_starts_at_zero(node, program):
    both_vendors(node)
    metrics = node.collect()
    for vendor in program.VENDORS:
        assert all(metrics.error(vendor, reason) == 0 for reason in program.REASONS)


def test_the_file_is_for_everybody_and_the_state_is_not(node):
    both_vendors(node)
    previous = os.umask(0o077)
    try:
        node.collect()
    finally:
        os.umask(previous)
    assert stat.S_IMODE(os.stat(str(node.output)).st_mode) == 0o644
    assert stat.S_IMODE(os.stat(str(node.state)).st_mode) == 0o600


def test_the_old_file_stays_until_the_new_one_is_complete(node, monkeypatch, program):
    """os.rename is stubbed, to look at the moment before it."""
    both_vendors(node)
    node.output.write_text("old\n")
    seen = []

    def rename(source, target):
        if target == str(node.output):
            seen.append((node.output.read_text(), os.path.dirname(source), source.endswith(".prom")))
            support.parse(open(source, encoding="utf-8").read())
        os.replace(source, target)

    monkeypatch.setattr(program.os, "rename", rename)
    node.collect()
    assert seen == [("old\n", str(node.output.parent), False)]


def test_what_a_killed_run_left_behind_is_not_followed(node):
    both_vendors(node)
    (node.folder / "victim").write_text("mine\n")
    os.symlink(str(node.folder / "victim"), str(node.output) + ".tmp")
    assert len(node.collect().devices()) == 9
    assert (node.folder / "victim").read_text() == "mine\n" and not os.path.islink(str(node.output))


def test_a_child_holds_no_file_of_the_run(program, tmp_path):
    """A child that cannot be killed would hold the lock for ever."""
    with open(str(tmp_path / "lock"), "w"):
        outcome = program.bounded(lambda: os.write(1, " ".join(
            os.readlink("/proc/self/fd/" + name) for name in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + name)).encode()),
            program.time.monotonic() + 20)
    assert outcome.status == "done" and b"/dev/null" in outcome.data and b"lock" not in outcome.data


@pytest.mark.parametrize("late", [0, 3600])
def test_what_a_child_writes_last_is_read(program, monkeypatch, tmp_path, late):
    """Under load a child writes and ends between a select() that found nothing and the next look at it. select() is stubbed."""
    begin, real, pids = program.time.monotonic(), program.select.select, []
    start_child = program.start_child

    def started(action):
        pid, reader = start_child(action)
        pids.append(pid)
        return pid, reader

    def select(reading, writing, failing, timeout):
        if not pids:
            return real(reading, writing, failing, timeout)
        (tmp_path / "go").touch()
        os.waitid(os.P_PID, pids.pop(), os.WEXITED | os.WNOWAIT)
        if late:
            monkeypatch.setattr(program.time, "monotonic", lambda: begin + late)
        return [], [], []

    monkeypatch.setattr(program, "start_child", started)
    monkeypatch.setattr(program.select, "select", select)

    def action():
        while not (tmp_path / "go").exists():
            time.sleep(0.01)
        program.write_all(1, b"x" * 4000)

    outcome = program.bounded(action, begin + 20)
    assert outcome.status == "done" and outcome.code == 0 and outcome.data == b"x" * 4000


def test_it_runs_where_its_role_puts_it(tmp_path):
    """A few files in a folder, whatever else is not there."""
    shutil.copy(support.PROGRAM, str(tmp_path / "accelmon-textfile-collector"))
    for name in ("job_owners.py", "kernel_log.py", "links.py", "processes.py", "fatal_codes.json"):
        shutil.copy(os.path.join(os.path.dirname(support.PROGRAM), name), str(tmp_path / name))
    shutil.copy(os.path.join(support.REPOSITORY, "plugins/module_utils/detect/ids.py"), str(tmp_path / "ids.py"))
    shutil.copy(os.path.join(support.REPOSITORY, "plugins/module_utils/textfile.py"), str(tmp_path / "textfile.py"))
    (tmp_path / "out").mkdir()
    arguments = ["--output", str(tmp_path / "out/x.prom"), "--state", str(tmp_path / "state"), "--root", str(tmp_path), "--vendors", "amd",
                 "--journalctl", "/nowhere"]
    subprocess.run([sys.executable, "-IS", str(tmp_path / "accelmon-textfile-collector")] + arguments, check=True, cwd="/")
    assert support.Metrics((tmp_path / "out/x.prom").read_text()).errors("amd") == {"no_devices": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "accelmon-textfile-collector", "fatal_codes.json", "ids.py", "job_owners.py", "kernel_log.py", "links.py", "out",
        "processes.py", "state", "state.lock", "textfile.py"]
    role = open(os.path.join(support.REPOSITORY, "roles/textfile_collector/vars/main.yml"), encoding="utf-8").read()
    assert "plugins/module_utils/detect/ids.py" in role and "plugins/module_utils/textfile.py" in role
    assert all("dirname }}/%s" % name in role for name in (
        "ids.py", "job_owners.py", "kernel_log.py", "links.py", "processes.py", "fatal_codes.json", "textfile.py"))


def test_text_that_is_not_sound_never_replaces_the_file(node, monkeypatch, program):
    """The rendering of labels is broken on purpose."""
    both_vendors(node)
    broken = program.escaped
    monkeypatch.setattr(program, "escaped", lambda text: '"' if text.startswith("NVIDIA") else broken(text))
    metrics = node.collect()
    assert metrics.devices() == [] and metrics.error("nvidia", "internal") == 1
    assert metrics.one("accelmon_collector_success", vendor="nvidia") == 0


@pytest.mark.parametrize("text, sound", [
    ("", True), ('# HELP a_x y\n# TYPE a_x gauge\na_x{b="c"} 1\n', True), ('# HELP a_x y\n# TYPE a_x gauge\na_x{b="\\"\\\\"} 1.5e-07\n', True),
    ('a_x{b="c"} 1\n', False), ('# HELP a_x y\n# TYPE a_x gauge\na_x{b="c"} 1\na_x{b="c"} 2\n', False), ('# HELP a_x y\na_x{b="c"} nan\n', False),
    ('# HELP a_x y\n# HELP a_x y\n', False), ('# HELP a_x y\na_x{b="\\x"} 1\n', False), ('# HELP a_x y\na_x{b="c"} 1', False),
    ('# HELP a_x y\na_x{b="c} 1\n', False), ("rubbish\n", False)])
def test_the_check_before_the_rename(program, text, sound):
    assert program.sound(text) is sound


def test_two_runs_never_overlap(node, capsys):
    both_vendors(node)
    with open(str(node.state) + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert node.program.main(node.arguments()) == 75
        assert not node.output.exists()
    assert "another run is under way" in capsys.readouterr().err
    node.collect()


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", "{\"errors\": 5}", "\xff", "[" * 50000,
    json.dumps({"errors": {"nvidia": {"timeout": -1, "BAD NAME": 3, "stuck": "x"}}, "invalid": {"nvidia": []}, "success": {"nvidia": "now"},
                "stuck": {"nvidia": {"pid": "x"}}, "nvidia": {"driver": "x", "chosen": {"core": 1}}, "amd": {"boot": "b", "ras": []}}),
    json.dumps({"errors": {"nvidia": {"timeout": 1e300}}, "nvidia": {"driver": 1, "chosen": {"mig": 99, "zz": 1}}, "success": {"nvidia": True}})])
def test_a_state_file_that_is_not_ours_counts_for_nothing(node, text):
    both_vendors(node)
    node.state.write_text(text, encoding="latin-1")
    metrics = node.collect()
    assert len(metrics.devices()) == 9 and metrics.errors("nvidia") == {}
    assert metrics.one("accelmon_collector_group_supported", group="core") == 1


def test_spellings_that_do_not_exist_are_not_remembered(program):
    chosen = {"mig": 1, "throttle": 3, "recovery_action": -1, "core": 1, "other": 0, "remapped_rows": "x"}
    assert program.kept_nvidia({"driver": "x", "chosen": chosen}) == {"driver": "x", "chosen": {"mig": 1}}


def test_counters_survive_a_broken_part_of_the_state(node):
    both_vendors(node)
    os.remove(str(node.folder / "nvidia-smi"))
    node.collect()
    state = json.loads(node.state.read_text())
    state["amd"] = {"boot": 5}
    node.state.write_text(json.dumps(state))
    assert node.collect().error("nvidia", "tool_missing") == 2


def test_a_directory_that_cannot_be_written(node, capsys):
    both_vendors(node)
    shutil.rmtree(str(node.output.parent))
    assert node.program.main(node.arguments()) == 1
    assert str(node.output) in capsys.readouterr().err
    assert json.loads(node.state.read_text())["success"]["nvidia"]


@pytest.mark.parametrize("wrong", [["--vendors", "intel"], ["--vendors", ""], ["--timeout", "0"], ["--timeout", "x"], ["--wrong"]])
def test_a_wrong_command_line_is_refused(node, wrong, capsys):
    with pytest.raises(SystemExit) as error:
        node.program.main(node.arguments(*wrong))
    assert error.value.code == 2 and wrong[0] in capsys.readouterr().err


def mutated(text, chance):
    """A text with a few mutations: bytes, cells, lines."""
    data = bytearray(text.encode("utf-8"))
    for _change in range(chance.randint(1, 12)):
        position = chance.randrange(len(data) + 1)
        data[position:position + chance.choice((0, 0, 1, 3, 40))] = chance.choice((
            b"", b",", b", ", b"\n", b'"', b"\\", b"{", b"}", b"\x00", b"\xff", b"\r", b"[N/A]", b"ERR!", b"nan", b"-1", b"1e999",
            b"9" * chance.randint(1, 40), "\u2028".encode(), "\x85".encode(), bytes(chance.randrange(256) for dummy in range(5))))
    return bytes(data)


def test_no_output_of_a_tool_makes_a_broken_file(program):
    """Straight into the functions, without processes, so that there can be many."""
    chance = random.Random(20260101)
    fields = program.nvidia_fields({})
    _status, text = support.fixture("nvidia_smi/h100_8.csv")
    head, rows = text.split("\n", 1)
    order = head.split(", ")
    rows = "\n".join(", ".join(dict(zip(order, row.split(", ")))[field] for field in fields) for row in rows.split("\n")[:2]) + "\n"
    assert len(program.nvidia_table(rows, fields, program.Problems())) == 2
    useful = 0
    for _round in range(700):
        data = mutated(rows, chance) if chance.random() < 0.9 else bytes(chance.randrange(256) for dummy in range(chance.randrange(300)))
        problems, samples = program.Problems(), []
        for row in program.nvidia_table(data.decode("utf-8", "replace"), fields, problems):
            samples += program.nvidia_samples(row, problems)
        state = program.fresh_state()
        state["errors"]["nvidia"], state["invalid"]["nvidia"] = dict(problems.errors), dict(problems.invalid)
        own = program.own_samples({"nvidia": {"at": 1.5, "duration": 0.1, "success": True}}, state)
        result = program.render(samples + own)
        if program.sound(result):
            support.parse(result)
            useful += bool(samples)
        else:
            support.parse(program.render(own))
    assert useful > 250


def test_no_sysfs_makes_a_broken_file(program):
    """Straight into the functions: every text of a device replaced at random."""
    chance = random.Random(20260102)
    files = {os.path.basename(path) if "hwmon" in path else path: text
             for path, text in json.loads(support.fixture("amd_sysfs/mi300x.json")[1]).items()}
    for _round in range(1000):
        device = {"address": "0000:05:00.0", "files": dict(files), "failed": [], "narrowest": {}}
        for name in chance.sample(sorted(files), 5):
            device["files"][name] = mutated(files[name] or "0", chance).decode("utf-8", "replace")
        problems = program.Problems()
        device["values"] = program.amd_values(device, problems)
        device["ras"] = problems.value("ras", program.amd_ras, device) or {}
        result = program.render(program.amd_samples(0, device, {}, None))
        assert program.sound(result)
        support.parse(result)


def old_python():
    """An interpreter of the oldest release that nodes have, or None."""
    found = glob.glob(os.path.expanduser("~/.pyenv/versions/%s.*/bin/python" % OLD_PYTHON))
    return found[0] if found else shutil.which("python" + OLD_PYTHON)


@pytest.mark.parametrize("interpreter", [sys.executable, old_python()], ids=["this python", "python " + OLD_PYTHON])
def test_the_program_runs_by_itself(node, interpreter):
    if not interpreter:
        pytest.skip("no Python %s here" % OLD_PYTHON)
    both_vendors(node)
    script = [interpreter, "-IS", support.PROGRAM] + node.arguments()
    result = subprocess.run(script, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
    metrics = support.Metrics(node.output.read_text(encoding="utf-8"))
    assert len(metrics.devices()) == 9 and metrics.errors("nvidia") == {} and metrics.errors("amd") == {}


def test_the_file_is_published_into_somebody_elses_directory(node, program, tmp_path):
    own, theirs = tmp_path / "own", tmp_path / "theirs"
    own.mkdir()
    theirs.mkdir()
    source, target = own / "accelmon_accelerators.prom", theirs / "accelmon_accelerators.prom"
    arguments = ["--output", str(source), "--state", str(own / "state.json"), "--publish", str(theirs)]
    assert program.main(arguments) == 1, "nothing to publish"
    source.write_text("a 1\n")
    os.chmod(str(source), 0o600)
    target.symlink_to(tmp_path / "elsewhere")
    assert program.main(arguments) == 0
    assert not target.is_symlink() and not (tmp_path / "elsewhere").exists()
    assert target.read_text() == "a 1\n" and stat.S_IMODE(target.stat().st_mode) == 0o644
    assert os.listdir(str(theirs)) == ["accelmon_accelerators.prom"]


@pytest.mark.parametrize("trick", ["link", "hardlink", "fifo"])
def test_nothing_is_published_that_is_not_the_collectors_file(node, program, tmp_path, trick, capsys):
    own, theirs, secret = tmp_path / "own", tmp_path / "theirs", tmp_path / "secret"
    own.mkdir()
    theirs.mkdir()
    secret.write_text("password\n")
    source = str(own / "accelmon_accelerators.prom")
    {"link": os.symlink, "hardlink": os.link, "fifo": lambda _from, to: os.mkfifo(to)}[trick](str(secret), source)
    assert program.main(["--output", source, "--state", str(own / "state.json"), "--publish", str(theirs)]) == 1
    assert os.listdir(str(theirs)) == [] and capsys.readouterr().err
