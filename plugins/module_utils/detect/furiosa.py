# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Furiosa RNGD and Warboy: which PCI functions are one, and what the driver's own class tells of an RNGD."""
import os
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import files, pci, pci_boards, states

VENDOR = "furiosa"
PCI_VENDORS = ("1ed2",)
DRIVER = "furiosa_rngd"
# The driver's name differs between products and releases.
DRIVERS = (DRIVER, states.ANY)
MODULES = (DRIVER, "rngd", "furiosa_npu", "furiosa")
COMMANDS = ()
CLASS = "sys/class/rngd_mgmt"

MODELS = {"0000": "Warboy", "0001": "RNGD", "0002": "RNGD-Plus", "2222": "RNGD-S"}


def model(function):
    """Our name; the ids that we do not know are told from other functions by their class."""
    if function["device"] in MODELS:
        return "Furiosa " + MODELS[function["device"]]
    return "Furiosa 1ed2:" + function["device"] if function.get("class") == "1200" else None


def entry(root, function):
    """The driver's own entry for a function: (its folder, its number); (None, None) without."""
    for name in files.names(os.path.join(root, CLASS)):
        # '!' stands for the '/' in the name of the node, rngd/npu0mgmt.
        found = re.match(r"rngd!npu(\d+)mgmt$", name)
        folder = os.path.join(root, CLASS, name)
        if found and pci.normal_address(files.line(os.path.join(folder, "busname")) or "") == function["address"]:
            return folder, found.group(1)
    return None, None


def nodes(root, function, bound):
    """The state by the node that the driver's entry names; without an entry there must be as many nodes as cards."""
    if function["device"] == "0000":
        return states.by_number(root, "dev", r"npu\d+(_mgmt)?$", bound)
    dummy, number = entry(root, function)
    if number is None:
        return states.by_number(root, "dev/rngd", r"npu\d+mgmt$", bound)
    return states.by_nodes(root, ["dev/rngd/npu%smgmt" % number])


def about(root, function):
    """What the driver tells of a card."""
    folder = entry(root, function)[0]
    if not folder:
        return {}
    firmware = pci_boards.word(os.path.join(folder, "fw_version")) or ""
    return {"uuid": pci_boards.word(os.path.join(folder, "device_uuid")), "serial": pci_boards.word(os.path.join(folder, "device_sn")),
            "vbios": firmware.partition(",")[0].strip() or None}


def find(root, functions):
    """All Furiosa NPUs of the host, as pci_boards.find() returns them."""
    return pci_boards.find(root, functions, VENDOR, "npu", model, DRIVERS, MODULES, nodes, about)
