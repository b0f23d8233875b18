# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated nvidia-smi. Simulated output, derived from documentation and public samples, not recorded on this hardware.

It answers -L, nvlink -s and -e, --query-compute-apps and --query-gpu for the devices that the lab host's PCI tree shows at that moment.
Like the real tool it needs the driver's control node: without /dev/nvidiactl it fails with exit status 9.
Processes on the devices are the lines "UUID, pid, MiB" of the file /lab/nvidia-smi.processes; without it there are none.
The file /lab/nvidia-smi.behaviour switches it: one of hang, garbage, err, mismatch, lost. Without it all is well.
"""

import json
import math
import os
import sys
import time

LAB = "/lab"
PCI = "/sys/bus/pci/devices"
CONTROL = "/dev/nvidiactl"

NO_DRIVER = ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
             "Make sure that the latest NVIDIA driver is installed and running.\n")

# Fields with a unit. The unit stands in the header, and behind each number unless nounits was asked for.
UNITS = {
    "utilization.gpu": "%", "utilization.memory": "%", "utilization.encoder": "%", "utilization.decoder": "%", "fan.speed": "%",
    "memory.total": "MiB", "memory.reserved": "MiB", "memory.used": "MiB", "memory.free": "MiB",
    "power.draw": "W", "power.draw.average": "W", "power.draw.instant": "W", "power.limit": "W", "enforced.power.limit": "W",
    "power.default_limit": "W", "power.min_limit": "W", "power.max_limit": "W",
    "clocks.current.graphics": "MHz", "clocks.current.sm": "MHz", "clocks.current.memory": "MHz", "clocks.current.video": "MHz",
    "clocks.applications.graphics": "MHz", "clocks.applications.memory": "MHz",
    "clocks.max.graphics": "MHz", "clocks.max.sm": "MHz", "clocks.max.memory": "MHz",
}

# Other spellings that the tool accepts. The header shows the spelling on the right.
ALIASES = {
    "gpu_name": "name", "gpu_uuid": "uuid", "gpu_serial": "serial", "gpu_bus_id": "pci.bus_id",
    "clocks.gr": "clocks.current.graphics", "clocks.sm": "clocks.current.sm", "clocks.mem": "clocks.current.memory",
    "clocks.video": "clocks.current.video", "clocks.max.gr": "clocks.max.graphics", "clocks.max.mem": "clocks.max.memory",
    "clocks.applications.gr": "clocks.applications.graphics", "clocks.applications.mem": "clocks.applications.memory",
    "ecc.mode": "ecc.mode.current", "mig.mode": "mig.mode.current",
}

EVENTS = ("gpu_idle", "applications_clocks_setting", "sw_power_cap", "hw_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown",
          "sw_thermal_slowdown", "sync_boost")

ECC = ["ecc.errors.%s.%s.%s" % (kind, scope, place)
       for kind in ("corrected", "uncorrected") for scope in ("volatile", "aggregate")
       for place in ("device_memory", "dram", "register_file", "l1_cache", "l2_cache", "texture_memory", "cbu", "sram", "total")]


def devices():
    """Return the facts of the devices that are on the bus and bound to the driver, in bus order."""
    found = []
    for address in sorted(os.listdir(PCI)):
        try:
            with open(os.path.join(LAB, "nvidia", address + ".json")) as stream:
                facts = json.load(stream)
        except OSError:
            continue
        facts["address"] = address
        found.append(facts)
    return found


def values(index, facts, count, driver_version):
    """Return {field: value} of one device: numbers and strings; a field that is absent is not supported by it."""
    now = time.time()
    busy = int(round(50 + 45 * math.sin(now / 60 + index)))
    used = int(facts["memory_mib"] * (0.2 + 0.6 * busy / 100.0))
    draw = round(70 + (facts["power_limit"] - 80) * busy / 100.0, 2)
    clock = 345 + (facts["max_sm"] - 345) * busy // 100 // 15 * 15
    domain, bus, slot = facts["address"].split(":")
    result = {
        "timestamp": time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(now)) + ".%03d" % (now % 1 * 1000),
        "driver_version": driver_version, "count": count, "name": facts["name"], "serial": facts["serial"], "uuid": facts["uuid"],
        "index": index, "vbios_version": facts["vbios"], "compute_cap": facts["compute_cap"],
        "pci.bus_id": "%08X:%s:%s" % (int(domain, 16), bus.upper(), slot.upper()),
        "pci.domain": "0x%04X" % int(domain, 16), "pci.bus": "0x" + bus.upper(), "pci.device": "0x" + slot[:2].upper(),
        "pci.device_id": "0x%s%s" % (facts["ids"][5:].upper(), facts["ids"][:4].upper()),
        "pci.sub_device_id": "0x%s%s" % (facts["subsystem"][5:].upper(), facts["subsystem"][:4].upper()),
        "pcie.link.gen.current": 5, "pcie.link.gen.gpucurrent": 5, "pcie.link.gen.max": 5, "pcie.link.gen.gpumax": 5,
        "pcie.link.gen.hostmax": 5, "pcie.link.width.current": 16, "pcie.link.width.max": 16,
        "display_mode": "Enabled", "display_attached": "No", "display_active": "Disabled", "persistence_mode": "Enabled",
        "accounting.mode": "Disabled", "accounting.buffer_size": 4000,
        "pstate": "P0", "compute_mode": "Default", "mig.mode.current": "Disabled" if facts["mig"] else None,
        "mig.mode.pending": "Disabled" if facts["mig"] else None,
        "memory.total": facts["memory_mib"], "memory.reserved": 551, "memory.used": used, "memory.free": facts["memory_mib"] - used - 551,
        "utilization.gpu": busy, "utilization.memory": busy // 2, "utilization.encoder": 0, "utilization.decoder": 0,
        "temperature.gpu": 30 + busy // 3, "temperature.memory": 38 + busy // 3 if facts["memory_temperature"] else None,
        "power.management": "Enabled", "power.draw": draw, "power.draw.average": draw, "power.draw.instant": draw,
        "power.limit": facts["power_limit"], "enforced.power.limit": facts["power_limit"], "power.default_limit": facts["power_limit"],
        "power.min_limit": 200.0, "power.max_limit": facts["power_limit"],
        "clocks.current.graphics": clock, "clocks.current.sm": clock, "clocks.current.memory": facts["max_memory_clock"],
        "clocks.current.video": clock * 4 // 5, "clocks.applications.graphics": facts["max_sm"],
        "clocks.applications.memory": facts["max_memory_clock"], "clocks.max.graphics": facts["max_sm"], "clocks.max.sm": facts["max_sm"],
        "clocks.max.memory": facts["max_memory_clock"],
        "ecc.mode.current": "Enabled", "ecc.mode.pending": "Enabled",
        "retired_pages.single_bit_ecc.count": None, "retired_pages.double_bit.count": None, "retired_pages.pending": None,
        "remapped_rows.correctable": 0, "remapped_rows.uncorrectable": 0, "remapped_rows.pending": "No", "remapped_rows.failure": "No",
        "gsp.mode.current": "Enabled", "gsp.mode.default": "Enabled", "fabric.state": "Completed" if facts["switches"] else None,
        "fabric.status": "Success" if facts["switches"] else None, "fabric.health.summary": None, "addressing_mode": "None", "fan.speed": None,
        "inforom.img": "G520.0200.00.05", "inforom.oem": "2.1", "inforom.ecc": "7.16", "inforom.pwr": None,
        "driver_model.current": None, "driver_model.pending": None, "gom.current": None, "gom.pending": None,
        "encoder.stats.sessionCount": 0, "encoder.stats.averageFps": 0, "encoder.stats.averageLatency": 0,
    }
    for field in ECC:
        result[field] = None if field.endswith((".texture_memory", ".cbu")) else 0
    active = 0x4 if busy > 90 else 0x0
    result["clocks_event_reasons.supported"] = "0x00000000000001FF"
    result["clocks_event_reasons.active"] = "0x%016X" % active
    for name in EVENTS:
        result["clocks_event_reasons." + name] = "Active" if name == "sw_power_cap" and active else "Not Active"
    return result


def canonical(field):
    """Return the spelling that the header shows: always the newer one."""
    field = field.strip()
    if field.startswith("clocks_throttle_reasons."):
        field = field.replace("clocks_throttle_reasons.", "clocks_event_reasons.", 1)
    return ALIASES.get(field, field)


def cell(field, value, units):
    """Return one cell as the tool prints it."""
    if value is None:
        return "[N/A]"
    text = "%.2f" % value if isinstance(value, float) else str(value)
    return text + " " + UNITS[field] if units and field in UNITS else text


def heading(field):
    """Return the head of a column."""
    return "%s [%s]" % (field, UNITS[field]) if field in UNITS else field


def query(fields, options, found, driver_version, broken):
    """Print the table. Return the exit status."""
    rows = [values(index, facts, len(found), driver_version) for index, facts in enumerate(found)]
    known = rows[0] if rows else values(0, dict(SAMPLE), 0, driver_version)
    for field in fields:
        if canonical(field) not in known:
            sys.stdout.write('Field "%s" is not a valid field to query.\n\n' % field.strip())
            return 2
    if not rows:
        sys.stdout.write("No devices were found\n")
        return 6
    fields = [canonical(field) for field in fields]
    units = "nounits" not in options
    if "noheader" not in options:
        sys.stdout.write(", ".join(map(heading, fields)) + "\n")
    for index, row in enumerate(rows):
        cells = [cell(field, row[field], units) for field in fields]
        if broken == "err" and index == 0:
            cells = [text if field in ("index", "uuid", "name", "pci.bus_id") else "ERR!" for field, text in zip(fields, cells)]
        if broken == "lost" and index == len(rows) - 1:
            sys.stdout.write("Unable to determine the device handle for GPU%s: %s: Unknown Error\n" % (index, row["pci.bus_id"]))
            return 15
        sys.stdout.write(", ".join(cells) + "\n")
    return 0


# Enough of a device to know which fields exist while there is none.
SAMPLE = {
    "memory_mib": 1, "power_limit": 100.0, "max_sm": 1000, "address": "0000:00:00.0", "name": "", "serial": "", "uuid": "", "vbios": "",
    "compute_cap": "", "ids": "0000:0000", "subsystem": "0000:0000", "mig": False, "memory_temperature": False, "max_memory_clock": 0,
    "switches": False,
}


def behaviour():
    """Return the fault to show, or ""."""
    try:
        with open(os.path.join(LAB, "nvidia-smi.behaviour")) as stream:
            return stream.read().strip()
    except OSError:
        return ""


def list_devices(found):
    """Print a line for each device."""
    for index, facts in enumerate(found):
        print("GPU %d: %s (UUID: %s)" % (index, facts["name"], facts["uuid"]))
    if not found:
        print("No devices found.")


def list_links(found):
    """Print the NVLinks of each device."""
    for index, facts in enumerate(found):
        print("GPU %d: %s (UUID: %s)" % (index, facts["name"], facts["uuid"]))
        for link in range(facts["links"]):
            print("\t Link %d: 26.562 GB/s" % link)
        if not facts["links"]:
            print("Device does not have or support Nvlink")


def list_link_errors(found):
    """Print how many errors the NVLinks of each device have: none."""
    for index, facts in enumerate(found):
        print("GPU %d: %s (UUID: %s)" % (index, facts["name"], facts["uuid"]))
        for link in range(facts["links"]):
            print("".join("\t Link %d: %s Errors: 0\n" % (link, kind) for kind in ("Replay", "Recovery", "CRC")))


def list_processes(_found):
    """Print the processes that the host is said to have, if any."""
    try:
        with open(os.path.join(LAB, "nvidia-smi.processes")) as stream:
            sys.stdout.write(stream.read())
    except OSError:
        pass


LISTS = {
    ("-L",): list_devices, ("--list-gpus",): list_devices, ("nvlink", "-s"): list_links, ("nvlink", "-e"): list_link_errors,
    ("--query-compute-apps=gpu_uuid,pid,used_memory", "--format=csv,noheader,nounits"): list_processes,
}


def main(arguments):
    """Behave like nvidia-smi for these command-line arguments. Return the exit status."""
    fault = behaviour()
    if fault == "hang":
        time.sleep(90)
        return 15
    if fault == "garbage":
        sys.stdout.buffer.write(b"\x00\xff\xfe, {{ not, a, table\n\n0, \xc3\x28, , ,,,\n")
        return 0
    try:
        os.close(os.open(CONTROL, os.O_RDWR))
        with open(os.path.join(LAB, "nvidia", "driver_version")) as stream:
            driver_version = stream.read().strip()
    except OSError:
        sys.stdout.write(NO_DRIVER)
        return 9
    if fault == "mismatch":
        sys.stdout.write("Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 560.35\n")
        return 18
    found = devices()
    if tuple(arguments) in LISTS:
        LISTS[tuple(arguments)](found)
        return 0
    fields, options = None, None
    for argument in arguments:
        name, dummy, value = argument.partition("=")
        if name == "--query-gpu":
            fields = value.split(",")
        elif name == "--format":
            options = value.split(",")
        else:
            sys.stdout.write("Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.\n")
            return 2
    if fields is None or options is None or "csv" not in options:
        sys.stdout.write("This simulated nvidia-smi answers -L, nvlink -s and -e and --query-gpu=... --format=csv[,noheader][,nounits] only.\n")
        return 2
    return query(fields, options, found, driver_version, fault)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
