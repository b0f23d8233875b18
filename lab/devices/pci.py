# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The common part of a simulated PCI function, and the ordinary machine around the accelerators.

A simulated file system is a dict of relative path to content. Content is bytes, str, or a Link.
Paths begin with the part of a lab host's folder that they live in:

``pci/``     shown as /sys/bus/pci/devices
``module/``  shown as /sys/module
``lab/``     shown as /lab, from where the boot script shows proc-driver, class and dev
"""

import collections
import hashlib

Link = collections.namedtuple("Link", "target")

# A device of a lab host. ``files`` is all it shows; ``roots`` are the paths that vanish with it, as a whole.
Device = collections.namedtuple("Device", "address vendor model files roots")


def digits(*seed, length=32):
    """Return hexadecimal digits that are always the same for one seed: a serial number or uuid for a simulated device."""
    return hashlib.sha256("/".join(str(part) for part in seed).encode()).hexdigest()[:length]


def function(address, ids, class_code, driver=None, numa=0, subsystem="0000:0000", link=("32.0 GT/s PCIe", 16)):
    """Return the files of one PCI function.

    ``ids`` and ``subsystem`` are "vvvv:dddd"; ``class_code`` has six digits, as in lspci -nn followed by the interface.
    """
    vendor, device = ids.split(":")
    sub_vendor, sub_device = subsystem.split(":")
    config = bytes.fromhex(vendor)[::-1] + bytes.fromhex(device)[::-1] + b"\x06\x04\x10\x00\xa1" + bytes.fromhex(class_code)[::-1]
    uevent = "PCI_CLASS={}\nPCI_ID={}\nPCI_SUBSYS_ID={}\nPCI_SLOT_NAME={}\n".format(
        class_code.lstrip("0").upper(), ids.upper(), subsystem.upper(), address)
    files = {
        "vendor": "0x%s\n" % vendor,
        "device": "0x%s\n" % device,
        "class": "0x%s\n" % class_code,
        "subsystem_vendor": "0x%s\n" % sub_vendor,
        "subsystem_device": "0x%s\n" % sub_device,
        "revision": "0xa1\n",
        "numa_node": "%d\n" % numa,
        "enable": "%d\n" % (1 if driver else 0),
        "config": config.ljust(64, b"\0"),
        "uevent": ("DRIVER=%s\n" % driver if driver else "") + uevent,
    }
    if link:
        for kind in ("current", "max"):
            files[kind + "_link_speed"] = link[0] + "\n"
            files[kind + "_link_width"] = "%d\n" % link[1]
    if driver:
        files["driver"] = Link("../../../bus/pci/drivers/" + driver)
    return {"pci/%s/%s" % (address, name): content for name, content in files.items()}


def ordinary():
    """Return the devices every server has: bridges, a network card, a disk, and the management controller's display."""
    parts = [
        ("0000:00:00.0", "8086:09a2", "088000", None, None),
        ("0000:00:01.0", "8086:352a", "060400", "pcieport", ("32.0 GT/s PCIe", 16)),
        ("0000:02:00.0", "1a03:2000", "030000", "ast", None),
        ("0000:03:00.0", "144d:a80a", "010802", "nvme", ("16.0 GT/s PCIe", 4)),
        ("0000:29:00.0", "15b3:101d", "020000", "mlx5_core", ("16.0 GT/s PCIe", 16)),
    ]
    devices = []
    for address, ids, class_code, driver, link in parts:
        files = function(address, ids, class_code, driver, link=link)
        roots = ["pci/" + address]
        if driver == "ast":
            # The reason why display card numbers are no device index: the management controller's takes the first.
            files["pci/%s/drm/card0/dev" % address] = "226:0\n"
            files["lab/class/drm/card0/dev"] = "226:0\n"
            files["lab/class/drm/card0/device"] = Link("../../../bus/pci/devices/" + address)
            roots.append("lab/class/drm/card0")
        devices.append(Device(address, "other", ids, files, roots))
    return devices
