# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the textfile collector beside the one that may be installed, and reads what it wrote."""
import collections
import json
import os
import re
import sys

from ansible_collections.accelmon.fleet.plugins.module_utils import command

VENDORS = ("nvidia", "amd")  # whose devices it reads
TIMEOUT = 10  # seconds for each vendor, the program's own default
PATIENCE = 60  # seconds until a run is killed

# program: its path; folder: an empty one for its files; root: where sys, proc and dev are
Host = collections.namedtuple("Host", "program folder root")
# samples: {(family, frozenset of label pairs): value}; seconds, cpu: seconds; memory: bytes at most; problem: why there are no samples, or None
Run = collections.namedtuple("Run", "samples text seconds cpu memory problem")

# Runs a program, and prints its status, and what it and all that it started took.
METER = ("import json, resource, subprocess, sys, time; begun = time.monotonic(); status = subprocess.call(sys.argv[1:]); "
         "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
         "print(json.dumps([status, time.monotonic() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024]))")
SERIES = re.compile(r"([a-z_]+)\{(.*)\} (\S+)\Z")
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def series(text):
    """{(family, frozenset of label pairs): value} of the collector's file."""
    found = [SERIES.match(line) for line in text.splitlines()]
    return dict(((one.group(1), frozenset(LABEL.findall(one.group(2)))), float(one.group(3))) for one in found if one)


def run(host, vendors, options=(), around=(), timeout=TIMEOUT):
    """One run with the vendors' tools that are asked here too, as Run.

    options: more of its command line; around: words of a command that runs it; timeout: its own, for each vendor
    """
    output = os.path.join(host.folder, "accelerators.prom")
    argv = list(around) + [sys.executable, "-c", METER, sys.executable, "-IS", host.program, "--output=" + output, "--root=" + host.root,
                           "--state=" + os.path.join(host.folder, "state.json"), "--vendors=" + ",".join(vendors), "--timeout=%d" % timeout,
                           "--nvidia-smi=" + (command.which("nvidia-smi") or "nvidia-smi"),
                           "--amd-smi=" + (command.which("amd-smi") or command.which("rocm-smi") or "")]
    try:
        code, said, errors = command.run(argv + list(options), PATIENCE)
    except OSError as error:
        return Run({}, "", 0, 0, 0, "%s: %s" % (argv[0], error.strerror))
    lines = errors.strip().splitlines() or ["no output"]
    told = lines[-1 if lines[0].startswith("Traceback") else 0][:200]
    if code is None:
        return Run({}, "", PATIENCE, 0, 0, "did not end within %d s and was killed" % PATIENCE)
    try:
        status, seconds, cpu, memory = json.loads(said)
    except ValueError:
        return Run({}, "", 0, 0, 0, told)
    if status:
        return Run({}, "", seconds, cpu, memory, "ended with status %d: %s" % (status, told))
    with open(output) as stream:
        text = stream.read()
    return Run(series(text), text, seconds, cpu, memory, None)


def values(done, family, **labels):
    """[(labels as a dictionary, value)] of the series of a family that have these labels."""
    wanted = set(labels.items())
    return [(dict(pairs), value) for (name, pairs), value in sorted(done.samples.items(), key=lambda one: (one[0][0], sorted(one[0][1])))
            if name == family and wanted <= pairs]


def value(done, family, **labels):
    """The value of the one such series, or None."""
    found = values(done, family, **labels)
    return found[0][1] if len(found) == 1 else None


def devices(done, vendor):
    """{PCI address: labels of node_gpu_info} of one vendor."""
    return dict((labels.get("pci_address", ""), labels) for labels, dummy in values(done, "node_gpu_info", vendor=vendor))
