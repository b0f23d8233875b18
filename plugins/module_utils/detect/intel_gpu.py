# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Intel's discrete GPUs: Arc, Data Center Flex and Max. Graphics inside a processor are none."""
import os
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import files, ids, pci_boards, states

VENDOR = "intel_gpu"
PCI_VENDORS = ("8086",)
DRIVER = "xe"
DRIVERS = ("xe", "i915")
SHOWN = DRIVERS
COMMANDS = ()

TWO_TILES = ("0bd5", "0bd6", "0bd7", "0bd8", "0b69")


def is_ours(device):
    """Whether a device id is a discrete GPU's."""
    return ids.is_accelerator("8086", device, "0300")


def model(function):
    """Our name for a discrete GPU; None for everything else that Intel has on the bus."""
    found = ids.is_accelerator("8086", function["device"], function.get("class", "0300"))
    return ids.model("8086", function["device"]) if found else None


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
        return "Max: a board with two tiles counts as one device"
    return "Flex 140: each of a board's two GPUs counts as a device" if "56c1" in keys else None


def find(root, functions):
    """All discrete Intel GPUs of the host, as pci_boards.find() returns them."""
    # These drivers are loaded for integrated graphics as well, so without a device they mean nothing.
    return pci_boards.find(root, functions, VENDOR, "gpu", model, DRIVERS, DRIVERS, nodes, about, note, hint=False)
