# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The states of a device, and what is common to all vendors in finding them."""
import os
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import files, ids, pci

READY = "ready"                          # bound to its driver, device nodes there
DRIVER_MISSING = "driver_missing"        # no driver bound, its module not loaded
DRIVER_UNBOUND = "driver_unbound"        # module loaded, this device refused or left alone
WRONG_DRIVER = "wrong_driver"            # bound to a driver that gives no accelerator (nouveau, radeon, pci-stub)
PASSTHROUGH = "passthrough"              # handed to virtual machines
NO_DEVICE_NODES = "no_device_nodes"      # bound, but its nodes below /dev are missing
PERMISSION_DENIED = "permission_denied"  # nodes there, not for this user
LOST = "lost"                            # known to the bus or the driver, but no longer answering
EXCLUDED = "excluded"                    # left out: the driver was told to, it is switched off, or too old for any current driver
VIRTUAL = "virtual"                      # a virtual function not in use by a virtual machine

# Nothing is expected of these.
LEFT_OUT = (PASSTHROUGH, EXCLUDED)

VIRTUAL_FUNCTION = "virtual_function"    # the kind, beside gpu, npu, tpu

# For the vendors whose driver has had several names: whatever is bound is taken for theirs.
ANY = "*"
PLACEHOLDERS = ("pci-stub", "uio_pci_generic", "igb_uio")


def handed_out(driver):
    """Whether a driver holds devices for virtual machines only."""
    return driver in ("pciback", "xen-pciback", "gim") or (driver or "").replace("_", "-").endswith("vfio-pci")


def by_driver(function, expected, loaded):
    """The state that the binding alone decides; None when the expected driver holds the device.

    expected: its name, or a collection of names, of which ANY allows every driver that is no placeholder.
    """
    driver = function.get("driver")
    if handed_out(driver):
        return PASSTHROUGH
    if function["virtual"]:
        return VIRTUAL
    if driver and is_expected(driver, expected):
        return None
    # The same for every vendor: what no current driver can hold is no fault of the host, and neither is what somebody switched off.
    if not ids.served(function["vendor"], function["device"]) or not driver and pci.off(function):
        return EXCLUDED
    if driver:
        return WRONG_DRIVER
    return DRIVER_UNBOUND if loaded else DRIVER_MISSING


def is_expected(driver, expected):
    """Whether a driver's name is an expected one, as in by_driver()."""
    names = (expected,) if isinstance(expected, str) else expected
    return driver in names or ANY in names and driver not in PLACEHOLDERS


def by_nodes(root, nodes):
    """ready, no_device_nodes or permission_denied for the device nodes that a device needs ('dev/kfd')."""
    paths = [os.path.join(root, node) for node in nodes]
    if not all(os.path.exists(path) for path in paths):
        return NO_DEVICE_NODES
    return READY if all(files.usable(path) for path in paths) else PERMISSION_DENIED


def by_number(root, folder, pattern, bound):
    """The state of any of `bound` devices whose nodes cannot be told apart: there must be as many nodes as devices."""
    nodes = [os.path.join(folder, name) for name in files.names(os.path.join(root, folder)) if re.match(pattern, name)]
    return by_nodes(root, nodes) if len(nodes) >= bound else NO_DEVICE_NODES


def counted(device):
    """Whether a device is one of this host's own to use, so that missing it one day is a fault."""
    return device["kind"] != VIRTUAL_FUNCTION and device["state"] not in LEFT_OUT


def described(function, vendor, model, kind="gpu"):
    """The part of a device's facts that its PCI function tells."""
    device = {"vendor": vendor, "model": model, "pci_id": "%s:%s" % (function["vendor"], function["device"]),
              "pci_address": function["address"], "kind": VIRTUAL_FUNCTION if function["virtual"] else kind}
    device.update((key, function[key]) for key in ("driver", "numa_node") if key in function)
    return device


def known(**values):
    """Only the values that are known. Facts hold no key for what is unknown."""
    return dict((key, value) for key, value in values.items() if value is not None)
