# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Google TPUs: which of Google's PCI functions are one, and how functions make up chips.

On every virtual machine of Google the network card and the disk have the same PCI vendor. A TPU has no driver of its own, or
one from its machine image, or vfio-pci, through which its programs drive it: none of that is a fault.
"""
import os

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import files, pci, pci_boards, states

VENDOR = "google_tpu"
PCI_VENDORS = ("1ae0",)
DRIVER = "vfio-pci"
COMMANDS = ()

GIB = 1024 ** 3
# Ids and memory of a chip after Google's tpu-info, the names after Google's documentation.
MODELS = {"005e": "v4", "0062": "v5p", "0063": "v5e", "006f": "v6e", "0076": "7x"}
MEMORY = {"v2": 16, "v3": 32, "v4": 32, "v5p": 95, "v5e": 16, "v6e": 32, "7x": 192}
# One id for two generations: the subsystem tells them apart.
SHARED = "0027"
SUBSYSTEMS = {"004e": "v2", "004f": "v3"}
# To their programs a chip of these is two devices.
TWO_CORES = ("v2", "v3", "7x")


def generation(function):
    """The generation of a function ('v5e', or '' for one that the subsystem does not tell); None when it is no TPU."""
    if function["device"] == SHARED:
        return SUBSYSTEMS.get(pci_boards.subsystem(function), "")
    return MODELS.get(function["device"])


def name(which):
    """Our name for a chip of a generation."""
    return "Google TPU " + (which or "v2/v3")


def node(function):
    """The node through which programs drive a function that vfio-pci holds ('dev/vfio/3'); None when none is named."""
    group = files.link(os.path.join(function["path"], "iommu_group"))
    return "dev/vfio/" + group if group and group.isdigit() else None


def state(root, functions, chips):
    """The state of a chip by its functions, the first of which may be its only one."""
    if any(one["virtual"] for one in functions):
        return states.VIRTUAL
    if not all(pci.answers(one) for one in functions):
        return states.LOST
    drivers = set(one.get("driver") for one in functions)
    if drivers & set(states.PLACEHOLDERS):
        return states.WRONG_DRIVER
    if drivers == set([DRIVER]):
        paths = [node(one) for one in functions]
        if all(paths):
            return states.by_nodes(root, paths)
        return states.by_number(root, "dev/vfio", r"\d+$", chips)
    # Up to v4; also where nothing says which driver it is.
    return states.by_number(root, "dev", r"accel\d+$", chips)


def find(root, functions):
    """All TPU chips of the host: {devices, loaded, note?}. The functions of one chip share domain, bus and device."""
    groups = {}
    for function in functions:
        if generation(function) is not None:
            groups.setdefault(pci.location(function["address"]), []).append(function)
    devices = []
    for dummy, parts in sorted(groups.items()):
        which = generation(parts[0])
        device = states.described(parts[0], VENDOR, name(which), "tpu")
        device["state"] = state(root, parts, len(groups))
        device.update(states.known(memory_bytes=MEMORY[which] * GIB if which else None))
        devices.append(device)
    two = any(generation(parts[0]) in TWO_CORES for parts in groups.values())
    return states.known(devices=devices, loaded=False, note="a chip counts as one device, although programs see two" if two else None)
