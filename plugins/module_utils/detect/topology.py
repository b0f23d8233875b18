# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the devices and network adapters of this host are connected: their ways to each other over PCI, from sysfs, and their own links, from
vendors' tools and the kernel.

The words are those of nvidia-smi: PIX below one PCIe switch, PXB below several, PHB below one host bridge, NODE on one NUMA node, SYS across NUMA
nodes; X is the place itself, and ? a way that cannot be known. A link is NV and the number of NVLinks, or XGMI.
"""
import os
import re

from ansible_collections.accelmon.fleet.plugins.module_utils import command
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import amd, files, nvidia, pci, states

MOST = 64  # devices, and as many adapters; a server has 8 to 16 of each
UNKNOWN, SELF = "?", "X"
BRIDGE = re.compile(r"pci[0-9a-f]{4,8}:[0-9a-f]{2}\Z")
GENERATIONS = {"2.5": 1, "5": 2, "5.0": 2, "8": 3, "8.0": 3, "16": 4, "16.0": 4, "32": 5, "32.0": 5, "64": 6, "64.0": 6}
WIDEST = 32  # lanes; ports that are no link of their own say 0 or 255

TOPO = ("nvidia-smi", "topo", "-m")
ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
CELL = re.compile(r"(?:X|SYS|NODE|PHB|PXB|PIX|NV[0-9]{1,2})\Z")
GPU = re.compile(r"GPU([0-9]{1,3})\Z")


# --- ways over PCI --------------------------------------------------------------------------------------------------

def chain(root, address):
    """Names from the host bridge down to a PCI function, as sysfs nests them; [] where it does not."""
    parts = os.path.realpath(os.path.join(root, pci.DEVICES, address)).split(os.sep)
    names = [part for part in parts if BRIDGE.match(part) or pci.normal_address(part)]
    return names if names and BRIDGE.match(names[0]) else []


def way(one, other, nodes):
    """The word for the way between two places. nodes: how many NUMA nodes the host has"""
    if not one["chain"] or not other["chain"]:
        return UNKNOWN
    common = 0
    for left, right in zip(one["chain"], other["chain"]):
        if left != right:
            break
        common += 1
    if common == 1:
        return "PHB"
    if common:
        # A switch has a port of its own above each place.
        return "PIX" if max(len(one["chain"]), len(other["chain"])) - common <= 2 else "PXB"
    if nodes < 2:
        return "NODE"
    ends = one.get("numa_node"), other.get("numa_node")
    return UNKNOWN if None in ends else "NODE" if ends[0] == ends[1] else "SYS"


def slot(root, names):
    """{lanes?, generation?}: the least that the device and every bridge above it can do."""
    lanes, generations = [], []
    for name in names:
        folder = os.path.join(root, pci.DEVICES, name)
        width = files.number(os.path.join(folder, "max_link_width"))
        speed = (files.line(os.path.join(folder, "max_link_speed")) or "").partition(" ")[0]
        if width and 0 < width <= WIDEST:
            lanes.append(width)
        if speed in GENERATIONS:
            generations.append(GENERATIONS[speed])
    return states.known(lanes=min(lanes) if lanes else None, generation=min(generations) if generations else None)


# --- what there is --------------------------------------------------------------------------------------------------

def adapters(root):
    """[(name, PCI address)] of network adapters, those that can do RDMA first; virtual functions and further ports of a function are left out."""
    found, seen = [], set()
    for kind in ("infiniband", "net"):
        folder = os.path.join(root, "sys/class", kind)
        for name in files.names(folder):
            parts = os.path.realpath(os.path.join(folder, name, "device")).split(os.sep)
            addresses = [part for part in parts if pci.normal_address(part)]
            if not addresses or addresses[-1] in seen or os.path.islink(os.path.join(root, pci.DEVICES, addresses[-1], "physfn")):
                continue
            seen.add(addresses[-1])
            found.append((name, addresses[-1]))
    return found[:MOST]


def places(root, devices):
    """[{name, kind: device or nic, pci_address, chain, vendor?, model?, numa_node?, lanes?, generation?}]: devices, then adapters, by address."""
    found, numbers = [], {}
    for device in sorted(devices, key=lambda one: (one["vendor"], pci.location(one["pci_address"]), one["pci_address"]))[:MOST]:
        number = numbers[device["vendor"]] = numbers.get(device["vendor"], -1) + 1
        found.append({"name": "%s%d" % (device["vendor"], number), "kind": "device", "pci_address": device["pci_address"], "vendor": device["vendor"],
                      "model": device.get("model", device["vendor"])})
    for name, address in sorted(adapters(root), key=lambda one: (pci.location(one[1]), one[1])):
        found.append({"name": name, "kind": "nic", "pci_address": address})
    for place in found:
        place["chain"] = chain(root, place["pci_address"])
        node = files.number(os.path.join(root, pci.DEVICES, place["pci_address"], "numa_node"))
        place.update(states.known(numa_node=node if node is not None and node >= 0 else None))
        place.update(slot(root, [name for name in place["chain"] if not BRIDGE.match(name)] or [place["pci_address"]]))
    return found


# --- links of their own ---------------------------------------------------------------------------------------------

def matrix(text):
    """{(number, number): word} of the devices in what `nvidia-smi topo -m` prints; {} if any of its rows is not whole."""
    columns, found = [], {}
    for line in ESCAPE.sub("", text).splitlines():
        words = line.split()
        if not columns:
            if words[:1] == ["GPU0"]:
                columns = words[:words.index("CPU")] if "CPU" in words else words
        elif words and GPU.match(words[0]):
            cells = words[1:len(columns) + 1]
            if len(cells) < len(columns) or not all(CELL.match(cell) for cell in cells):
                return {}
            for column, cell in zip(columns, cells):
                if GPU.match(column):
                    found[int(words[0][3:]), int(column[3:])] = cell
    numbers = set(row for row, dummy in found)
    return found if len(found) == len(numbers) ** 2 == len([one for one in columns if GPU.match(one)]) ** 2 else {}


def nvlink(root, devices, timeout, run, which):
    """(status, {(address, address): word}) of NVIDIA's tool. status: ok, missing, hung, failed or skipped"""
    held = [one["pci_address"] for one in devices if one["vendor"] == nvidia.VENDOR and one.get("driver") == nvidia.DRIVER]
    if any(pci.asleep({"path": os.path.join(root, pci.DEVICES, address)}) for address in held):
        return "skipped", {}  # it would wake them
    path = which(TOPO[0])
    if not path:
        return "missing", {}
    told = []
    for argv in (nvidia.COMMANDS[0], TOPO):
        try:
            code, output, dummy = run((path,) + argv[1:], timeout)
        except OSError:
            return "failed", {}
        if code is None:
            return "hung", {}
        told.append(output)
    numbers = dict((about["index"], address) for address, about in nvidia.parse(TOPO[0], told[0]).items() if "index" in about)
    cells = matrix(told[1])
    if not cells or any(row not in numbers for row, dummy in cells):
        return "failed", {}
    return "ok", dict(((numbers[row], numbers[column]), cell) for (row, column), cell in cells.items())


