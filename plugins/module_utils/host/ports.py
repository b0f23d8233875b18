# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who listens on a TCP port of this host: read from /proc, without running a program."""
import os
import re
import socket
import struct

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import files
from ansible_collections.accelmon.fleet.plugins.module_utils.host import containers, textfiles

LISTEN = "0A"
ANY = ("0.0.0.0", "::")
# Units in whose group others' containers may be, or what listens for them.
DAEMONS = ("docker.service", "containerd.service", "podman.service")


def _address(text):
    """The address that /proc/net/tcp{,6} writes as little-endian words: '0100007F' is 127.0.0.1."""
    words = [struct.pack("<I", int(text[i:i + 8], 16)) for i in range(0, len(text), 8)]
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, b"".join(words))


def parse_listeners(text):
    """The listening sockets of one /proc/net/tcp{,6} text: a list of (address, port, inode)."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == LISTEN:
            address, port = fields[1].split(":")
            found.append((_address(address), int(port, 16), fields[9]))
    return found


def listeners(proc="/proc"):
    """All listening TCP sockets of this host: a list of (address, port, inode)."""
    found = []
    for name in ("tcp", "tcp6"):
        try:
            with open(os.path.join(proc, "net", name)) as stream:
                found += parse_listeners(stream.read())
        except OSError:
            continue  # no IPv6 in this kernel
    return found


def conflicts(sockets, address, port):
    """The inodes of those sockets that keep a service from listening on (address, port); '' means every address."""
    address = address or "::"
    return [inode for other, taken, inode in sockets
            if taken == port and (other == address or other in ANY or address in ANY)]


def holds(pid, inodes, proc="/proc"):
    """Whether the process has one of the sockets open. Needs root for another user's process."""
    wanted = set("socket:[%s]" % inode for inode in inodes)
    folder = os.path.join(proc, str(pid), "fd")
    try:
        for name in os.listdir(folder):
            try:
                if os.readlink(os.path.join(folder, name)) in wanted:
                    return True
            except OSError:
                continue  # closed meanwhile
    except OSError:
        pass  # ended meanwhile
    return False


def unit_of(pid, proc="/proc"):
    """The systemd unit that a process belongs to ('x.service', 'docker-1a2b.scope'), or None."""
    try:
        with open(os.path.join(proc, str(pid), "cgroup")) as stream:
            found = re.findall(r"([^/\n]+\.(?:service|scope))(?=/|\n|$)", stream.read())
    except OSError:
        return None
    services = [name for name in found if not re.match(r"(user@\d+|init)\.", name)]
    return services[-1] if services else None


def whole_name(program, argv):
    """A program's name, of which the kernel keeps 15 letters."""
    whole = os.path.basename(argv[0]) if argv else ""
    return whole if len(program) == 15 and re.match(re.escape(program) + r"[\w.-]{0,50}\Z", whole) else program


def owner(inodes, port, proc="/proc", root="/"):
    """The process that holds one of the sockets: {pid, program, unit?, container?}; None where it cannot be seen. port: theirs"""
    for name in os.listdir(proc):
        if name.isdigit() and holds(name, inodes, proc):
            program = files.line(os.path.join(proc, name, "comm")) or "?"
            found = {"pid": int(name), "program": whole_name(program, textfiles.command_line(name, proc))}
            unit = unit_of(name, proc)
            if unit:
                found["unit"] = unit
            container = containers.name_of(name, port, proc, root)
            if container:
                found["container"] = container
            return found
    return None


def describe(found):
    """One phrase for an owner() result."""
    if not found:
        return "a process that is not visible from here"
    process = "pid %d, %s" % (found["pid"], found["program"])
    where = "container " + found["container"] if "container" in found else found.get("unit")
    return "%s (%s)" % (where, process) if where else process


def remedy(variable, told, found, role=""):
    """What to do about a port that somebody has: to keep an exporter, to end what is there, or to choose another port.

    variable: what sets the port; told: `describe` of who has it; found: that owner(), or its `unit` and `container`
    role: role of the exporter that is to listen there, if the site may have its own
    """
    found = found or {}
    # A unit that runs one container often calls it like itself.
    unit = found.get("container") or found.get("unit") or ""
    if unit.endswith((".service", ".socket")) and unit not in DAEMONS:
        end = "stop and disable " + unit
    else:
        end = "stop that container" if "container" in found or unit in DAEMONS or unit.startswith(("docker-", "libpod-")) else "stop that process"
    # As the unit, the program or the container is called: nvidia-dcgm-exporter.service is a dcgm_exporter.
    if role and set(role.split("_")) <= set(re.split(r"[^a-z]+", told.lower())):
        return "set %s_managed to adopt or external to keep and scrape it, %s to replace it, or choose another %s" % (role, end, variable)
    return "%s, or choose another %s" % (end, variable)
