# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The door for what a node tells about itself: one schema, and the names that a fact must not have. Pure functions.

A node is a stranger. What it tells counts for that node alone, and only in the shape that accelerator_facts documents. Everything
that reads these facts comes through here, so that nothing behind this door has to be careful.
"""
import functools
import ipaddress
import json
import re

from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import variables
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import LINKS, VENDORS

# Far above what any machine has, and far below what would hurt to record, draw or sum up.
MOST_ACCELERATORS = 1024
MOST_ENTRIES = 16384
LONGEST = 256

# Facts that a node has from us, and what makes each; everything else of an answer of accelerator_facts is refused.
OURS = ("accelerators", "accelmon_node")
# Ansible's own note on the Python that it found, without which it would look for it anew in every task.
DISCOVERED = "discovered_interpreter_"

# With inject_facts_as_vars Ansible makes a variable of every fact, and it wins over the inventory. These are no variables of ours, and
# would change what ours mean: names of the host, what only some runs have, and functions of templates.
FOREIGN_NAMES = frozenset((
    "group_names", "groups", "hostvars", "inventory_dir", "inventory_file", "inventory_hostname", "inventory_hostname_short", "item",
    "limit", "omit", "play_hosts", "playbook_dir", "vars",
    "cycler", "dict", "joiner", "lipsum", "lookup", "namespace", "now", "q", "query", "range", "undef"))

FIX = "check what answers there in place of the module, then run again"
WORD = re.compile(r"[a-zA-Z][a-zA-Z0-9_.-]{0,63}\Z")


class Untrusted(Problem):
    """Facts that are not what they must be, `facts: KEY = VALUE: what is wrong; what to do`: their host is out, and no other."""


def shown(value, longest=80):
    """A value of a stranger as it may stand in a message: short, printable, and nothing that a template acts on."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, default=str)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    text = "".join(letter if letter.isprintable() else "?" for letter in text[:longest + 1])
    text = text if len(text) <= longest else text[:longest - 3] + "..."
    return re.sub(r"\{(?=[{%#])", "{ ", text)


class _Wrong(ValueError):
    """What is wrong with a value; where it stands is added on the way out, as it is needed then alone."""

    def __init__(self, value, problem):
        super().__init__(problem)
        self.value, self.path = value, []

    def within(self, name):
        """The same, one step further out."""
        self.path.insert(0, shown(name) if isinstance(name, str) else str(name))
        return self

    def untrusted(self):
        """The line."""
        return Untrusted(f"facts: {'.'.join(self.path)} = {shown(self.value)}: {self}; {FIX}")


def text(value):
    """One line that may be shown, recorded and drawn everywhere."""
    if not isinstance(value, str):
        raise _Wrong(value, "not a text")
    if len(value) > LONGEST:
        raise _Wrong(value, f"longer than {LONGEST} characters")
    if not value.isprintable() or ("{" in value and re.search(r"\{[{%#]", value)):
        raise _Wrong(value, "characters that are invalid in a name")
    return value


def word(value):
    """A name as programs give it."""
    if not isinstance(value, str) or not WORD.match(value):
        raise _Wrong(value, "not a single word")
    return value


def matching(pattern, problem):
    """The check for a text of some form. problem: what is wrong with any other"""
    def check(value):
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise _Wrong(value, problem)
        return value
    return check


def vendor(value):
    """A vendor that we know."""
    if value not in VENDORS:
        raise _Wrong(value, f"not a vendor; known are {', '.join(VENDORS)}")
    return value


def link(value):
    """A kind of links that we know."""
    if value not in LINKS:
        raise _Wrong(value, f"not a kind of links; known are {', '.join(LINKS)}")
    return value


def switch(value):
    """True or false."""
    if not isinstance(value, bool):
        raise _Wrong(value, "not a boolean")
    return value


def number(most):
    """The check for a whole number from 0 to `most`."""
    def check(value):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise _Wrong(value, f"not a whole number from 0 to {most}")
        return value
    return check


def address(value):
    """An IP address."""
    try:
        if not isinstance(value, str):
            raise ValueError
        ipaddress.ip_address(value)
    except ValueError:
        raise _Wrong(value, "not an IP address") from None
    return value


def list_of(check, most=MOST_ENTRIES):
    """The check for a list."""
    def check_all(value):
        if not isinstance(value, (list, tuple)):
            raise _Wrong(value, "not a list")
        if len(value) > most:
            raise _Wrong(f"{len(value)} entries", f"more than {most}")
        made = []
        for place, item in enumerate(value):
            try:
                made.append(check(item))
            except _Wrong as wrong:
                raise wrong.within(place)
        return made
    return check_all


def map_of(check_key, check):
    """The check for a dictionary whose keys are told by the node too."""
    def check_all(value):
        _dictionary(value)
        if len(value) > MOST_ACCELERATORS:
            raise _Wrong(f"{len(value)} keys", f"more than {MOST_ACCELERATORS}")
        made = {}
        for key, item in value.items():
            try:
                made[check_key(key)] = check(item)
            except _Wrong as wrong:
                raise wrong.within(key)
        return made
    return check_all


def fields(needed, **checks):
    """The check for a dictionary with known keys. What else is in there is left behind."""
    def check_all(value):
        _dictionary(value)
        for name in needed:
            if name not in value:
                raise _Wrong(value, f"{name} is missing")
        made = {}
        for name, check in checks.items():
            if name in value:
                try:
                    made[name] = check(value[name])
                except _Wrong as wrong:
                    raise wrong.within(name)
        return made
    check_all.names = frozenset(checks)
    return check_all


