# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors of accelerators in the kernel's log, counted per device and code. Python >= 3.6, standard library only.

The log is read with journalctl, which needs no root and remembers what the kernel's own buffer has overwritten. The collector runs it,
and this file says with which arguments, understands what it prints, and keeps the position: each record counts once, whatever happens to
the journal, the collector or the host in between.
"""

import collections
import json
import re

# How far apart two records of one event are that say the same in different words.
SAME_EVENT = 60 * 1000000  # microseconds
CODES_LIMIT = 32  # codes of a device that the catalogue does not call fatal; any further one counts as OTHER
DEVICES_LIMIT = 128  # devices that ever had an error; records of any further one count without an address
RECORD_LIMIT = 1 << 20  # bytes of one record; journalctl leaves out a message of more than 4 kB
OTHER = "other"
RECENT_LIMIT = 1000  # events that are remembered to know them again in other words

# address: as sysfs spells it, or the name of a device ("hl2"), or ""; code: text
# detail: what tells apart events that have the same code; weak: the record may only repeat in other words what another one says
Event = collections.namedtuple("Event", "vendor address kind code detail weak recovery")


def event(vendor, address, kind, code, detail="", weak=False, recovery=None):
    """An Event with what most have not filled in."""
    return Event(vendor, address, kind, code, detail, weak, recovery)


# --- records --------------------------------------------------------------------------------------------------------

PCI = r"(?:PCI:)?([0-9a-fA-F]{4,8}):([0-9a-fA-F]{2}):([0-9a-fA-F]{2})(?:\.([0-7]))?"
# NVIDIA's lines have no function, and may name a MIG instance after the address.
XID = re.compile(r"NVRM: Xid \(" + PCI + r"[^)]{0,64}\): ?([0-9]{1,5})\b(.*)")
XID_RECOVERY = re.compile(r"recovery action changed from .{0,64} to (?:0x)?([0-9a-fA-F]{1,4})\b")
OFF_THE_BUS = re.compile(r"NVRM: GPU (?:at )?" + PCI + r": GPU has fallen off the bus")
# A message of three lines, in one record or in three. Other messages begin in the same way.
NAMED = re.compile(r"NVRM: The NVIDIA GPU " + PCI)
NAMED_OFF_THE_BUS = re.compile(r"NVRM: fallen off the bus and is not responding")
NOT_INITIALISED = re.compile(r"NVRM: GPU (?:at )?" + PCI + r": RmInitAdapter failed")
# Further lines of an SXid repeat its number before "Severity" or "Data".
SXID = re.compile(r"nvidia-nvswitch[0-9]+: SXid \(" + PCI + r"\): ?([0-9]{1,6}), (?:Fatal|Non-?fatal)\b", re.I)

AMD = re.compile(r"amdgpu " + PCI + r": (?:amdgpu: )?(?:\[drm\] ?)?(?:\*ERROR\* )?(?:\{[0-9]+\} ?)?(.*)")
AMD_NAMELESS = re.compile(r"\[drm:\w+ \[amdgpu\]\] \*ERROR\* (.*)")
RING_TIMEOUT = re.compile(r"ring \S{1,32} timeout(?!, but soft recovered)")
RESET_FAILED = re.compile(r"GPU reset\([0-9]+\) failed")
MES = re.compile(r"MES (?:\([0-9]+\) )?(?:(failed to respond to msg=)|might be in unrecoverable state)")
AMD_INIT = re.compile(r"Fatal error during GPU init")
# Older drivers give the sum ("in" without "new"), newer ones what is new and then the sum ("in total in").
UNCORRECTABLE = re.compile(r"(?:socket: ?[0-9]+,? (?:die: ?[0-9]+,? )?)?([0-9]{1,20}) (new )?"
                           r"uncorrectable hardware errors detected in ((?!total\b)\w{1,32}) block")
ATHUB = re.compile(r"uncorrectable hardware error ?\(ERREVENT_ATHUB_INTERRUPT\) detected")
# What a sleeping device adds to its sum whenever it is asked.
ASLEEP = 1048560
BAD_PAGE = re.compile(r"bad page 0x[0-9a-fA-F]+ reserved successfully")
BAD_PAGE_FAILED = re.compile(r"failed to reserve bad page")
WEDGED = re.compile(r"device wedged, needs recovery")

GAUDI = re.compile(r"habanalabs (?:" + PCI + r"|((?:hl|accel)[0-9]{1,4})): (.*)")
GAUDI_CODES = (
    (re.compile(r"Failed to initialize \S{1,16}\. Device is NOT usable"), "init_failed"),
    (re.compile(r"Failed to reset! Device is NOT usable|Consecutive FW fatal errors received, stopping hard reset"), "reset_failed"),
    (re.compile(r"Failed to communicate with Device CPU"), "cpu_timeout"),
)
XE = re.compile(r"xe " + PCI + r": (.*)")
XE_WEDGED = re.compile(r"Xe has declared device \S{1,32} as wedged")


def address(groups):
    """The address of four groups of PCI, as sysfs spells it."""
    domain, bus, device, function = groups
    return ("%04x:%s:%s.%s" % (int(domain, 16), bus, device, function or "0")).lower()


def nvidia(line, named):
    """The Event of one line of NVIDIA's drivers, or None. named: the address of the last line that only named a device."""
    match = XID.match(line)
    if match:
        where, code, text = address(match.groups()[:4]), str(int(match.group(5))), match.group(6)
        action = XID_RECOVERY.search(text) if code == "154" else None
        return event("nvidia", where, "xid", code, recovery=int(action.group(1), 16) if action else None)
    match = SXID.match(line)
    if match:
        return event("nvidia", address(match.groups()[:4]), "sxid", str(int(match.group(5))))
    match = OFF_THE_BUS.match(line)
    if match or NAMED_OFF_THE_BUS.match(line):
        return event("nvidia", address(match.groups()) if match else named, "xid", "79", weak=True)
    match = NOT_INITIALISED.match(line)
    if match:
        return event("nvidia", address(match.groups()), "kernel", "init_failed")
    return None


