# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the collector's tests."""

import collector_support
import pytest


@pytest.fixture(scope="session")
def program():
    """The collector as a module."""
    return collector_support.load_program()


class Node:
    """A host to collect on: an empty sysfs, and the collector's files. Tools are what a test puts there."""

    def __init__(self, program, folder):
        self.program = program
        self.folder = folder
        self.root = folder / "root"
        (self.root / "sys/bus/pci/devices").mkdir(parents=True)
        self.output = folder / "textfile" / "accelmon_accelerators.prom"
        self.output.parent.mkdir()
        self.state = folder / "state.json"
        collector_support.put(self.root, "proc/sys/kernel/random/boot_id", "boot-1\n")

    def arguments(self, *more):
        """The command line, without the program."""
        return ["--output", str(self.output), "--state", str(self.state), "--root", str(self.root),
                "--nvidia-smi", str(self.folder / "nvidia-smi"), "--amd-smi", str(self.folder / "amd-smi"),
                "--journalctl", str(self.folder / "journalctl")] + list(more)

    def collect(self, *more, status=0):
        """Run once; returns the metrics that node_exporter would see."""
        assert self.program.main(self.arguments(*more)) == status
        assert not [name for name in self.output.parent.iterdir() if name != self.output]
        return collector_support.Metrics(self.output.read_text(encoding="utf-8"))

    def calls(self):
        """What the tools were asked so far."""
        calls = self.folder / "calls"
        return calls.read_text().splitlines() if calls.exists() else []


@pytest.fixture
def node(program, tmp_path):
    """A host without devices."""
    return Node(program, tmp_path)