def _dictionary(value):
    if not isinstance(value, dict):
        raise _Wrong(value, "not a dictionary")


COUNT = number(MOST_ACCELERATORS)
PARTITIONS = number(MOST_ACCELERATORS * 64)

DEVICE = fields(
    ("vendor", "kind", "state"),
    vendor=vendor, kind=word, state=word, model=text, product=text, pci_id=text, pci_address=text, driver=text, driver_version=text,
    uuid=text, serial=text, vbios=text, memory_bytes=number(2 ** 53), chips=COUNT, numa_node=number(2 ** 16), index=number(2 ** 16),
    partitions=fields((), mode=text, count=PARTITIONS), mig_mode=text, ecc_mode=text)


def _summed(value):
    """What is told of one vendor; no more models and states than devices."""
    told = SUMMARY_FIELDS(value)
    for name in ("models", "states"):
        if sum(told[name].values()) > told["count"]:
            raise _Wrong(told[name], f"more than the {told['count']} counted devices").within(name)
    return told


SUMMARY_FIELDS = fields(
    ("count", "models", "states"),
    count=COUNT, models=map_of(text, COUNT), states=map_of(word, COUNT), driver_version=text, vendor_note=text, embedded=COUNT,
    driver_only=switch, partitions=map_of(text, PARTITIONS))

PROGRAM = {"source": word, "version": text, "sha256": text}

SCHEMA = {
    "accelerators": fields(
        (), devices=list_of(DEVICE), summary=map_of(vendor, _summed),
        uncounted=list_of(fields(("vendor", "pci_address"), vendor=vendor, pci_address=text), MOST_ACCELERATORS),
        # What a tool said when it failed is any text.
        details=map_of(vendor, fields(("status",), status=word, message=shown))),
    "accelmon_node": fields(
        (), architecture=word, distribution=word, distribution_version=text, python_version=text, addresses=list_of(address), systemd=switch,
        access=switch, libc=fields((), name=word, version=text), container_runtimes=list_of(word), exporters=list_of(word),
        programs=map_of(word, fields(("source",), **PROGRAM, before=fields(("source", "at"), **PROGRAM, at=number(2 ** 40)))),
        hostengine=switch, lacking=map_of(word, word),
        links=map_of(link, COUNT)),
}


EVERYTHING = fields((), **SCHEMA)


def read(told):
    """{name: fact} of what a node told, those of OURS alone and of them what the schema has. Raises Untrusted.

    told: the host's `ansible_facts`
    """
    try:
        return EVERYTHING(told)
    except _Wrong as wrong:
        raise wrong.untrusted() from None


def checked(name, check, value):
    """A part of a module's answer, as `check` leaves it. Raises Untrusted."""
    try:
        return check(value)
    except _Wrong as wrong:
        raise wrong.within(name).untrusted() from None


def answer(told):
    """The facts of an answer of accelerator_facts that may be kept. Raises Untrusted, also for a fact that our module does not give."""
    if not isinstance(told, dict):
        raise Untrusted(f"facts: {shown(told)}: not a dictionary; {FIX}")
    for name in told:
        if name not in OURS and not is_discovered(name):
            raise Untrusted(f"facts: {shown(name)} = {shown(told[name])}: not a fact of accelerator_facts; {FIX}")
    for name in OURS:
        if name not in told:
            raise Untrusted(f"facts: {name} is missing; {FIX}")
    return {**told, **read(told)}


def let_through(told, ours):
    """A module's answer without what Ansible would act on: facts, and statistics of the run. Raises Untrusted.

    ours: whether it is one of accelerator_facts, whose facts are kept
    """
    kept = {name: value for name, value in told.items() if name not in ("ansible_facts", "ansible_stats")}
    given = told.get("ansible_facts")
    if ours:
        kept["ansible_facts"] = answer(given)
    elif isinstance(given, dict):
        kept["ansible_facts"] = {name: value for name, value in given.items() if is_discovered(name)}
    return kept


def is_discovered(name):
    """Whether a fact is Ansible's own note on an interpreter, which no module can forge: it is added later."""
    return str(name).startswith(("ansible_" + DISCOVERED, DISCOVERED))


@functools.lru_cache(maxsize=None)
def beginnings():
    """How names of our variables begin: {beginning: role}. Of roles for other roles too: facts win over what those leave at its default."""
    return {f"{role}_": role for role in (*variables.roles(), *variables.INTERNAL_ROLES)}


def is_variable(name):
    """Whether a fact of this name, as it stands in `ansible_facts`, would stand for a variable; Ansible leaves out a first `ansible_` there."""
    # _NAME is what roles and playbooks read of the variable NAME.
    bare = name[1:] if name.startswith("_") else name
    if name in FOREIGN_NAMES or (bare.startswith("accelmon_") and name not in OURS):
        return True
    # Every task of every host asks in a process of its own, and reading all declarations takes long: only for names that may be there.
    return any(bare.startswith(beginning) and name in variables.names_of(role) for beginning, role in beginnings().items())


def refuse_forged(told):
    """Raises Untrusted if a host's facts would stand for variables.

    told: the host's `ansible_facts`
    """
    for name in told or ():
        if is_variable(str(name)):
            raise Untrusted(f"facts: {shown(name)} = {shown(told[name])}: a fact with the name of a variable, which it would override; "
                            f"find out what sets it on that host, and clear the fact cache if there is one")