def amd(where, text):
    """The Event of what amdgpu says of a device, or None."""
    match = UNCORRECTABLE.match(text)
    if match:
        errors = int(match.group(1))
        if not errors or errors % ASLEEP == 0:
            return None
        return event("amd", where, "ras", "ue", detail=match.group(3).lower(), weak=not match.group(2))
    match = MES.match(text)
    if match:
        return event("amd", where, "kernel", "mes_hang", weak=not match.group(1))
    for pattern, kind, code in (
            (RING_TIMEOUT, "kernel", "ring_timeout"), (RESET_FAILED, "kernel", "reset_failed"), (ATHUB, "ras", "ue"),
            (BAD_PAGE, "ras", "bad_page"), (BAD_PAGE_FAILED, "ras", "bad_page_failed"), (AMD_INIT, "kernel", "init_failed"),
            (WEDGED, "kernel", "wedged")):
        if pattern.match(text):
            return event("amd", where, kind, code)
    return None


def other(line):
    """The Event of one line of another driver, or None."""
    match = AMD.match(line)
    if match:
        return amd(address(match.groups()[:4]), match.group(5))
    match = AMD_NAMELESS.match(line)
    if match:
        return amd("", match.group(1))
    match = GAUDI.match(line)
    if match:
        where = address(match.groups()[:4]) if match.group(1) else match.group(5)
        return next((event("intel_gaudi", where, "kernel", code) for pattern, code in GAUDI_CODES if pattern.search(match.group(6))), None)
    match = XE.match(line)
    if match:
        declared = XE_WEDGED.search(match.group(5))
        if declared or WEDGED.search(match.group(5)):
            return event("intel_gpu", address(match.groups()[:4]), "kernel", "wedged", weak=not declared)
    return None


class Parser:
    """Understands one record after the other; named: the device of a message that goes on in the next record."""

    def __init__(self, named=""):
        self.named = named

    def events(self, message):
        """The Events of a record. Only what the driver itself begins with its name counts, not what others quote of it."""
        found = []
        lines = message.split("\n") if message.startswith(("NVRM:", "nvidia-nvswitch")) else None
        for line in lines or ():
            match = NAMED.match(line)
            if match:
                self.named = address(match.groups())
            found.append(nvidia(line, self.named))
        if lines is None:
            found.append(other(message.partition("\n")[0]))
        return [one for one in found if one]


# --- what journalctl prints -----------------------------------------------------------------------------------------

# The records of drivers, and those whose text journalctl gives as numbers, because a character of it is not printable.
OF_DRIVERS = re.compile(br'"MESSAGE"\s*:\s*(?:\[|"(?:NVRM:|nvidia-nvswitch|amdgpu |\[drm:|habanalabs |xe ))')


