# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the vendors' own tools say of a host's devices, in the units of the metrics: the other side of every comparison.

Values are read with the units that the tools print, and by none of the code that is compared with them.
"""
import collections
import os
import re

from ansible_collections.accelmon.fleet.plugins.module_utils import command
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import amd, ids, pci

TIMEOUT = 30  # seconds for one call: without persistence mode, each call starts every device

# Of a unit that a tool prints to that of the metrics. Memory is in binary units, also where AMD's tools call them MB.
UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "MB": 1 << 20, "GiB": 1 << 30, "GB": 1 << 30, "W": 1, "mW": 1e-3, "C": 1, "%": 1, "MHz": 1e6}
MEASURED = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?) ?([A-Za-z%]*)\Z")

# One way to ask: `argvs` are called one after the other, and `read` makes {address: device} of their outputs.
Question = collections.namedtuple("Question", "argvs read")

# What a tool said. program: its name; devices: {address: {index?, uuid?, serial?, product?, driver_version?, readings: {quantity: value}}};
# texts: {words of a call: its output}; problem: why there are no devices, or None
Answer = collections.namedtuple("Answer", "program devices texts problem")


def measured(text, unit=""):
    """A value as a number in the metric's unit; None for anything else. unit: that of a value that is printed without one"""
    found = MEASURED.match(str(text).strip())
    name = found.group(2) or unit if found else None
    return float(found.group(1)) * UNITS[name] if name in UNITS else None


def known(pairs):
    """A dictionary of those (key, value) that have a value."""
    return dict((key, value) for key, value in pairs if value is not None)


# --- NVIDIA ---------------------------------------------------------------------------------------------------------

NVIDIA_FACTS = (("uuid", "uuid"), ("serial", "serial"), ("driver_version", "driver_version"), ("name", "product"))
NVIDIA_READINGS = (("memory.total", "memory_total"), ("memory.used", "memory_used"), ("temperature.gpu", "temperature"), ("power.draw", "power_draw"),
                   ("power.limit", "power_limit"), ("utilization.gpu", "utilization"), ("clocks.current.sm", "clock_core"),
                   ("clocks.current.memory", "clock_memory"), ("fan.speed", "fan_speed"), ("pcie.link.gen.current", "pcie_generation"))
# Every driver since 2014 has these, and newer ones the others. The name is last, as it alone could contain the separator.
NVIDIA_FIELDS = ("index", "pci.bus_id", "uuid", "serial", "driver_version") + tuple(field for field, dummy in NVIDIA_READINGS) + ("name",)
NVIDIA_NEWER = ("pci.bus_id", "temperature.memory")


def nvidia(texts):
    """{address: device} of a list by `nvidia-smi -L` and two tables with units. A device that only the list has is under its number there."""
    found = {}
    for line in texts[1].splitlines():
        cells = dict(zip(NVIDIA_FIELDS, (cell.strip() for cell in line.split(", ", len(NVIDIA_FIELDS) - 1))))
        address = pci.normal_address(cells.get("pci.bus_id", ""))
        if not address or "name" not in cells:
            continue
        found[address] = known((key, cells[field]) for field, key in NVIDIA_FACTS if not cells[field].startswith("[") and cells[field] not in ("0", "N/A"))
        found[address]["readings"] = known((quantity, measured(cells[field])) for field, quantity in NVIDIA_READINGS)
        if cells["index"].isdigit():
            found[address]["index"] = int(cells["index"])
    for line in texts[2].splitlines():
        address, dummy, text = line.partition(", ")
        device, value = found.get(pci.normal_address(address)), measured(text)
        if device and value is not None:
            device["readings"]["memory_temperature"] = value
    uuids = set(device.get("uuid") for device in found.values())
    for number, product, uuid in re.findall(r"^GPU (\d+): (.*?) \(UUID: ([^)\s]+)\)", texts[0], re.M):
        if uuid not in uuids:
            found["nvidia-smi -L: GPU " + number] = {"uuid": uuid, "product": product, "index": int(number), "readings": {}}
    return found


