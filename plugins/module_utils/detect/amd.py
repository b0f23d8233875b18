# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""AMD Instinct and Radeon GPUs: which PCI functions are one, what state the driver has them in, who they are."""
import os
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import files, ids, pci, states

VENDOR = "amd"
PCI_VENDORS = ("1002",)
DRIVER = "amdgpu"
SHOWN = (DRIVER,)
KFD_NODES = "sys/class/kfd/kfd/topology/nodes"
XGMI = "11"  # the kernel's number for such a link

TWO_DIES = ("7408", "740c")

_MODE = re.compile(r"[A-Z]{2,4}$")
_HEX = re.compile(r"(?:0x)?0*([0-9a-fA-F]{1,16})$")
_WORDS = re.compile(r"[ -~]+$")
_NOTHING = ("n/a", "none", "unknown", "")

COMMANDS = (
    ("amd-smi", "static", "--json"),
    ("rocm-smi", "--showbus", "--showproductname", "--showuniqueid", "--showserial", "--showvbios", "--showdriverversion",
     "--showmeminfo", "vram", "--json"),
)


def is_gpu(function):
    """Whether a PCI function is a GPU that can compute; integrated graphics and pre-amdgpu cards are not."""
    return ids.is_accelerator("1002", function["device"], function.get("class"))


def _properties(folder):
    """{name: value} of a node or a link of the compute topology."""
    lines = [one.split(None, 1) for one in (files.text(os.path.join(folder, "properties")) or "").splitlines()]
    return dict(one for one in lines if len(one) == 2)


def _kfd_boards(root):
    """{name of a compute device's node: board (domain, bus * 32 + device)}.

    The low three bits of location_id hold the partition's number on a partitioned board (some drivers use the top four
    instead), so both are left out and the board is its bus and device.
    """
    found = {}
    for name in files.names(os.path.join(root, KFD_NODES)):
        folder = os.path.join(root, KFD_NODES, name)
        if not files.number(os.path.join(folder, "gpu_id")):
            continue  # a CPU, or a GPU that this container may not use
        properties = _properties(folder)
        try:
            found[name] = int(properties.get("domain", "0")), (int(properties["location_id"]) & 0xffff) >> 3
        except (KeyError, ValueError):
            continue
    return found


def kfd_partitions(root):
    """How many compute devices the kernel offers per board: {(domain, bus * 32 + device): count}."""
    found = {}
    for board in _kfd_boards(root).values():
        found[board] = found.get(board, 0) + 1
    return found


def xgmi(root):
    """Pairs of boards, as in kfd_partitions(), between which the kernel lists an XGMI link."""
    boards, found = _kfd_boards(root), set()
    for name, board in boards.items():
        folder = os.path.join(root, KFD_NODES, name, "io_links")
        for link in files.names(folder):
            properties = _properties(os.path.join(folder, link))
            peer = boards.get(properties.get("node_to", "").strip())
            if properties.get("type", "").strip() == XGMI and peer not in (None, board):
                found.add((board, peer))
    return found


def partitions(function, compute_devices):
    """How the board is partitioned: {mode?, count?}; None for a whole one."""
    # The driver asks the device for it. Those that sleep are not divided.
    mode = "" if pci.asleep(function) else files.line(os.path.join(function["path"], "current_compute_partition")) or ""
    count = compute_devices.get(pci.location(function["address"]), 0)
    if mode == "SPX" or not _MODE.match(mode) and count < 2:
        return None
    return states.known(mode=mode if _MODE.match(mode) else None, count=count or None)


def render_nodes(function):
    """The render nodes of a GPU ('dev/dri/renderD128'), as far as sysfs names them."""
    return ["dev/dri/" + name for name in files.names(os.path.join(function["path"], "drm")) if re.match(r"renderD\d+$", name)]


def _word(value):
    value = value.strip() if isinstance(value, str) else ""
    return value if value.lower() not in _NOTHING and _WORDS.match(value) else None


def _product(value):
    """What the driver or a tool calls a device, unless that is a kind and no model."""
    value = _word(value)
    return None if value and ids.generic(value) else value


def _unique_id(value):
    """A die's id as sixteen hexadecimal digits; zero means that there is none."""
    found = _HEX.match(value or "")
    return "%016x" % int(found.group(1), 16) if found and int(found.group(1), 16) else None