def text_of(message):
    """The message of a record as text; '' for none."""
    if isinstance(message, list):
        if all(isinstance(part, int) for part in message):
            return bytes(part & 255 for part in message).decode("utf-8", "replace")
        message = "\n".join(part for part in message if isinstance(part, str))
    return message if isinstance(message, str) else ""


def record_of(line):
    """A line of journalctl as {cursor, boot, monotonic, realtime, message}; None for one that is no record."""
    try:
        fields = json.loads(line.decode("utf-8", "replace"))
        return {"cursor": str(fields["__CURSOR"]), "boot": str(fields["_BOOT_ID"]), "monotonic": int(fields["__MONOTONIC_TIMESTAMP"]),
                "realtime": int(fields["__REALTIME_TIMESTAMP"]), "message": text_of(fields.get("MESSAGE"))}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def arguments(journal, position):
    """Arguments of journalctl: from the last record that was read, or without one, all of this boot."""
    where = ["--directory=" + journal] if journal else []
    since = ["--cursor=" + position["cursor"]] if position else ["--boot"]
    return where + since + ["--quiet", "--no-pager", "--output=json", "--output-fields=MESSAGE", "_TRANSPORT=kernel"]


class Lost(Exception):
    """The journal no longer has the record that was read last."""


class Reading:
    """Takes journalctl's output as it comes, and gives the events of complete records to `found(event, record)`.

    position: the record to continue after, which is the first of the output; None to read all of it
    floor: {boot, monotonic} of a record up to which all of its boot has been read before, or None
    """

    def __init__(self, position, floor, named, found):
        self.position, self.floor, self.parser, self.found = position, floor, Parser(named), found
        self.rest, self.last, self.records, self.expected = b"", b"", 0, bool(position)

    def take(self, data):
        """Read a piece of the output. Raises Lost."""
        lines = (self.rest + data).split(b"\n")
        self.rest = lines.pop()
        if len(self.rest) > RECORD_LIMIT:
            self.rest = b""
        for line in lines:
            if self.expected:
                self.expect(line)
                continue
            self.records += 1
            self.last = line
            if OF_DRIVERS.search(line):
                self.one(line)

    def expect(self, line):
        """The first record has to be the one that was read last."""
        record = record_of(line)
        if not record or record["cursor"] != self.position["cursor"]:
            raise Lost()
        self.expected = False

    def one(self, line):
        """A record that may be a driver's."""
        record = record_of(line)
        if not record or self.floor and record["boot"] == self.floor["boot"] and record["monotonic"] <= self.floor["monotonic"]:
            return
        for one in self.parser.events(record["message"]):
            self.found(one, record)

    def end(self):
        """The position after all that was taken. Raises Lost if there was nothing to continue from."""
        if self.expected:
            raise Lost()
        record = record_of(self.last)
        return {name: record[name] for name in ("cursor", "boot", "monotonic")} if record else self.position


# --- counts ---------------------------------------------------------------------------------------------------------

def fresh():
    """What is remembered between runs.

    position, floor, named: as of Reading and Parser
    devices: {device: {vendor, gpu, uuid, boot}}, where a device is its address, or "" for records that do not say which it was; boot: when its
    driver told the uuid
    counts: {device: {"kind code": {total, at}}}; recovery: {device: {action, boot}}
    recent: {"device kind code detail": [time, weak]} of events that the next records may repeat
    """
    return {"position": None, "floor": None, "named": "", "devices": {}, "counts": {}, "recovery": {}, "recent": {}}


def kept(document):
    """The memory of the state file. Raises ValueError, KeyError, TypeError or AttributeError for anything else."""
    memory = fresh()
    for name, fields in (("position", ("cursor", "boot")), ("floor", ("boot",))):
        if document[name] is not None:
            memory[name] = dict({field: str(document[name][field]) for field in fields}, monotonic=int(document[name]["monotonic"]))
    memory["named"] = str(document["named"])
    for device, labels in document["devices"].items():
        memory["devices"][device] = {name: str(labels[name]) for name in ("vendor", "gpu", "uuid", "boot") if labels.get(name)}
        memory["devices"][device]["vendor"] = str(labels["vendor"])
    for device, codes in document["counts"].items():
        memory["counts"][device] = {"%s %s" % tuple(name.split(" ")): {"total": int(entry["total"]), "at": float(entry["at"])}
                                    for name, entry in codes.items() if memory["devices"][device]}
    for device, entry in document["recovery"].items():
        memory["recovery"][device] = {"action": int(entry["action"]), "boot": str(entry["boot"])}
    for key, (time, weak) in document["recent"].items():
        memory["recent"][key] = [int(time), bool(weak)]
    return memory