# --- AMD ------------------------------------------------------------------------------------------------------------

AMD_READINGS = (("memory_total", ("mem_usage", "total_vram")), ("memory_used", ("mem_usage", "used_vram")), ("utilization", ("usage", "gfx_activity")),
                ("temperature", ("temperature", "edge")), ("junction_temperature", ("temperature", "hotspot")),
                ("memory_temperature", ("temperature", "mem")), ("power_draw", ("power", "socket_power")),
                ("power_draw", ("power", "average_socket_power")), ("clock_core", ("clock", "gfx_0", "clk")), ("clock_memory", ("clock", "mem_0", "clk")))
ROCM_READINGS = {"VRAM Total Memory (B)": "memory_total", "VRAM Total Used Memory (B)": "memory_used", "GPU use (%)": "utilization",
                 "Temperature (Sensor edge) (C)": "temperature", "Temperature (Sensor junction) (C)": "junction_temperature",
                 "Temperature (Sensor memory) (C)": "memory_temperature", "Average Graphics Package Power (W)": "power_draw",
                 "Current Socket Graphics Package Power (W)": "power_draw"}


def with_hot_spot(readings):
    """Readings where the hot spot is the temperature, if the device has no other, as the metric has it."""
    return dict({"temperature": readings["junction_temperature"]}, **readings) if "junction_temperature" in readings else readings


def deep(entry, path):
    """A value deep in amd-smi's JSON with its unit as text: {"value": 5, "unit": "W"} is '5 W'; '' if it is not there."""
    for key in path:
        entry = entry.get(key) if isinstance(entry, dict) else None
    if isinstance(entry, dict):
        return "%s %s" % (entry.get("value"), entry.get("unit", ""))
    return "" if entry is None or isinstance(entry, (list, bool)) else str(entry)


def amd_smi(texts):
    """{address: device} of `amd-smi static --json` and `amd-smi metric --json`. Of a divided board, the first part is the whole."""
    found = amd.parse("amd-smi", texts[0])
    document = ids.document(texts[1])
    entries = document.get("gpu_data") if isinstance(document, dict) else document
    numbered = {}
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            values = [(quantity, measured(deep(entry, path))) for quantity, path in reversed(AMD_READINGS)]
            numbered[str(entry.get("gpu"))] = with_hot_spot(known(values))
    return dict((address, dict(device, readings=numbered.get(str(device.get("index")), {}))) for address, device in found.items())


def rocm_smi(texts):
    """{address: device} of rocm-smi's JSON, whose keys name the units."""
    found, document = amd.parse("rocm-smi", texts[0]), ids.document(texts[0])
    for card in document.values() if isinstance(document, dict) else ():
        address = pci.normal_address(str(card.get("PCI Bus", ""))) if isinstance(card, dict) else None
        if address in found:
            values = [(quantity, measured(card[key], key.rpartition("(")[2].rstrip(")"))) for key, quantity in ROCM_READINGS.items() if key in card]
            found[address]["readings"] = with_hot_spot(known(values))
    return found


# --- all others -----------------------------------------------------------------------------------------------------

ADDRESS_KEYS = ("pci_bdf_address", "pci_bdf", "bus_id", "bdf")
PRODUCT_KEYS = ("device_name", "board_type", "name", "product_name", "arch", "instance_type")
VERSION_KEYS = ("KMD_version", "kmd_version", "driver_version", "Driver")
VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)+[-+.0-9A-Za-z]*")


def objects(document):
    """All JSON objects of a document, outer ones first."""
    if isinstance(document, dict):
        yield document
    for part in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from objects(part)


def first(entry, keys):
    """The first text that an object has under one of the keys, or None."""
    return next((entry[key] for key in keys if isinstance(entry.get(key), str) and entry[key]), None)


