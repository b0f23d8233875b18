# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collector on a Slurm controller, run as its unit runs it. Stubbed: scontrol and squeue, by scripts that print a fixture or fail."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[4]
PROGRAM = ROOT / "roles/slurm_collector/files/accelmon_slurm_collector.py"
FIXTURES = ROOT / "tests/fixtures/slurm"
SERIES = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\\\|\\"|\\n)*",?)*)\})? (-?[0-9.e+-]+)\Z')


class Controller:
    """A folder with the commands of Slurm and the collector's files."""

    def __init__(self, folder):
        self.folder, self.output = folder, folder / "slurm.prom"
        self.says("scontrol", (FIXTURES / "scontrol_26.05.txt").read_text())
        self.says("squeue", (FIXTURES / "squeue.txt").read_text())

    def says(self, name, text):
        """Let a command print a text, without the header of a fixture."""
        lines = [line for line in text.splitlines(True) if not line.startswith("#")]
        (self.folder / ("%s.txt" % name)).write_text("".join(lines))
        self.does(name, 'echo "$*" > %s.args; cat %s.txt' % (name, name))

    def does(self, name, script):
        """Let a command run a script."""
        (self.folder / name).write_text("#!/bin/sh\ncd '%s'\n%s\n" % (self.folder, script))
        (self.folder / name).chmod(0o755)

    def run(self, *more, timezone="UTC"):
        """(exit status, {(name, labels): value}, what it wrote to stderr)."""
        argv = [sys.executable, "-IS", str(PROGRAM), "--output", str(self.output), "--state", str(self.folder / "state.json"),
                "--scontrol", str(self.folder / "scontrol"), "--squeue", str(self.folder / "squeue"), *more]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, env={"TZ": timezone, "PATH": os.environ["PATH"]})
        found = {}
        for line in self.output.read_text().splitlines() if self.output.exists() else ():
            if not line.startswith("#"):
                match = SERIES.match(line)
                assert match, line
                key = match.group(1), match.group(2) or ""
                assert key not in found, line
                found[key] = float(match.group(3))
        return done.returncode, found, done.stderr


@pytest.fixture(name="controller")
def _controller(tmp_path):
    return Controller(tmp_path)


def of(found, name):
    """{labels: value} of one name."""
    return {labels: value for (series, labels), value in found.items() if series == name}


def test_every_node_and_job(controller):
    status, found, said = controller.run()
    assert (status, said) == (0, "")
    assert of(found, "slurm_node_state_info") == {'node="gb1",state="allocated"': 1, 'node="gb2",state="idle"': 1}
    assert of(found, "slurm_node_flag") == {
        'node="gb1",flag="planned"': 1, 'node="gb1",flag="reserved"': 1, 'node="gb2",flag="drain"': 1, 'node="gb2",flag="invalid_reg"': 1}
    assert of(found, "slurm_node_drain_reason_info") == {
        'node="gb2",reason="gres/gpu count reported lower than configured (3 < 4)",by="slurm"': 1}
    assert of(found, "slurm_node_drain_since_timestamp_seconds") == {'node="gb2"': 1795845732}
    assert of(found, "slurm_node_gres_total") == {'node="gb1",gres="gpu",type="gb200"': 4, 'node="gb2",gres="gpu",type="gb200"': 4}
    assert of(found, "slurm_node_gres_used") == {'node="gb1",gres="gpu",type="gb200"': 4, 'node="gb2",gres="gpu",type="gb200"': 0}
    assert of(found, "slurm_jobs") == {
        'state="running",partition="train"': 2, 'state="pending",partition="train"': 1, 'state="pending",partition="debug"': 1,
        'state="completing",partition="debug"': 1, 'state="suspended",partition="train"': 1}
    assert of(found, "slurm_collector_success") == {'query="nodes"': 1, 'query="jobs"': 1}
    assert set(of(found, "slurm_collector_errors_total").values()) == {0}
    assert abs(found["slurm_collector_last_run_timestamp_seconds", ""] - time.time()) < 60
    assert (controller.folder / "scontrol.args").read_text().strip() == "--all --oneliner --details show node"
    assert (controller.folder / "squeue.args").read_text().strip() == "--all --noheader --format=%T|%P"


def test_a_recorded_queue(controller):
    controller.says("squeue", (FIXTURES / "squeue_24.11.txt").read_text())
    assert of(controller.run()[1], "slurm_jobs") == {'state="pending",partition="main"': 1, 'state="running",partition="main"': 2}


def test_times_are_of_the_controllers_time_zone(controller):
    found = controller.run(timezone="CET-1")[1]
    assert of(found, "slurm_node_drain_since_timestamp_seconds") == {'node="gb2"': 1795845732 - 3600}


