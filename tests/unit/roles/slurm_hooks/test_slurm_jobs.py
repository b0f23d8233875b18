# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What looks after owner files on a node of Slurm. Stubbed: slurmd -G and squeue by programs, /proc by a folder; the clock, where time has to pass."""
import importlib.util
import json
import os
import pathlib
import re
import time
import types

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[4]
PROGRAM = ROOT / "roles/slurm_hooks/files/accelmon_slurm_jobs.py"
LIST = (ROOT / "tests/fixtures/slurm/slurmd_g_24.11.txt").read_text(encoding="utf-8")
OLD = time.time() - 3600
BOOT = OLD - 3600


class Node:
    """A node: its processes, its programs of Slurm and its owner files."""

    def __init__(self, folder, monkeypatch):
        self.patch = monkeypatch
        spec = importlib.util.spec_from_file_location("accelmon_slurm_jobs", PROGRAM)
        self.program = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.program)
        monkeypatch.setattr(self.program, "ASK_TIMEOUT", 2.0)
        monkeypatch.setattr(self.program, "LIST_TIMEOUT", 2.0)
        self.root, self.bin = folder / "root", folder / "prefix/bin"
        self.jobs, self.result, self.calls = self.root / "run/accelmon/jobs", self.root / "run/accelmon/slurm.json", folder / "calls"
        for path in (self.jobs, self.root / "proc", self.bin, folder / "prefix/sbin"):
            path.mkdir(parents=True)
        (self.root / "proc/stat").write_text("cpu 1 2 3\nbtime %d\nprocesses 9\n" % BOOT)
        self.slurmd = str(folder / "prefix/sbin/slurmd")
        self.gres(LIST)
        self.queue()
        self.process(100, "slurmd", self.slurmd, "--systemd", "-f", "/srv/slurm.conf")

    def clock(self, now):
        """The program's own clock."""
        self.patch.setattr(self.program, "time", types.SimpleNamespace(time=now, monotonic=time.monotonic))

    def script(self, path, text):
        pathlib.Path(path).write_text("#!/bin/sh\necho \"${0##*/} $*\" >> %s\n%s\n" % (self.calls, text))
        os.chmod(path, 0o755)

    def gres(self, text, status=0):
        self.script(self.slurmd, "cat <<'END' >&2\n%s\nEND\nexit %d" % (text, status))

    def queue(self, text="", status=0, **answers):
        """squeue answers for a job by its id as `jID`, and for any other with the text."""
        cases = "".join("*--jobs=%s) echo '%s'; exit 0;; " % (job[1:], answer) for job, answer in answers.items())
        self.script(self.bin / "squeue", 'case "$*" in %s*) echo "%s" >&2; exit %d;; esac' % (cases, text, status))

    def process(self, pid, name, *argv, start=7):
        folder = self.root / "proc" / str(pid)
        folder.mkdir(exist_ok=True)
        (folder / "comm").write_text(name + "\n")
        (folder / "cmdline").write_bytes("\0".join(argv).encode() + b"\0")
        (folder / "stat").write_text("%d (%s) S %s\n" % (pid, name, " ".join(["0"] * 18 + [str(start)] + ["0"] * 9)))

    def step(self, job, began):
        """A slurmstepd of a job that began at this time."""
        self.process(200, "slurmstepd", f"slurmstepd: [{job}.batch]", start=int((began - BOOT) * os.sysconf("SC_CLK_TCK")))

    def job(self, name, text="scheduler=slurm\nslurm_gpus=0\n", written=OLD):
        (self.jobs / name).write_text(text)
        os.utime(self.jobs / name, (written, written))

    def ended(self, name, age, written=OLD):
        """An owner file that an epilog has set aside, `age` seconds before the program looks."""
        self.job(f".{name}.ended", written=written)
        self.clock(lambda: os.stat(self.jobs / f".{name}.ended").st_ctime + age)

    def run(self, later=0):
        """What the run left; `later`: seconds since the last one."""
        if later:
            kept = json.loads(self.result.read_text())
            self.result.write_text(json.dumps(dict(kept, asked=kept["asked"] - later, tried=kept["tried"] - later)))
        assert self.program.main(["--root", str(self.root)]) == 0
        return json.loads(self.result.read_text())

    def left(self, pattern="[!.]*"):
        return sorted(path.name for path in self.jobs.glob(pattern))

    def asked(self, name):
        """How often a program was called."""
        return len([line for line in self.calls.read_text().splitlines() if line.startswith(name)]) if self.calls.exists() else 0


