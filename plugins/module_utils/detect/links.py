# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many links this host has up now, so that the registry learns what to expect. Files only: no tool is run, and no device asked.

Links between devices are what the textfile collector has read; the ports of InfiniBand, what the kernel says.
"""
import json
import os
import time

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import files

COLLECTED = "var/lib/accelmon/textfile_collector/state.json"
# Seconds after which what the collector has read is of the past: it reads them every two minutes.
FRESH = 600
KINDS = ("nvlink", "xgmi")
MOST = 1024
PORTS = "sys/class/infiniband"


def usual(counts):
    """The count that more than half of the devices have, so that one with a fault does not set the standard; None if there is none."""
    found = [count for count in set(counts) if 2 * counts.count(count) > len(counts)]
    return found[0] if found else None


def collected(root, now):
    """{kind: active links of each device} by what the textfile collector has read."""
    found = {}
    try:
        told = json.loads(files.text(os.path.join(root, COLLECTED), 1 << 20) or "{}")["links"]
        if not 0 <= now - told["at"] < FRESH:
            return {}
        for device in told["devices"]:
            if device["kind"] in KINDS and isinstance(device["active"], int) and 0 <= device["active"] <= MOST:
                found.setdefault(device["kind"], []).append(device["active"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    counts = dict((kind, usual(counts)) for kind, counts in found.items())
    return dict((kind, count) for kind, count in counts.items() if count is not None)


def infiniband(root):
    """How many ports of InfiniBand adapters are active, those in Ethernet mode among them; None without such an adapter."""
    folder, states = os.path.join(root, PORTS), []
    for device in files.names(folder):
        for port in files.names(os.path.join(folder, device, "ports")):
            states.append(files.line(os.path.join(folder, device, "ports", port, "state")) or "")
    return sum(1 for state in states if state.startswith("4:")) if states else None


def find(root="/", now=None):
    """{nvlink?: of each device, xgmi?: of each device, infiniband?: of the host}. What is not known is absent."""
    found = collected(root, time.time() if now is None else now)
    ports = infiniband(root)
    if ports is not None:
        found["infiniband"] = ports
    return found
