# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated hl-smi. Simulated output, derived from documentation and public samples, not recorded on hardware.

It answers -Q FIELDS with --format or -f csv,noheader, once or with -l SECONDS for ever, for the Gaudi accelerators that the
lab host's PCI tree shows at that moment and whose device node the caller may open.
"""

import json
import math
import os
import sys
import time

LAB = "/lab"
PCI = "/sys/bus/pci/devices"
NODES = "/dev/accel"

UNITS = {"memory.total": "MiB", "memory.used": "MiB", "memory.free": "MiB", "power.draw": "W", "power.max": "W", "temperature.aip": "C",
         "utilization.aip": "%"}


def devices():
    """Return the facts of the devices that are on the bus and can be opened, in bus order."""
    found = []
    for address in sorted(os.listdir(PCI)):
        try:
            with open(os.path.join(LAB, "gaudi", address + ".json")) as stream:
                facts = json.load(stream)
            os.close(os.open(os.path.join(NODES, facts["node"]), os.O_RDWR))
        except OSError:
            continue
        found.append(dict(facts, address=address))
    return found


def values(index, facts, driver_version, now):
    """Return {field: value} of one device."""
    busy = int(round(50 + 45 * math.sin(now / 60 + index)))
    used = 672 + int((facts["memory_mib"] - 672) * 0.6 * busy / 100.0)
    return {
        "index": index, "uuid": facts["uuid"], "name": facts["name"], "driver_version": driver_version, "bus_id": facts["address"],
        "memory.total": facts["memory_mib"], "memory.used": used, "memory.free": facts["memory_mib"] - used,
        "power.draw": 90 + (facts["power_max"] - 100) * busy // 100, "power.max": facts["power_max"],
        "temperature.aip": 28 + busy // 3, "utilization.aip": busy,
    }


def rows(fields, now):
    """Return the lines of one answer."""
    with open(os.path.join(LAB, "gaudi", "driver_version")) as stream:
        driver_version = stream.read().strip()
    lines = []
    for index, facts in enumerate(devices()):
        told = values(index, facts, driver_version, now)
        lines.append(", ".join(("%s %s" % (told[field], UNITS.get(field, ""))).strip() for field in fields))
    return lines


def main(arguments):
    """Behave like hl-smi for these command-line arguments. Return the exit status."""
    options = dict(zip(arguments[::2], arguments[1::2]))
    fields = options.get("-Q", "").split(",")
    known = values(0, {"uuid": "", "name": "", "address": "", "memory_mib": 1, "power_max": 1}, "", 0)
    if options.get("--format", options.get("-f")) != "csv,noheader" or [field for field in fields if field not in known]:
        sys.stderr.write("This simulated hl-smi answers -Q FIELDS --format csv,noheader [-l SECONDS] only.\n")
        return 1
    while True:
        for line in rows(fields, time.time()):
            print(line)
        sys.stdout.flush()
        if "-l" not in options:
            return 0
        time.sleep(float(options["-l"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
