# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a host that detection reads, as a described machine of the unit tests."""
import glob
import os

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import accelerators, files, pci

# Of a PCI function. Reading these wakes no device and changes nothing; counters of memory errors, which do, are left out.
FUNCTION = ("vendor", "device", "class", "numa_node", "subsystem_vendor", "subsystem_device", "power_state", "power/runtime_status", "driver", "physfn",
            "iommu_group", "product_name", "serial_number", "unique_id", "vbios_version", "mem_info_vram_total", "current_compute_partition", "status",
            "device_type", "drm/renderD*", "drm/card*/lmem_total_bytes", "accel/accel*", "accel/accel*/status", "habanalabs/hl*", "habanalabs/hl*/status",
            "tenstorrent/*/tt_*", "tenstorrent/*")
ELSEWHERE = (
    "proc/driver/nvidia/version", "proc/driver/nvidia/gpus", "proc/driver/nvidia/gpus/*/information", "proc/driver/nvidia/capabilities/gpu*/mig/*",
    "sys/class/kfd/kfd/topology/nodes/*/gpu_id", "sys/class/kfd/kfd/topology/nodes/*/properties",
    "sys/class/rngd_mgmt/*/busname", "sys/class/rngd_mgmt/*/device_*", "sys/class/rngd_mgmt/*/fw_version",
    "proc/device-tree/compatible", "proc/device-tree/model", "proc/device-tree/serial-number", "etc/nv_tegra_release", "sys/bus/platform/devices/*/driver",
    "dev/nvidiactl", "dev/nvidia[0-9]*", "dev/nvhost*", "dev/nvmap", "dev/nvgpu/*/ctrl", "dev/kfd", "dev/dri/renderD*", "dev/accel[0-9]*",
    "dev/accel/accel*", "dev/hl[0-9]*", "dev/vfio/[0-9]*", "dev/tenstorrent/*", "dev/rbln[0-9]*", "dev/npu*", "dev/rngd/*", "dev/neuron[0-9]*")
MODULES = ("nvidia", "nvgpu", "amdgpu", "habanalabs", "i915", "xe", "tenstorrent", "rebellions", "rbln", "furiosa_rngd", "rngd", "furiosa_npu", "furiosa",
           "neuron", "asahi")
CONFIG = 4  # bytes of the configuration, of which a device that is gone leaves ones


def content(path):
    """One file, folder or link as descriptions of machines write it; None for a folder, "" for a device node or what cannot be read."""
    if os.path.islink(path):
        return "-> " + os.readlink(path)
    if os.path.isdir(path):
        return None
    if not os.path.isfile(path):
        return ""
    data = files.raw(path) or b""
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        return hexadecimal(data)


def hexadecimal(data):
    """Bytes as descriptions of machines write them."""
    return "hex:" + "".join("%02x" % one for one in bytearray(data))


def functions(root, facts):
    """The folders of the PCI functions that detection looks at: those of vendors of accelerators, and what their drivers hold besides."""
    wanted = dict((one, getattr(vendor, "is_ours", None)) for vendor in accelerators.VENDORS for one in vendor.PCI_VENDORS)
    others = [one["pci_address"] for one in facts.get("uncounted", ())]
    return [one["path"] for one in pci.functions(root, wanted)] + [os.path.join(root, pci.DEVICES, address) for address in others]


def globbed(root, folders):
    """{path: content} of what the patterns find below root, and below these folders of PCI functions."""
    patterns = [os.path.join(glob.escape(folder), name) for folder in folders for name in FUNCTION]
    patterns += [os.path.join(glob.escape(root), name) for name in ELSEWHERE]
    paths = set(path for pattern in patterns for path in glob.glob(pattern))
    return dict((os.path.relpath(path, root), content(path)) for path in paths)


def modules(root):
    """{path: content} of the drivers that are loaded."""
    found = {}
    for folder in ("sys/module/" + name for name in MODULES if os.path.isdir(os.path.join(root, "sys/module", name))):
        version = files.text(os.path.join(root, folder, "version"))
        found.update({folder + "/version": version + "\n"} if version else {folder: None})
    return found


def tree(root, facts):
    """{path: content} of what detection reads below root. facts: what it found there"""
    folders = functions(root, facts)
    found = dict(globbed(root, folders), **modules(root))
    for folder in folders:
        data = files.raw(os.path.join(folder, "config"), CONFIG)
        if data:
            found[os.path.relpath(os.path.join(folder, "config"), root)] = hexadecimal(data)
    if not folders and pci.visible(root):
        found[os.path.join(pci.DEVICES, files.names(os.path.join(root, pci.DEVICES))[0])] = None
    # By these, detection knows a container that has a share of the driver's list.
    mounts = [line for line in (files.text(os.path.join(root, "proc/self/mounts"), 1 << 20) or "").splitlines() if " /proc/driver/nvidia" in line]
    if mounts:
        found["proc/self/mounts"] = "\n".join(mounts) + "\n"
    return dict((path, text) for path, text in found.items() if text is not None or not any(other.startswith(path + "/") for other in found))


def machine(root, facts, source):
    """A described machine: what detection reads here, and the facts that it made of it. source: where it was recorded"""
    told = tree(root, facts)
    denied = sorted(path for path in told if path.startswith("dev/") and not files.usable(os.path.join(root, path)))
    expected = {"devices": facts["devices"], "summary": facts["summary"]}
    expected.update((key, facts[key]) for key in ("uncounted",) if key in facts)
    return dict({"origin": "recorded", "source": source, "files": told, "expected": expected}, **({"denied": denied} if denied else {}))
