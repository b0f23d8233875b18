# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what `scontrol show node` prints, in blocks or one node a line: pure functions from text to words and numbers.

The one reader of the inventory plugin and of the programs on a Slurm controller, which have a copy of this file beside them: standard library
only.
"""
import collections
import re

# What Slurm prints for nothing.
NOTHING = ("", "(null)", "N/A", "n/a", "None")
KEY = re.compile(r"\s+([A-Z][A-Za-z_]*)=")
# What people and machines write freely: the rest of the line is theirs. With --oneliner, Reason and what follows it come after everything
# that is read here; in the block format each of these begins a line, as OS does.
FREE = re.compile(r"\s(Reason|Comment|Extra)=")
FREE_LINE = re.compile(r"\s(OS)=")

# A state's flags: the words after "+", and the characters that stand for some of them.
SUFFIXES = {"*": "NOT_RESPONDING", "~": "POWERED_DOWN", "#": "POWERING_UP", "%": "POWERING_DOWN", "!": "POWER_DOWN", "$": "MAINT",
            "@": "REBOOT_REQUESTED", "^": "REBOOT_ISSUED", "-": "PLANNED"}
# What the other programs of Slurm call a node that is given no more work.
DRAIN = {"DRAINED": "DRAIN", "DRAINING": "DRAIN", "DRNG": "DRAIN", "MAINTENANCE": "MAINT"}
# States that a node is in, exactly one at a time; every other word is a flag.
BASES = ("ALLOCATED", "DOWN", "ERROR", "FUTURE", "IDLE", "MIXED", "UNKNOWN")

# name:type:no_consume:count(where), of which the name alone is always there; without a count it is one.
GRES = re.compile(r"([A-Za-z0-9_.-]+?)(?::(?!no_consume\b)([^:(),]+?))??(?::no_consume)?(?::(\d+[KMGTP]?))?(?:\([^()]*\))?\Z", re.I)
TRES = re.compile(r"gres/([A-Za-z0-9_.-]+)(?::([^=,]+))?=(\d+[KMGTP]?)\Z", re.I)
UNITS = "KMGTP"
# Who gave a reason and when, behind the first line of its text.
GIVEN = re.compile(r"\s*\[([^\s\[\]@]+)@(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\](?=\s|\Z)")

# base: of BASES; flags: the other words of its state, a frozenset; reason, by: why it is out of work, and who said so; partitions: names
Node = collections.namedtuple("Node", "base flags reason by partitions")


def records(text):
    """Yield {key: value} of each node, in order. What stands before the first node, or is said of a key a second time, is left out."""
    record = None
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.startswith("NodeName="):
            if record is not None:
                yield record
            record = {}
        if record is not None:
            record = dict(pairs(line), **record)
    if record is not None:
        yield record


def pairs(line):
    """{key: value} of one line. A value may have blanks; it ends where the next key begins. The first of a key counts."""
    line = " " + line.strip()
    free = FREE.search(line) or FREE_LINE.match(line)
    parts = KEY.split(line[:free.start()] if free else line)
    found = dict(zip(parts[-2::-2], parts[:0:-2]))
    if free:
        found.setdefault(free.group(1), line[free.end():].strip())
    return found


def words(text):
    """The words of a list with commas."""
    return [] if text in NOTHING else [word for word in text.split(",") if word]


def states(text):
    """The state and its flags as sorted words: DOWN*+DRAIN is DOWN, DRAIN, NOT_RESPONDING. Raises ValueError."""
    found = set()
    for word in text.upper().split("+"):
        while word and word[-1] in SUFFIXES:
            found.add(SUFFIXES[word[-1]])
            word = word[:-1]
        if word:
            found.add(word)
    for word in found:
        if not re.match(r"[A-Z_]+\Z", word):
            raise ValueError(text)
    return sorted(one_word(found))


def state(text):
    """(state, [flags]) of State=: DOWN*+DRAIN is DOWN with DRAIN and NOT_RESPONDING. Raises ValueError."""
    found = states(text)
    base = next((word for word in found if word in BASES), "UNKNOWN")
    return base, [word for word in found if word != base]


def one_word(found):
    """Words for states, with one word for what Slurm's programs have several for."""
    return {DRAIN.get(word.upper(), word.upper()) for word in found}


def gres(text):
    """[(name, type or "", count)] of the generic resources of a node, as Gres= and GresUsed= list them."""
    found = []
    # No comma within parentheses: gpu:a100:4(S:0-1,3). GresUsed writes (null) for a type that there is none of.
    for word in [] if text in NOTHING else re.split(r",(?![^()]*\))", text.replace(":(null):", ":")):
        match = GRES.match(word)
        if match:
            found.append((match.group(1), match.group(2) or "", amount(match.group(3) or "1")))
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


def reason(text):
    """(words, who gave it or "", local time as Slurm writes it or "") of Reason=. Only the first line of one with several counts."""
    if text in NOTHING:
        return "", "", ""
    match = GIVEN.search(text)
    return (text[:match.start()].strip(), match.group(1), match.group(2)) if match else (text, "", "")


def node(record):
    """The Node of a record. Raises ValueError for a record that is no node."""
    if "State" not in record:
        raise ValueError(record.get("NodeName", ""))
    base, flags = state(record["State"])
    said, who, _when = reason(record.get("Reason", ""))
    return Node(base, frozenset(flags), said, who, tuple(words(record.get("Partitions", ""))))