def links(root, found, told):
    """Rows of the links between places: "" where there is none. told: what nvlink() gave, None where it was not asked"""
    xgmi, rows = amd.xgmi(root), []
    for one in found:
        row = []
        for other in found:
            word = ""
            pair = one["pci_address"], other["pci_address"]
            if one is not other and one.get("vendor") == other.get("vendor") == nvidia.VENDOR:
                cell = (told or {}).get(pair, UNKNOWN)
                word = cell if cell == UNKNOWN or cell.startswith("NV") else ""
            elif one.get("vendor") == other.get("vendor") == amd.VENDOR and (pci.location(pair[0]), pci.location(pair[1])) in xgmi:
                word = "XGMI"
            row.append(word)
        rows.append(row)
    return rows


def look(root, devices, timeout=20, run=command.run, which=command.which):
    """{places, paths, links, numa_nodes, tools}.

    devices: those of accelerators.detect(); timeout: seconds for each call of a vendor's tool, 0 to start none
    """
    nodes = sum(1 for name in files.names(os.path.join(root, "sys/devices/system/node")) if re.match(r"node[0-9]+\Z", name))
    devices = [one for one in devices if one.get("pci_address") and states.counted(one)]
    found, tools, told = places(root, devices), {}, None
    if any(one.get("driver") == nvidia.DRIVER for one in devices):
        tools[nvidia.VENDOR], told = nvlink(root, devices, timeout, run, which) if timeout else ("skipped", {})
    paths = [[SELF if one is other else way(one, other, nodes) for other in found] for one in found]
    rows = links(root, found, told)
    for place in found:
        del place["chain"]
    return {"places": found, "paths": paths, "links": rows, "numa_nodes": nodes, "tools": tools}
