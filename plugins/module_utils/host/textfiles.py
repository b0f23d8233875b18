# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The textfiles of a node_exporter that somebody else runs: where it reads them, and whose series are in them."""
import os
import re

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?\s*\Z')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
FLAG = "--collector.textfile.directory"
# Where a program reads them if no flag says so; upstream's own reads none then.
DEFAULTS = {"prometheus-node-exporter": "/var/lib/prometheus/node-exporter"}


def samples(text):
    """The samples of a page or file: [(name, {label: value}, value as text)]. Lines that are none are left out."""
    found = []
    for line in text.splitlines():
        match = SAMPLE.match(line)
        if match:
            found.append((match.group(1), dict(LABEL.findall(match.group(2) or "")), match.group(3)))
    return found


def foreign_devices(known):
    """Those samples about accelerators that are not ours: ours have the label vendor."""
    return [sample for sample in known if sample[0].startswith("node_gpu_") and "vendor" not in sample[1]]


def directory_of(argv):
    """The directory that a node_exporter with this command line reads textfiles from, as it sees it; "" for none."""
    for number, argument in enumerate(argv):
        name, found, value = argument.partition("=")
        if name == FLAG:
            return value if found else "".join(argv[number + 1:number + 2])
    return DEFAULTS.get(os.path.basename(argv[0]) if argv else "", "")


def command_line(pid, proc="/proc"):
    """The arguments of a process; none for one that ended."""
    try:
        with open(os.path.join(proc, str(pid), "cmdline"), "rb") as stream:
            return [part.decode("utf-8", "replace") for part in stream.read().split(b"\0")[:-1]]
    except OSError:
        return []


def same(one, other):
    """Whether two paths lead to one file or directory."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def mounts(text):
    """[(where it is mounted, which directory of its file system)] of a /proc/PID/mountinfo, the longest place first."""
    found = []
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) > 4:
            found.append(tuple(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code.group(1), 8)), field) for field in (fields[4], fields[3])))
    return sorted(found, key=lambda pair: -len(pair[0]))


def on_host(pid, path, proc="/proc"):
    """The directory of this host that a process sees as `path`: the same, what is mounted there, or None if nobody can tell."""
    seen = os.path.join(proc, str(pid), "root") + path
    if same(seen, path):
        return path
    try:
        with open(os.path.join(proc, str(pid), "mountinfo")) as stream:
            known = mounts(stream.read())
    except OSError:
        return None
    for place, source in known:
        if path == place or path.startswith(place.rstrip("/") + "/"):
            candidate = os.path.normpath(source + "/" + path[len(place.rstrip("/")):])
            return candidate if same(seen, candidate) else None
    return None
