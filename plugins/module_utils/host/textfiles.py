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


def mounts(pid, proc="/proc"):
    """[(file system, which directory of it, where that is mounted)] as a process sees them, the longest place first."""
    found = []
    try:
        with open(os.path.join(proc, str(pid), "mountinfo")) as stream:
            lines = stream.read().splitlines()
    except OSError:
        return []
    for line in lines:
        fields = line.split(" ")
        if len(fields) > 4:
            found.append(tuple(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code.group(1), 8)), field) for field in fields[2:5]))
    return sorted(found, key=lambda mount: -len(mount[2]))


def below(path, folder):
    """What a path is below a folder, "" or "/…"; None if it is elsewhere."""
    folder = folder.rstrip("/")
    return path[len(folder):] if (path + "/").startswith(folder + "/") else None


def joined(folder, rest):
    """The path of what `below` returned, below another folder."""
    return os.path.normpath("/" + (folder + rest).strip("/"))


def on_host(pid, path, proc="/proc"):
    """The directory of this host that a process sees as `path`: the same, what is mounted there, or None if nobody can tell."""
    seen = os.path.join(proc, str(pid), "root") + path
    if same(seen, path):
        return path
    found = next(((device, joined(source, below(path, place))) for device, source, place in mounts(pid, proc) if below(path, place) is not None), None)
    if not found:
        return None
    # The kernel says where a directory is in its file system, and this host where that is mounted.
    device, source = found
    places = [source] + [joined(place, below(source, top)) for other, top, place in mounts("self", proc)
                         if other == device and below(source, top) is not None]
    return next((candidate for candidate in places if same(seen, candidate)), None)
