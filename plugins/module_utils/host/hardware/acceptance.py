# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the collection reads this host's devices right: detection and the textfile collector against the vendors' own tools.

Nothing of a device or its driver is changed. What cannot be tried here is `not applicable`, with the reason, and never counts as passed.
"""
import collections
import os
import re
import shutil
import tempfile
import time

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import accelerators, states
from ansible_collections.accelmon.fleet.plugins.module_utils.host.hardware import collector, fixtures, tools

PASS, FAIL, NOT_APPLICABLE = "pass", "fail", "not applicable"
BUDGET = 360  # seconds; what has not begun by then fails, as it was not tried
ROUNDS = 3  # a device at work changes between three readings; agreeing once is enough
SHORT = 2  # seconds that a tool may hang here
GRACE = 15  # seconds that a busy host may need beyond a time limit
RUNS = 5  # of which the cost is the mean
WIDTH = 48  # characters of a column of the table

# What one run may take: 0.2 cores at the usual interval of 15 s, and the memory that the unit has.
CPU_LIMIT, MEMORY_LIMIT = 3.0, 256 << 20

# How far the collector's value may lie outside of the tool's two: `slack` in the metric's unit, or a share of the tool's value.
Quantity = collections.namedtuple("Quantity", "family labels slack share why")
QUANTITIES = collections.OrderedDict((
    ("memory_total", Quantity("memory_total_bytes", {}, 1 << 20, 0, "tools round to MiB")),
    ("memory_used", Quantity("memory_used_bytes", {}, 64 << 20, 0.02, "the driver's own use changes")),
    ("temperature", Quantity("temperature_celsius", {}, 3, 0, "it changes")),
    ("junction_temperature", Quantity("junction_temperature_celsius", {}, 5, 0, "it changes")),
    ("memory_temperature", Quantity("memory_temperature_celsius", {}, 3, 0, "it changes")),
    ("power_draw", Quantity("power_draw_watts", {}, 10, 0.2, "it changes from one moment to the next")),
    ("power_limit", Quantity("power_limit_watts", {}, 1, 0, "tools round")),
    ("utilization", Quantity("utilization_percent", {}, 10, 0.3, "it is sampled over a fraction of a second")),
    ("clock_core", Quantity("clock_hertz", {"domain": "core"}, 100e6, 0.2, "it changes from one moment to the next")),
    ("clock_memory", Quantity("clock_hertz", {"domain": "memory"}, 50e6, 0.05, "it changes with the load")),
    ("fan_speed", Quantity("fan_speed_percent", {}, 5, 0, "it changes")),
    ("pcie_generation", Quantity("pcie_link_generation", {}, 0, 0, "idle devices lower it")),
))


class Report(object):
    """What was checked: rows of {check, what, device, result, tool, found, note}; tool and found are both values, as text."""

    def __init__(self):
        self.rows = []

    def add(self, check, what, device, result, tool="", found="", note=""):
        """One check. result: whether it passed, or NOT_APPLICABLE"""
        result = {True: PASS, False: FAIL}.get(result, result)
        self.rows.append({"check": check, "what": what, "device": device, "result": result, "tool": str(tool), "found": str(found), "note": note})

    def same(self, check, what, device, tool, found):
        """Both values are to be the same; where one of them is not known, nothing can be said."""
        silent = [name for name, value in (("the tool", tool), ("the collection", found)) if value in (None, "")]
        if silent:
            self.add(check, what, device, NOT_APPLICABLE, tool or "", found or "", "%s does not tell" % " and ".join(silent))
        else:
            self.add(check, what, device, tool == found, tool, found)


# --- detection -------------------------------------------------------------------------------------------------------

def model_word(model):
    """What tells a model from its vendor's others: the first word with a digit that is no size; None without."""
    words = [word for word in re.split(r"[ -]", model) if re.search(r"[0-9]", word) and not re.match(r"[0-9]+[GT]B\Z", word)]
    return words[0] if words else None


def same_model(report, address, tool, model):
    """Our name for a device must name the model that the tool names. Those of other vendors call boards otherwise than chips."""
    word = model_word(model)
    if re.search(r"\b[0-9a-f]{4}:[0-9a-f]{4}\b", model):
        report.add("detection", "model", address, False, tool, model, "its PCI id is not in the collection's table")
    elif not tool or not word:
        report.add("detection", "model", address, NOT_APPLICABLE, tool or "", model, "the names cannot be compared; look at both")
    else:
        told = set(re.split(r"[^0-9A-Za-z]+", tool.lower()))
        report.add("detection", "model", address, bool(told & set(word.lower().split("/"))), tool, model)


