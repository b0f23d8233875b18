# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The accelerators of this host: all vendors put together in the shape of the facts."""
import time

from ansible_collections.accelmon.fleet.plugins.module_utils import command
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import (
    amd, apple, aws_neuron, furiosa, google_tpu, intel_gaudi, intel_gpu, nvidia, pci, rebellions, states, tenstorrent)

# One vendor is one module. Each has VENDOR, PCI_VENDORS, DRIVER, find(root, functions), and COMMANDS: the tools to ask for
# details. If there are any, it has parse(program, text) too. Where most of the vendor's PCI functions are something else, it has
# is_ours(device id), so that those are not read any further. Where the driver holds other things than accelerators, exporters show these
# too, and SHOWN names the drivers.
VENDORS = (amd, apple, aws_neuron, furiosa, google_tpu, intel_gaudi, intel_gpu, nvidia, rebellions, tenstorrent)

# How long a device may be silent on the bus during a reset. The wait is spent only where one is silent.
SETTLE = 1.5


def _look(root):
    """One look at the host: {vendor name: find()}."""
    wanted = dict((one, getattr(vendor, "is_ours", None)) for vendor in VENDORS for one in vendor.PCI_VENDORS)
    functions = pci.functions(root, wanted)
    return dict((vendor.VENDOR, vendor.find(root, [one for one in functions if one["vendor"] in vendor.PCI_VENDORS]))
                for vendor in VENDORS)


def _tally(values):
    counts = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return counts


def summary(found):
    """What one vendor's find() amounts to; None when the host has nothing of that vendor to count.

    {count, models: {model: n}, states: {state: n}, driver_version?, partitions?: {mode: n}, vendor_note?, embedded?}, where
    embedded counts the devices that the vendor's tool for all others does not read. Where the
    driver is loaded and there is no device at all, {count: 0, models: {}, states: {}, driver_only: true}.
    """
    devices = [one for one in found["devices"] if states.counted(one)]
    if not devices and (found["devices"] or not found["loaded"]):
        return None
    result = {"count": len(devices), "models": _tally(one["model"] for one in devices if "model" in one),
              "states": _tally(one["state"] for one in devices)}
    if not devices:
        result["driver_only"] = True
    embedded = sum(1 for one in devices if found.get("embedded") and "pci_address" not in one)
    if embedded:
        result["embedded"] = embedded
    result.update(states.known(driver_version=found.get("driver_version"), vendor_note=found.get("note"), partitions=_partitions(devices) or None))
    return result


def _partitions(devices):
    """{mode: number of partitions} of the devices that have any."""
    modes = {}
    for part in (one.get("partitions", {}) for one in devices):
        if "count" in part:
            mode = part.get("mode", "unknown")
            modes[mode] = modes.get(mode, 0) + part["count"]
    return modes


def uncounted(root, devices):
    """[{vendor, pci_address}] of what exporters show under a vendor's name, and what is not counted: above all graphics inside a processor."""
    drivers = dict((driver, vendor.VENDOR) for vendor in VENDORS for driver in getattr(vendor, "SHOWN", ()))
    counted = set(one.get("pci_address") for one in devices if states.counted(one))
    return [{"vendor": drivers[driver], "pci_address": address} for address, driver in pci.held(root, drivers) if address not in counted]


def detect(root="/", sleep=time.sleep):
    """The fact `accelerators`: {devices: [...], summary: {vendor: ...}, uncounted?: [...]}. Reads files only, as any user, and never raises.

    A device that is silent on the bus is looked at a second time after SETTLE seconds: a reset makes it so for a moment.
    """
    found = _look(root)
    if any(device["state"] == states.LOST for one in found.values() for device in one["devices"]):
        sleep(SETTLE)
        found = _look(root)
    sums = dict((name, summary(one)) for name, one in found.items())
    devices = [device for name in sorted(found) for device in found[name]["devices"]]
    return dict({"devices": devices, "summary": states.known(**sums)}, **states.known(uncounted=uncounted(root, devices) or None))


def _to_ask(facts):
    """The vendors whose driver holds a device, each with those devices. Only there has the vendor's tool an answer."""
    held = [(vendor, [one for one in facts["devices"] if one["vendor"] == vendor.VENDOR and one.get("driver") == vendor.DRIVER])
            for vendor in VENDORS if vendor.COMMANDS]
    return [(vendor, devices) for vendor, devices in held if devices]


def ask_details(facts, timeout, run=command.run, which=command.which):
    """Ask each vendor's own tool, once, for what files do not tell, and add it to the devices of detect()'s facts.

    Returns {vendor: {status, message?}} with status ok, missing (no tool installed), hung (killed after `timeout`
    seconds) or failed. What detection found itself is kept.
    """
    return dict((vendor.VENDOR, _ask(vendor, devices, timeout, run, which)) for vendor, devices in _to_ask(facts))


def skip_details(facts):
    """What ask_details() returns where nothing may be started."""
    return dict((vendor.VENDOR, {"status": "skipped", "message": "%s may change the host and is not run in check mode"
                                 % vendor.COMMANDS[0][0]}) for vendor, dummy in _to_ask(facts))


def _ask(vendor, devices, timeout, run, which):
    installed = [(which(argv[0]), argv) for argv in vendor.COMMANDS]
    chosen = [(path, argv) for path, argv in installed if path]
    if not chosen:
        return {"status": "missing", "message": "%s is not installed" % " or ".join(argv[0] for dummy, argv in installed)}
    path, argv = chosen[0]
    try:
        code, output, errors = run((path,) + argv[1:], timeout)
    except OSError as error:
        return {"status": "failed", "message": "%s cannot be started: %s" % (path, error.strerror or error)}
    if code is None:
        return {"status": "hung", "message": "%s did not finish properly within %d s and was killed" % (argv[0], timeout)}
    details = vendor.parse(argv[0], output)
    for device in devices:
        for key, value in details.get(device.get("pci_address"), {}).items():
            device.setdefault(key, value)
    if code == 0 and details:
        return {"status": "ok"}
    said = [one.strip() for one in (errors + "\n" + output).splitlines() if one.strip()]
    return {"status": "failed", "message": ("%s exited with status %d: %s" % (argv[0], code, said[0] if said else "no output"))[:300]}
