"""What is a program of this host. Real: the shell of this machine, and files made from its first bytes."""

import os
import struct
import sys

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.programs import executables as programs

SHELL = os.path.realpath("/bin/sh")


def elf(machine=62, bits=64, order="<", kind=2, system=0, loader=b"", length=None, count=None):
    """The smallest program: its head, its segments, and what they name."""
    wide = bits == 64
    body = 256
    segments = [(1, 0, body + len(loader))] + ([(3, body, len(loader))] if loader else [])
    head = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1, system]) + b"\0" * 8 + struct.pack(order + "HHI", kind, machine, 1)
    number = len(segments) if count is None else count
    if wide:
        head += struct.pack(order + "QQQIHHHHHH", 0, 64, 0, 0, 64, 56, number, 0, 0, 0)
        table = b"".join(struct.pack(order + "IIQQQQQQ", one, 5, offset, 0, 0, size, size, 0) for one, offset, size in segments)
    else:
        head += struct.pack(order + "IIIIHHHHHH", 0, 52, 0, 0, 52, 32, number, 0, 0, 0)
        table = b"".join(struct.pack(order + "IIIIIIII", one, offset, 0, 0, size, size, 5, 0) for one, offset, size in segments)
    data = (head + table).ljust(body, b"\0") + loader
    return data if length is None else data[:length]


@pytest.fixture
def fault(tmp_path):
    def ask(data, machine=(62, 64, "<")):
        path = tmp_path / "program"
        path.write_bytes(data)
        return programs.fault(str(path), machine)
    return ask


def test_what_runs_here_is_a_program():
    for path in (SHELL, os.path.realpath(sys.executable), "/proc/self/exe"):
        assert programs.fault(path) == "", path


@pytest.mark.parametrize("machine,name", [((62, 64, "<"), "x86_64"), ((183, 64, "<"), "aarch64"), ((22, 64, ">"), "s390"), ((40, 32, "<"), "ARM"),
                                          ((3, 32, "<"), "x86"), ((21, 64, "<"), "PowerPC"), ((243, 64, "<"), "RISC-V"), ((21, 64, ">"), "PowerPC")])
def test_of_another_machine_class_or_byte_order(fault, machine, name):
    assert fault(elf(*machine), machine) == ""
    others = [(62, 64, "<"), (62, 32, "<"), (183, 64, "<"), (183, 64, ">"), (21, 64, ">"), (21, 64, "<"), (8, 32, ">")]
    for other in others:
        if other != machine:
            told = fault(elf(*other), machine)
            assert told.startswith("it is for ") and f"but this host is {name}" in told, (other, told)


@pytest.mark.parametrize("data,words", [
    (b"", "it is empty"), (b"<!DOCTYPE html>\n<html>", "a web page"), (b"\n <HTML><body>404", "a web page"), (b"<?xml version='1.0'?><Error/>", "a web page"),
    (b"Not Found\n", "it is not a program"), (b"version https://git-lfs.github.com/spec/v1\n", "it is not a program"), (b"\0" * 5000, "it is not a program"),
    (b"{}", "it is not a program"), (b"MZ\x90", "a program for Windows"), (b"\xcf\xfa\xed\xfe" + b"\0" * 40, "a program for macOS"),
    (b"\x1f\x8b\x08", "an archive"),
    (b"#!/bin/sh\nexit 0\n", ""), (b"#! /bin/sh -e\n", ""), (b"#!/no/such/shell\n", "a script for /no/such/shell, which this host lacks"),
    (b"#!python3\n", "a script without an interpreter"), (b"#!\n", "a script without an interpreter"), (b"\x7fELF", "truncated"), (elf(length=70), "truncated"),
    (elf(length=200), "truncated"), (elf(count=0), "truncated"), (elf(count=60000), "truncated"), (elf(kind=1), "an object file"), (elf(kind=4), "a core dump"),
    (elf(kind=9), "not a program"), (elf(kind=3), ""), (elf(system=3), ""), (elf(system=9), "another operating system"),
    (elf(loader=b"/lib/ld-no-such.so.1\0"), "it needs the loader /lib/ld-no-such.so.1, which this host lacks"), (elf(loader=b"/bin/sh\0"), ""),
])
def test_what_is_one_and_what_is_none(fault, data, words):
    told = fault(data)
    assert (words in told and told) if words else not told


def test_a_directory_is_none(tmp_path):
    assert programs.fault(str(tmp_path)) == "it is not a file"


def test_every_beginning_of_a_program_is_refused_and_nothing_breaks(fault):
    with open(SHELL, "rb") as stream:
        whole = stream.read()
    for length in [*range(1, 200), 1000, len(whole) // 2]:
        assert fault(whole[:length], programs.own_machine()), length
    for place in range(4, 64):
        for value in (0, 1, 127, 255):
            fault(whole[:place] + bytes([value]) + whole[place + 1:], programs.own_machine())
