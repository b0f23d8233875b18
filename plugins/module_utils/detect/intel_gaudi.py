# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Intel Gaudi (Habana): which PCI functions are one, and what the driver habanalabs makes of them.

/dev/accel/accelN alone says nothing: Intel's, AMD's and Qualcomm's small NPUs have such nodes too.
"""
import os
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import files, pci_boards, states

VENDOR = "intel_gaudi"
PCI_VENDORS = ("1da3",)
DRIVER = "habanalabs"
COMMANDS = ()

MODELS = {"0001": "Habana Goya", "0030": "Habana Greco", "1000": "Intel Gaudi", "1010": "Intel Gaudi", "1020": "Intel Gaudi 2", "1021": "Intel Gaudi 2",
          "1060": "Intel Gaudi 3", "1063": "Intel Gaudi 3 HL-338"}


def model(function):
    """Our name; the vendor has made nothing but accelerators, of which those are listed that a processing class marks."""
    if function["device"] in MODELS:
        return MODELS[function["device"]]
    return "Intel 1da3:" + function["device"] if function.get("class") == "1200" else None


def nodes(root, function, dummy_bound):
    """The state by the node that sysfs names, of the accel class or of the driver's own older class."""
    for folder, pattern, place in (("accel", r"accel\d+$", "dev/accel/"), ("habanalabs", r"hl\d+$", "dev/")):
        for name in files.names(os.path.join(function["path"], folder)):
            if re.match(pattern, name):
                if (status(function, folder, name) or "").lower() == "malfunction":
                    return states.LOST
                return states.by_nodes(root, [place + name])
    return states.NO_DEVICE_NODES


def status(function, folder, name):
    """What the driver says of the device's health, such as 'Operational' or 'Malfunction'; None without."""
    return files.line(os.path.join(function["path"], "status")) or files.line(os.path.join(function["path"], folder, name, "status"))


def about(dummy_root, function):
    """The code name that the driver gives the device."""
    return {"product": pci_boards.word(os.path.join(function["path"], "device_type"))}


def find(root, functions):
    """All Gaudi accelerators of the host, as pci_boards.find() returns them."""
    return pci_boards.find(root, functions, VENDOR, "npu", model, (DRIVER,), (DRIVER,), nodes, about)
