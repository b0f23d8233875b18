# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What systemd says of units, and the generation that a running process was started with."""
import hashlib
import json
import os
import re

GENERATION = "ACCELMON_GENERATION"

# What may stand beside a service: what listens in its stead, what restarts it, and what it asks. Those that start others come first.
PARTS = ("front.socket", "watch.timer", "front.service", "watch.service", "agent.service")


def unit_name(name, kind="service"):
    """Our unit for a service name: 'node_exporter' -> 'accelmon-node-exporter.service'."""
    return "accelmon-%s.%s" % (name.replace("_", "-"), kind)


def part_name(name, part):
    """A unit beside a service's own: ('all_smi', 'front.socket') -> 'accelmon-all-smi-front.socket'."""
    return "accelmon-%s-%s" % (name.replace("_", "-"), part)


def user_name(name):
    """The system user of a service: 'node_exporter' -> 'accelmon-node-exporter'."""
    return "accelmon-" + name.replace("_", "-")


def parse_show(text):
    """The answer of `systemctl show A B …`: one {property: value} per unit, in order."""
    units, current = [], {}
    for line in text.splitlines() + [""]:
        if not line:
            if current:
                units.append(current)
            current = {}
            continue
        key, found, value = line.partition("=")
        if found:
            current[key] = value
    return units


def offline(enabled):
    """What `show` would say of a unit that cannot run, from the answer of `systemctl --root=/ is-enabled`."""
    state = enabled.strip()
    found = {"": "not-found", "not-found": "not-found", "masked": "masked"}.get(state, "loaded")
    return {"LoadState": found, "UnitFileState": "" if found == "not-found" else state, "ActiveState": "inactive",
            "MainPID": "0", "NeedDaemonReload": "no", "Result": "success"}


def generation(unit_text, paths):
    """A short hash of the unit's text and of what its process reads only once.

    A program is known by place, size and time (hashing tens of megabytes in every run would cost more than a
    needless restart after a reinstallation); any other file by its content.
    """
    digest = hashlib.sha256(unit_text.encode("utf-8"))
    for path in paths:
        real = os.path.realpath(path)
        try:
            stat = os.stat(real)
            if stat.st_mode & 0o111:
                known = json.dumps([real, stat.st_size, int(stat.st_mtime)])  # an image keeps whole seconds
            else:
                with open(real, "rb") as stream:
                    known = hashlib.sha256(stream.read()).hexdigest()
        except OSError:
            known = "missing"
        digest.update(("\0%s\0%s" % (path, known)).encode("utf-8"))
    return digest.hexdigest()[:16]


def with_generation(unit_text, value):
    """The unit's text with the generation in the environment of its process."""
    return unit_text.replace("[Service]\n", "[Service]\nEnvironment=%s=%s\n" % (GENERATION, value), 1)


def upstream_version(version):
    """A package's version without what the distribution adds: '1:1.5.2-10~24.04' -> '1.5.2'."""
    return re.sub(r"[-+~].*", "", version.strip().split(":", 1)[-1])


def with_groups(unit_text, groups):
    """The unit's text with further groups of its process; a unit may name them in several lines."""
    if not groups:
        return unit_text
    return unit_text.replace("[Service]\n", "[Service]\nSupplementaryGroups=%s\n" % " ".join(groups), 1)


def socket_unit(table, port):
    """The unit that holds a port for systemd, from `systemctl list-sockets --no-legend`; None if it is none of them."""
    for line in table.splitlines():
        words = line.split()
        if len(words) > 1 and words[0].rpartition(":")[2] == str(port):
            return next((word for word in words if word.endswith(".socket")), None)
    return None


def running_generation(pid):
    """The generation that a process was started with; None for a process of somebody else's, or none."""
    try:
        with open("/proc/%s/environ" % pid, "rb") as stream:
            for entry in stream.read().split(b"\0"):
                if entry.startswith(GENERATION.encode() + b"="):
                    return entry.split(b"=", 1)[1].decode("ascii", "replace")
    except OSError:
        pass
    return None
