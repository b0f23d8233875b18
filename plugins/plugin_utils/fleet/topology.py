# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""For topology.yml: what hosts tell about how their devices are connected, and what differs from their peers. Pure functions.

Peers are hosts with the same number of devices of the same models. What more than half of those that know a reading have in common is
usual. A difference is {host, places, what, value, usual, meaning, line}.
"""
import collections
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.verdict import aligned
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import facts

MOST_PLACES = 128
UNKNOWN = "?"
# Ways over PCI, from the shortest to the longest.
WAYS = ("PIX", "PXB", "PHB", "NODE", "SYS")

CELL = facts.matching(re.compile(rf"X|\?|{'|'.join(WAYS)}"), "not a word for a way over PCI")
LINK = facts.matching(re.compile(r"|\?|XGMI|NV[0-9]{1,2}"), "not a link")
ADDRESS = facts.matching(re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]"), "not a PCI address")
KIND = facts.matching(re.compile("device|nic"), "neither device nor nic")

PLACE = facts.fields(
    ("name", "kind", "pci_address"),
    name=facts.word, kind=KIND, pci_address=ADDRESS, vendor=facts.vendor, model=facts.text, numa_node=facts.number(2 ** 16), lanes=facts.number(32),
    generation=facts.number(16))
NEEDED = ("places", "paths", "links", "numa_nodes", "tools")
SCHEMA = facts.fields(
    NEEDED, places=facts.list_of(PLACE, MOST_PLACES), paths=facts.list_of(facts.list_of(CELL, MOST_PLACES), MOST_PLACES),
    links=facts.list_of(facts.list_of(LINK, MOST_PLACES), MOST_PLACES), numa_nodes=facts.number(2 ** 16), tools=facts.map_of(facts.vendor, facts.word))

READINGS = {
    "numa_node": ("NUMA node", "data to and from the other node crosses the link between processors; check which slot it is in"),
    "lanes": ("lanes", {True: "it is in a narrower slot, or a riser or port on the way is narrower",
                        False: "it is in a wider slot than elsewhere"}),
    "generation": ("PCIe generation", {True: "a slot, riser or BIOS setting on the way limits the speed", False: "its slot is faster than elsewhere"}),
    "nics": ("network adapters", {True: "an adapter is missing", False: "it has an adapter more"}),
    "numa_nodes": ("NUMA nodes", "BIOS settings differ (such as NPS, SNC or node interleaving)"),
    "path": ("path", {True: "a longer way; check which slots they are in, and ACS and IOMMU settings", False: "a shorter way than elsewhere"}),
    "links": ("links", "a link is down, or a bridge is missing or another one"),
}


def read(told):
    """What a host told, in the shape that the module documents. Raises facts.Untrusted."""
    found = facts.checked("topology", SCHEMA, told)
    number = len(found["places"])
    for name in ("paths", "links"):
        if [len(row) for row in found[name]] != [number] * number:
            raise facts.Untrusted(f"facts: topology.{name}: not a square of {number} places; {facts.FIX}")
    if len({place["name"] for place in found["places"]}) < number:
        raise facts.Untrusted(f"facts: topology.places: two places have the same name; {facts.FIX}")
    return found


def accelerators(seen):
    """What makes hosts peers: [(model, number)]."""
    counts = collections.Counter(place.get("model", place["name"]) for place in seen["places"] if place["kind"] == "device")
    return tuple(sorted(counts.items()))


def called(peers):
    """The same as text."""
    return ", ".join(f"{number} x {model}" for model, number in peers) or "no devices"


def positions(seen):
    """What is compared with what on other hosts, for each place: devices by their number, adapters by their order."""
    nics = iter(range(MOST_PLACES))
    return [place["name"] if place["kind"] == "device" else f"nic{next(nics)}" for place in seen["places"]]


def readings(seen):
    """{(reading, position...): value} of what is known of one host."""
    names, places = positions(seen), seen["places"]
    found = {("nics",): sum(place["kind"] == "nic" for place in places), ("numa_nodes",): seen["numa_nodes"]}
    for name, place in zip(names, places):
        found.update({(reading, name): place[reading] for reading in ("numa_node", "lanes", "generation") if reading in place})
    for reading, rows in (("path", seen["paths"]), ("links", seen["links"])):
        for row, one in enumerate(names):
            for column in range(row + 1, len(names)):
                if rows[row][column] != UNKNOWN:
                    found[reading, one, names[column]] = rows[row][column]
    return found


def usual(several):
    """({key: value that more than half have}, {keys without such a value}) of the readings of several hosts."""
    values = collections.defaultdict(collections.Counter)
    for one in several:
        for key, value in one.items():
            values[key][value] += 1
    common, split = {}, set()
    for key, counts in values.items():
        value, number = counts.most_common(1)[0]
        if 2 * number > sum(counts.values()):
            common[key] = value
        else:
            split.add(key)
    return common, split


def is_worse(reading, value, common):
    """Whether a value is the lesser one, for those readings that have an order."""
    return WAYS.index(value) > WAYS.index(common) if reading == "path" else value < common


def difference(host, seen, reading, places, value, common):
    """One difference. places: positions, the first of which has it with each of the others"""
    names = {position: (place["name"], place["pci_address"]) for position, place in zip(positions(seen), seen["places"])}
    title, meaning = READINGS[reading]
    if isinstance(meaning, dict):
        meaning = meaning[is_worse(reading, value, common)]
    shown = [names[place][0] for place in places]
    where = f"{shown[0]} ({names[places[0]][1]})" + (f" to {', '.join(shown[1:])}" if shown[1:] else "") + ": " if shown else ""
    line = f"{host}: {where}{title} = {value if value != '' else 'none'}, usually {common if common != '' else 'none'}; {meaning}"
    return {"host": host, "places": shown, "what": reading, "value": value, "usual": common, "meaning": meaning, "line": line}


def odd_readings(seen, common):
    """{key: (value, usual value)} of what differs on one host from what is usual, without the ways of a device that is at another NUMA node."""
    odd = {key: (value, common[key]) for key, value in readings(seen).items() if key in common and value != common[key]}
    if ("nics",) in odd:  # those after the missing one are at other positions
        odd = {key: values for key, values in odd.items() if not any(position.startswith("nic") for position in key[1:])}
    moved = {key[1] for key in odd if key[0] == "numa_node"}
    return {key: values for key, values in odd.items() if key[0] != "path" or not moved.intersection(key[1:])}


def by_place(pairs):
    """[(reading, value, usual value, [place, those of its pairs])] of the differences of pairs: a row for each place, the one with most of them first."""
    rows = []
    while pairs:
        ends = collections.Counter(((key[0], *values), end) for key, values in pairs.items() for end in key[1:])
        (kind, centre), _number = max(ends.items(), key=lambda item: item[1])
        there = [key for key, values in pairs.items() if (key[0], *values) == kind and centre in key[1:]]
        rows.append((*kind, [centre] + [end for key in there for end in key[1:] if end != centre]))
        pairs = {key: values for key, values in pairs.items() if key not in there}
    return rows


def differences(host, seen, common):
    """What differs on one host from what is usual: first of the host, then of places, then of pairs of places that this does not explain."""
    odd = odd_readings(seen, common)
    found = [difference(host, seen, key[0], key[1:], *values) for key, values in odd.items() if len(key) < 3]
    pairs = by_place({key: values for key, values in odd.items() if len(key) == 3})
    return found + [difference(host, seen, reading, places, value, other) for reading, value, other, places in pairs]


def table(seen):
    """Lines of the matrix of one host: a link where there is one, otherwise the way."""
    places = seen["places"]
    names = [place["name"] for place in places]
    rows = [["", *names, "NUMA", "slot"]]
    for number, place in enumerate(places):
        slot = [f"gen{place['generation']}" if "generation" in place else "", f"x{place['lanes']}" if "lanes" in place else ""]
        links = [link if link not in ("", UNKNOWN) else way for link, way in zip(seen["links"][number], seen["paths"][number])]
        rows.append([names[number], *links, str(place.get("numa_node", UNKNOWN)), " ".join(filter(None, slot)) or UNKNOWN])
    return aligned(rows).split("\n")


def notes(host, seen):
    """What a host could not tell."""
    found = [f"{host}: no links of {vendor}: its tool is {status}" for vendor, status in sorted(seen["tools"].items()) if status not in ("ok", "skipped")]
    found += [f"{host}: links of {vendor} were not read, as a device sleeps or in check mode" for vendor, status in sorted(seen["tools"].items())
              if status == "skipped"]
    if any(UNKNOWN in row for row in seen["paths"]):
        found.append(f"{host}: some paths are unknown, as sysfs does not show its PCI bridges or NUMA nodes")
    return found


def report(told, unanswered):
    """{document: {hosts: {host: what it told, with its differences}, notes: [...]}, lines: [...]}.

    told: {host: what it told}; unanswered: {host: {what, value, fix}}
    """
    hosts, complaints = {}, [f"{host}: {why['what']} = {why['value']}; {why['fix']}" for host, why in unanswered.items()]
    for host, one in told.items():
        try:
            hosts[host] = read(one)
        except facts.Untrusted as problem:
            complaints.append(f"{host}: {problem}")
    groups = collections.defaultdict(list)
    for host, seen in hosts.items():
        groups[accelerators(seen)].append(host)
    lines, odd = [], []
    for peers, members in sorted(groups.items()):
        common, split = usual([readings(hosts[host]) for host in members])
        alike = collections.defaultdict(list)
        for host in members:
            hosts[host]["differences"] = differences(host, hosts[host], common)
            odd += hosts[host]["differences"]
            complaints += notes(host, hosts[host])
            alike["\n".join(table(hosts[host]))].append(host)
        if split:
            complaints.append(f"{', '.join(members)}: no value has a majority in {len(split)} readings, which are not compared")
        for text, same in sorted(alike.items(), key=lambda item: -len(item[1])):
            lines += [f"{', '.join(same)}: {called(peers)}", *text.split("\n"), ""]
    lines += [one["line"] for one in odd] or (["no differences"] if hosts else [])
    return {"document": {"hosts": hosts, "notes": complaints}, "lines": lines + [f"note: {note}" for note in complaints]}