@pytest.fixture(name="node")
def _node(tmp_path, monkeypatch):
    return Node(tmp_path, monkeypatch)


def test_the_list_is_in_the_order_in_which_slurm_counts(node):
    assert node.run()["positions"] == [["/dev/nvidia0", "/dev/fakegpu0"], ["/dev/nvidia0", "/dev/fakegpu1"], ["/dev/nvidia2"], ["/dev/nvidia1"],
                                       ["/dev/nvidia3"]]
    assert node.calls.read_text() == "slurmd -G -f /srv/slurm.conf\n" and node.result.stat().st_mode & 0o777 == 0o644


def test_slurmd_is_asked_once_after_each_start(node):
    for _run in range(3):
        node.run(later=10000 if node.result.exists() else 0)
    assert node.asked("slurmd") == 1
    node.gres("slurmd: Gres Name=gpu Count=1 Index=0 ID=1 File=/dev/nvidia1 (null)")
    node.process(100, "slurmd", node.slurmd, start=8)
    assert node.run()["positions"] == [["/dev/nvidia1"]]
    node.gres("slurmd: error", status=1)
    node.process(101, "slurmd", node.slurmd, start=9)
    (node.root / "proc/100/comm").write_text("other\n")
    # Better no list than that of an earlier configuration.
    assert node.run()["positions"] == [] and node.asked("slurmd") == 3
    assert node.run()["positions"] == [] and node.asked("slurmd") == 3
    node.run(later=601)
    assert node.asked("slurmd") == 4


def test_a_slurmd_that_hangs_or_is_not_there(node):
    node.script(node.slurmd, "exec sleep 60")
    assert node.run()["positions"] == []
    (node.root / "proc/100/comm").write_text("sleep\n")
    assert node.run()["positions"] == []


@pytest.mark.parametrize("line, found", [
    ("Gres Name=gpu Type=a Count=2 Index=0 ID=1 File=/dev/nvidia[0-1] Links=(null)", [["/dev/nvidia0"], ["/dev/nvidia1"]]),
    ("Gres Name=gpu Count=4 Index=0 ID=1 File=/dev/dri/renderD[128-129,131,140] (null)",
     [["/dev/dri/renderD128"], ["/dev/dri/renderD129"], ["/dev/dri/renderD131"], ["/dev/dri/renderD140"]]),
    ("Gres Name=gpu Count=2 Index=0 ID=1 File=(null) Links=(null)", [[], []]),
    ("Gres Name=gpu Count=1 Index=0 ID=1 File=/dev/nvidia[0-99999999] (null)", [["/dev/nvidia[0-99999999]"]]),
    ("Gres Name=shard Type=a Count=4 Index=0 ID=1 File=/dev/nvidia0 Links=(null)", []),
    ("Gres Name=gpu_mem Count=4 Index=0 ID=1 File=/dev/nvidia0 Links=(null)", []),
])
def test_lines_of_the_list(node, line, found):
    assert node.program.positions("slurmd: " + line + "\n") == found


def test_a_slurmstepd_confirms_a_job_and_nobody_is_asked(node):
    node.job("5")
    node.process(200, "slurmstepd", "slurmstepd: [5.batch]")
    assert node.run()["unverified"] == 0 and node.left() == ["5"] and node.asked("squeue") == 0


def test_an_idle_allocation_has_no_slurmstepd_and_stays(node):
    node.job("5")
    node.queue(j5="5 RUNNING")
    assert node.run()["unverified"] == 0 and node.left() == ["5"]
    # Nor is it in doubt until it is asked about again.
    assert node.run(later=60)["unverified"] == 0 and node.left() == ["5"] and node.asked("squeue") == 1


@pytest.mark.parametrize("answer", [
    {"text": "slurm_load_jobs error: Invalid job id specified", "status": 1}, {"j5": "5 COMPLETED"}, {"j5": "5 PENDING"}, {"j5": ""}])
