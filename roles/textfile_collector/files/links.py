# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads which links between devices are up, and their errors: NVLink from the text of nvidia-smi, XGMI from the kernel's compute topology.

PCIe is not here: its width and generation are readings of their own. Python >= 3.6, standard library only.
"""

import collections
import os
import re

PERIOD = 120  # seconds: nvidia-smi initialises the driver each time, and a link that fails stays down
SECONDS = 5.0  # for reading them
MOST = 64  # links of one device; the largest have 18

# One device and its links. uuid: "" where the source does not tell it; inactive: None where it does not tell how many
Device = collections.namedtuple("Device", "index uuid model active inactive")

HEADER = re.compile(r"GPU ([0-9]{1,4}): (.*?)(?: \(UUID: (GPU-[0-9A-Fa-f-]{8,64})\))?\s*\Z")
LINK = re.compile(r"\s*Link ([0-9]{1,2}): (\S.*?)\s*\Z")
SPEED = re.compile(r"[0-9]+(\.[0-9]+)? GB/s\Z")
# Also of a card without a bridge, and of one whose links have failed: which it is, only an expected number tells. Its capital is upstream's.
NONE_ACTIVE = re.compile("all links are inactive", re.I)


def nvlink(text):
    """The devices of `nvidia-smi nvlink -s` that have links. One that has none, or gives an error instead, is left out."""
    found, header, states = [], None, {}

    def close():
        if header and states:
            active = sum(1 for state in states.values() if state)
            inactive = None if None in states else len(states) - active
            found.append(Device(int(header.group(1)), header.group(3) or "", header.group(2), active, inactive))

    for line in text.splitlines():
        device, link = HEADER.match(line), LINK.match(line)
        if device:
            close()
            header, states = device, {}
        elif link and int(link.group(1)) < MOST:
            states[link.group(1)] = bool(SPEED.match(link.group(2)))
        elif NONE_ACTIVE.search(line):
            states[None] = False
    close()
    return found


# Some versions count checksums of headers (flits) and of data apart. The former are what DCGM's counter of the same alert counts.
ERROR = re.compile(r"\s*Link ([0-9]{1,2}): (CRC|Replay|Recovery)(?: FLIT)? Errors?: ([0-9]{1,15})\s*\Z", re.I)
ERRORS = ("crc", "recovery", "replay")


def nvlink_errors(text):
    """[(index, uuid or "", {one of ERRORS: on all links together})] of `nvidia-smi nvlink -e`, of the devices that tell some."""
    found = []
    for line in text.splitlines():
        device, error = HEADER.match(line), ERROR.match(line)
        if device:
            found.append((int(device.group(1)), device.group(3) or "", collections.Counter()))
        elif error and found and int(error.group(1)) < MOST:
            found[-1][2][error.group(2).lower()] += int(error.group(3))
    return [(index, uuid, dict(counts)) for index, uuid, counts in found if counts]


XGMI = "11"  # the kernel's number for it
KFD_NODES = "sys/class/kfd/kfd/topology/nodes"


def properties(path):
    """{name: value} of a file of the compute topology; empty if it cannot be read."""
    try:
        with open(path, "rb") as stream:
            text = stream.read(65536).decode("ascii", "replace")
    except OSError:
        return {}
    return dict(words for words in (line.split() for line in text.splitlines()) if len(words) == 2)


def listed(path):
    """Names in a directory, sorted; none if there is no such directory."""
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []


def address(node):
    """The PCI address of a compute device, or "": {domain, location_id} hold it as numbers."""
    try:
        place = int(node["location_id"])
        return "%04x:%02x:%02x.%x" % (int(node.get("domain", "0")), place >> 8 & 0xff, place >> 3 & 0x1f, place & 7)
    except (KeyError, ValueError):
        return ""


def xgmi(root):
    """{PCI address: number of XGMI links to other devices}. A partitioned device is left out: its parts have links among themselves."""
    folder = os.path.join(root, KFD_NODES)
    nodes = {name: properties(os.path.join(folder, name, "properties")) for name in listed(folder)}
    # A processor has no compute units of a GPU.
    devices = {name: address(node) for name, node in nodes.items() if node.get("simd_count", "0") != "0" and address(node)}
    boards = collections.Counter(place.rpartition(".")[0] for place in devices.values())
    found = {}
    for name, place in devices.items():
        links = [properties(os.path.join(folder, name, "io_links", link, "properties")) for link in listed(os.path.join(folder, name, "io_links"))]
        peers = {link.get("node_to") for link in links if link.get("type") == XGMI}.intersection(devices)
        if boards[place.rpartition(".")[0]] == 1:
            found[place] = len(peers)
    return found
