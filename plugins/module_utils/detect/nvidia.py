# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""NVIDIA GPUs: which PCI functions are one, what state the driver has them in, who they are."""
import csv
import os
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import files, ids, pci, states, tegra

VENDOR = "nvidia"
PCI_VENDORS = ("10de",)
DRIVER = "nvidia"
PROC = "proc/driver/nvidia"

# Everything that NVIDIA puts on the bus beside GPUs (NVSwitch 0680, audio 0403, USB 0c03, UCSI 0c80) is part of one or serves it.
NVSWITCHES = ("1af1", "22a3")
# One id for two boards: the subsystem tells them apart.
SUBSYSTEMS = {("25b6", "0x14a9"): "A16", ("25b6", "0x157e"): "A2"}

_VERSION = re.compile(r"\b(\d{2,4}\.\d{1,3}(?:\.\d{1,3})?)\b")
_UNKNOWN = re.compile(r"\?|^\[|^N/A$|^ERR!|^Unknown", re.IGNORECASE)

# The order of the columns is the order in parse(). One call for all GPUs: each call initialises the driver once.
COLUMNS = ("index", "uuid", "pci.bus_id", "name", "driver_version", "memory.total", "serial", "mig.mode.current",
           "ecc.mode.current", "vbios_version")
COMMANDS = (("nvidia-smi", "--query-gpu=" + ",".join(COLUMNS), "--format=csv,noheader,nounits"),)


def is_gpu(function):
    """Whether a PCI function is a GPU."""
    return ids.is_accelerator("10de", function["device"], function.get("class"))


def model(function):
    """Our name for the GPU behind a PCI function."""
    key = function["device"]
    if any(key == one for one, dummy in SUBSYSTEMS):
        board = SUBSYSTEMS.get((key, files.line(os.path.join(function["path"], "subsystem_device"))))
        if board:
            return "NVIDIA " + board
    return ids.model("10de", key)


def driver_version(root):
    """The version of the loaded kernel module ('550.90.07'), or None."""
    for path in ("sys/module/nvidia/version", PROC + "/version"):
        found = _VERSION.search(files.text(os.path.join(root, path)) or "")
        if found:
            return found.group(1)
    return None


def parse_information(text):
    """/proc/driver/nvidia/gpus/*/information as {product?, uuid?, vbios?, minor?, excluded}."""
    lines = dict((key.strip(), value.strip()) for key, separator, value in (one.partition(":") for one in text.splitlines()))
    found = {"excluded": lines.get("GPU Excluded", "").lower() == "yes"}
    for key, label, shape in (("product", "Model", r"[ -~]+$"), ("vbios", "Video BIOS", r"[0-9A-Fa-f.]+$"),
                              ("uuid", "GPU UUID", r"GPU-[0-9a-fA-F-]+$"), ("minor", "Device Minor", r"\d{1,3}$")):
        value = lines.get(label, "")
        # Before a GPU was first opened the driver prints question marks for what it has not read yet.
        if re.match(shape, value) and not _UNKNOWN.search(value):
            found[key] = int(value) if key == "minor" else value
    return found


def driver_list(root):
    """The GPUs in the driver's own list: {address: parse_information()}; None when there is no list to see."""
    folder = os.path.join(root, PROC, "gpus")
    if not os.path.isdir(folder):
        return None
    found = {}
    for name in files.names(folder):
        address = pci.normal_address(name)
        if address:
            found[address] = parse_information(files.text(os.path.join(folder, name, "information")) or "")
    return found


def injected(root):
    """Whether the driver's list is a container's selection: the container tools mount it over the driver's own."""
    mounts = files.text(os.path.join(root, "proc/self/mounts"), 1024 * 1024) or ""
    return any(one.split()[1:2] == ["/" + PROC] for one in mounts.splitlines())


def mig(root, minor):
    """The MIG instances of the GPU with this minor number: {mode, count}; None when there are none."""
    names = files.names(os.path.join(root, PROC, "capabilities", "gpu%d" % minor, "mig"))
    count = sum(1 for name in names if re.match(r"gi\d+$", name))
    return {"mode": "MIG", "count": count} if count else None


def nodes_state(root, minor, bound):
    """The state by device nodes. Without a minor number: there must be as many nodes as bound GPUs."""
    if minor is not None:
        return states.by_nodes(root, ("dev/nvidiactl", "dev/nvidia%d" % minor))
    nodes = ["dev/" + name for name in files.names(os.path.join(root, "dev")) if re.match(r"nvidia\d+$", name)]
    return states.by_nodes(root, ["dev/nvidiactl"] + nodes) if len(nodes) >= bound else states.NO_DEVICE_NODES


