# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Intel's discrete GPUs: Arc, Data Center Flex and Max. Graphics inside a processor are none."""
import os
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import files, pci_boards, states

VENDOR = "intel_gpu"
PCI_VENDORS = ("8086",)
DRIVER = "xe"
DRIVERS = ("xe", "i915")
COMMANDS = ()

CLASSES = ("0300", "0302", "0380", "1200")

# Names after Intel's compute runtime; ids after the kernel's list of discrete parts.
MODELS = {
    "0bd5": "Max 1550", "0bd6": "Max 1550", "0bd7": "Max 1350", "0bd8": "Max 1350", "0bd9": "Max 1100", "0bda": "Max 1100",
    "0bdb": "Max 1100", "0b69": "Max 1450", "0b6e": "Max 1100C",
    "56c0": "Flex 170", "56c1": "Flex 140", "56c2": "Flex 170V",
    "5690": "Arc A770M", "5691": "Arc A730M", "5692": "Arc A550M", "5693": "Arc A370M", "5694": "Arc A350M", "5696": "Arc A570M",
    "5697": "Arc A530M", "56a0": "Arc A770", "56a1": "Arc A750", "56a2": "Arc A580", "56a5": "Arc A380", "56a6": "Arc A310",
    "56b0": "Arc Pro A30M", "56b1": "Arc Pro A40/A50", "56b2": "Arc Pro A60M", "56b3": "Arc Pro A60",
    "e20b": "Arc B580", "e20c": "Arc B570", "e211": "Arc Pro B60", "e212": "Arc Pro B50",
    "4905": "Iris Xe MAX", "4907": "Server GPU SG-18M",
}
# An id that the table lacks is a discrete GPU when it lies in one of the blocks that the kernel's list has for those.
BLOCKS = ((0x0b69, 0x0b6e), (0x0bd0, 0x0be5), (0x4905, 0x4909), (0x5690, 0x56ff), (0x674c, 0x6750), (0xe200, 0xe22f))
TWO_TILES = ("0bd5", "0bd6", "0bd7", "0bd8", "0b69")


def is_ours(device):
    """Whether a device id is a discrete GPU's."""
    return device in MODELS or any(first <= int(device, 16) <= last for first, last in BLOCKS)


def model(function):
    """Our name for a discrete GPU; None for everything else that Intel has on the bus."""
    key = function["device"]
    if function.get("class", CLASSES[0]) not in CLASSES:
        return None
    return "Intel " + MODELS.get(key, "8086:" + key) if is_ours(key) else None


def nodes(root, function, dummy_bound):
    """The state by the render nodes that sysfs names for the function."""
    names = [name for name in files.names(os.path.join(function["path"], "drm")) if re.match(r"renderD\d+$", name)]
    return states.by_nodes(root, ["dev/dri/" + name for name in names]) if names else states.NO_DEVICE_NODES


def about(dummy_root, function):
    """The memory size, from the drivers that tell it. The size of a BAR is none: without resizing it is a window."""
    paths = [os.path.join(function["path"], "mem_info_vram_total")]
    paths += [os.path.join(function["path"], "drm", name, "lmem_total_bytes")
              for name in files.names(os.path.join(function["path"], "drm")) if re.match(r"card\d+$", name)]
    sizes = [size for size in (files.number(path) for path in paths) if size and size > 0]
    return {"memory_bytes": sizes[0] if sizes else None}


def note(devices):
    """What differs between boards and devices."""
    keys = set(one["pci_id"].split(":")[1] for one in devices)
    if keys & set(TWO_TILES):
        return "Max: a board of two tiles counts as one device"
    return "Flex 140: the two GPUs of a board count as two devices" if "56c1" in keys else None


def find(root, functions):
    """All discrete Intel GPUs of the host, as pci_boards.find() returns them."""
    # These drivers are loaded for integrated graphics as well, so without a device they mean nothing.
    return pci_boards.find(root, functions, VENDOR, "gpu", model, DRIVERS, DRIVERS, nodes, about, note, hint=False)
