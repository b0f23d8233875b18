# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The names of containers that docker and podman run as root: read from what they keep on disk. No program is run, and no daemon is asked."""
import json
import os
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import files
from ansible_collections.accelmon.fleet.plugins.module_utils.host import textfiles

# In the cgroup of a process: docker-ID.scope, docker/ID, libpod-ID.scope, libpod-conmon-ID.scope, libpod-payload-ID.
IN_CGROUP = re.compile(r"(?:docker|libpod)(?:-conmon|-payload)?[-/]([0-9a-f]{64})\b")
ID = re.compile(r"[0-9a-f]{64}\Z")
# They hold the ports that docker publishes, for all of its containers.
PUBLISHERS = ("docker-proxy", "dockerd")
# Each of these looks after one container, whose first process is its child, and has its ID among its arguments. conmon also listens for it.
KEEPERS = ("conmon", "containerd-shim", "containerd-shim-runc-v1", "containerd-shim-runc-v2")
LIMIT = 4 * 1024 * 1024


def _json(path):
    """What a file says, {} if it says nothing."""
    try:
        return json.loads(files.text(path, LIMIT) or "{}")
    except ValueError:
        return {}


def _folder(root):
    """Where docker keeps its containers."""
    known = _json(os.path.join(root, "etc/docker/daemon.json"))
    place = known.get("data-root") if isinstance(known, dict) else None
    return os.path.join(root, str(place or "/var/lib/docker").lstrip("/"), "containers")


def _of_docker(folder, number):
    """(name, the ports of the host that lead to it) of a container; name "" if there is none."""
    known = _json(os.path.join(folder, number, "config.v2.json"))
    try:
        published = (known.get("NetworkSettings") or {}).get("Ports") or {}
        ports = set(str(one.get("HostPort")) for bound in published.values() for one in bound or [])
        return str(known.get("Name") or "").lstrip("/"), ports if (known.get("State") or {}).get("Running") else set()
    except (AttributeError, TypeError):
        return "", set()


def _of_podman(root, number):
    """The name of a container of root's podman."""
    known = _json(os.path.join(root, "var/lib/containers/storage/overlay-containers/containers.json"))
    try:
        return next((str(one["names"][0]) for one in known if one.get("id") == number and one.get("names")), "")
    except (AttributeError, KeyError, TypeError):
        return ""


def _parent(pid, proc):
    """The process that a process was started by; 0 for none."""
    found = re.search(r"(?m)^PPid:\s*(\d+)$", files.text(os.path.join(proc, str(pid), "status")) or "")
    return int(found.group(1)) if found else 0


def name_of(pid, port, proc="/proc", root="/"):
    """The name of the container that a process belongs to, or listens for; "" if there is none, or nobody can tell.

    port: the port of this host that it listens on
    """
    line = [textfiles.command_line(pid, proc), textfiles.command_line(_parent(pid, proc), proc)]
    if line[0] and os.path.basename(line[0][0]) in PUBLISHERS:
        known = (_of_docker(_folder(root), number) for number in files.names(_folder(root)))
        return next((name for name, ports in known if str(port) in ports), "")
    numbers = IN_CGROUP.findall(files.text(os.path.join(proc, str(pid), "cgroup")) or "")
    numbers += [word for argv in line if argv and os.path.basename(argv[0]) in KEEPERS for word in argv if ID.match(word)]
    return next((name for number in numbers for name in (_of_docker(_folder(root), number)[0], _of_podman(root, number)) if name), "")