def detection(report, vendor, facts, answer):
    """What files tell of a vendor's devices, against its tool."""
    ours = dict((one.get("pci_address", ""), one) for one in facts["devices"] if one["vendor"] == vendor and states.counted(one))
    if answer.problem:
        result = NOT_APPLICABLE if answer.program is None else False
        report.add("detection", "the vendor's tool", vendor, result, "", "%d devices" % len(ours), answer.problem)
        return
    report.add("detection", "number of devices", vendor, len(ours) == len(answer.devices), len(answer.devices), len(ours))
    report.same("detection", "PCI addresses", vendor, " ".join(sorted(answer.devices)), " ".join(sorted(ours)))
    for address in sorted(set(ours) & set(answer.devices)):
        device, told = ours[address], answer.devices[address]
        report.add("detection", "state", address, device["state"] == states.READY, "answers", device["state"])
        report.same("detection", "driver version", address, told.get("driver_version"), device.get("driver_version"))
        if vendor == "nvidia":
            report.same("detection", "product", address, told.get("product"), device.get("product"))
        for key in ("uuid", "serial"):
            if key in told and key in device:
                report.same("detection", key, address, told[key], device[key])
        if vendor in ("nvidia", "amd", "intel_gpu"):
            same_model(report, address, told.get("product"), device["model"])
        else:
            report.add("detection", "model", address, NOT_APPLICABLE, told.get("product", ""), device["model"], "the names cannot be compared; look at both")


# --- readings --------------------------------------------------------------------------------------------------------

def shown(number):
    """A value with few digits, in the unit of the metric."""
    return "%d" % number if number == int(number) else "%.2f" % number


def readings_of(done, vendor):
    """({PCI address: labels}, {PCI address: {quantity: value}}) of the collector's file."""
    found = collector.devices(done, vendor)
    numbers = {}
    for address, labels in found.items():
        numbers[address] = dict((name, collector.value(done, "node_gpu_" + one.family, vendor=vendor, gpu=labels["gpu"], **one.labels))
                                for name, one in QUANTITIES.items())
    return found, numbers


def compare(vendor, before, done, after):
    """Rows of one round: the collector's identities and values against what the tool said before and after it."""
    report = Report()
    if before.problem or after.problem or done.problem:
        report.add("readings", "collector", vendor, False, before.problem or after.problem or "answers", done.problem or "answers")
        return report.rows
    labels, numbers = readings_of(done, vendor)
    report.same("readings", "PCI addresses", vendor, " ".join(sorted(before.devices)), " ".join(sorted(labels)) or "none")
    for address in sorted(set(labels) & set(before.devices)):
        told = before.devices[address]
        for key in ("uuid", "serial", "driver_version"):
            report.same("readings", key.replace("_", " "), address, told.get(key), labels[address].get(key))
        # AMD's devices are numbered by their addresses.
        if vendor == "nvidia":
            report.same("readings", "index", address, "%d" % told.get("index", -1), labels[address]["gpu"])
        both = told["readings"], after.devices.get(address, {}).get("readings", {})
        for name, quantity in QUANTITIES.items():
            within(report, address, name, [one[name] for one in both if name in one], numbers[address][name])
    return report.rows


def within(report, address, name, told, found):
    """One value against the tool's; where neither has it, there is nothing to say."""
    quantity = QUANTITIES[name]
    what = " ".join([quantity.family] + sorted(quantity.labels.values()))
    if not told or found is None:
        # A sleeping or divided device has fewer values here, by intent; a missing one is a fault only where the tool has it.
        if told:
            report.add("readings", what, address, False, shown(told[0]), "none", "the collector leaves out what the tool tells")
        elif found is not None:
            report.add("readings", what, address, NOT_APPLICABLE, "none", shown(found), "the tool does not tell")
        return
    low, high = min(told), max(told)
    slack = max(quantity.slack, quantity.share * high)
    text = shown(low) if low == high else "%s to %s" % (shown(low), shown(high))
    report.add("readings", what, address, low - slack <= found <= high + slack, text, shown(found),
               "within %s: %s" % (shown(slack), quantity.why) if not low <= found <= high else "")


def readings(report, host, vendor):
    """The collector's values of a vendor's devices, between two readings of the vendor's tool."""
    rows = []
    for dummy in range(ROUNDS):
        before = tools.ask(vendor)
        done = collector.run(host, [vendor])
        rows = compare(vendor, before, done, tools.ask(vendor))
        if not any(row["result"] == FAIL for row in rows):
            break
    report.rows += rows
    compared = set("node_gpu_" + quantity.family for quantity in QUANTITIES.values()) | set(("node_gpu_info",))
    others = sorted(set(family for family, dummy in done.samples if family.startswith("node_gpu_")) - compared)
    if others:
        report.add("readings", "other series", vendor, NOT_APPLICABLE, "", "%d series" % len(others), "not compared: " + ", ".join(others))


# --- errors ----------------------------------------------------------------------------------------------------------