def find(root, functions):
    """All NVIDIA GPUs of the host: {devices, loaded, driver_version?, note?, embedded?: whether one is inside a Tegra}."""
    loaded = os.path.isdir(os.path.join(root, "sys/module", DRIVER))
    version = driver_version(root)
    listed = driver_list(root)
    gpus = [one for one in functions if is_gpu(one)]
    bound = sum(1 for one in gpus if one.get("driver") == DRIVER and not one["virtual"])
    devices = []
    for function in gpus:
        about = (listed or {}).get(function["address"], {})
        device = states.described(function, VENDOR, model(function))
        device["state"] = _state(root, function, about, listed is not None, loaded, bound)
        device.update(_identity(root, about, version if function.get("driver") == DRIVER else None))
        devices.append(device)
    devices += _unlisted_by_pci(root, listed or {}, devices, version)
    inside = tegra.find(root, bool(devices))
    if inside and not devices:
        version = inside[0].get("driver_version")  # the module nvidia is there for the display only
    devices += inside
    return states.known(devices=devices, loaded=loaded, driver_version=version, note=_note(functions, gpus, inside),
                        embedded=bool(inside) or None)


def _state(root, function, about, listing, loaded, bound):
    """The state of a GPU. about: what the driver's own list says of it; listing: whether there is such a list; bound: how many GPUs the driver has."""
    state = states.by_driver(function, DRIVER, loaded)
    if state not in states.LEFT_OUT and not pci.answers(function):
        return states.LOST
    if about.get("excluded"):
        return states.EXCLUDED
    if state is not None:
        return state
    if listing and not about:
        # A container sees all PCI functions of its host, but only its own share of the driver's list.
        return states.NO_DEVICE_NODES if injected(root) else states.LOST
    return nodes_state(root, about.get("minor"), bound)


def _note(functions, gpus, inside):
    """What to know of the devices as a whole, or None."""
    switches = sum(1 for one in functions if one["device"] in NVSWITCHES)
    if switches:
        return "%d NVSwitch: the fabric manager must be running" % switches
    return "the GPU shares the host's memory" if inside or any(one["device"] in ids.UNIFIED["10de"] for one in gpus) else None


def _identity(root, about, version):
    minor = about.get("minor")
    return states.known(product=about.get("product"), uuid=about.get("uuid"), vbios=about.get("vbios"), driver_version=version,
                        partitions=mig(root, minor) if minor is not None else None)


def _unlisted_by_pci(root, listed, devices, version):
    """GPUs that the driver lists and PCI does not: gone from the bus, or in a sandbox that shows no PCI at all.

    Their PCI id is unknown, so the model is taken from a neighbour that the driver calls by the same name.
    """
    seen = set(device["pci_address"] for device in devices)
    models = dict((device.get("product"), device["model"]) for device in devices)
    hidden = not pci.visible(root)
    found = []
    for address in sorted(set(listed) - seen):
        about = listed[address]
        state = nodes_state(root, about.get("minor"), len(listed)) if hidden else states.LOST
        device = states.known(vendor=VENDOR, model=models.get(about.get("product") or ""), pci_address=address, kind="gpu",
                              driver=DRIVER, state=states.EXCLUDED if about["excluded"] else state)
        device.update(_identity(root, about, version))
        found.append(device)
    return found


def _rows(text):
    """The lines of a CSV text as lists of cells. A line that is none (a NUL, megabytes in one cell) is left out."""
    for line in text.splitlines():
        try:
            yield from csv.reader([line], skipinitialspace=True)
        except csv.Error:
            continue


def parse(program, text):
    """What `COMMANDS` printed, as {address: {index, uuid, ...}}. Cells that the tool cannot fill are left out."""
    found = {}
    for row in _rows(text):
        cells = dict((key, value.strip()) for key, value in zip(COLUMNS, row) if not _UNKNOWN.search(value.strip()))
        address = pci.normal_address(cells.get("pci.bus_id", "")) if len(row) == len(COLUMNS) else None
        if not address:
            continue  # a warning or an error message among the rows
        about = dict((key, cells[column]) for key, column in (
            ("uuid", "uuid"), ("product", "name"), ("driver_version", "driver_version"), ("serial", "serial"),
            ("vbios", "vbios_version")) if cells.get(column) and cells[column] != "0")
        about.update((key, cells[column].lower()) for key, column in (
            ("mig_mode", "mig.mode.current"), ("ecc_mode", "ecc.mode.current"))
            if cells.get(column, "").lower() in ("enabled", "disabled"))
        if cells.get("index", "").isdigit():
            about["index"] = int(cells["index"])
        if cells.get("memory.total", "").isdigit() and int(cells["memory.total"]):
            about["memory_bytes"] = int(cells["memory.total"]) * 1024 * 1024
        found[address] = about
    return found
