# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one run of the Slurm collector costs: CPU time, size of its file, and what of that is the reader of Slurm's text.

scontrol and squeue only print what was written before; what they and slurmctld need comes on top of it.

    python3 benchmarks/slurm_collector.py [--nodes N] [--jobs N] [--runs N]
"""

import argparse
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "plugins/module_utils"))

import slurm  # noqa: E402  pylint: disable=wrong-import-position,import-error


def dump(count):
    """The answer about so many nodes: every tenth one is drained, each with eight GPUs."""
    lines = (ROOT / "tests/fixtures/slurm/scontrol_26.05.txt").read_text(encoding="utf-8").splitlines()[1:]
    return "".join("%s\n" % re.sub(r"\bgb[12]\b", "gpu%d" % number, lines[number % 10 == 0]) for number in range(count))


def reading(text, runs):
    """CPU seconds of the reader alone, each run."""
    figures = []
    for _run in range(runs):
        begin = time.process_time()
        assert sum(1 for _record in slurm.records(text))
        figures.append(time.process_time() - begin)
    return figures


def running(folder, runs):
    """CPU seconds of the whole program, its children included, each run."""
    argv = [sys.executable, "-IS", str(ROOT / "roles/slurm_collector/files/accelmon_slurm_collector.py"), "--output=%s/x.prom" % folder,
            "--state=%s/state.json" % folder, "--scontrol=%s/scontrol" % folder, "--squeue=%s/squeue" % folder]
    figures = []
    for _run in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(argv, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        figures.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return figures


def main():
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--jobs", type=int, default=20000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    text = dump(options.nodes)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for tool, answer in (("scontrol", text), ("squeue", "RUNNING|train\nPENDING|train,debug\n" * (options.jobs // 2))):
            (folder / (tool + ".txt")).write_text(answer, encoding="utf-8")
            (folder / tool).write_text("#!/bin/sh\nexec cat %s\n" % (folder / (tool + ".txt")), encoding="utf-8")
            os.chmod(str(folder / tool), 0o755)
        reader, program = reading(text, options.runs), running(folder, options.runs)
        size = (folder / "x.prom").stat().st_size
    print("%d nodes, %d jobs: %.1f MB from scontrol, a file of %.1f MB" % (options.nodes, options.jobs, len(text) / 1e6, size / 1e6))
    print("reader: %.3f s of CPU; program with its children: %.3f s (medians of %d runs)" % (
        statistics.median(reader), statistics.median(program), options.runs))


if __name__ == "__main__":
    main()
