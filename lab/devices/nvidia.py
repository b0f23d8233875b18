# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated NVIDIA accelerators: PCI functions, the driver's /proc and /sys files, device nodes, and nvidia-smi's answers.

Derived from documentation, not recorded from hardware.
"""

import json

from . import pci

DRIVER = "nvidia"
DRIVER_VERSION = "550.90.07"

MODELS = {
    "h100-sxm5": {
        "ids": "10de:2330", "subsystem": "10de:16c1", "name": "NVIDIA H100 80GB HBM3", "memory_mib": 81559, "power_limit": 700.0,
        "vbios": "96.00.74.00.01", "compute_cap": "9.0", "max_sm": 1980, "max_memory_clock": 2619, "architecture": "hopper",
        "memory_temperature": True, "mig": True, "fan": False, "switches": True, "links": 18,
    },
    "l40s": {
        "ids": "10de:26b9", "subsystem": "10de:1851", "name": "NVIDIA L40S", "memory_mib": 46068, "power_limit": 350.0,
        "vbios": "95.02.66.00.02", "compute_cap": "8.9", "max_sm": 2520, "max_memory_clock": 9001, "architecture": "ada",
        "memory_temperature": False, "mig": False, "fan": False, "switches": False, "links": 0,
    },
}

BUSES = ("1b", "43", "52", "61", "9d", "c3", "d1", "df")
SWITCH_BUSES = ("05", "06", "07", "08")


def devices(host, model, count, driver=DRIVER):
    """Return ``count`` accelerators of one model, plus the NVLink switches that sit beside eight of the SXM kind.

    ``driver`` is the bound driver, or None when no driver is installed.
    """
    facts = MODELS[model]
    found = []
    for minor in range(count):
        address = "0000:%s:00.0" % BUSES[minor]
        numa = 0 if minor < 4 else 1
        files = pci.function(address, facts["ids"], "030200", driver, numa, facts["subsystem"])
        roots = ["pci/" + address]
        if driver == DRIVER:
            uuid = uuid_of(host, address)
            folder = "lab/proc-driver/nvidia/gpus/" + address
            files[folder + "/information"] = information(facts, address, uuid, minor)
            files["lab/nvidia/%s.json" % address] = json.dumps(dict(facts, uuid=uuid, minor=minor, serial=serial_of(host, address)), indent=1)
            files["lab/dev/nvidia%d" % minor] = "0666 root\n"
            roots += [folder, "lab/nvidia/%s.json" % address, "lab/dev/nvidia%d" % minor]
        found.append(pci.Device(address, "nvidia", model, files, roots))
    if facts["switches"] and count == 8:
        for bus in SWITCH_BUSES:
            address = "0000:%s:00.0" % bus
            files = pci.function(address, "10de:22a3", "068000", "nvidia-nvswitch" if driver == DRIVER else None, 0, "10de:1796")
            found.append(pci.Device(address, "nvidia", "nvswitch", files, ["pci/" + address]))
    return found


def host_files(driver=DRIVER):
    """Return what the loaded driver shows whether or not it found a device."""
    if driver != DRIVER:
        return {}
    return {
        "module/nvidia/version": DRIVER_VERSION + "\n",
        "module/nvidia/initstate": "live\n",
        "module/nvidia/refcnt": "16\n",
        "module/nvidia_uvm/initstate": "live\n",
        "lab/proc-driver/nvidia/version": (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  %s  Fri May 31 09:35:42 UTC 2024\n"
            "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n" % DRIVER_VERSION),
        "lab/nvidia/driver_version": DRIVER_VERSION + "\n",
        "lab/dev/nvidiactl": "0666 root\n",
        "lab/dev/nvidia-uvm": "0666 root\n",
    }


def uuid_of(host, address):
    """Return the device's uuid in the driver's form."""
    text = pci.digits("nvidia", host, address)
    return "GPU-%s-%s-%s-%s-%s" % (text[:8], text[8:12], text[12:16], text[16:20], text[20:32])


def serial_of(host, address):
    """Return a board serial of 13 decimal digits."""
    return "165%010d" % (int(pci.digits("serial", host, address), 16) % 10 ** 10)


def information(facts, address, uuid, minor):
    """Return the text of /proc/driver/nvidia/gpus/ADDRESS/information."""
    lines = [
        ("Model:", facts["name"]), ("IRQ:", str(200 + minor)), ("GPU UUID:", uuid), ("Video BIOS:", facts["vbios"]), ("Bus Type:", "PCIe"),
        ("DMA Size:", "52 bits"), ("DMA Mask:", "0xfffffffffffff"), ("Bus Location:", address), ("Device Minor:", str(minor)),
        ("GPU Firmware:", DRIVER_VERSION), ("GPU Excluded:", "No"),
    ]
    return "".join("%s\t %s\n" % (key.ljust(12), value) for key, value in lines)