@pytest.mark.parametrize("version, expected", [
    ("20.11", {
        ("slurm_node_state_info", 'node="old1",state="mixed"'): 1, ("slurm_node_state_info", 'node="old2",state="down"'): 1,
        ("slurm_node_flag", 'node="old2",flag="drain"'): 1, ("slurm_node_flag", 'node="old2",flag="not_responding"'): 1,
        ("slurm_node_drain_reason_info", 'node="old2",reason="Not responding",by="slurm"'): 1,
        ("slurm_node_drain_since_timestamp_seconds", 'node="old2"'): 1795820470,
        ("slurm_node_gres_total", 'node="old1",gres="gpu",type="v100"'): 4, ("slurm_node_gres_total", 'node="old2",gres="gpu",type=""'): 4,
        ("slurm_node_gres_used", 'node="old1",gres="gpu",type="v100"'): 2, ("slurm_node_gres_used", 'node="old2",gres="gpu",type=""'): 0}),
    ("22.05", {
        ("slurm_node_state_info", 'node="n1",state="mixed"'): 1, ("slurm_node_flag", 'node="n1",flag="drain"'): 1,
        ("slurm_node_drain_reason_info", 'node="n1",reason="accelmon: xid 79 gpu 2",by="root"'): 1,
        ("slurm_node_drain_since_timestamp_seconds", 'node="n1"'): 1795854631,
        ("slurm_node_gres_total", 'node="n1",gres="gpu",type="h100"'): 4, ("slurm_node_gres_total", 'node="n1",gres="shard",type="h100"'): 16,
        ("slurm_node_gres_used", 'node="n1",gres="gpu",type="h100"'): 0, ("slurm_node_gres_used", 'node="n1",gres="shard",type="h100"'): 1}),
    ("24.11", {
        **{("slurm_node_state_info", 'node="%s",state="%s"' % one): 1 for one in (
            ("ctl1", "mixed"), ("dead1", "mixed"), ("dead2", "idle"), ("dead3", "down"))},
        ("slurm_node_flag", 'node="dead2",flag="drain"'): 1,
        ("slurm_node_drain_reason_info", 'node="dead2",reason="accelmon: \\"xid\\" 79 [gpu 2]",by="root"'): 1,
        ("slurm_node_drain_reason_info", 'node="dead3",reason="fan",by="root"'): 1,
        **{("slurm_node_drain_since_timestamp_seconds", 'node="%s"' % name): 1795916328 for name in ("dead2", "dead3")},
        **{("slurm_node_gres_total", 'node="%s",gres="gpu",type="h100"' % name): 4 for name in ("ctl1", "dead1", "dead2", "dead3")},
        **{("slurm_node_gres_used", 'node="%s",gres="gpu",type="h100"' % name): count for name, count in (
            ("ctl1", 2), ("dead1", 1), ("dead2", 0), ("dead3", 0))}}),
])
def test_releases(controller, version, expected):
    controller.says("scontrol", (FIXTURES / ("scontrol_%s.txt" % version)).read_text())
    found = controller.run()[1]
    assert {key: value for key, value in found.items() if key[0].startswith("slurm_node_")} == expected


def test_nodes_have_the_names_of_the_inventory(controller):
    (controller.folder / "names.json").write_text('{"gb1": "gb1.example.org"}')
    found = controller.run("--names", str(controller.folder / "names.json"))[1]
    assert set(of(found, "slurm_node_state_info")) == {'node="gb1.example.org",state="allocated"', 'node="gb2",state="idle"'}


@pytest.mark.parametrize("said, reason", [
    ("slurm_load_node error: Unable to contact slurm controller (connect failure)", "unreachable"),
    ("slurm_load_node error: Socket timed out on send/recv operation", "unreachable"),
    ("slurm_load_node error: Access/permission denied", "denied"),
    ("scontrol: error: If munged is up, restart with --num-threads=10", "denied"),
    ("scontrol: error: Couldn't find the specified plugin name for auth/munge", "denied"),
    ("scontrol: error: something else", "failed"),
])
def test_a_controller_that_does_not_answer(controller, said, reason):
    before = controller.run()[1]
    controller.does("scontrol", 'echo "%s" >&2; exit 1' % said)
    status, found, heard = controller.run()
    assert status == 0 and said in heard
    assert not [key for key in found if key[0].startswith("slurm_node_")], "nothing in the file is older than the run"
    assert found["slurm_collector_success", 'query="nodes"'] == 0
    assert found["slurm_collector_errors_total", 'query="nodes",reason="%s"' % reason] == 1
    last = "slurm_collector_last_success_timestamp_seconds", 'query="nodes"'
    assert found[last] == before[last] > 0
    assert bool(of(found, "slurm_jobs")) == (reason != "unreachable"), "a controller that does not answer is not asked twice"
    assert controller.run()[1]["slurm_collector_errors_total", 'query="nodes",reason="%s"' % reason] == 2


