# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what `scontrol show node` prints, in blocks or one node a line. Pure functions from text to nodes, and one that runs it."""
import re
import shutil

from ansible_collections.accelmon.fleet.plugins.module_utils import command
from ansible_collections.accelmon.fleet.plugins.plugin_utils.addresses import address_key
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.inventory.lists import MAX_BYTES, host_address, host_name, shown, text_of
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import VENDORS

ARGUMENTS = ("--oneliner", "show", "node")
# What Slurm prints for nothing.
NOTHING = ("", "(null)", "N/A", "n/a", "None")
# In the block format these have the rest of their line, whatever that is; people and machines write what they like there.
FREE = ("OS", "Reason", "Comment", "Extra")
# With --oneliner these come after everything that is read here, and have the rest of the line too.
LAST = ("Reason", "Comment", "Extra")
KEY = re.compile(r"(?:^|(?<=\s))([A-Z][A-Za-z_]*)=")

# A state's flags: the words after "+", and the characters that stand for some of them.
SUFFIXES = {"*": "NOT_RESPONDING", "~": "POWERED_DOWN", "#": "POWERING_UP", "%": "POWERING_DOWN", "!": "POWER_DOWN", "$": "MAINT",
            "@": "REBOOT_REQUESTED", "^": "REBOOT_ISSUED", "-": "PLANNED"}
# What the other programs of Slurm call a node that is given no more work.
DRAIN = {"DRAINED": "DRAIN", "DRAINING": "DRAIN", "DRNG": "DRAIN", "MAINTENANCE": "MAINT"}

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
SLICE = re.compile(r"mig|\d+g\.\d+gb|\d+c\.\d+g")
GRES = re.compile(r"([A-Za-z0-9_.-]+)(?::([^:(),]+))?:(\d+[KMGTP]?)(?:\([^()]*\))?\Z", re.I)
TRES = re.compile(r"gres/([A-Za-z0-9_.-]+)(?::([^=,]+))?=(\d+[KMGTP]?)\Z", re.I)
UNITS = "KMGTP"
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
    nodes, problems = {}, []
    number = 0
    for number, record in enumerate(records(text), 1):
        try:
            name, found = node(record)
            if name in nodes:
                raise Problem(f"{name}: listed twice; save the output again")
            nodes[name] = found
        except Problem as problem:
            problems.append(f"node {number}: {problem}")
    if not number:
        raise Problem("no line starts with NodeName=; save the output of: scontrol show node")
    return nodes, problems


def clashes(nodes):
    """[problem] of nodes that have the address of another."""
    problems, addresses = [], {}
    for name, found in nodes.items():
        other = addresses.setdefault(address_key(found.get("address", name)), name)
        if other != name:
            problems.append(f"{name}: same address as {other}; exclude one of them with partitions or skip_states")
    return problems


def records(text):
    """Yield {key: value} of each node, in order. What stands before the first node, or is said of a key a second time, is left out."""
    record = None
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.startswith("NodeName="):
            if record is not None:
                yield record
            record = {}
        if record is not None:
            for key, value in pairs(line):
                record.setdefault(key, value)
    if record is not None:
        yield record


def pairs(line):
    """[(key, value)] of one line. A value may have blanks; it ends where the next key begins."""
    begins = list(KEY.finditer(line))
    found = []
    for number, begin in enumerate(begins):
        whole = begin.group(1) in LAST or begin.group(1) in FREE and line[:begin.start()].strip() == ""
        end = len(line) if whole or number + 1 == len(begins) else begins[number + 1].start()
        found.append((begin.group(1), line[begin.end():end].strip()))
        if whole:
            break
    return found


def node(record):
    """(name, node) of one node's keys. Raises Problem."""
    name = host_name(record["NodeName"])
    if "State" not in record:
        raise Problem(f"{name}: no state; save the complete output of: scontrol show node")
    found = {"states": states(record["State"])}
    address = next((record[key] for key in ("NodeAddr", "NodeHostName") if reachable(record.get(key, ""))), name)
    if address.endswith(".") and not address.endswith(".."):
        address = address[:-1]  # a name in full, as DNS writes it
    if address != name:
        found["address"] = host_address(address)
    found["partitions"] = words(record.get("Partitions", ""))
    found["features"] = words(record.get("ActiveFeatures", record.get("AvailableFeatures", "")))
    found["gres"] = resources(gres(record.get("Gres", "")), tres(record.get("CfgTRES", "")))
    return name, found


def words(text):
    """The words of a list with commas."""
    return [] if text in NOTHING else [word for word in text.split(",") if word]


def states(text):
    """The state and its flags as sorted words: DOWN*+DRAIN is DOWN, DRAIN, NOT_RESPONDING."""
    found = set()
    for word in text.upper().split("+"):
        while word and word[-1] in SUFFIXES:
            found.add(SUFFIXES[word[-1]])
            word = word[:-1]
        if word:
            found.add(word)
    for word in found:
        if not re.match(r"[A-Z_]+\Z", word):
            raise Problem(f"{shown(text)}: not a Slurm state; save the output of: scontrol show node")
    return sorted(one_word(found))


def one_word(found):
    """Words for states, with one word for what Slurm's programs have several for."""
    return {DRAIN.get(word.upper(), word.upper()) for word in found}


def gres(text):
    """[(name, type or "", count)] of the generic resources of a node, as Gres= lists them."""
    found = []
    # No comma within parentheses: gpu:a100:4(S:0-1,3).
    for word in [] if text in NOTHING else re.split(r",(?![^()]*\))", text):
        match = GRES.match(word)
        if match:
            found.append((match.group(1), match.group(2) or "", amount(match.group(3))))
    return found


def amount(text):
    """A count as Slurm prints it: 2K is 2048."""
    power = UNITS.find(text[-1:].upper()) + 1
    return int(text[:-1] if power else text) * 1024 ** power


def tres(text):
    """[(name, type or "", count)] of the generic resources in CfgTRES=. Where a name has types, its sum is left out."""
    found = [(match.group(1), match.group(2) or "", amount(match.group(3))) for match in map(TRES.match, words(text)) if match]
    typed = {name for name, kind, dummy in found if kind}
    return [(name, kind, count) for name, kind, count in found if kind or name not in typed]


def resources(listed, counted):
    """The generic resources by Gres= and CfgTRES=. What the first has without a type gets the types of the second, where these are as many."""
    found = []
    for name, kind, count in listed or counted:
        types = [one for one in counted if one[0] == name and one[1]]
        whole = not kind and len([one for one in listed if one[0] == name]) == 1 and sum(one[2] for one in types) == count
        found += types if whole and types else [(name, kind, count)]
    return found


def reachable(text):
    """Whether a value can be where a node is: Slurm's cloud plug-ins write an address of the network 0 for a node that has none now."""
    return text not in NOTHING and not re.match(r"0(\.\d+){3}\Z", text)


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
