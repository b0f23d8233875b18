# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of one lab host: writes its simulated hardware, and takes single devices out and puts them back while it runs."""

import hashlib
import os
import shutil
import tempfile

from devices import amd, intel_gaudi, nvidia, pci

HERE = os.path.dirname(os.path.abspath(__file__))
VENDORS = {"nvidia": nvidia, "amd": amd, "intel_gaudi": intel_gaudi}
# What the vendor's driver package puts into /usr/bin.
TOOLS = {"nvidia": "nvidia-smi", "intel_gaudi": "hl-smi"}
# Copied into every host: the programs of the simulation, and their names there.
PROGRAMS = {"boot": "boot", "nodes": "nodes", "nvidia_smi.py": "nvidia-smi", "hl_smi.py": "hl-smi"}
# Mounted into the host, so they must never be replaced, only filled.
MOUNTED = ("pci", "module", "lab", "lab/proc-driver", "lab/class", "lab/class/drm", "lab/dev")


class Error(Exception):
    """A problem to report in one line."""


def parse(text):
    """Return (vendor, model, count, driver) of "vendor:model:count[:driver]".

    ``driver`` defaults to the vendor's own; "none" means that none is installed, any other name is what the devices are bound to.
    """
    parts = text.split(":")
    if len(parts) not in (3, 4) or not parts[2].isdigit():
        raise Error("device %r: is not vendor:model:count[:driver]; for instance nvidia:h100-sxm5:8" % text)
    vendor, model, count = parts[0], parts[1], int(parts[2])
    if vendor not in VENDORS:
        raise Error("device %r: unknown vendor; use one of %s" % (text, ", ".join(sorted(VENDORS))))
    module = VENDORS[vendor]
    if model not in module.MODELS:
        raise Error("device %r: unknown model; use one of %s" % (text, ", ".join(sorted(module.MODELS))))
    if not 0 <= count <= len(module.BUSES):
        raise Error("device %r: the count must be 0 to %d" % (text, len(module.BUSES)))
    driver = parts[3] if len(parts) == 4 else module.DRIVER
    return vendor, model, count, None if driver == "none" else driver


def tools(specs):
    """Return the names of the vendors' programs that a host has: where its driver is installed and the lab simulates one."""
    found = {TOOLS.get(vendor) for vendor, dummy_model, dummy_count, driver in map(parse, specs) if driver is not None}
    return sorted(found - {None})


def hardware(host, specs):
    """Return (devices, files): all simulated devices of a host, and the files that belong to no single device."""
    devices, files = pci.ordinary(), {"module/mlx5_core/initstate": "live\n", "module/ast/initstate": "live\n"}
    for text in specs:
        vendor, model, count, driver = parse(text)
        devices += VENDORS[vendor].devices(host, model, count, driver)
        files.update(VENDORS[vendor].host_files(driver))
    addresses = [device.address for device in devices]
    for address in addresses:
        if addresses.count(address) > 1:
            raise Error("host %s: two devices have the PCI address %s; put fewer models into one host" % (host, address))
    return devices, files


def fingerprint():
    """Return a hash of the simulation's programs: a host made with others has to be made again."""
    digest = hashlib.sha256()
    for name in sorted(os.listdir(os.path.join(HERE, "devices"))):
        path = os.path.join(HERE, "devices", name)
        if os.path.isfile(path):
            with open(path, "rb") as stream:
                digest.update(name.encode() + b"\0" + stream.read())
    return digest.hexdigest()


def write(folder, files):
    """Write files below a folder."""
    for path, content in sorted(files.items()):
        full = os.path.join(folder, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        if isinstance(content, pci.Link):
            os.symlink(content.target, full)
            continue
        with open(full, "wb") as stream:
            stream.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(full, 0o644)


def build(folder, host, specs):
    """Make the folder of a host anew."""
    devices, files = hardware(host, specs)
    shutil.rmtree(folder, ignore_errors=True)
    for name in MOUNTED:
        os.makedirs(os.path.join(folder, name))
    write(folder, files)
    for device in devices:
        write(folder, device.files)
    for source, name in PROGRAMS.items():
        with open(os.path.join(HERE, "devices", source)) as stream:
            text = stream.read()
        target = os.path.join(folder, "lab", name)
        with open(target, "w") as stream:
            stream.write(text if text.startswith("#!") else "#!/usr/bin/python3\n" + text)
        os.chmod(target, 0o755)


def accelerators(folder, host, specs):
    """Return [(device, present)] of the accelerators that a host was made with, in bus order."""
    devices = [device for device in hardware(host, specs)[0] if device.vendor != "other"]
    return [(device, os.path.isdir(os.path.join(folder, "pci", device.address))) for device in sorted(devices)]


def find(folder, host, specs, wanted):
    """Return the accelerator that a PCI address, or a number in bus order counted from 0 without switches, means."""
    known = [device for device, dummy in accelerators(folder, host, specs)]
    numbered = [device for device in known if device.model != "nvswitch"]
    for number, device in enumerate(numbered):
        if wanted == str(number):
            return device
    for device in known:
        if wanted.lower() == device.address:
            return device
    raise Error("host %s: device %s: there is none; it was made with %s" % (host, wanted, ", ".join(d.address for d in known) or "no devices"))


def remove(folder, device):
    """Take one device out, as when it falls off the bus. Return whether it was there."""
    if not os.path.isdir(os.path.join(folder, "pci", device.address)):
        return False
    grave = tempfile.mkdtemp(dir=folder)
    for number, root in enumerate(device.roots):
        # By rename, so that nobody who looks meanwhile sees half a device.
        os.rename(os.path.join(folder, root), os.path.join(grave, str(number)))
    shutil.rmtree(grave)
    return True


def restore(folder, device):
    """Put one device back. Return whether it was missing."""
    if os.path.isdir(os.path.join(folder, "pci", device.address)):
        return False
    cradle = tempfile.mkdtemp(dir=folder)
    write(cradle, device.files)
    for root in reversed(device.roots):
        os.makedirs(os.path.dirname(os.path.join(folder, root)), exist_ok=True)
        os.rename(os.path.join(cradle, root), os.path.join(folder, root))
    shutil.rmtree(cradle)
    return True