def happened(record, boot, now, uptime):
    """When a record was written, in seconds of the clock as it is now.

    Of this boot, that is as long ago as the monotonic clock says, since the other may have been set in between.
    """
    if record["boot"] == boot:
        return now - max(0.0, uptime - record["monotonic"] / 1e6)
    return min(record["realtime"] / 1e6, now)


def repeats(recent, key, one, time):
    """Whether an event is one that another record told in other words. Remembers it."""
    before = recent.get(key)
    near = before is not None and abs(time - before[0]) <= SAME_EVENT
    if before is None and len(recent) >= RECENT_LIMIT:
        recent.clear()
    recent[key] = [time, one.weak and (not near or before[1])]
    return near and (one.weak or before[1])


def count(memory, one, record, device, fatal, at):
    """Count an event of a device.

    fatal: {vendor: names} of codes that always have a series of their own; at: when it happened
    """
    if one.recovery is not None:
        memory["recovery"][device] = {"action": one.recovery, "boot": record["boot"]}
        if not one.recovery:
            return  # the driver asks for nothing any more: not an error, but the end of one
    if repeats(memory["recent"], " ".join((device, one.kind, one.code, one.detail)), one, record["realtime"]):
        return
    if device not in memory["devices"]:
        if len(memory["devices"]) >= DEVICES_LIMIT:
            device = ""
        memory["devices"].setdefault(device, {"vendor": one.vendor})
    codes = memory["counts"].setdefault(device, {})
    name, known = "%s %s" % (one.kind, one.code), fatal.get(one.vendor, ())
    if name not in codes and name not in known and len([code for code in codes if code not in known]) >= CODES_LIMIT:
        name = "%s %s" % (one.kind, OTHER)
    entry = codes.setdefault(name, {"total": 0, "at": 0.0})
    entry["total"] += 1
    entry["at"] = round(at, 3)


def begin_again(memory):
    """The journal has lost the position: begin with this boot, and pass over what was read before."""
    position, floor = memory["position"], memory["floor"]
    if not floor or floor["boot"] != position["boot"] or floor["monotonic"] < position["monotonic"]:
        memory["floor"] = {"boot": position["boot"], "monotonic": position["monotonic"]}


def meet(memory, present):
    """Remember who the devices are that are there now. One that another has replaced takes its counts with it.

    present: {address: {vendor, gpu?, uuid?}}
    """
    for device, labels in present.items():
        before = memory["devices"].get(device, {})
        uuids = {uuid for uuid in (labels.get("uuid"), before.get("uuid")) if uuid and not uuid.startswith("pci-")}
        if len(uuids) > 1:
            memory["counts"].pop(device, None)
            memory["recovery"].pop(device, None)
            before = {}
        labels = {name: value for name, value in labels.items() if not (name == "uuid" and value.startswith("pci-") and before.get("uuid"))}
        memory["devices"][device] = dict(before, **labels)
    memory["devices"] = {device: labels for device, labels in memory["devices"].items() if device in present or device in memory["counts"]}


def series(memory, fatal, boot, now):
    """(family, labels, value) of every device: what was counted, zeros for what never happened and is known to be fatal.

    boot: of the host now, whose devices may still need what the driver asked for; now: what lies after it, the clock did before it was set
    """
    found = []
    for device, labels in sorted(memory["devices"].items()):
        whose = tuple((name, value) for name, value in (("vendor", labels["vendor"]), ("gpu", labels.get("gpu")), ("uuid", labels.get("uuid")),
                                                        ("pci_address", device)) if value)
        counts = memory["counts"].get(device, {})
        for name in sorted(set(counts).union(fatal.get(labels["vendor"], ()) if device else ())):
            code = whose + tuple(zip(("kind", "code"), name.split(" ")))
            found.append(("node_gpu_errors_total", code, float(counts.get(name, {}).get("total", 0))))
            if name in counts:
                counts[name]["at"] = min(counts[name]["at"], round(now, 3))
                found.append(("node_gpu_error_last_timestamp_seconds", code, counts[name]["at"]))
        asked = memory["recovery"].get(device)
        if asked and asked["boot"] == boot:
            found.append(("node_gpu_error_recovery_action", whose, float(asked["action"])))
    return found
