# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes as an inventory has them, from what `scontrol show node` prints: pure functions, and one that runs it. module_utils/slurm.py reads the text."""
import re
import shutil

from ansible_collections.accelmon.fleet.plugins.module_utils import command, slurm
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.inventory import lists
from ansible_collections.accelmon.fleet.plugins.plugin_utils.inventory.lists import MAX_BYTES, host_address, host_name, shown, text_of
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import VENDORS

ARGUMENTS = ("--oneliner", "show", "node")

# How the types of GPUs begin that one vendor alone makes. A site may give any name to a type, so what is not here has no vendor.
GPU_TYPES = (
    ("nvidia", re.compile(r"nvidia|tesla|quadro|geforce|titan|rtx|gtx|gb[23]00|gh200|gb10(\b|_)|([1-5]0[5-9]0)(ti|s|super|d)*(\b|_)|"
                          r"([hba][12]00|b300|h20|[ah]800|a(2|10|10g|16|30|40|[4-6]000)|l(2|4|20|40|40s)|[kmp]\d0|p100|p4|t4|v100s?)(\b|_)")),
    ("amd", re.compile(r"amd|instinct|radeon|gfx\d+[a-f]?(\b|_)|mi\d\d+[ax]?(\b|_)")),
    ("intel_gaudi", re.compile(r"(intel_)?gaudi\d?(\b|_)|hl-?\d{3}")),
    ("intel_gpu", re.compile(r"intel|pvc(\b|_)|(data_center_gpu_)?(max_?1[145]|flex_?1[47])\d?0")),
)
GRES_VENDORS = {"hpu": "intel_gaudi", "gaudi": "intel_gaudi"}
# A part of a device, not a device.
SLICE = re.compile(r"mig|\d+g\.\d+gb|\d+c\.\d+g|[dtqc]px(\b|_)")
# What to do about two nodes with one address.
CLASH = "exclude one of them with partitions or skip_states"
# No machine has more; a larger number counts partitions of devices.
MOST_DEVICES = 16


def run(program, timeout):
    """What the program says now, as text. Without a shell, and killed with its children after `timeout` seconds. Raises Problem."""
    path = shutil.which(program)
    if not path:
        raise Problem(f"{shown(program)}: no such program on the control node; set program to its path, or save its output and set file")
    try:
        code, output, errors = command.run_bytes([path, *ARGUMENTS], timeout, limit=MAX_BYTES)
    except OSError as error:
        raise Problem(f"{shown(path)}: {error.strerror}; set program to the path of scontrol") from None
    if code is None and len(output) <= MAX_BYTES:
        raise Problem(f"{shown(path)}: no answer within {timeout} s; check that slurmctld is running, or raise timeout")
    if code:
        said = errors[:400].decode(errors="replace").strip().partition("\n")[0]
        raise Problem(f"{shown(path)} {' '.join(ARGUMENTS)}: exit status {code}: {shown(said)}")
    return text_of(output, path)


def parse(text):
    """({name: {"address"?, "states", "partitions", "features", "gres": [(name, type, count)]}}, [problem]) of the output.

    Raises Problem if this is no such output.
    """
    nodes, problems = lists.nodes_of(slurm.records(text), node)
    if not nodes and not problems:
        raise Problem("no line starts with NodeName=; save the output of: scontrol show node")
    return nodes, problems


def node(record):
    """(name, node) of one node's keys. Raises Problem."""
    name = host_name(record["NodeName"])
    if "State" not in record:
        raise Problem(f"{name}: no state; save the complete output of: scontrol show node")
    try:
        found = {"states": slurm.states(record["State"])}
    except ValueError:
        raise Problem(f"{shown(record['State'])}: not a Slurm state; save the output of: scontrol show node") from None
    address = next((record[key] for key in ("NodeAddr", "NodeHostName") if reachable(record.get(key, ""))), name)
    if address.endswith(".") and not address.endswith(".."):
        address = address[:-1]  # a name in full, as DNS writes it
    if address != name:
        found["address"] = host_address(address)
    found["partitions"] = slurm.words(record.get("Partitions", ""))
    found["features"] = slurm.words(record.get("ActiveFeatures", record.get("AvailableFeatures", "")))
    found["gres"] = slurm.resources(slurm.gres(record.get("Gres", "")), slurm.tres(record.get("CfgTRES", "")))
    return name, found


def reachable(text):
    """Whether a value can be where a node is: Slurm's cloud plug-ins write an address of the network 0 for a node that has none now."""
    return text not in slurm.NOTHING and not re.match(r"0(\.\d+){3}\Z", text)


def vendor(name, kind, known):
    """The vendor of a generic resource, or "" if that is not certain.

    known: {"name:type" or "name": vendor} that the site says
    """
    for key in (f"{name}:{kind}", name):
        if key in known:
            return known[key]
    if name in GRES_VENDORS:
        return GRES_VENDORS[name]
    if name != "gpu":
        return ""
    for found, pattern in GPU_TYPES:
        if pattern.match(kind.lower()):
            return found
    return ""


def has_accelerators(found, known):
    """Whether a node has generic resources that are accelerators."""
    return any(count and (name == "gpu" or vendor(name, kind, known)) for name, kind, count in found["gres"])


def expected(found, known):
    """{vendor: number of devices} of a node, for those vendors where both are certain."""
    counts, uncertain = {}, set()
    for name, kind, count in found["gres"]:
        maker = vendor(name, kind, known)
        if maker:
            counts[maker] = counts.get(maker, 0) + count
            if SLICE.search(kind.lower()):
                uncertain.add(maker)
    return {maker: count for maker, count in counts.items() if maker not in uncertain and 0 < count <= MOST_DEVICES}


def check_vendors(known):
    """Raises Problem unless every value of the option is a vendor."""
    for key, value in known.items():
        if value not in VENDORS:
            raise Problem(f"vendors: {shown(str(key))}: {shown(str(value))} is not a vendor; use {', '.join(VENDORS)}")