def test_a_controller_that_hangs_costs_one_timeout(controller):
    controller.does("scontrol", "sleep 60")
    begin = time.monotonic()
    found = controller.run("--timeout", "1")[1]
    assert time.monotonic() - begin < 20
    assert found["slurm_collector_errors_total", 'query="nodes",reason="timeout"'] == 1
    assert found["slurm_collector_success", 'query="jobs"'] == 0 and not (controller.folder / "squeue.args").exists()


def test_commands_that_are_not_there(controller):
    (controller.folder / "scontrol").unlink()
    (controller.folder / "squeue").unlink()
    found = controller.run()[1]
    assert found["slurm_collector_errors_total", 'query="nodes",reason="tool_missing"'] == 1
    assert found["slurm_collector_errors_total", 'query="jobs",reason="tool_missing"'] == 1


@pytest.mark.parametrize("text, bad, nodes", [
    ("No nodes in the system\n", 0, 0), ("garbage\n", 1, 0), ("", 1, 0), ("NodeName=a b State=IDLE\nNodeName=c\n", 2, 0),
    ('NodeName=x"y State=IDLE\nNodeName={{1}} State=IDLE\nNodeName=ok State={{1}}\nNodeName=d State=IDLE\n', 3, 1),
    ("NodeName=d State=IDLE\nNodeName=d State=IDLE\n", 0, 1),
])
def test_odd_answers(controller, text, bad, nodes):
    controller.says("scontrol", text)
    status, found, dummy = controller.run()
    assert status == 0 and len(of(found, "slurm_node_state_info")) == nodes
    assert found["slurm_collector_errors_total", 'query="nodes",reason="bad_output"'] == bad


def test_reasons_are_of_any_text_and_bounded(controller):
    controller.says("scontrol", 'NodeName=a State=IDLE+DRAIN Reason=%s "quoted" \\ \x1b[31m {} and more [root@2026-11-28T06:02:12]\n'
                    "NodeName=b State=IDLE Reason=of the past [root@2026-11-28T06:02:12]\nNodeName=c State=DOWN Reason=no time\n" % ("x" * 100))
    found = controller.run()[1]
    reasons = of(found, "slurm_node_drain_reason_info")
    assert set(reasons) == {'node="a",reason="%s \\"quoted\\" \\\\  [31m {}",by="root"' % ("x" * 100), 'node="c",reason="no time",by=""'}
    assert of(found, "slurm_node_drain_since_timestamp_seconds") == {'node="a"': 1795845732}


def test_the_state_of_a_killed_run_does_no_harm(controller):
    for text in ("", "[]", '{"success": {}}', '{"success": {"nodes": "x", "jobs": 1}, "errors": {}}'):
        (controller.folder / "state.json").write_text(text)
        assert controller.run()[1]["slurm_collector_success", 'query="nodes"'] == 1


def test_the_file_is_published_as_it_is(controller, tmp_path):
    (tmp_path / "theirs").mkdir()
    controller.run()
    assert controller.run("--publish", str(tmp_path / "theirs"))[0] == 0
    assert (tmp_path / "theirs" / "slurm.prom").read_text() == controller.output.read_text()


def test_it_runs_from_its_own_folder_alone(controller, tmp_path):
    """As the role installs it: with copies of what it shares beside it."""
    role = (ROOT / "roles/slurm_collector/tasks/main.yml").read_text()
    (tmp_path / "own").mkdir()
    shutil.copy(PROGRAM, tmp_path / "own" / "accelmon-slurm-collector")
    for name in ("command.py", "slurm.py", "slurmctl.py", "textfile.py"):
        assert "/plugins/module_utils/%s" % name in role or "'/../../plugins/module_utils/' ~ item" in role
        shutil.copy(ROOT / "plugins/module_utils" / name, tmp_path / "own" / name)
    done = subprocess.run([sys.executable, "-IS", str(tmp_path / "own" / "accelmon-slurm-collector"), "--help"], check=False, cwd="/",
                          capture_output=True, text=True)
    assert done.returncode == 0 and "--publish" in done.stdout
    assert sorted(path.name for path in (tmp_path / "own").iterdir()) == ["accelmon-slurm-collector", "command.py", "slurm.py", "slurmctl.py", "textfile.py"]
