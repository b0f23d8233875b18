# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated Intel Gaudi accelerators: PCI functions, the driver's files, device nodes, and what hl-smi answers from.

Derived from documentation, not recorded from hardware.
"""

import json

from . import pci

DRIVER = "habanalabs"
DRIVER_VERSION = "1.22.1-97ec1a4"

MODELS = {
    "gaudi2": {"ids": "1da3:1020", "name": "HL-225", "device_type": "GAUDI2", "memory_mib": 98304, "power_max": 600},
    "gaudi3": {"ids": "1da3:1060", "name": "HL-325L", "device_type": "GAUDI3", "memory_mib": 131072, "power_max": 850},
}

BUSES = ("19", "1a", "33", "34", "9b", "9c", "b3", "b4")


def devices(host, model, count, driver=DRIVER):
    """Return ``count`` accelerators of one model. ``driver`` is the bound driver, or None when no driver is installed."""
    facts = MODELS[model]
    found = []
    for number in range(count):
        address = "0000:%s:00.0" % BUSES[number]
        files = pci.function(address, facts["ids"], "120000", driver, 0 if number < 4 else 1, "1da3:1000")
        roots = ["pci/" + address]
        if driver == DRIVER:
            node = "accel%d" % number
            files.update({
                "pci/%s/accel/%s/dev" % (address, node): "261:%d\n" % number,
                "pci/%s/status" % address: "Operational\n",
                "pci/%s/device_type" % address: facts["device_type"] + "\n",
                "lab/class/accel/%s/dev" % node: "261:%d\n" % number,
                "lab/class/accel/%s/device" % node: pci.Link("../../../bus/pci/devices/" + address),
                "lab/dev/accel/" + node: "0666 root\n",
                "lab/gaudi/%s.json" % address: json.dumps(dict(facts, uuid=uuid_of(host, address), node=node), indent=1),
            })
            roots += ["lab/class/accel/" + node, "lab/dev/accel/" + node, "lab/gaudi/%s.json" % address]
        found.append(pci.Device(address, "intel_gaudi", model, files, roots))
    return found


def host_files(driver=DRIVER):
    """Return what the loaded driver shows whether or not it found a device."""
    if driver != DRIVER:
        return {}
    return {"module/habanalabs/version": DRIVER_VERSION + "\n", "module/habanalabs/initstate": "live\n",
            "lab/gaudi/driver_version": DRIVER_VERSION + "\n"}


def uuid_of(host, address):
    """Return the device's uuid in the form of the vendor's part numbers."""
    number = int(pci.digits("gaudi", host, address), 16)
    return "01P0-HL2080A0-15-TNBS%02d-%02d-%02d-%02d" % (number % 100, number // 100 % 28, number // 2800 % 20, number // 56000 % 100)