def stand_in(host, name, text):
    """A program in place of a vendor's tool, for the collector alone."""
    path = os.path.join(host.folder, name)
    with open(path, "w") as stream:
        stream.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


def state_of(done, vendor):
    """{success, devices, at, reasons: {reason: how often}} of what a run says about itself."""
    return {"success": collector.value(done, "accelmon_collector_success", vendor=vendor), "devices": len(collector.devices(done, vendor)),
            "at": collector.value(done, "accelmon_collector_last_success_timestamp_seconds", vendor=vendor),
            "reasons": dict((labels["reason"], number) for labels, number in collector.values(done, "accelmon_collector_errors_total", vendor=vendor))}


def provoke(report, host, what, good, reasons, options=(), around=()):
    """One run without an answer of NVIDIA's tool: it must say so with one of the reasons, show no device, and leave the time of the last success alone.

    good: state_of() the run before
    """
    limit = collector.TIMEOUT if around else SHORT
    done = collector.run(host, ["nvidia"], options, around, limit)
    if done.problem:
        report.add("errors", what, "nvidia", NOT_APPLICABLE if around else False, "", "", done.problem)
        return
    now = state_of(done, "nvidia")
    grown = sorted(reason for reason, number in now["reasons"].items() if number > good["reasons"].get(reason, 0))
    good["reasons"] = now["reasons"]
    ok = now["success"] == 0 and now["devices"] == 0 and now["at"] == good["at"] and bool(set(grown) & set(reasons)) and done.seconds < limit + GRACE
    report.add("errors", what, "nvidia", ok, "no success, no device, %s" % " or ".join(reasons),
               "%s, %d devices, %s, after %.1f s" % (
                   "success" if now["success"] else "no success", now["devices"], ", ".join(grown) or "no reason", done.seconds))


def hiding(path, stand_in_path):
    """The beginning of a command for which, and for what it starts alone, a file is another one.

    It gets a mount namespace that ends with it. The other file is an ordinary one: whoever changes its owner or mode changes nothing else.
    """
    return ("unshare", "--mount", "sh", "-c", 'mount --make-rprivate / && mount --bind "$0" "$1" && shift && exec "$@"', stand_in_path, path)


def errors(report, host, vendors):
    """States that can be brought about without touching a device: what the collector and detection then say."""
    hanging = stand_in(host, "hanging", "exec sleep 600\n")
    for vendor in vendors:
        good = state_of(collector.run(host, [vendor]), vendor)
        if vendor == "nvidia":
            garbage = stand_in(host, "garbage", "echo '0, what'\n")
            provoke(report, host, "tool missing", good, ["tool_missing"], ["--nvidia-smi=" + os.path.join(host.folder, "none")])
            provoke(report, host, "tool hangs", good, ["timeout"], ["--nvidia-smi=" + hanging])
            provoke(report, host, "tool prints garbage", good, ["bad_output"], ["--nvidia-smi=" + garbage])
            provoke(report, host, "device file cannot be used", good, ["driver_not_loaded", "tool_failed", "no_devices"], (),
                    hiding("/dev/nvidiactl", stand_in(host, "node", "")))
        else:
            done = collector.run(host, [vendor], ["--amd-smi=" + hanging], timeout=SHORT)
            now = state_of(done, vendor)
            report.add("errors", "tool hangs", vendor, now["success"] == 1 and now["devices"] == good["devices"] and done.seconds < SHORT + GRACE,
                       "%d devices" % good["devices"], "%d devices after %.1f s" % (now["devices"], done.seconds), "its devices are read from sysfs")
            report.add("errors", "device file cannot be used", vendor, NOT_APPLICABLE, note="the collector opens no device file of AMD's")
        again = state_of(collector.run(host, [vendor]), vendor)
        report.add("errors", "good again", vendor, again["success"] == 1 and again["devices"] == good["devices"] and again["at"] > (good["at"] or 0),
                   "success, %d devices" % good["devices"], "%s, %d devices" % ("success" if again["success"] else "no success", again["devices"]))
    told = accelerators.ask_details(accelerators.detect(host.root), SHORT, which=lambda program: hanging)
    for vendor, details in sorted(told.items()):
        report.add("errors", "detection with a tool that hangs", vendor, details["status"] == "hung", "hung", details["status"])


# --- cost ------------------------------------------------------------------------------------------------------------

