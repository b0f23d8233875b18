# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a file is a program that this host can start, from its first bytes and without starting it.

An ELF file has to be for this machine, whole, and its loader has to be here; a script has to name an interpreter that is here.
"""
import os
import struct

# What the kernel calls a machine, and ELF: (machine, bits, byte order).
MACHINES = {
    "x86_64": (62, 64, "<"), "i386": (3, 32, "<"), "i486": (3, 32, "<"), "i586": (3, 32, "<"), "i686": (3, 32, "<"),
    "aarch64": (183, 64, "<"), "armv6l": (40, 32, "<"), "armv7l": (40, 32, "<"), "armv8l": (40, 32, "<"),
    "ppc64le": (21, 64, "<"), "ppc64": (21, 64, ">"), "s390x": (22, 64, ">"), "riscv64": (243, 64, "<"), "loongarch64": (258, 64, "<"),
}
NAMES = {3: "x86", 62: "x86_64", 40: "ARM", 183: "aarch64", 21: "PowerPC", 20: "PowerPC", 22: "s390", 243: "RISC-V", 258: "LoongArch", 8: "MIPS"}
SYSTEMS = {0: "System V", 3: "Linux"}
KINDS = {1: "an object file", 4: "a core dump"}
OTHERS = ((b"MZ", "a program for Windows"), (b"\xcf\xfa\xed\xfe", "a program for macOS"), (b"\xca\xfe\xba\xbe", "a program for macOS"),
          (b"\xfe\xed\xfa\xcf", "a program for macOS"), (b"\x1f\x8b", "an archive"), (b"PK\x03\x04", "an archive"), (b"\xfd7zXZ", "an archive"))
LOAD, INTERPRETER = 1, 3
HEAD = 4096


def _words(machine, bits, order):
    return "%s, %d bits, %s-endian" % (NAMES.get(machine, "machine %d" % machine), bits, "little" if order == "<" else "big")


def machine_of(head):
    """(machine, bits, byte order) that an ELF file is for, from its first 20 bytes."""
    order = ">" if head[5:6] == b"\x02" else "<"
    return struct.unpack(order + "H", head[18:20])[0], 64 if head[4:5] == b"\x02" else 32, order


def own_machine():
    """The same of this host; where its name is not in the table, of the program that runs here."""
    name = os.uname().machine
    if name not in MACHINES:
        with open("/proc/self/exe", "rb") as stream:
            return machine_of(stream.read(20))
    return MACHINES[name]


def _segments(stream, head, bits, order):
    """[(kind, offset, length)] of an ELF file; ValueError where its table is beyond its end."""
    table = struct.unpack(order + "Q", head[32:40])[0] if bits == 64 else struct.unpack(order + "I", head[28:32])[0]
    size, count = struct.unpack(order + "HH", head[54:58] if bits == 64 else head[42:46])
    stream.seek(table)
    data = stream.read(size * count)
    if size < (56 if bits == 64 else 32) or not count or len(data) != size * count:
        raise ValueError("no program header table")
    found = []
    for number in range(count):
        entry = data[number * size:]
        if bits == 64:
            kind, _flags, offset, _virtual, _physical, length = struct.unpack(order + "IIQQQQ", entry[:40])
        else:
            kind, offset, _virtual, _physical, length = struct.unpack(order + "IIIII", entry[:20])
        found.append((kind, offset, length))
    return found


def _elf_fault(stream, head, size, machine):
    if len(head) < 64:
        return "it is truncated"
    found = machine_of(head)
    if found != machine:
        return "it is for %s, but this host is %s" % (_words(*found), _words(*machine))
    if ord(head[7:8]) not in SYSTEMS:
        return "it is for another operating system"
    kind = struct.unpack(found[2] + "H", head[16:18])[0]
    if kind not in (2, 3):
        return "it is %s" % KINDS.get(kind, "not a program")
    try:
        segments = _segments(stream, head, found[1], found[2])
    except (ValueError, struct.error, OSError, OverflowError):
        return "it is truncated or damaged"
    if any(offset + length > size for kind, offset, length in segments if kind == LOAD):
        return "it is truncated"
    for kind, offset, length in segments:
        if kind == INTERPRETER:
            stream.seek(offset)
            loader = stream.read(min(length, HEAD)).rstrip(b"\0").decode("utf-8", "replace")
            if not os.path.exists(loader):
                return "it needs the loader %s, which this host lacks" % loader
    return ""


def _script_fault(head):
    words = head[2:].split(b"\n", 1)[0].decode("utf-8", "replace").split()
    if not words or not words[0].startswith("/"):
        return "it is a script without an interpreter"
    if not os.access(words[0], os.X_OK):
        return "it is a script for %s, which this host lacks" % words[0]
    return ""


def fault(path, machine=None):
    """Why a file is no program that this host can start; "" if it is one. machine: of the host, else this one's."""
    if not os.path.isfile(path):
        return "it is not a file"
    size = os.path.getsize(path)
    with open(path, "rb") as stream:
        head = stream.read(HEAD)
        if head.startswith(b"\x7fELF"):
            return _elf_fault(stream, head, size, machine or own_machine())
    if head.startswith(b"#!"):
        return _script_fault(head)
    if not size:
        return "it is empty"
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is a web page, not a program; the URL may point to a page about the file, or to an error page"
    for magic, what in OTHERS:
        if head.startswith(magic):
            return "it is %s" % what
    return "it is not a program, neither ELF nor a script that starts with #!"
