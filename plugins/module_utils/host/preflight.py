# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host tells of itself before anything is installed: read from files and the kernel, nothing is changed."""
import glob
import os
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.host import ports
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import files, node

# Where systemd's version is told without running it, best first. The library's file name has the version since 231.
SYSTEMD_LIBRARY = re.compile(r"libsystemd-(?:core|shared)-(\d+)")
SYSTEMD_FOLDERS = ("usr/lib/systemd", "usr/lib64/systemd", "usr/lib/*-linux-*/systemd", "lib/systemd")
HOOKS = "etc/systemd/system/accelmon-slurm-hooks.service"
PROGRAM_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def unescape(text):
    """A path as the kernel writes it in mount tables: octal for blanks and backslashes."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), text)


def mounts(text):
    """[(mount point, options, type)] of a /proc/self/mounts text, in the order in which they were mounted."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 4:
            found.append((unescape(words[1]), words[3].split(","), words[2]))
    return found


def mount_of(path, table):
    """The entry of `mounts` that a path is on, the last where several are mounted on each other; None if there is none."""
    best = None
    for entry in table:
        point = entry[0].rstrip("/")
        if (path == entry[0] or path.startswith(point + "/")) and (best is None or len(point) >= len(best[0].rstrip("/"))):
            best = entry
    return best


def existing(path, root="/"):
    """The path, or the nearest folder above it that is there, below a root."""
    while path != "/" and not os.path.isdir(os.path.join(root, path.lstrip("/"))):
        path = os.path.dirname(path)
    return path


def space(path, root="/"):
    """(free bytes, free inodes or None) for an unprivileged user where a path is or would be; None if the kernel does not say."""
    try:
        found = os.statvfs(os.path.join(root, existing(path, root).lstrip("/")))
    except OSError:
        return None
    # Some file systems have no fixed number of inodes, and say 0 of 0.
    return found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None


def systemd_version(root="/"):
    """systemd's version as a number, from the name of its own library; None where that cannot be told."""
    for pattern in SYSTEMD_FOLDERS:
        names = [name for folder in glob.glob(os.path.join(root, pattern)) for name in files.names(folder)]
        found = [int(match.group(1)) for match in map(SYSTEMD_LIBRARY.match, names) if match]
        if found:
            return max(found)
    return None


def fapolicyd(root="/"):
    """Whether fapolicyd decides which programs may run: its process is there, told by its pid file or its name."""
    if os.path.exists(os.path.join(root, "run/fapolicyd/fapolicyd.fifo")):
        return True
    proc = os.path.join(root, "proc")
    return any(files.line(os.path.join(proc, name, "comm")) == "fapolicyd" for name in files.names(proc) if name.isdigit())


def program(name, root="/"):
    """Whether a program of this name is installed."""
    return any(os.access(os.path.join(root, folder.lstrip("/"), name), os.X_OK) for folder in PROGRAM_FOLDERS)


def stands_before(unit, port, owner, units="/etc/systemd/system"):
    """Whether what listens on a port is the front of a unit of ours, 'accelmon-x-front', or systemd for that."""
    front = unit.rpartition(".")[0] + "-front"
    if owner.get("unit") == front + ".service":
        return True
    try:
        with open(os.path.join(units, front + ".socket")) as stream:
            found = re.findall(r"(?m)^ListenStream=(?:.*:)?(\d+)$", stream.read())
    except OSError:
        return False
    return owner["pid"] == 1 and str(port) in found


def is_ours(unit, owner):
    """Whether a process is that of a unit of ours. docker's daemon puts a container into a group of its own; it is called like its unit."""
    return unit in (owner.get("unit"), owner.get("container", "") + ".service")


def taken(wanted, proc="/proc", units="/etc/systemd/system"):
    """Those of the wanted ports that a process which is not the wanted unit listens on: [{port, variable, owner, unit?, container?}].

    wanted: [{address, port, variable, unit}]
    """
    found = []
    sockets = ports.listeners(proc) if wanted else []
    for one in wanted:
        inodes = ports.conflicts(sockets, one.get("address") or "", one["port"])
        if not inodes:
            continue
        owner = ports.owner(inodes, one["port"], proc, os.path.dirname(proc))
        if owner and (is_ours(one["unit"], owner) or stands_before(one["unit"], one["port"], owner, units)):
            continue
        entry = {"port": one["port"], "variable": one["variable"], "owner": ports.describe(owner)}
        found.append(dict(entry, **dict((key, owner[key]) for key in ("unit", "container") if owner and key in owner)))
    return found


def look(wanted, paths, programs, root="/"):
    """Everything: {ports, paths: {path: {free_bytes?, free_inodes?, mount?, options?}}, systemd_running, systemd_version?,
    fapolicyd, slurmd, slurm_hooks, missing: [programs]}. What cannot be told is left out."""
    table = mounts(files.text(os.path.join(root, "proc/self/mounts"), 1024 * 1024) or "")
    found = {"ports": taken(wanted, os.path.join(root, "proc")), "paths": {}, "fapolicyd": fapolicyd(root),
             "systemd_running": os.path.isdir(os.path.join(root, "run/systemd/system")),
             "slurmd": node.is_active(root, "slurmd.service"), "slurm_hooks": os.path.exists(os.path.join(root, HOOKS)),
             "missing": [name for name in programs if not program(name, root)]}
    for path in paths:
        entry = {}
        free = space(path, root)
        if free:
            entry["free_bytes"] = free[0]
            if free[1] is not None:
                entry["free_inodes"] = free[1]
        mount = mount_of(path, table)
        if mount:
            entry.update(mount=mount[0], options=[word for word in mount[1] if word in ("ro", "noexec", "nodev", "nosuid")])
        found["paths"][path] = entry
    version = systemd_version(root)
    if version:
        found["systemd_version"] = version
    return found
