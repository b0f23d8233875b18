# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many links this host has up now, so that the registry learns what to expect. Files only, as any user: no tool is run, and no device asked.

Links between devices are what the textfile collector has published; the ports of InfiniBand, what the kernel says.
"""
import os
import re
import time

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import files

UNIT = "etc/systemd/system/accelmon-textfile-collector.service"
OUTPUT = re.compile(br"--output=/([^\s\"']+[.]prom)")
# Seconds after which what the collector has written is of the past.
FRESH = 600
LARGEST = 4 * 1024 * 1024
LINKS = re.compile(r'^node_gpu_links\{[^\n]*,kind="(nvlink|xgmi)",state="active"\} ([0-9]{1,3})$', re.MULTILINE)
PORTS = "sys/class/infiniband"


def usual(counts):
    """The count that more than half of the devices have, so that one with a fault does not set the standard; None if there is none."""
    found = [count for count in set(counts) if 2 * counts.count(count) > len(counts)]
    return found[0] if found else None


def collected(root, now):
    """{kind: active links of a device} by the file of the textfile collector, whose unit says where that is."""
    output = OUTPUT.search(files.raw(os.path.join(root, UNIT)) or b"")
    if not output:
        return {}
    path, found = os.path.join(root, output.group(1).decode("utf-8", "replace")), {}
    try:
        if not 0 <= now - os.stat(path).st_mtime < FRESH:
            return {}
    except (OSError, ValueError):
        return {}
    for kind, count in LINKS.findall(files.text(path, LARGEST) or ""):
        found.setdefault(kind, []).append(int(count))
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