def listed(texts):
    """{address: device} of a JSON: each object is a device that has a PCI address, itself or in an object inside."""
    document, found = ids.document(texts[0]), {}
    versions = [VERSION.search(text) for text in (first(one, VERSION_KEYS) for one in objects(document)) if text]
    version = next((one.group() for one in versions if one), None)
    for one in objects(document):
        entry = {}
        for inner in one.values():
            entry.update(inner if isinstance(inner, dict) else {})
        entry.update(one)
        address = pci.normal_address(first(entry, ADDRESS_KEYS) or "")
        if address:
            found.setdefault(address, dict(known((("product", first(entry, PRODUCT_KEYS)), ("driver_version", version))), readings={}))
    return found


GAUDI_FIELDS = ("bus_id", "uuid", "driver_version", "name")


def hl_smi(texts):
    """{address: device} of hl-smi's table."""
    found = {}
    for line in texts[0].splitlines():
        cells = dict(zip(GAUDI_FIELDS, (cell.strip() for cell in line.split(","))))
        address = pci.normal_address(cells.get("bus_id", ""))
        if address:
            found[address] = dict(known((("uuid", cells.get("uuid")), ("driver_version", cells.get("driver_version")), ("product", cells.get("name")))),
                                  readings={})
    return found


# In order of preference; the first that is installed is asked.
QUESTIONS = {
    "nvidia": (Question((("nvidia-smi", "-L"), ("nvidia-smi", "--query-gpu=" + ",".join(NVIDIA_FIELDS), "--format=csv,noheader"),
                         ("nvidia-smi", "--query-gpu=" + ",".join(NVIDIA_NEWER), "--format=csv,noheader")), nvidia),),
    "amd": (Question((("amd-smi", "static", "--json"), ("amd-smi", "metric", "--json")), amd_smi),
            Question((("rocm-smi", "--showbus", "--showproductname", "--showuniqueid", "--showserial", "--showdriverversion", "--showmeminfo", "vram",
                       "--showuse", "--showpower", "--showtemp", "--json"),), rocm_smi)),
    "intel_gaudi": (Question((("hl-smi", "-Q", ",".join(GAUDI_FIELDS), "-f", "csv,noheader"),), hl_smi),),
    "intel_gpu": (Question((("xpu-smi", "discovery", "-j"),), listed),),
    "tenstorrent": (Question((("tt-smi", "-s"),), listed),),
    "rebellions": (Question((("rbln-smi", "--json"),), listed), Question((("rbln-stat", "--json"),), listed)),
    "furiosa": (Question((("furiosa-smi", "info", "--format", "json"),), listed), Question((("furiosactl", "info", "--output", "json"),), listed)),
    "aws_neuron": (Question((("neuron-ls", "--json-output"),), listed),),
}


def ask(vendor, timeout=TIMEOUT):
    """What the vendor's tool says now, as Answer."""
    questions = QUESTIONS.get(vendor, ())
    programs = [question.argvs[0][0] for question in questions]
    chosen = next((question for question in questions if command.which(question.argvs[0][0])), None)
    if not chosen:
        return Answer(None, {}, {}, "%s is not installed" % " or ".join(programs) if programs else "the vendor has no tool that lists PCI addresses")
    name, texts, said = chosen.argvs[0][0], [], collections.OrderedDict()
    for argv in chosen.argvs:
        try:
            code, output, errors = command.run((command.which(name),) + argv[1:], timeout)
        except OSError as error:
            return Answer(name, {}, said, "%s cannot be started: %s" % (name, error.strerror))
        if code is None:
            return Answer(name, {}, said, "%s did not end within %d s, or wrote too much, and was killed" % (name, timeout))
        texts.append(output)
        said[" ".join((os.path.basename(name),) + argv[1:])] = output
        line = next((one.strip() for one in (errors + "\n" + output).splitlines() if one.strip()), "no output")
        problem = "%s ended with status %s: %s" % (name, code, line[:200])
    devices = chosen.read(texts)
    return Answer(name, devices, said, None if devices else problem)