def test_a_job_that_ended_without_an_epilog_is_forgotten(node, answer):
    node.job("5")
    node.queue(**answer)
    assert node.run()["unverified"] == 0 and node.left() == []


@pytest.mark.parametrize("state", ["SUSPENDED", "COMPLETING", "CONFIGURING", "STOPPED"])
def test_a_job_that_still_has_its_devices_stays(node, state):
    node.job("5")
    node.queue(j5="5 " + state)
    node.run()
    assert node.left() == ["5"]


def test_only_the_row_of_the_job_counts(node):
    """squeue shows the other tasks of an array as well."""
    node.job("5")
    node.queue(j5="6 COMPLETED\n5 RUNNING")
    node.run()
    assert node.left() == ["5"]


def test_without_an_answer_the_files_stay_and_are_counted(node):
    for job in ("5", "6", "7"):
        node.job(job)
    node.queue("slurm_load_jobs error: Unable to contact slurm controller (connect failure)", 1)
    assert node.run()["unverified"] == 3 and node.left() == ["5", "6", "7"] and node.asked("squeue") == 1
    node.queue("Invalid job id specified", 1)
    assert node.run()["unverified"] == 3 and node.asked("squeue") == 1  # not again within ten minutes
    assert node.run(later=601)["unverified"] == 0 and node.left() == []


def test_a_controller_that_hangs_costs_one_time_out(node):
    for job in ("5", "6", "7"):
        node.job(job)
    node.script(node.bin / "squeue", "exec sleep 60")
    begin = time.monotonic()
    assert node.run()["unverified"] == 3 and time.monotonic() - begin < 20


def test_files_that_are_young_or_of_others_stay(node):
    node.queue("Invalid job id specified", 1)
    node.job("5", written=time.time() - 60)
    node.job("6", text="devices=0\n")
    node.job("7.server", text="scheduler=slurm\n")
    (node.jobs / "8").symlink_to(node.jobs / "6")
    assert node.run()["unverified"] == 0 and node.left() == ["5", "6", "7.server", "8"] and node.asked("squeue") == 0


def test_what_a_late_epilog_took_away_comes_back(node):
    """It is the second one of a job's first run; the job runs again, under the same id."""
    node.ended("5", 31)
    node.step("5", OLD + 2)
    node.run()
    assert node.left(".*") == [] and node.left() == ["5"] and (node.jobs / "5").stat().st_mtime == pytest.approx(OLD)


@pytest.mark.parametrize("age,later", [(31, 600), (31, -600), (10, 2), (31, None)])
def test_what_may_be_of_an_earlier_run_stays_away(node, age, later):
    """Its job runs again, with devices that nobody noted; or is just ending; or has ended."""
    node.ended("5", age)
    if later:
        node.step("5", OLD + later)
    node.run()
    assert node.left() == [] and node.left(".*") == [".5.ended"]


def test_a_newer_file_is_not_replaced(node):
    node.job("5", text="scheduler=slurm\nslurm_gpus=1\n")
    node.ended("5", 31)
    node.step("5", OLD + 2)
    node.run()
    assert "slurm_gpus=1" in (node.jobs / "5").read_text()


def test_what_has_been_away_for_long_goes(node):
    node.job(".6")  # of a prolog that was killed
    node.job(".7.note")
    node.ended("5", 151)
    node.run()
    assert node.left(".*") == [".7.note"]


def test_a_job_that_was_requeued_meanwhile_stays(node):
    node.job("5")
    node.script(node.bin / "squeue", "touch %s; echo Invalid job id >&2; exit 1" % (node.jobs / "5"))
    node.run()
    assert node.left() == ["5"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{\"positions\": 1}", "[" * 100000])
def test_a_damaged_memory_starts_again(node, text):
    node.result.write_text(text)
    assert len(node.run()["positions"]) == 5


def test_a_result_that_cannot_be_written_is_said(node, capsys):
    node.result.mkdir()
    assert node.program.main(["--root", str(node.root)]) == 1
    assert re.match(r".*slurm\.json: .+\n\Z", capsys.readouterr().err)
