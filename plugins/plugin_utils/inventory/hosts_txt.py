# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads "name address" lines, as people keep them. Pure functions from text to hosts."""
import fnmatch
import ipaddress
import re

from ansible_collections.accelmon.fleet.plugins.plugin_utils.addresses import address_key, literal, means_itself
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.inventory.lists import host_address, host_name, shown

# Words that head the two columns of a table.
HEADINGS = ({"name", "names", "host", "hosts", "hostname", "node", "nodename"}, {"address", "addr", "ip", "ipaddress", "ip_address", "ip-address"})
VARIABLE = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)=(.*)\Z", re.DOTALL)
# What Debian and Ubuntu call ip6-localnet. No interface has such an address.
LOCALNET = ipaddress.IPv6Network("fe00::/9")
# Words by which a list tells the ranges of other formats.
RANGE = re.compile(r"\[.*\]")


def parse(text, order="name_first", variables=()):
    """({name: {"address"?, "variables", "aliases"}}, [problem]) of a list; a line with a problem gives no host.

    order: which of name and address comes first
    variables: shell patterns of the variables that a line may set
    """
    hosts, problems, addresses = {}, [], {}
    heading_possible = True
    # Not splitlines(), which also splits at characters that no editor shows as a new line.
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        words = without_remark(line).split()
        if not words:
            continue
        if heading_possible and is_heading(words, order):
            heading_possible = False
            continue
        heading_possible = False
        try:
            found = entry(words, order, variables)
            if found:
                add(hosts, addresses, number, *found)
        except Problem as problem:
            problems.append(f"line {number}: {problem}")
    return {name: host for name, (dummy, host) in hosts.items()}, problems


def further(found, words):
    """{name: host} of the names that are further addresses of hosts in the same list: gpu1-bmc, ib0-gpu1 and gpu1.ipmi of gpu1.

    found: what `parse` gave, of which the aliases count too; words: of management controllers and fast networks, behind which a number may
    stand; <n> stands for one within
    """
    word = "|".join(re.escape(one).replace("<n>", r"\d+") for one in words)
    if not word:
        return {}
    shape = re.compile(rf"(?:(?P<behind>.+)[-_.](?:{word})\d*|(?:{word})\d*[-_.](?P<before>.+))\Z", re.I)
    names, hosts = list(found), {}
    for name, alias in [(name, name) for name in names] + [(name, alias) for name in names for alias in found[name]["aliases"]]:
        hosts.setdefault(alias.partition(".")[0].lower(), name)
    further_names = {}
    for name in names:
        label, dummy, domain = name.partition(".")
        # gpu1-bmc.example.org, and gpu1.bmc.example.org.
        for part in (label, f"{label}.{domain.partition('.')[0]}"):
            match = shape.match(part)
            own = match and (match.group("behind") or match.group("before")).lower()
            if own in hosts and hosts[own] != name:
                further_names[name] = hosts[own]
    return further_names


def without_remark(line):
    """A line up to a number sign that begins a word."""
    return re.split(r"(?:^|\s)#", line, maxsplit=1)[0]


def is_heading(words, order):
    """Whether the words are the headings of the two columns."""
    first, second = HEADINGS if order == "name_first" else HEADINGS[::-1]
    return len(words) >= 2 and words[0].lower() in first and words[1].lower() in second


def entry(words, order, variables):
    """(name, address or "", {variable: text}, [alias]) of one line's words, or None for one that names no host of a fleet. Raises Problem."""
    if re.match(r"\[[^:\]]*\]?\Z", words[0]) and literal(words[0]) is None:
        raise Problem(f"{shown(words[0])}: a group header; a file with groups is an Ansible inventory, name it .ini")
    plain = [word for word in words if not VARIABLE.match(word)]
    if not plain or words[:len(plain)] != plain:
        raise Problem(f"{shown(words[0])}: name and address come first, then name=value")
    values = settings(words[len(plain):], variables)
    if order == "address_first":
        return address_first(plain, values)
    if len(plain) > 2:
        raise Problem(f"{shown(plain[2])}: one word too many; put comments after # and write variables as name=value")
    if len(plain) == 2 and literal(plain[0]) is not None and literal(plain[1]) is None:
        raise Problem(f"{shown(plain[0])}: the address comes first; swap them, or set order to address_first")
    return checked_name(plain[0]), host_address(plain[1]) if len(plain) == 2 else "", values, []


def address_first(plain, values):
    """A line in the order of /etc/hosts, where further names are aliases. What only means the machine itself is no host of the fleet."""
    if len(plain) < 2:
        raise Problem(f"{shown(plain[0])}: the name is missing; write the address and then the name")
    number = literal(plain[0])
    if number is None:
        raise Problem(f"{shown(plain[0])}: not an IP address; write the address and then the name, or set order to name_first")
    if means_itself(plain[0]) or number.is_multicast or number.is_link_local or number in LOCALNET or str(number) == "255.255.255.255":
        return None
    return checked_name(plain[1]), host_address(plain[0]), values, plain[2:]


def checked_name(word):
    """A word as the name of one host. Raises Problem."""
    if RANGE.search(word):
        raise Problem(f"{shown(word)}: ranges are not supported here; write one line per host")
    if "," in word:
        raise Problem(f"{shown(word)}: a comma; separate name and address with spaces")
    if ":" in word and literal(word) is not None:
        raise Problem(f"{shown(word)}: an address without a name; put a name before it")
    return host_name(word)


def settings(words, allowed):
    """{variable: text} of words name=value. Raises Problem."""
    found = {}
    for word in words:
        match = VARIABLE.match(word)
        if not match:
            raise Problem(f"{shown(word)}: not a variable; write name=value, or put # before a comment")
        name, value = match.groups()
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in allowed):
            raise Problem(f"{shown(name)}: this list may not set this variable; add it to the option variables")
        if name in found:
            raise Problem(f"{shown(name)}: set twice; set it once")
        if not value.isprintable() or '"' in value or "'" in value:
            raise Problem(f"{shown(name)}: quotes and special characters are not supported here; write a plain word")
        found[name] = value
    return found


def add(hosts, addresses, number, name, address, values, aliases):
    """Add a host to those found so far. The same line again is no mistake. Raises Problem for lines that contradict each other."""
    host = {"variables": values, "aliases": aliases}
    if address:
        host["address"] = address
    if name in hosts:
        first, known = hosts[name]
        if dict(known, aliases=aliases) != host:
            raise Problem(f"{name}: already in line {first} with different values; keep one of them")
        known["aliases"] += aliases
        return
    key = address_key(address) if address else None
    if key in addresses:
        other, first = addresses[key]
        raise Problem(f"{name}: same address {address} as {other} in line {first}; correct one of them")
    if key:
        addresses[key] = (name, number)
    hosts[name] = (number, host)