def cost(report, host, vendors):
    """What a run of the collector takes."""
    runs = [collector.run(host, vendors) for dummy in range(RUNS)]
    problems = [one.problem for one in runs if one.problem]
    if problems:
        report.add("cost", "collector", " ".join(vendors), False, "", "", problems[0])
        return
    device = "%d devices" % sum(len(collector.devices(runs[-1], vendor)) for vendor in vendors)
    for what, limit, numbers, unit, factor in (("time of a run", collector.TIMEOUT, [one.seconds for one in runs], "s", 1),
                                               ("CPU time of a run", CPU_LIMIT, [one.cpu for one in runs], "s", 1),
                                               ("memory", MEMORY_LIMIT, [one.memory for one in runs], "MiB", 1 << 20)):
        mean, most = sum(numbers) / len(numbers), max(numbers)
        report.add("cost", what, device, most <= limit, "at most %g %s" % (limit / factor, unit),
                   "%.2f %s, at most %.2f" % (mean / factor, unit, most / factor), "of %d runs" % len(runs))


# --- all together ----------------------------------------------------------------------------------------------------

def check(host, facts):
    """(rows of all checks, {vendor: tools.Answer}). host: collector.Host; facts: what accelerators.detect() found"""
    report, begun = Report(), time.monotonic()
    vendors = sorted(vendor for vendor, told in facts["summary"].items() if told["count"])
    answers = dict((vendor, tools.ask(vendor)) for vendor in vendors)
    read = [vendor for vendor in vendors if vendor in collector.VENDORS and not facts["summary"][vendor].get("embedded")]
    steps = []
    for vendor in vendors:
        detection(report, vendor, facts, answers[vendor])
        if vendor not in read:
            report.add("readings", "collector", vendor, NOT_APPLICABLE, note="the textfile collector does not read these devices")
        elif answers[vendor].problem:
            report.add("readings", "collector", vendor, False if answers[vendor].program else NOT_APPLICABLE, note=answers[vendor].problem)
        else:
            steps.append(("readings", vendor, lambda vendor=vendor: readings(report, host, vendor)))
    if read:
        steps += [("errors", " ".join(read), lambda: errors(report, host, read)), ("cost", " ".join(read), lambda: cost(report, host, read))]
    for name, about, step in steps:
        if time.monotonic() - begun > BUDGET:
            report.add(name, "all", about, False, note="not tried: %d s were over" % BUDGET)
        else:
            step()
    return report.rows, answers


def accept(program, root="/"):
    """Check this host, and record it.

    program: path of the textfile collector's program. Returns {devices: how many, rows: as in Report, fixtures: {path: text}, seconds}, all without
    what tells this host or its devices from others.
    """
    begun, facts = time.monotonic(), accelerators.detect(root)
    counted = [one for one in facts["devices"] if states.counted(one)]
    if not counted:
        return {"devices": 0, "rows": [], "fixtures": {}, "seconds": 0}
    folder = tempfile.mkdtemp(prefix="accelmon-hardware-")
    try:
        host = collector.Host(program, folder, root)
        rows, answers = check(host, facts)
        redactor = fixtures.redactor(facts, answers)
        made = fixtures.make(host, facts, answers, redactor, sum(row["result"] == FAIL for row in rows))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"devices": len(counted), "rows": redactor.document(rows), "fixtures": made, "seconds": round(time.monotonic() - begun, 1)}


def counts(rows):
    """{result: how many}."""
    return dict((result, sum(row["result"] == result for row in rows)) for result in (PASS, FAIL, NOT_APPLICABLE))


def verdict(result):
    """What is wrong with what accept() found, in one line; None if devices were compared with the vendor's tool and nothing failed."""
    number = counts(result["rows"])
    if not result["devices"]:
        return "no accelerators here; run this on a machine that has some"
    if number[FAIL]:
        return "%d of %d checks failed" % (number[FAIL], number[PASS] + number[FAIL])
    compared = any(row["result"] == PASS and row["check"] == "detection" for row in result["rows"])
    return None if compared else "nothing could be compared; install the vendor's tool"


def lines(result):
    """The rows as a table for people: what is alike on several devices is one line, and only failures are shown at full length."""
    alike = collections.OrderedDict()
    for row in result["rows"]:
        alike.setdefault((row["check"], row["what"], row["result"], row["note"], row["device"] if row["result"] == FAIL else ""), []).append(row)
    table = [("result", "check", "what", "device", "the tool", "found", "")]
    for rows in alike.values():
        one = rows[0]
        more = " and %d more" % (len(rows) - 1) if len(rows) > 1 else ""
        cells = (one["result"], one["check"], one["what"], one["device"] + more, one["tool"], one["found"], one["note"])
        if one["result"] == FAIL:
            table.append(("FAIL",) + cells[1:])
        else:
            table.append(tuple(cell if len(cell) <= WIDTH else cell[:WIDTH - 3] + "..." for cell in cells[:-1]) + cells[-1:])
    widths = [min(WIDTH, max(len(line[column]) for line in table)) for column in range(len(table[0]))]
    number = counts(result["rows"])
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in table] + [
        "%d devices: %d checks passed, %d failed, %d not applicable; %.0f s" % (
            result["devices"], number[PASS], number[FAIL], number[NOT_APPLICABLE], result["seconds"])]
