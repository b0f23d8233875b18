# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""AWS Inferentia and Trainium: which of Amazon's PCI functions are one. Its network cards and disks have the same PCI vendor."""
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import pci_boards, states

VENDOR = "aws_neuron"
PCI_VENDORS = ("1d0f",)
DRIVER = "neuron"
DRIVERS = (DRIVER, "neuron-driver")
COMMANDS = ()

MODELS = {"7064": "Inferentia", "7164": "Trainium", "7264": "Inferentia2", "7364": "Trainium2", "7564": "Trainium3", "7565": "Trainium3"}


def model(function):
    """Our name; None for everything else of Amazon's, also for ids that we do not know: most of them are no accelerators."""
    return "AWS " + MODELS[function["device"]] if function["device"] in MODELS else None


def nodes(root, dummy_function, bound):
    """The state by the nodes /dev/neuron0 and so on, which no file assigns to functions."""
    return states.by_number(root, "dev", r"neuron\d+$", bound)


def find(root, functions):
    """All Neuron devices of the host, as pci_boards.find() returns them."""
    return pci_boards.find(root, functions, VENDOR, "npu", model, DRIVERS, (DRIVER,), nodes)
