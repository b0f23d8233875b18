# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The GPU inside an NVIDIA Tegra (Jetson), which is no PCI function: the device tree tells of it.

Thor's GPU is a PCI function and none of this module's; so is a card in a Tegra machine.
"""
import os
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import files, states

TREE = "proc/device-tree"
PLATFORM = "sys/bus/platform/devices"
MODULE = "nvgpu"

# Systems on a chip whose own GPU lies on the platform bus, newest first: one machine may name several.
CHIPS = (("tegra239", "T239"), ("tegra234", "Jetson Orin"), ("tegra194", "Jetson Xavier"), ("tegra186", "Jetson TX2"),
         ("tegra210", "Jetson Nano/TX1"), ("tegra124", "Jetson TK1"))
# Compute modules by part number, of which the longest that fits counts.
MODULES = {
    "p3701": "Jetson AGX Orin", "p3767": "Jetson Orin NX/Nano", "p3767-0000": "Jetson Orin NX 16GB", "p3767-0001": "Jetson Orin NX 8GB",
    "p3767-0003": "Jetson Orin Nano 8GB", "p3767-0004": "Jetson Orin Nano 4GB", "p3767-0005": "Jetson Orin Nano 8GB",
    "p2888": "Jetson AGX Xavier", "p3668": "Jetson Xavier NX", "p3310": "Jetson TX2", "p3489": "Jetson TX2", "p3448": "Jetson Nano",
    "p2180": "Jetson TX1",
}
_GPU = re.compile(r"[0-9a-f]+\.(gpu|ga10b|gv11b|gp10b|gm20b|gk20a)$")
NODES = ("nvhost-gpu", "nvhost-ctrl-gpu", "nvgpu/igpu0/ctrl", "nvmap")


def compatible(root):
    """The words of the machine's device tree ('nvidia,tegra234'); [] without one."""
    return (files.text(os.path.join(root, TREE, "compatible"), 4096) or "").split("\0")


def model(words):
    """Our name for the GPU of a machine with these words, None when they name no such chip."""
    chips = [name for chip, name in CHIPS if "nvidia," + chip in words]
    if not chips:
        return None
    parts = [part for word in words for part in re.findall(r"p\d{4}(?:-\d{4})?", word)]
    known = [MODULES[one] for part in parts for one in (part, part[:5]) if one in MODULES]
    exact = [MODULES[part] for part in parts if "-" in part and part in MODULES]
    return "NVIDIA " + (exact + known + chips)[0]


def release(root):
    """The release of NVIDIA's Linux for Tegra ('36.4.0'), or None."""
    found = re.match(r"# R(\d+) \(release\), REVISION: (\d+(?:\.\d+)*)", files.text(os.path.join(root, "etc/nv_tegra_release"), 4096) or "")
    return "%s.%s" % found.groups() if found else None


def driver(root):
    """The driver bound to the GPU, by the platform bus; None without."""
    for name in files.names(os.path.join(root, PLATFORM)):
        if _GPU.match(name):
            return files.link(os.path.join(root, PLATFORM, name, "driver"))
    return None


def state(root, bound, others):
    """The state of the GPU. Where a card does its work, it is switched off and stays so."""
    if bound == "nouveau":
        return states.WRONG_DRIVER
    if not bound and not os.path.isdir(os.path.join(root, "sys/module", MODULE)):
        return states.EXCLUDED if others else states.DRIVER_MISSING
    there = ["dev/" + name for name in NODES if os.path.exists(os.path.join(root, "dev", name))]
    # nvmap serves more than the GPU, so alone it is not enough.
    return states.by_nodes(root, there) if [one for one in there if one != "dev/nvmap"] else states.NO_DEVICE_NODES


def find(root, others):
    """The Tegra's own GPU as a list of one device, or []. others: whether there is a GPU on PCI."""
    words = compatible(root)
    name = model(words)
    if not name:
        return []
    bound = driver(root)
    device = {"vendor": "nvidia", "model": name, "kind": "gpu", "state": state(root, bound, others)}
    device.update(states.known(driver=bound, driver_version=release(root), product=files.line(os.path.join(root, TREE, "model")),
                               serial=files.line(os.path.join(root, TREE, "serial-number"))))
    return [device]
