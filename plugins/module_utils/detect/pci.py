# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The PCI functions of this host, from sysfs."""
import os
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import files

DEVICES = "sys/bus/pci/devices"
ADDRESS = re.compile(r"(?:([0-9a-fA-F]{1,8}):)?([0-9a-fA-F]{1,2}):([0-9a-fA-F]{1,2})\.([0-7])$")
ID = re.compile(r"0x([0-9a-fA-F]{4})$")
CLASS = re.compile(r"0x([0-9a-fA-F]{4})[0-9a-fA-F]{2}$")
ASLEEP = ("suspended", "suspending", "resuming")
GONE = b"\xff\xff\xff\xff"


def normal_address(value):
    """A PCI address as sysfs writes it, or None: '00000000:1B:00.0' -> '0000:1b:00.0', '10000:01:00.0' stays."""
    found = ADDRESS.match(value.strip())
    if not found:
        return None
    domain, bus, device, function = (int(part or "0", 16) for part in found.groups())
    return "%04x:%02x:%02x.%x" % (domain, bus, device, function) if device < 32 else None


def location(address):
    """(domain, bus * 32 + device) of a normal address: what the functions of one device share."""
    domain, bus, rest = address.split(":")
    return int(domain, 16), int(bus, 16) * 32 + int(rest.split(".")[0], 16)


def _part(pattern, path):
    """The hexadecimal digits that `pattern` finds in a one-line file, lower case; None without a match."""
    found = pattern.match(files.line(path) or "")
    return found.group(1).lower() if found else None


def functions(root, vendors):
    """The PCI functions of the given vendors, in order of their address.

    vendors: {'10de': None, '8086': function of a device id that tells which to read}: most of a server is its processor's maker's
    Each is {address, path, vendor, device, class?, driver?, virtual, numa_node?}: `class` holds the first four digits
    ('0302'), `driver` the bound driver, `virtual` says whether it is a virtual function of a device in this host.
    A function that vanishes while it is read is left out.
    """
    found = []
    for name in files.names(os.path.join(root, DEVICES)):
        address = normal_address(name)
        path = os.path.join(root, DEVICES, name)
        vendor = _part(ID, os.path.join(path, "vendor")) if address else None
        if vendor not in vendors:
            continue
        device = _part(ID, os.path.join(path, "device"))
        if not device or vendors[vendor] and not vendors[vendor](device):
            continue
        function = {"address": address, "path": path, "vendor": vendor, "device": device,
                    "virtual": os.path.islink(os.path.join(path, "physfn"))}
        for key, value in (("class", _part(CLASS, os.path.join(path, "class"))),
                           ("driver", files.link(os.path.join(path, "driver"))),
                           ("numa_node", files.number(os.path.join(path, "numa_node")))):
            if value is not None and value != -1:  # numa_node is -1 where the firmware names none
                function[key] = value
        found.append(function)
    return sorted(found, key=lambda one: [int(part, 16) for part in re.split("[:.]", one["address"])])


def held(root, drivers):
    """[(address, driver)] of the functions that one of the drivers holds, whoever made them."""
    found = [(normal_address(name), files.link(os.path.join(root, DEVICES, name, "driver"))) for name in files.names(os.path.join(root, DEVICES))]
    return sorted((address, driver) for address, driver in found if address and driver in drivers)


def visible(root):
    """Whether sysfs shows any PCI function. Some sandboxes show none though devices are there."""
    return bool(files.names(os.path.join(root, DEVICES)))


def asleep(function):
    """Whether the kernel has put the device to sleep, or is about to, or to wake it: whatever asks it now may wake it."""
    return files.line(os.path.join(function["path"], "power/runtime_status")) in ASLEEP


def off(function):
    """Whether the device has no power at all: somebody switched it off, where no driver holds it."""
    return files.line(os.path.join(function["path"], "power_state")) == "D3cold"


def answers(function):
    """Whether the device still answers on the bus: one that fell off reads as all ones.

    Virtual functions read so by design and a sleeping device would have to be woken: both count as answering.
    """
    if function["virtual"] or asleep(function):
        return True
    return files.raw(os.path.join(function["path"], "config"), len(GONE)) != GONE
