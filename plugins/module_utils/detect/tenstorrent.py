# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tenstorrent: which PCI functions are one, and what the driver tenstorrent makes of them.

An n300 has two chips and one PCI function; its second chip is reached through the first.
"""
import os
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import files, pci_boards, states

VENDOR = "tenstorrent"
PCI_VENDORS = ("1e52",)
DRIVER = "tenstorrent"
COMMANDS = ()

MODELS = {"faca": "Grayskull", "401e": "Wormhole", "b140": "Blackhole"}
# The boards of a chip, by subsystem.
BOARDS = {("faca", "0003"): "e150", ("faca", "0007"): "e75", ("faca", "000a"): "e300", ("401e", "0014"): "n300",
          ("401e", "0018"): "n150", ("b140", "0040"): "p150a", ("b140", "0041"): "p150b", ("b140", "0043"): "p100a"}


def board(function):
    """The name of the board ('n300'); None for one that is not in our table."""
    return BOARDS.get((function["device"], pci_boards.subsystem(function)))


def model(function):
    """Our name: the board's, else the chip's, else the ids."""
    if function["device"] in MODELS:
        return "Tenstorrent " + (board(function) or MODELS[function["device"]])
    return "Tenstorrent 1e52:" + function["device"] if function.get("class") == "1200" else None


def entry(function):
    """The driver's own entry for a function: (its folder, its number); (None, None) without."""
    for name in files.names(os.path.join(function["path"], DRIVER)):
        # '!' stands for the '/' in the name of the node, tenstorrent/0.
        found = re.match(r"tenstorrent!(\d+)$", name)
        if found:
            return os.path.join(function["path"], DRIVER, name), found.group(1)
    return None, None


def nodes(root, function, bound):
    """The state by the node that sysfs names."""
    dummy, number = entry(function)
    if number is None:
        return states.by_number(root, "dev/tenstorrent", r"\d+$", bound)
    return states.by_nodes(root, ["dev/tenstorrent/" + number])


def about(dummy_root, function):
    """What the firmware tells through the driver. An attribute is there only if the firmware has it."""
    folder = entry(function)[0]
    chips = 2 if board(function) == "n300" else None
    if not folder:
        return {"chips": chips}
    return {"chips": chips, "product": pci_boards.word(os.path.join(folder, "tt_card_type")),
            "uuid": pci_boards.identifier(os.path.join(folder, "tt_asic_id")),
            "serial": pci_boards.identifier(os.path.join(folder, "tt_serial")),
            "vbios": pci_boards.word(os.path.join(folder, "tt_fw_bundle_ver"))}


def note(devices):
    """What differs between boards, chips and devices."""
    return "n300: a board with two chips counts as one device" if any(one["model"].endswith(" n300") for one in devices) else None


def find(root, functions):
    """All Tenstorrent boards of the host, as pci_boards.find() returns them."""
    return pci_boards.find(root, functions, VENDOR, "npu", model, (DRIVER,), (DRIVER,), nodes, about, note)