def _identity(function):
    def value(name):
        return files.line(os.path.join(function["path"], name))

    return states.known(product=_product(value("product_name")), serial=_word(value("serial_number")), vbios=_word(value("vbios_version")),
                        uuid=_unique_id(value("unique_id")),
                        memory_bytes=files.number(os.path.join(function["path"], "mem_info_vram_total")) or None)


def find(root, functions):
    """All AMD GPUs of the host: {devices, loaded, driver_version?, note?}."""
    loaded = os.path.isdir(os.path.join(root, "sys/module", DRIVER))
    # Only the driver that AMD ships has a version of its own; the kernel's has none.
    version = _word(files.line(os.path.join(root, "sys/module", DRIVER, "version")))
    compute_devices = kfd_partitions(root) if loaded else {}
    devices, display = [], False
    for function in functions:
        if not is_gpu(function):
            display = display or function.get("driver") == DRIVER
            continue
        device = states.described(function, VENDOR, ids.model("1002", function["device"], function.get("class")))
        state = states.by_driver(function, DRIVER, loaded)
        if state not in states.LEFT_OUT and not pci.answers(function):
            state = states.LOST
        elif state is None:
            state = states.by_nodes(root, ["dev/kfd"] + render_nodes(function))
        device["state"] = state
        if function.get("driver") == DRIVER:
            device.update(_identity(function))
            device.update(states.known(driver_version=version, partitions=partitions(function, compute_devices)))
        devices.append(device)
    # A driver that is there for the processor's own graphics says nothing of missing accelerators.
    return states.known(devices=devices, loaded=loaded and not display, driver_version=version, note=_note(set(one["pci_id"].split(":")[1] for one in devices)))


def _note(found):
    """What to know of devices with these ids, or None."""
    if found & set(TWO_DIES):
        return "MI250: each of a board's two dies counts as a device"
    return "the GPU shares the host's memory" if found & set(ids.UNIFIED["1002"]) else None


def _section(value, *names):
    """The first of the named objects inside an object; {} when there is none."""
    for name in names:
        if isinstance(value, dict) and isinstance(value.get(name), dict):
            return value[name]
    return {}


def _bytes(size):
    """{'value': 196592, 'unit': 'MB'} in bytes; AMD's megabytes are binary. None for anything else."""
    value = _section({"size": size}, "size")
    unit = {"MB": 1024 ** 2, "GB": 1024 ** 3}.get(str(value.get("unit")))
    number = value.get("value")
    return int(number) * unit if unit and isinstance(number, int) and number > 0 else None


def _from_amd_smi(value):
    gpus = value.get("gpu_data") if isinstance(value, dict) else value
    found = {}
    for gpu in gpus if isinstance(gpus, list) else []:
        address = pci.normal_address(str(_section(gpu, "bus").get("bdf", "")))
        if not address:
            continue
        asic, board, vbios = _section(gpu, "asic"), _section(gpu, "board"), _section(gpu, "vbios", "ifwi")
        driver = _section(gpu, "driver")
        index = gpu.get("gpu")
        found[address] = states.known(
            index=index if isinstance(index, int) else None, product=_product(asic.get("market_name")),
            uuid=_unique_id(_word(asic.get("asic_serial"))), serial=_word(board.get("product_serial")),
            vbios=_word(vbios.get("version")), driver_version=_word(driver.get("version") or driver.get("driver_version")),
            memory_bytes=_bytes(_section(gpu, "vram").get("size")))
    return found


def _from_rocm_smi(value):
    found = {}
    version = _word(_section(value, "system").get("Driver version"))
    for name, card in value.items() if isinstance(value, dict) else ():
        index = re.match(r"card(\d+)$", name)
        address = pci.normal_address(str(card.get("PCI Bus", ""))) if index and isinstance(card, dict) else None
        if not address:
            continue
        memory = str(card.get("VRAM Total Memory (B)", ""))
        found[address] = states.known(
            index=int(index.group(1)), product=_product(card.get("Card Series") or card.get("Card series")),
            uuid=_unique_id(_word(card.get("Unique ID"))), serial=_word(card.get("Serial Number")),
            vbios=_word(card.get("VBIOS version")), driver_version=version,
            memory_bytes=int(memory) if memory.isdigit() and int(memory) else None)
    return found


def parse(program, text):
    """What one of `COMMANDS` printed, as {address: {index, uuid, ...}}. What the tool does not know is left out."""
    value = ids.document(text)
    return (_from_amd_smi if program == "amd-smi" else _from_rocm_smi)(value)
