# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all vendors have in common whose accelerators are plain PCI functions: a table of ids, a driver, device nodes."""
import os
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import files, pci, states

_WORDS = re.compile(r"[ -~]+$")
_NOTHING = ("n/a", "na", "none", "unknown", "invalid")


def version(root, modules):
    """The version of the first of these kernel modules that is loaded and has one; None without."""
    for name in modules:
        value = word(os.path.join(root, "sys/module", name, "version"))
        if value:
            return value
    return None


def loaded(root, modules):
    """Whether one of these kernel modules is loaded."""
    return any(os.path.isdir(os.path.join(root, "sys/module", name)) for name in modules)


def word(path):
    """A printable value in a file; None where it says that there is none."""
    value = files.line(path)
    return value if value and value.lower() not in _NOTHING and _WORDS.match(value) else None


def identifier(path):
    """A hexadecimal id in a file, in lower case without 0x; None where all its digits are 0 or f, which means none."""
    found = re.match(r"(?:0x)?([0-9a-fA-F]{4,32})$", files.line(path) or "")
    digits = found.group(1).lower() if found else ""
    return digits if digits.strip("0") and digits.strip("f") else None


def subsystem(function):
    """The four digits of a function's subsystem device id; None without."""
    found = re.match(r"0x([0-9a-fA-F]{4})$", files.line(os.path.join(function["path"], "subsystem_device")) or "")
    return found.group(1).lower() if found else None


def find(root, functions, vendor, kind, model, drivers, modules, nodes, about=None, note=None, hint=True):
    """All accelerators of one vendor: {devices, loaded, driver_version?, note?}.

    model(function)            our name, None for a function that is no accelerator
    drivers, modules           names of the PCI driver and of its kernel module
    nodes(root, function, n)   the state by device nodes of one of n bound functions
    about(root, function)      what the driver tells of a function that it holds
    note(devices)              what to know of the devices as a whole, or None
    hint                       whether the loaded module without any device is worth a word
    """
    there = loaded(root, modules)
    release = version(root, modules)
    named = [(one, model(one)) for one in functions]
    named = [(one, name) for one, name in named if name]
    bound = sum(1 for one, dummy in named if not one["virtual"] and states.is_expected(one.get("driver"), drivers))
    devices = []
    for function, name in named:
        device = states.described(function, vendor, name, kind)
        state = states.by_driver(function, drivers, there)
        held = state is None
        if state not in states.LEFT_OUT and not pci.answers(function):
            state = states.LOST
        elif held:
            state = nodes(root, function, bound)
        device["state"] = state
        if held:
            device.update(states.known(driver_version=release))
            if about and state != states.LOST:
                device.update(states.known(**about(root, function)))
        devices.append(device)
    return states.known(devices=devices, loaded=there and hint, driver_version=release, note=note(devices) if note and devices else None)
