# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one run of the textfile collector costs: CPU time, wall time, memory, size of its file.

Eight NVIDIA devices behind a tool that only prints a recorded answer, eight AMD devices in a folder instead of sysfs.
So this is the collector's own cost; what nvidia-smi and the drivers need comes on top of it.

    python3 benchmarks/collector.py [--runs N] [--python PROGRAM]
"""

import argparse
import os
import pathlib
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../tests/unit/roles/textfile_collector"))

import collector_support as support  # noqa: E402  pylint: disable=wrong-import-position

BUSES = ("05", "26", "46", "65", "85", "a6", "c6", "e5")


def nvidia(folder, program):
    """A tool that prints the fixture's rows in the order in which the collector asks for them."""
    head, rows = support.fixture("nvidia_smi/h100_8.csv")[1].split("\n", 1)
    cells = [dict(zip(head.split(", "), row.split(", "))) for row in rows.splitlines()]
    (folder / "answer").write_text("".join(", ".join(row[field] for field in program.nvidia_fields({})) + "\n" for row in cells))
    support.script(folder / "nvidia-smi", "exec cat %s" % shlex.quote(str(folder / "answer")), interpreter="/bin/sh")


def amd(folder, _program):
    """Eight boards in sysfs."""
    for number, bus in enumerate(BUSES):
        support.amd_device(folder, "0000:%s:00.0" % bus, "mi300x", unique_id="%x" % (number + 1))


def measure(interpreter, arguments, runs):
    """(CPU seconds, wall seconds) of each run, children included."""
    figures = []
    for _run in range(runs):
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run([interpreter, "-IS"] + arguments, check=True)
        wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        figures.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall))
    return figures


def main():
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--python", default=sys.executable)
    options = parser.parse_args()
    program = support.load_program()
    print("%-22s %8s %8s %8s %8s %8s" % ("median of %d runs" % options.runs, "CPU ms", "wall ms", "of 15 s", "series", "bytes"))
    for title, prepare in (("python alone", None), ("8 NVIDIA", nvidia), ("8 AMD", amd)):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "sys/bus/pci/devices").mkdir(parents=True)
            arguments, output = ["-c", ""], folder / "accelmon_accelerators.prom"
            if prepare:
                prepare(folder, program)
                arguments = [support.PROGRAM, "--output", str(output), "--state", str(folder / "state"), "--root", str(folder),
                             "--vendors", prepare.__name__, "--nvidia-smi", str(folder / "nvidia-smi"), "--amd-smi", str(folder / "none")]
            figures = measure(options.python, arguments, options.runs)
            text = output.read_text() if prepare else ""
            if prepare and len(support.Metrics(text).devices()) != 8:
                raise SystemExit("%s: not all devices were collected" % title)
            cpu, wall = (statistics.median(column) for column in zip(*figures))
            print("%-22s %8.1f %8.1f %7.2f%% %8d %8d" % (
                title, cpu * 1e3, wall * 1e3, cpu / 15 * 100, sum(not line.startswith("#") for line in text.splitlines()), len(text)))
    print("largest process: %d MB" % (resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024))


if __name__ == "__main__":
    main()
