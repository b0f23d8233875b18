# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rebellions ATOM and REBEL: which PCI functions are one. An even id is the card's own function, an odd one a virtual function."""
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import pci_boards, states

VENDOR = "rebellions"
PCI_VENDORS = ("1eff",)
DRIVER = "rebellions"
# The driver's name differs between releases.
DRIVERS = (DRIVER, states.ANY)
MODULES = (DRIVER, "rbln")
COMMANDS = ()

# By the id of the card's own function, which is the virtual function's without its last bit.
MODELS = {"1020": "RBLN-CA2", "1110": "RBLN-CA11", "1120": "RBLN-CA12", "1210": "RBLN-CA21", "1220": "RBLN-CA22", "1250": "RBLN-CA25",
          "2030": "RBLN-CR03", "2130": "RBLN-CR13", "2230": "RBLN-CR23"}


def model(function):
    """Our name; a virtual function is named as one, also inside the virtual machine that has it."""
    number = int(function["device"], 16)
    own = "%04x" % (number & ~1)
    if own not in MODELS and function.get("class") != "1200":
        return None
    return "Rebellions " + MODELS.get(own, "1eff:" + own) + (" VF" if number & 1 else "")


def nodes(root, dummy_function, bound):
    """The state by the nodes /dev/rbln0 and so on, which no file assigns to functions."""
    return states.by_number(root, "dev", r"rbln\d+$", bound)


def note(devices):
    """What differs between cards and devices."""
    return "RBLN-CA25: each NPU on a card counts as a device" if any("RBLN-CA25" in one["model"] for one in devices) else None


def find(root, functions):
    """All Rebellions NPUs of the host, as pci_boards.find() returns them."""
    return pci_boards.find(root, functions, VENDOR, "npu", model, DRIVERS, MODULES, nodes, note=note)
