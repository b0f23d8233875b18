# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files a running process has read: remembered below /run, so that a run that was killed is completed by the next.

State of one service: {"process": "<pid>-<start>", "patterns": {pattern: digest}}. A pattern is a path or a shell pattern.
"""
import glob
import hashlib
import json
import os

from ansible_collections.accelmon.fleet.plugins.module_utils import paths

FOLDER = paths.RUNTIME + "/loaded"
# The time of boot in /proc/stat is in whole seconds, and may move by one when the clock is corrected.
MARGIN = 2


def digest(pattern):
    """A short hash of all files that match, their names and their contents."""
    known = hashlib.sha256()
    for path in sorted(glob.glob(pattern)):
        try:
            with open(path, "rb") as stream:
                content = hashlib.sha256(stream.read()).hexdigest()
        except OSError:
            continue  # a directory, or gone meanwhile
        known.update(("%s\0%s\0" % (path, content)).encode("utf-8", "surrogateescape"))
    return known.hexdigest()[:16]


def newest(patterns):
    """When the last of the files changed, came or went, as far as the file system tells; 0 if there is nothing."""
    times = [0]
    for pattern in patterns:
        for path in glob.glob(pattern) + [os.path.dirname(pattern)]:
            try:
                found = os.stat(path)
            except OSError:
                continue
            times.append(max(found.st_ctime, found.st_mtime))
    return max(times)


def process(pid, proc="/proc"):
    """(name of the process that no later one has, when it started in seconds of the epoch); ("", 0) if there is none."""
    try:
        with open(os.path.join(proc, str(pid), "stat"), "rb") as stream:
            ticks = int(stream.read().rpartition(b")")[2].split()[19])
        with open(os.path.join(proc, "stat")) as stream:
            boot = next(int(line.split()[1]) for line in stream if line.startswith("btime "))
    except (OSError, ValueError, IndexError, StopIteration):
        return "", 0
    return "%s-%d" % (pid, ticks), boot + ticks / float(os.sysconf("SC_CLK_TCK"))


def read(name, folder=FOLDER):
    """The state of a service; empty if nothing is known."""
    try:
        with open(os.path.join(folder, name)) as stream:
            known = json.load(stream)
        return {"process": str(known["process"]), "patterns": dict(known["patterns"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {"process": "", "patterns": {}}


def text(state):
    """The state as text for its file."""
    return json.dumps(state, sort_keys=True) + "\n"


def is_current(state, identity, started, digests):
    """Whether the running process has read the files as they are now.

    state: what `read` gives; identity, started: what `process` gives; digests: {pattern: digest} of now
    What is not known for certain counts as not read: one reload too many does no harm.
    """
    if state["process"] == identity:
        unknown = [pattern for pattern in digests if pattern not in state["patterns"]]
        if any(state["patterns"][pattern] != digests[pattern] for pattern in digests if pattern not in unknown):
            return False
    else:
        unknown = list(digests)
    return not unknown or newest(unknown) + MARGIN < started
