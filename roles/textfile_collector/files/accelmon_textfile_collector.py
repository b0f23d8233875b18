# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes the state of this host's NVIDIA and AMD accelerators for node_exporter's textfile collector.

One run reads every vendor, the kernel's log and the jobs' owner files once, the links between devices now and then, and replaces one file of
metrics. What cannot be read, or cannot be true, is left out and counted; the file never has a stale row or a broken line. Python >= 3.6,
standard library only.

NVIDIA is read with one call of nvidia-smi, AMD from sysfs; amd-smi or rocm-smi are asked only for what sysfs lacks. A device
that sleeps, or is about to, is told from what files remember of it: nothing is asked that would wake it.
Everything that can hang (a tool, a sysfs file of a sick driver) runs in a child with a deadline. A child that
cannot even be killed is remembered, so that the next runs do not add another one to it.

Exit status: 0 the file was written (also when a vendor failed: the metrics say so), 1 it was not or the counters
were not kept, 75 another run is under way.
"""

import argparse
import collections
import copy
import errno
import fcntl
import glob
import json
import os
import re
import select
import shutil
import signal
import sys
import time

# What PCI ids mean is said once, for detection and for this program: its copy is beside it, as is the rest of it. In the collection it is
# where detection has it.
HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True  # it would lie beside the program for ever
sys.path += [HERE, os.path.join(HERE, "../../../plugins/module_utils/detect"), os.path.join(HERE, "../../../plugins/module_utils")]

import ids  # noqa: E402  pylint: disable=wrong-import-position,import-error
import job_owners  # noqa: E402  pylint: disable=wrong-import-position,import-error
import kernel_log  # noqa: E402  pylint: disable=wrong-import-position,import-error
import links  # noqa: E402  pylint: disable=wrong-import-position,import-error
import processes  # noqa: E402  pylint: disable=wrong-import-position,import-error
from textfile import escaped, publish_alone, replace_file  # noqa: E402  pylint: disable=wrong-import-position,import-error

VENDORS = ("nvidia", "amd")
PCI_VENDORS = {"nvidia": "10de", "amd": "1002", "intel_gpu": "8086"}
DRIVERS = {"nvidia": "nvidia", "amd": "amdgpu"}
SEARCH_PATH = "/usr/bin:/usr/local/bin:/bin:/usr/sbin:/sbin:/opt/bin:/opt/rocm/bin:/usr/local/nvidia/bin"
OUTPUT_LIMIT = 4 * 1024 * 1024  # bytes; 16 devices give 10 kB of CSV, 16 partitioned AMD devices 1 MB of JSON
LABEL_LIMIT = 128  # characters
RAS_PERIOD = 60  # seconds: reading a RAS counter makes the driver query, and clear, the hardware's
LOG_SECONDS = 3.0  # for reading the kernel's log; what is left of a flood waits for the next run
AMD_STATIC_RETRY = 600  # seconds between attempts to ask a tool for names that sysfs lacks

# Why a vendor, or one of its devices, could not be read. Known beforehand, so that every counter starts at 0.
REASONS = collections.OrderedDict((
    ("tool_missing", "the vendor's tool is not installed"),
    ("timeout", "the tool or the driver did not answer in time"),
    ("stuck", "an earlier process hangs in the driver and cannot be killed"),
    ("driver_not_loaded", "the tool cannot talk to the driver"),
    ("version_mismatch", "the driver's library and kernel module are of different versions"),
    ("no_devices", "no device was found"),
    ("device_lost", "a device does not answer; the others are reported"),
    ("tool_failed", "the tool ended with an error, or warned"),
    ("output_too_large", "the tool wrote more than anything sensible"),
    ("bad_output", "a line or document could not be understood"),
    ("internal", "a defect of this program"),
))

# Why the kernel's log was not read to its end.
LOG_REASONS = collections.OrderedDict((
    ("tool_missing", "journalctl is not installed"),
    ("failed", "journalctl ended with an error"),
    ("empty", "there is no record of the kernel, as in most containers, or the collector may not read the journal"),
    ("behind", "there are more records than one run reads; the next one goes on"),
    ("timeout", "journalctl did not answer in time, or an earlier one hangs"),
    ("internal", "a defect of this program"),
))

# name -> (type, help). The order is that of the file.
FAMILIES = collections.OrderedDict((
    ("node_gpu_info", ("gauge", "Identity of the accelerator; always 1.")),
    ("node_gpu_utilization_percent", ("gauge", "Share of time in which work was running on the accelerator.")),
    ("node_gpu_memory_used_bytes", ("gauge", "Device memory in use.")),
    ("node_gpu_memory_total_bytes", ("gauge", "Device memory.")),
    ("node_gpu_temperature_celsius", ("gauge", "Core temperature; the hot spot where a device has no other.")),
    ("node_gpu_junction_temperature_celsius", ("gauge", "Temperature of the hot spot.")),
    ("node_gpu_memory_temperature_celsius", ("gauge", "Temperature of the device memory.")),
    ("node_gpu_temperature_margin_celsius", ("gauge", "Degrees left until the device slows down.")),
    ("node_gpu_power_draw_watts", ("gauge", "Power draw of the board.")),
    ("node_gpu_power_limit_watts", ("gauge", "Power limit in force.")),
    ("node_gpu_clock_hertz", ("gauge", "Current clock.")),
    ("node_gpu_fan_speed_percent", ("gauge", "Intended fan speed; may exceed 100.")),
    ("node_gpu_fan_speed_rpm", ("gauge", "Fan speed.")),
    ("node_gpu_persistence_mode", ("gauge", "1 if the driver stays loaded without clients.")),
    ("node_gpu_mig_mode", ("gauge", "1 if the device is divided into instances.")),
    ("node_gpu_ecc_mode", ("gauge", "1 if memory errors are corrected.")),
    ("node_gpu_ecc_errors_total", ("counter", "Memory errors since the driver was loaded (volatile) or ever (aggregate).")),
    ("node_gpu_remapped_rows_total", ("counter", "Memory rows replaced by spare ones, ever.")),
    ("node_gpu_row_remap_pending", ("gauge", "1 if a row is replaced at the next reset.")),
    ("node_gpu_row_remap_failed", ("gauge", "1 if a row could not be replaced.")),
    ("node_gpu_retired_pages_total", ("counter", "Memory pages taken out of use, ever.")),
    ("node_gpu_retired_pages_pending", ("gauge", "1 if a page is retired at the next reboot.")),
    ("node_gpu_pcie_link_generation", ("gauge", "Current PCI Express generation; idle devices lower it.")),
    ("node_gpu_pcie_link_generation_max", ("gauge", "Highest PCI Express generation here.")),
    ("node_gpu_pcie_link_width", ("gauge", "Current PCI Express lanes.")),
    ("node_gpu_pcie_link_width_max", ("gauge", "Highest number of PCI Express lanes here.")),
    ("node_gpu_pcie_replays_total", ("counter", "PCI Express packets sent again.")),
    ("node_gpu_links", ("gauge", "Links to other devices, by whether they are up.")),
    ("node_gpu_link_errors_total", ("counter", "Errors on all links of the device to others, by type.")),
    ("node_gpu_fabric_state", ("gauge", "Registration with the NVLink fabric: 1 not started, 2 in progress, 3 completed, 4 failed or unhealthy.")),
    ("node_gpu_fabric_limited", ("gauge", "1 if the connection to the NVLink fabric has less capacity than it should.")),
    ("node_gpu_throttle_active", ("gauge", "1 if the clock is held down for this reason now.")),
    ("node_gpu_throttle_seconds_total", ("counter", "Time for which the clock was held down for this reason.")),
    ("node_gpu_recovery_action", ("gauge", "What the driver asks for: 0 nothing, 1 reset, 2 reboot, 3 drain peers, 4 drain and reset.")),
    ("node_gpu_errors_total", ("counter", "Errors of the accelerator in the kernel's log.")),
    ("node_gpu_error_last_timestamp_seconds", ("gauge", "When the kernel's log last had this error.")),
    ("node_gpu_error_recovery_action", ("gauge", "What the driver last asked for in the kernel's log, by its number; 0 nothing.")),
    ("accelerator_job_info", ("gauge", "Job that has the accelerator; always 1.")),
    ("accelerator_processes", ("gauge", "Processes that use the accelerator, by job or unit.")),
    ("accelerator_process_memory_bytes", ("gauge", "Device memory that these processes hold.")),
    ("accelerator_process_engine_ratio", ("gauge", "Share of the time in which these processes kept the device's busiest engine busy.")),
    ("accelmon_collector_success", ("gauge", "1 if the last run read the vendor's devices.")),
    ("accelmon_collector_last_run_timestamp_seconds", ("gauge", "When the collector last ran.")),
    ("accelmon_collector_last_success_timestamp_seconds", ("gauge", "When the vendor was last read; 0 for never.")),
    ("accelmon_collector_duration_seconds", ("gauge", "Time that reading the vendor took.")),
    ("accelmon_collector_lost_device", ("gauge", "1 for a device that does not answer, by its PCI address.")),
    ("accelmon_collector_tool_warning", ("gauge", "1 for what the vendor's tool warned of in the last run.")),
    ("accelmon_collector_group_supported", ("gauge", "1 if this host's nvidia-smi knows the group of fields.")),
    ("accelmon_collector_kernel_log_problem", ("gauge", "1 if the kernel's log was not read to its end, for this reason.")),
    ("accelmon_collector_job_files", ("gauge", "Owner files of jobs by result; one may count for several.")),
    ("accelmon_collector_job_file_problem", ("gauge", "1 for an owner file with this problem.")),
    ("accelmon_collector_process_problem", ("gauge", "1 if the processes on the vendor's devices could not be read, for this reason.")),
    ("accelmon_collector_errors_total", ("counter", "Failures to read a vendor or one of its devices.")),
    ("accelmon_collector_invalid_values_total", ("counter", "Values that were left out because they are errors or cannot be true.")),
))

COUNTER_MAX = float(2 ** 53)
# field -> (lowest, highest) believable value, in the unit of the metric.
RANGES = {
    "utilization": (0, 100),
    "memory_used": (0, 2 ** 50), "memory_total": (1, 2 ** 50),
    "temperature": (-50, 200), "junction_temperature": (-50, 200), "memory_temperature": (-50, 200),
    "temperature_margin": (-100, 200),
    "power_draw": (0, 5000), "power_limit": (0, 5000),
    "clock_core": (0, 20e9), "clock_memory": (0, 50e9),
    "fan_speed_percent": (0, 255), "fan_speed_rpm": (0, 60000),
    "pcie_generation": (1, 12), "pcie_generation_max": (1, 12), "pcie_width": (1, 32), "pcie_width_max": (1, 32),
}

Sample = collections.namedtuple("Sample", "family labels value")
Outcome = collections.namedtuple("Outcome", "status code data pid")
Tools = collections.namedtuple("Tools", "nvidia_smi amd_smi")


class Absent(Exception):
    """The device does not have this value."""


class Invalid(Exception):
    """The device should have this value, and what it gave is an error or cannot be true."""


class Failure(Exception):
    """A vendor could not be read; args[0] is one of REASONS."""


# --- values ---------------------------------------------------------------------------------------------------------

NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,9})?\Z")
NOT_THERE = {"", "n/a", "na", "-", "not supported", "unsupported", "not available", "unavailable", "not applicable", "unknown", "none", "null",
             "requested functionality has been deprecated", "insufficient permissions"}
# Errors come in brackets, but not always.
ERRORS = {"err!", "unknown error", "gpu requires reset", "gpu is lost"}


def bare(text):
    """A cell without its blanks and its brackets: ' [N/A] ' -> 'N/A'."""
    text = text.strip()
    return text[1:-1].strip() if text.startswith("[") and text.endswith("]") else text


def present(text):
    """The cell; Absent if it says that there is no such value, Invalid if it says that there is an error."""
    inner = bare(text)
    if inner.lower() in NOT_THERE or inner.lower().startswith("n/a "):
        raise Absent()
    if inner != text.strip() or inner.lower() in ERRORS:
        raise Invalid()
    return inner


def number(field, text, factor=1):
    """The cell as a number in the metric's unit, or Absent, or Invalid if it is none or not believable."""
    text = present(text)
    if not NUMBER.match(text):
        raise Invalid()
    value = float(text) * factor
    lowest, highest = RANGES[field]
    if not lowest <= value <= highest:
        raise Invalid()
    return value


def count(text):
    """The cell as a count of events. Registers full of ones are a device that does not answer, not a count."""
    text = present(text)
    if not re.match(r"[0-9]{1,20}\Z", text) or int(text) >= COUNTER_MAX or int(text) == 0xFFFFFFFF:
        raise Invalid()
    return float(text)


def choice(text, values):
    """The number that stands for the cell's word."""
    text = bare(text).lower()
    if text in values:
        return float(values[text])
    present(text)
    raise Invalid()


def switch(text):
    """1 or 0 for Enabled, Active, Yes and their opposites."""
    return choice(text, {"enabled": 1, "yes": 1, "active": 1, "disabled": 0, "no": 0, "not active": 0})


def plain(text):
    """Text for a label: printable, bounded, never empty (else Absent)."""
    text = present("".join(char if char.isprintable() else "?" for char in text.strip()))
    return text[:LABEL_LIMIT]


class Problems:
    """What went wrong in a run.

    errors, invalid: {name: how often}; warnings: lines of a tool; told: samples about what went wrong, for the file
    """

    def __init__(self):
        self.errors = collections.Counter()
        self.invalid = collections.Counter()
        self.warnings = []
        self.told = []

    def tell(self, family, *labels):
        """A sample that says what is wrong; a label without a value is left out."""
        sample = Sample(family, tuple(label for label in labels if label[1]), 1.0)
        if sample not in self.told:
            self.told.append(sample)

    def lost(self, vendor, address):
        """Count a device that does not answer, and tell its address if that is known."""
        self.errors["device_lost"] += 1
        if address:
            self.tell("accelmon_collector_lost_device", ("vendor", vendor), ("pci_address", address))

    def value(self, field, function, *args):
        """function(*args), or None; an invalid value is counted under the field's name."""
        try:
            return function(*args)
        except Absent:
            return None
        except Invalid:
            self.invalid[field] += 1
            return None


# --- children with a deadline ---------------------------------------------------------------------------------------

def write_all(descriptor, data):
    """All of the data, also into a pipe whose reader is slow."""
    while data:
        data = data[os.write(descriptor, data):]


def start_child(action):
    """Start action() in a child that leads its own process group; returns its pid and a pipe with its output."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    try:
        os.setsid()
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(writer, 1)
        os.dup2(null, 2)
        os.closerange(3, 1024)  # a child that hangs must not hold the lock of this run
        action()
        os._exit(0)
    except BaseException:
        os._exit(126)


def exited(pid):
    """Whether the child ended. It is not reaped yet, so that its group can still be named safely."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def end_group(pid):
    """Kill the child's whole group and reap it; returns its exit status, None if it does not even die."""
    for kill in (os.killpg, os.kill):  # it may have been too young to lead a group
        try:
            kill(pid, signal.SIGKILL)
        except OSError:
            pass
    for wait in (0, 0.01, 0.05, 0.2, 0.75):
        time.sleep(wait)
        reaped, status = os.waitpid(pid, os.WNOHANG)
        if reaped:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
    return None


def bounded(action, deadline, limit=OUTPUT_LIMIT, take=None):
    """Run action() in a child until it ends or the deadline (monotonic seconds) passes.

    take: gets the output piece by piece, however much it is, instead of Outcome.data.
    Outcome.status: done, timeout, too_large or stuck (it survived the kill; then pid is its pid).

    Whether the child has ended is looked at before its output, so that what it wrote last is read; and the time before
    that, so that a child which ended while this process got no time itself is not late.
    """
    pid, reader = start_child(action)
    chunks, size, status = [], 0, "done"
    try:
        while True:
            left = deadline - time.monotonic()
            ended = exited(pid)
            ready = select.select([reader], [], [], 0 if ended else max(0, min(left, 0.25)))[0]
            chunk = os.read(reader, 65536) if ready else b""
            if take:
                take(chunk)
            else:
                chunks.append(chunk)
                size += len(chunk)
            if size > limit:
                status = "too_large"
                break
            if ended and not chunk:
                break
            if left <= 0 and not ended:
                status = "timeout"
                break
            if ready and not chunk:
                time.sleep(0.005)  # its output is closed, and it is about to end
    finally:
        os.close(reader)
        code = end_group(pid)
    if code is None:
        return Outcome("stuck", None, b"", pid)
    return Outcome(status, code, b"".join(chunks), None)


def process_start(pid):
    """When a process started, in clock ticks as text; None if there is none, or only its zombie."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as stream:
            after_name = stream.read().rpartition(b")")[2].split()
    except (OSError, ValueError):
        return None
    return None if after_name[0] in (b"Z", b"X") else after_name[19].decode("ascii")


def ask(vendor, action, deadline, state, limit=OUTPUT_LIMIT, take=None):
    """bounded(), with the memory of children that cannot be killed. Raises Failure; else (exit status, output).

    vendor: whom they ask, or the kernel's log
    """
    known = state["stuck"].get(vendor)
    if known and known["start"] and process_start(known["pid"]) == known["start"]:
        raise Failure("stuck")
    state["stuck"].pop(vendor, None)
    outcome = bounded(action, deadline, limit, take)
    if outcome.status == "stuck":
        state["stuck"][vendor] = {"pid": outcome.pid, "start": process_start(outcome.pid) or ""}
        raise Failure("timeout")
    if outcome.status != "done":
        raise Failure("timeout" if outcome.status == "timeout" else "output_too_large")
    return outcome.code, outcome.data


def find_tool(names):
    """The path of the first of these programs that is there, or None."""
    for name in names:
        path = shutil.which(name, path=SEARCH_PATH)
        if path:
            return path
    return None


def tool(argv):
    """An action that becomes the program, with a language and environment of our choice."""
    environment = {"LC_ALL": "C", "LANG": "C", "PATH": SEARCH_PATH, "HOME": "/", "PYTHONDONTWRITEBYTECODE": "1"}
    return lambda: os.execve(argv[0], argv, environment)


# --- files ----------------------------------------------------------------------------------------------------------

def read(path, limit=65536):
    """Text of a small file, or None if there is none or it cannot be read."""
    try:
        with open(path, "rb") as stream:
            return stream.read(limit).decode("utf-8", "replace").strip()
    except OSError:
        return None


def boot_id(root):
    """What tells this boot of the kernel from others, or ""."""
    return read(os.path.join(root, "proc/sys/kernel/random/boot_id")) or ""


def keep_for_boot(memory, boot, **empty):
    """What is remembered until the next boot, and then begins empty."""
    if memory.get("boot") != boot:
        memory.clear()
        memory.update(empty, boot=boot)


DEVICES = "sys/bus/pci/devices"
ASLEEP = ("suspended", "suspending", "resuming")  # what asks a device then may wake it, and what it answers is nothing to go by
ADDRESS = re.compile(r"\b([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])\b", re.I)


def pci_id(root, address):
    """The four digits of a function's device id; '' where there are none."""
    match = re.match(r"0x([0-9a-f]{4})\Z", (read(os.path.join(root, DEVICES, address, "device")) or "").lower())
    return match.group(1) if match else ""


def held(root, address, vendor):
    """Whether the vendor's driver holds a function."""
    return os.path.basename(os.path.realpath(os.path.join(root, DEVICES, address, "driver"))) == DRIVERS[vendor]


def accelerators(root, vendor):
    """PCI addresses of a vendor's accelerators that its driver holds, or that a current driver should: as detection counts them."""
    folder = os.path.join(root, DEVICES)
    try:
        addresses = sorted(os.listdir(folder))
    except OSError:
        addresses = []
    for address in addresses:
        if (read(os.path.join(folder, address, "vendor")) or "")[-4:].lower() != PCI_VENDORS[vendor]:
            continue
        if os.path.islink(os.path.join(folder, address, "physfn")):
            continue  # a virtual function is a part of a device of this host
        device, code = pci_id(root, address), (read(os.path.join(folder, address, "class")) or "")[2:6].lower()
        if not ids.is_accelerator(PCI_VENDORS[vendor], device, code) if device else code not in ids.CLASSES[PCI_VENDORS[vendor]]:
            continue
        if not device or ids.served(PCI_VENDORS[vendor], device) or held(root, address, vendor):
            yield address


def driven(root, vendor):
    """Those of them that the vendor's driver holds: no processors' graphics, no host's virtual functions."""
    return [address for address in accelerators(root, vendor) if held(root, address, vendor)]


def asleep(root, address):
    """Whether the kernel has put a device to sleep, or is about to, or to wake it."""
    return read(os.path.join(root, DEVICES, address, "power/runtime_status")) in ASLEEP


# Lanes now, and lanes that there can be: fields by the kernel's name of them.
WIDTHS = collections.OrderedDict((("current_link_width", "pcie_width"), ("max_link_width", "pcie_width_max")))


def narrowest(root, address):
    """{field: the fewest lanes between a device and the host}, without the device's own link; {} where nothing is in between.

    A device behind a switch, which may be on its own card, is linked to that at full width whatever the slot has.
    """
    found, folder = {}, os.path.dirname(os.path.realpath(os.path.join(root, DEVICES, address)))
    while ADDRESS.match(os.path.basename(folder)):
        for name, field in WIDTHS.items():
            text = read(os.path.join(folder, name)) or ""
            # Ports that are no link of their own say 0 or 255.
            if NUMBER.match(text) and RANGES[field][0] <= float(text) <= RANGES[field][1]:
                found[field] = min(float(text), found.get(field, float(text)))
        folder = os.path.dirname(folder)
    return found


def spelt(address):
    """The PCI address in a tool's text as sysfs spells it: '00000000:1B:00.0' -> '0000:1b:00.0'; '' if there is none."""
    match = ADDRESS.search(address)
    return ("%04x:%s:%s.%s" % ((int(match.group(1), 16),) + match.groups()[1:])).lower() if match else ""


# What tools warn of.
WARNINGS = (
    (re.compile("inforom", re.I), "inforom_corrupted"),
    (re.compile("low[- ]power", re.I), "low_power"),
    (re.compile(""), "other"),
)
WARNING = re.compile(r"\s*[\[(]?WARNING\b", re.I)
NUMBERED = re.compile(r"\b(?:gpu|card|device)[ #:]*(?:id|index)?[ #:]*([0-9]{1,3})\b", re.I)


def warned(problems, vendor, line, devices):
    """Tell of a tool's warning, with the device that it names by its address or its number.

    devices: the labels of node_gpu_info of every device, as dicts
    """
    address, numbered = spelt(line), NUMBERED.search(line)
    key, value = ("pci_address", address) if address else ("gpu", numbered.group(1) if numbered else "")
    device = next((labels for labels in devices if value and labels.get(key) == value), {key: value})
    problems.tell("accelmon_collector_tool_warning", ("vendor", vendor), ("warning", next(kind for pattern, kind in WARNINGS if pattern.search(line))),
                  *((name, device.get(name)) for name in ("gpu", "uuid", "pci_address")))


def ended(problems, vendor, code, reason):
    """Tell with which status a tool ended that said something all the same."""
    problems.errors[reason] += 1
    problems.tell("accelmon_collector_tool_warning", ("vendor", vendor), ("warning", "exit_status"), ("status", str(code)))


# --- NVIDIA ---------------------------------------------------------------------------------------------------------

ECC = [("ecc.errors.%s.%s.total" % (kind, scope), kind, scope)
       for kind in ("corrected", "uncorrected") for scope in ("volatile", "aggregate")]
THROTTLE_BITS = (("sw_power_cap", 0x4), ("hw_slowdown", 0x8), ("sync_boost", 0x10), ("sw_thermal_slowdown", 0x20),
                 ("hw_thermal_slowdown", 0x40), ("hw_power_brake_slowdown", 0x80))
THROTTLE_TIMES = ("sw_power_cap", "sw_thermal_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown")
FABRIC = {"not started": 1, "in progress": 2, "completed": 3}
FABRIC_FAILED = 4.0
FABRIC_LIMITED = {"healthy": 0, "unhealthy": 0, "limited capacity": 1}
RECOVERY = {"none": 0, "reset": 1, "gpu reset": 1, "reboot": 2, "node reboot": 2, "drain p2p": 3, "drain and reset": 4}

# Fields that came with one driver release, newest spelling first. A tool that rejects a field of a spelling is not
# asked for it again until the next boot or driver. `core` is known to every driver since 2014 and must be there.
GROUPS = collections.OrderedDict((
    ("core", [("index", "uuid", "pci.bus_id", "driver_version", "serial", "persistence_mode", "utilization.gpu",
               "memory.used", "memory.total", "temperature.gpu", "power.draw", "power.limit", "fan.speed",
               "clocks.current.sm", "clocks.current.memory", "pcie.link.gen.current", "pcie.link.gen.max",
               "pcie.link.width.current", "pcie.link.width.max", "ecc.mode.current") + tuple(item[0] for item in ECC)
              + ("retired_pages.single_bit_ecc.count", "retired_pages.double_bit.count", "retired_pages.pending")]),
    ("memory_temperature", [("temperature.memory",)]),
    ("mig", [("mig.mode.current",)]),
    ("remapped_rows", [("remapped_rows.correctable", "remapped_rows.uncorrectable", "remapped_rows.pending",
                        "remapped_rows.failure")]),
    ("throttle", [("clocks_event_reasons.active",), ("clocks_throttle_reasons.active",)]),
    ("throttle_time", [tuple("clocks_event_reasons_counters." + reason for reason in THROTTLE_TIMES)]),
    ("temperature_margin", [("temperature.gpu.tlimit",)]),
    ("recovery_action", [("gpu_recovery_action",)]),
    ("fabric", [("fabric.state", "fabric.status", "fabric.health.summary"), ("fabric.state", "fabric.status")]),
))
REJECTED = re.compile(r'Field "([^"]*)" is not a valid field')
# What the tool says instead of, or between, its rows.
MESSAGES = (
    (re.compile("version mismatch", re.I), "version_mismatch"),
    (re.compile("couldn't communicate with the NVIDIA driver|driver is not loaded|Driver Not Loaded", re.I), "driver_not_loaded"),
    (re.compile("no devices were found", re.I), "no_devices"),
    (re.compile("unable to determine the device handle|GPU is lost|fallen off the bus", re.I), "device_lost"),
    (re.compile("insufficient permissions|failed to initialize nvml", re.I), "tool_failed"),
    (re.compile("^WARNING:", re.I), "tool_failed"),
)
EXIT_STATUSES = {6: "no_devices", 9: "driver_not_loaded", 12: "driver_not_loaded", 15: "device_lost", 18: "version_mismatch"}


def nvidia_fields(chosen):
    """The fields to ask for. chosen: {group: which spelling}, beyond the last one for a group that is unknown."""
    fields = [field for group, spellings in GROUPS.items() for field in (spellings + [()])[chosen.get(group, 0)]]
    return fields + ["name"]  # last: only a name could ever contain the separator


def nvidia_table(text, fields, problems):
    """Rows {field: cell} of the CSV; lines that are no row are counted. A last line without its end is incomplete."""
    lines = text.split("\n")
    if lines.pop():
        problems.errors["bad_output"] += 1
    rows, seen = [], set()
    for line in lines:
        if not line.strip():
            continue
        cells = line.split(", ", len(fields) - 1)
        row = dict(zip(fields, cells))
        index = row.get("index", "").strip()
        if len(cells) != len(fields) or not re.match(r"[0-9]{1,4}\Z", index) or index in seen:
            said = [reason for pattern, reason in MESSAGES if pattern.search(line)]
            if WARNING.match(line):
                problems.warnings.append(line)
            if said[:1] == ["device_lost"] or not said and len(cells) == len(fields) and index not in seen and bare(index).lower() in ERRORS:
                problems.lost("nvidia", spelt(line))
            else:
                problems.errors[said[0] if said else "bad_output"] += 1
            continue
        seen.add(index)
        rows.append(row)
    return rows


def pci_address(text):
    """nvidia-smi's address as sysfs spells it: '00000000:1B:00.0' -> '0000:1b:00.0'."""
    match = re.match(r"([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])\Z", present(text).lower())
    if not match:
        raise Invalid()
    return "%04x:%s:%s.%s" % ((int(match.group(1), 16),) + match.groups()[1:])


def nvidia_uuid(text):
    """The device's UUID, or Invalid for anything else (a lost device gives an error instead)."""
    text = present(text)
    if not re.match(r"GPU-[0-9A-Fa-f-]{8,64}\Z", text):
        raise Invalid()
    return text


def bitmask(text):
    """A mask like 0x0000000000000040 as an integer."""
    text = present(text)
    if not re.match(r"0x[0-9A-Fa-f]{1,16}\Z", text):
        raise Invalid()
    return int(text, 16)


# What one cell of the tool's table tells. field: what an invalid value is counted under; read: the text as a number
Reading = collections.namedtuple("Reading", "field family cell read labels")


def measured(field, family, cell, factor=1, **labels):
    """A reading that is a number between the limits of its field."""
    return Reading(field, family, cell, lambda text: number(field, text, factor), labels)


def counted(field, family, cell, **labels):
    """A reading that is a count of events."""
    return Reading(field, family, cell, count, labels)


def switched(field, cell):
    """A reading that is on or off, and whose family is called like its field."""
    return Reading(field, field, cell, switch, {})


NVIDIA_READINGS = [
    measured("utilization", "utilization_percent", "utilization.gpu"),
    measured("memory_total", "memory_total_bytes", "memory.total", 1 << 20),
    measured("temperature", "temperature_celsius", "temperature.gpu"),
    measured("memory_temperature", "memory_temperature_celsius", "temperature.memory"),
    measured("temperature_margin", "temperature_margin_celsius", "temperature.gpu.tlimit"),
    measured("power_draw", "power_draw_watts", "power.draw"),
    measured("power_limit", "power_limit_watts", "power.limit"),
    measured("clock_core", "clock_hertz", "clocks.current.sm", 1e6, domain="core"),
    measured("clock_memory", "clock_hertz", "clocks.current.memory", 1e6, domain="memory"),
    measured("fan_speed_percent", "fan_speed_percent", "fan.speed"),
    measured("pcie_generation", "pcie_link_generation", "pcie.link.gen.current"),
    measured("pcie_generation_max", "pcie_link_generation_max", "pcie.link.gen.max"),
    measured("pcie_width", "pcie_link_width", "pcie.link.width.current"),
    measured("pcie_width_max", "pcie_link_width_max", "pcie.link.width.max"),
    switched("persistence_mode", "persistence_mode"),
    switched("mig_mode", "mig.mode.current"),
    switched("ecc_mode", "ecc.mode.current"),
    switched("row_remap_pending", "remapped_rows.pending"),
    switched("row_remap_failed", "remapped_rows.failure"),
    switched("retired_pages_pending", "retired_pages.pending"),
    counted("remapped_rows", "remapped_rows_total", "remapped_rows.correctable", cause="correctable"),
    counted("remapped_rows", "remapped_rows_total", "remapped_rows.uncorrectable", cause="uncorrectable"),
    counted("retired_pages", "retired_pages_total", "retired_pages.single_bit_ecc.count", cause="single_bit"),
    counted("retired_pages", "retired_pages_total", "retired_pages.double_bit.count", cause="double_bit"),
    Reading("recovery_action", "recovery_action", "gpu_recovery_action", lambda text: choice(text, RECOVERY), {}),
    Reading("fabric_limited", "fabric_limited", "fabric.health.summary", lambda text: choice(text, FABRIC_LIMITED), {}),
] + [
    counted("ecc_errors", "ecc_errors_total", cell, type=kind, scope=scope) for cell, kind, scope in ECC
] + [
    Reading("throttle_time", "throttle_seconds_total", "clocks_event_reasons_counters." + reason, lambda text: count(text) / 1e6, {"reason": reason})
    for reason in THROTTLE_TIMES
]


def nvidia_model(root, address, text):
    """What the driver calls a device; where it has no name for it, our own."""
    device = pci_id(root, address) if address else ""
    if text and not ids.generic(text):
        return text
    return ids.model("10de", device) if device else "NVIDIA"


def nvidia_sleeper(root, address, number):
    """The samples of a device that sleeps: who it is, as far as the driver's own files tell."""
    text = read(os.path.join(root, "proc/driver/nvidia/gpus", address, "information")) or ""
    lines = processes.pairs(text)
    quiet = Problems()
    identity = (("gpu", str(number)), ("uuid", quiet.value("uuid", nvidia_uuid, lines.get("GPU UUID", "")) or "pci-" + address), ("vendor", "nvidia"),
                ("model", nvidia_model(root, address, quiet.value("model", plain, lines.get("Model", "")))))
    return [Sample("node_gpu_info", identity + (("pci_address", address),), 1.0)]


def nvidia_samples(row, problems, root="/"):
    """The samples of one device. row: {field: cell}.

    Empty for a device that gives errors and no reading, or that cannot be told from the others: it is lost, not present.
    """
    get, errors = problems.value, sum(problems.invalid.values())
    address = get("pci_address", pci_address, row["pci.bus_id"])
    uuid = get("uuid", nvidia_uuid, row["uuid"]) or (address and "pci-" + address)
    if not uuid:
        problems.lost("nvidia", "")
        return []
    identity = (("gpu", str(int(row["index"]))), ("uuid", uuid), ("vendor", "nvidia"),
                ("model", nvidia_model(root, address, get("model", plain, row["name"]))))
    info = (("pci_address", address), ("driver_version", get("driver_version", plain, row["driver_version"])),
            ("serial", get("serial", plain, row["serial"])))
    samples = [Sample("node_gpu_info", identity + tuple(item for item in info if item[1]), 1.0)]
    total, way = None, narrowest(root, address) if address else {}
    for reading in NVIDIA_READINGS:
        value = get(reading.field, reading.read, row.get(reading.cell, ""))
        if value is not None:
            value = min(value, way.get(reading.field, value))
            samples.append(Sample("node_gpu_" + reading.family, identity + tuple(reading.labels.items()), value))
        if reading.field == "memory_total":
            total = value
    samples += nvidia_memory_used(row, problems, identity, total) + nvidia_throttles(row, problems, identity)
    fabric = get("fabric_state", nvidia_fabric, *(row.get("fabric." + cell, "") for cell in ("state", "status", "health.summary")))
    if fabric is not None:
        samples.append(Sample("node_gpu_fabric_state", identity, fabric))
    if len(samples) == 1 and sum(problems.invalid.values()) > errors:
        problems.lost("nvidia", address)
        return []
    return samples


def nvidia_fabric(state, status, health):
    """How far a device is with joining the fabric. A completed attempt need not have succeeded, which its status tells, nor the device be well in it."""
    value = choice(state, FABRIC)
    failed = bare(status).lower() != "success" or bare(health).lower() == "unhealthy"
    return FABRIC_FAILED if value == FABRIC["completed"] and failed else value


def nvidia_memory_used(row, problems, identity, total):
    """The sample of the memory in use; more than the device has is no reading. total: its memory, or None"""
    used = problems.value("memory_used", number, "memory_used", row["memory.used"], 1 << 20)
    if used is not None and total is not None and used > total:
        problems.invalid["memory_used"] += 1
        used = None
    return [] if used is None else [Sample("node_gpu_memory_used_bytes", identity, used)]


def nvidia_throttles(row, problems, identity):
    """The samples of what slows the device down at the moment: 1 or 0 for each reason of the mask."""
    active = [row[field] for field in ("clocks_event_reasons.active", "clocks_throttle_reasons.active") if field in row]
    mask = problems.value("throttle", bitmask, active[0] if active else "")
    return [] if mask is None else [Sample("node_gpu_throttle_active", identity + (("reason", reason),), 1.0 if mask & bit else 0.0)
                                    for reason, bit in THROTTLE_BITS]


def nvidia_query(root, path, deadline, state, only):
    """Ask nvidia-smi for all that it knows of all devices, or of some addresses only.

    Returns (exit status, text, fields); learns which groups of fields it rejects.
    """
    memory = state["nvidia"]
    driver = " ".join([boot_id(root), read(os.path.join(root, "sys/module/nvidia/version")) or "", path])
    if memory.get("driver") != driver:
        memory.clear()
        memory.update(driver=driver, chosen={})
    chosen = memory["chosen"]
    while True:
        fields = nvidia_fields(chosen)
        argv = [path, "--query-gpu=" + ",".join(fields), "--format=csv,noheader,nounits"] + (["--id=" + ",".join(only)] if only else [])
        code, data = ask("nvidia", tool(argv), deadline, state)
        text = data.decode("utf-8", "replace")
        rejected = set(REJECTED.findall(text)).intersection(fields)
        if not rejected:
            return code, text, fields
        for group, spellings in GROUPS.items():
            which = chosen.get(group, 0)
            if which < len(spellings) and rejected.intersection(spellings[which]):
                chosen[group] = which + 1
        if chosen.get("core") or "name" in rejected:
            memory.clear()
            raise Failure("tool_failed")


def collect_nvidia(root, tools, deadline, state, problems):
    """Samples of all NVIDIA devices. Raises Failure if there is none at all."""
    path = find_tool([tools.nvidia_smi])
    if not path:
        raise Failure("tool_missing")
    bound = driven(root, "nvidia")
    sleepers = [address for address in bound if asleep(root, address)]
    samples = []
    for address in sleepers:
        samples += nvidia_sleeper(root, address, bound.index(address))
    if bound and sleepers == bound:
        return samples
    code, text, fields = nvidia_query(root, path, deadline, state, [address for address in bound if address not in sleepers] if sleepers else [])
    rows = nvidia_table(text, fields, problems)
    awake = nvidia_devices(rows, problems, root)
    samples += awake
    devices = [dict(sample.labels) for sample in samples if sample.family == "node_gpu_info"]
    for line in problems.warnings:
        warned(problems, "nvidia", line, devices)
    if not awake:
        problems.errors.clear()  # the lines that were no rows and this failure are one event
        reason = nvidia_silence(code, text, rows)
        if not sleepers:
            raise Failure(reason)
        problems.errors[reason] += 1
    if code and not problems.errors:
        ended(problems, "nvidia", code, EXIT_STATUSES.get(code, "tool_failed"))
    return samples


def nvidia_devices(rows, problems, root):
    """The samples of the devices in the table, each device once."""
    samples, uuids = [], set()
    for row in rows:
        device = nvidia_samples(row, problems, root)
        uuid = dict(device[0].labels)["uuid"] if device else None
        if uuid in uuids:
            problems.errors["bad_output"] += 1
        elif device:
            uuids.add(uuid)
            samples += device
    return samples


def nvidia_silence(code, text, rows):
    """Why the tool told of no device: what it said, else its exit status, else what its rows were like."""
    said = [reason for pattern, reason in MESSAGES if pattern.search(text)]
    if said:
        return said[0]
    if code:
        return EXIT_STATUSES.get(code, "tool_failed")
    return "device_lost" if rows else "bad_output"


# --- AMD ------------------------------------------------------------------------------------------------------------

AMD_FILES = ("mem_info_vram_total", "mem_info_vram_used", "unique_id", "serial_number", "product_name", "device", "class")
# These ask the device or its firmware. A sleeping device would be woken for them every time, so it is let alone.
AMD_LIVE_FILES = ("gpu_busy_percent", "pcie_replay_count", "current_compute_partition", "current_link_speed", "max_link_speed",
                  "current_link_width", "max_link_width")
AMD_HWMON = re.compile(r"(temp[0-9]+_(input|label)|freq[0-9]+_(input|label)|power1_(average|input|cap)|fan1_input)\Z")
UNSUPPORTED = {errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL, errno.ENODATA, errno.ENOSYS}
PCIE_GENERATIONS = {"2.5": 1, "5": 2, "5.0": 2, "8": 3, "8.0": 3, "16": 4, "16.0": 4, "32": 5, "32.0": 5, "64": 6, "64.0": 6}
RAS_COUNT = re.compile(r"^(ue|ce|de):\s*([0-9]{1,20})\s*$", re.M)
RAS_TYPES = (("ce", "corrected"), ("ue", "uncorrected"), ("de", "deferred"))


def read_into(files, failed, name, path):
    """Put a file's text into `files`, or its name into `failed` if reading it gives an error that means something."""
    try:
        with open(path, "rb") as stream:
            files[name] = stream.read(65536).decode("utf-8", "replace").strip()
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            failed.append(name)


def amd_probe(root, ras_due):
    """The raw text of everything that is read of each device, for a child with a deadline.

    ras_due: addresses whose RAS counters are read. Returns a list of {address, files: {name: text}, failed: [name], asleep, narrowest};
    a name in `failed` exists and gave an error, one that is in neither does not exist.
    """
    devices = []
    for address in driven(root, "amd"):
        folder = os.path.join(root, DEVICES, address)
        files, failed, live, broken = {}, [], {}, []
        for name in AMD_FILES:
            read_into(files, failed, name, os.path.join(folder, name))
        sleeps = asleep(root, address)
        if not sleeps:
            for name in AMD_LIVE_FILES:
                read_into(live, broken, name, os.path.join(folder, name))
            for path in sorted(glob.glob(os.path.join(glob.escape(folder), "hwmon/hwmon*/*"))):
                if AMD_HWMON.match(os.path.basename(path)):
                    read_into(live, broken, os.path.basename(path), path)
            if address in ras_due:
                for path in sorted(glob.glob(os.path.join(glob.escape(folder), "ras/*_err_count"))):
                    read_into(live, broken, "ras/" + os.path.basename(path), path)
            sleeps = bool(broken) and asleep(root, address)  # it went to sleep meanwhile: its errors mean nothing
        if not sleeps:
            files.update(live)
            failed += broken
        devices.append({"address": address, "files": files, "failed": failed, "asleep": sleeps, "narrowest": {} if sleeps else narrowest(root, address)})
    return devices


def amd_ras(device):
    """{corrected, uncorrected, deferred?: count}: the sums over all blocks.

    Raises Absent without RAS, and Invalid if any block is unreadable: a sum without it would look like a counter
    that was reset, and the next one like new errors.
    """
    names = [name for name in device["files"] if name.startswith("ras/")]
    if any(name.startswith("ras/") for name in device["failed"]):
        raise Invalid()
    if not names:
        raise Absent()
    sums = {}
    for name in names:
        found = RAS_COUNT.findall(device["files"][name])
        if not {"ue", "ce"} <= {kind for kind, _value in found}:
            raise Invalid()
        for kind, value in found:
            sums[dict(RAS_TYPES)[kind]] = sums.get(dict(RAS_TYPES)[kind], 0.0) + count(value)
    return sums


def amd_sensors(files, pattern, fields):
    """(field, text) of hwmon's numbered inputs; fields: {label of an input: field}."""
    for name in sorted(files):
        match = re.match(pattern, name)
        field = match and fields.get(files.get("%s_label" % match.group(1), ""))
        if field:
            yield field, files[name]


def amd_values(device, problems):
    """{field: number} of one device, in the units of the metrics, from its sysfs texts."""
    files, values = device["files"], {}

    def add(field, function, *args):
        value = problems.value(field, function, *args)
        if value is not None:
            values.setdefault(field, value)

    add("utilization", number, "utilization", files.get("gpu_busy_percent", ""))
    add("memory_total", number, "memory_total", files.get("mem_info_vram_total", ""))
    add("memory_used", number, "memory_used", files.get("mem_info_vram_used", ""))
    for field, text in amd_sensors(files, r"(temp[0-9]+)_input\Z",
                                   {"edge": "temperature", "junction": "junction_temperature", "mem": "memory_temperature"}):
        add(field, number, field, text, 1e-3)
    if "temperature" not in values and "junction_temperature" in values:
        values["temperature"] = values["junction_temperature"]
    for field, text in amd_sensors(files, r"(freq[0-9]+)_input\Z", {"sclk": "clock_core", "mclk": "clock_memory"}):
        add(field, number, field, text)
    # Dies and partitions that share a board's sensor give 0: the power counts where it is measured.
    for field, names in (("power_draw", ("power1_average", "power1_input")), ("power_limit", ("power1_cap",))):
        for name in names:
            if files.get(name, "0") != "0":
                add(field, number, field, files[name], 1e-6)
    add("fan_speed_rpm", number, "fan_speed_rpm", files.get("fan1_input", ""))
    for field, name in (("pcie_generation", "current_link_speed"), ("pcie_generation_max", "max_link_speed")):
        words = files.get(name, "").split()
        add(field, choice, words[0] if words else "", PCIE_GENERATIONS)
    for name, field in WIDTHS.items():
        add(field, number, field, files.get(name, ""))
        if field in values:
            values[field] = min(values[field], device["narrowest"].get(field, values[field]))
    add("pcie_replays", count, files.get("pcie_replay_count", ""))
    for name in device["failed"]:
        if not name.startswith("ras/"):
            problems.invalid[re.sub(r"[0-9]+", "", name)] += 1
    return values


def entries(document):
    """amd-smi's list of devices in its older wrapping, a list, and in its newer, {"gpu_data": list}."""
    if isinstance(document, dict):
        document = document.get("gpu_data", document)
    return [entry for entry in document if isinstance(entry, dict)] if isinstance(document, list) else []


def dig(entry, *keys):
    """A value deep in amd-smi's JSON as text: {"value": 5, "unit": "W"}, 5 and "5" are '5'; '' if it is not there."""
    for key in keys:
        entry = entry.get(key) if isinstance(entry, dict) else None
    if isinstance(entry, dict):
        entry = entry.get("value")
    return "" if entry is None or isinstance(entry, (list, dict, bool)) else str(entry)


def amd_smi_static(document):
    """{PCI address: {gpu, model?, serial?}} from `amd-smi static`; the first entry of an address is the whole device."""
    found = collections.OrderedDict()
    for entry in entries(document):
        address = spelt(dig(entry, "bus", "bdf"))
        names = {"gpu": dig(entry, "gpu"), "model": dig(entry, "asic", "market_name"), "serial": dig(entry, "board", "product_serial")}
        if address:
            found.setdefault(address, {key: bare(text) for key, text in names.items() if bare(text).lower() not in NOT_THERE})
    return found


def amd_smi_metric(document, names, problems):
    """{PCI address: {field: number}} from `amd-smi metric`. names: what amd_smi_static() gave."""
    addresses = {entry.get("gpu"): address for address, entry in names.items()}
    found = {}
    for entry in entries(document):
        address = addresses.get(dig(entry, "gpu"))
        if not address or address in found:
            continue
        texts = {
            "utilization": dig(entry, "usage", "gfx_activity"),
            "temperature": dig(entry, "temperature", "edge"),
            "junction_temperature": dig(entry, "temperature", "hotspot"),
            "memory_temperature": dig(entry, "temperature", "mem"),
            "power_draw": dig(entry, "power", "socket_power") or dig(entry, "power", "average_socket_power"),
        }
        found[address] = tool_values(texts, problems)
    return found


def rocm_smi(document, problems):
    """({PCI address: {model?, serial?}}, {PCI address: {field: number}}) from rocm-smi: an object of card0, card1, …"""
    names, found = {}, {}
    for card, entry in sorted(document.items()) if isinstance(document, dict) else []:
        if not re.match(r"card[0-9]+\Z", card) or not isinstance(entry, dict):
            continue
        address = spelt(dig(entry, "PCI Bus"))
        if not address or address in names:
            continue
        labels = {"model": dig(entry, "Card Series") or dig(entry, "Card series"), "serial": dig(entry, "Serial Number")}
        names[address] = {key: bare(text) for key, text in labels.items() if bare(text).lower() not in NOT_THERE}
        found[address] = tool_values({
            "utilization": dig(entry, "GPU use (%)"),
            "temperature": dig(entry, "Temperature (Sensor edge) (C)"),
            "junction_temperature": dig(entry, "Temperature (Sensor junction) (C)"),
            "memory_temperature": dig(entry, "Temperature (Sensor memory) (C)"),
            "power_draw": (dig(entry, "Current Socket Graphics Package Power (W)")
                           or dig(entry, "Average Graphics Package Power (W)")),
        }, problems)
    return names, found


def tool_values(texts, problems):
    """{field: number} of the texts that a tool gave; zero power is a die or partition that shares a sensor."""
    values = {field: problems.value(field, number, field, text) for field, text in texts.items()}
    return {field: value for field, value in values.items() if value is not None and (field != "power_draw" or value > 0)}


def amd_tool(path, arguments, deadline, state, problems):
    """The JSON that the tool prints. Raises Failure.

    A whole document counts whatever status the tool ends with: rocm-smi has one of its own for devices that sleep.
    """
    code, data = ask("amd", tool([path] + arguments), deadline, state)
    text = data.decode("utf-8", "replace")
    for line in text.splitlines():
        if WARNING.match(line):
            warned(problems, "amd", line, [])
    document = ids.document(text)
    if document is None:
        raise Failure("tool_failed" if code else "bad_output")
    if code:
        ended(problems, "amd", code, "tool_failed")
    return document


def amd_fill(devices, path, deadline, state, problems, now):
    """Ask amd-smi or rocm-smi for what sysfs lacks, and add it to the devices' values and names.

    Names are asked for once per boot, where neither the table nor sysfs has one; values in every run, and only if a device that is awake
    gives no utilisation at all.
    """
    memory = state["amd"]
    names = memory["names"]
    awake = [device for device in devices if not device["asleep"]]
    nameless, blind = amd_lacking(awake, memory, now)
    if not path or not (nameless or blind):
        return
    rocm, everybody = os.path.basename(path) == "rocm-smi", len(awake) == len(devices)
    if rocm and not everybody:
        return  # it asks all devices, and would wake those that sleep; amd-smi can be told whom to ask
    if rocm or nameless:
        memory["names_at"] = now

    def ask_tool(*arguments):
        return amd_tool(path, list(arguments), deadline, state, problems)

    try:
        if rocm:
            readings = ask_rocm_smi(ask_tool, names, problems)
        else:
            readings = ask_amd_smi(ask_tool, names, problems, [] if everybody else [device["address"] for device in awake], nameless, blind)
    except Failure as failure:
        problems.errors[failure.args[0]] += 1  # sysfs is the source; its rows stay
        return
    for device in blind:
        device["values"] = dict(readings.get(device["address"], {}), **device["values"])


def amd_lacking(awake, memory, now):
    """(whether to ask for names now, devices that give no utilisation at all) of the devices that are awake."""
    blind = [device for device in awake if "utilization" not in device["values"]]
    if 0 <= now - memory.get("names_at", -AMD_STATIC_RETRY) < AMD_STATIC_RETRY:
        return False, blind
    # amd-smi numbers devices: without names no reading finds its device.
    nameless = any(not amd_name(device, {}) and device["address"] not in memory["names"] for device in awake)
    return nameless or (bool(blind) and not memory["names"]), blind


def ask_rocm_smi(ask_tool, names, problems):
    """{PCI address: {field: number}} from rocm-smi, whose one answer has the names too. Raises Failure."""
    found, readings = rocm_smi(ask_tool("--showbus", "--showproductname", "--showserial", "--showuse", "--showpower", "--showtemp", "--json"), problems)
    names.update(found)
    return readings


def ask_amd_smi(ask_tool, names, problems, addresses, asks_names, asks_readings):
    """{PCI address: {field: number}} from amd-smi, with a question of its own for names. Raises Failure.

    addresses: the only ones to ask, if there are any
    """
    only = ["--gpu"] + addresses if addresses else []
    if asks_names:
        names.update(amd_smi_static(ask_tool("static", "--asic", "--board", "--bus", "--json", *only)))
    return amd_smi_metric(ask_tool("metric", "--json", *only), names, problems) if asks_readings else {}


def amd_lost(device):
    """Whether a device that is awake answers none of the questions that need it, and gives errors instead.

    What the driver and the PCI core remember of it can still be read, but it is not there.
    """
    if device["asleep"]:
        return False
    live = {"utilization", "temperature", "memory_temperature", "power_draw", "clock_core"}
    return bool(device["failed"]) and not live.intersection(device["values"])


def amd_name(device, names):
    """What a device is called: by our table, else by its own files, else by a tool; None where each of them names only a kind."""
    number = device["files"].get("device", "")[-4:].lower()
    told = [device["files"].get("product_name", ""), names.get("model", "")]
    named = [text for text in (Problems().value("model", plain, text) for text in told) if text and not ids.generic(text)]
    return ids.model("1002", number) if ids.name("1002", number) else (named + [None])[0]


def amd_uuid(text, address):
    """What identifies a device, from the text of its unique_id."""
    unique = int(text, 16) if re.match(r"(0x)?[0-9A-Fa-f]{1,16}\Z", text) else 0
    return "%016x" % unique if unique else "pci-" + address


def amd_identity(index, device, names):
    """The labels that every sample of one device has. device: {address, files}; names: what a tool called it."""
    files = device["files"]
    uuid = amd_uuid(files.get("unique_id", ""), device["address"])
    model = amd_name(device, names) or ids.model("1002", files.get("device", "")[-4:].lower(), files.get("class", "")[2:6].lower())
    return (("gpu", str(index)), ("uuid", uuid), ("vendor", "amd"), ("model", model))


def amd_samples(index, device, names, driver):
    """The samples of one device. device: {address, files, values, ras}; names: what a tool called it."""
    files, values = device["files"], device["values"]
    quiet = Problems()
    identity = amd_identity(index, device, names)
    info = (("pci_address", device["address"]), ("driver_version", driver),
            ("serial", quiet.value("serial", plain, files.get("serial_number", "")) or names.get("serial")),
            ("compute_partition", quiet.value("partition", plain, files.get("current_compute_partition", ""))))
    samples = [Sample("node_gpu_info", identity + tuple(item for item in info if item[1]), 1.0)]
    for field, family, labels in (
            ("utilization", "utilization_percent", ()),
            ("memory_used", "memory_used_bytes", ()), ("memory_total", "memory_total_bytes", ()),
            ("temperature", "temperature_celsius", ()), ("junction_temperature", "junction_temperature_celsius", ()),
            ("memory_temperature", "memory_temperature_celsius", ()),
            ("power_draw", "power_draw_watts", ()), ("power_limit", "power_limit_watts", ()),
            ("clock_core", "clock_hertz", (("domain", "core"),)), ("clock_memory", "clock_hertz", (("domain", "memory"),)),
            ("fan_speed_rpm", "fan_speed_rpm", ()),
            ("pcie_generation", "pcie_link_generation", ()), ("pcie_generation_max", "pcie_link_generation_max", ()),
            ("pcie_width", "pcie_link_width", ()), ("pcie_width_max", "pcie_link_width_max", ()),
            ("pcie_replays", "pcie_replays_total", ())):
        if field in values:
            samples.append(Sample("node_gpu_" + family, identity + labels, values[field]))
    for _key, kind in RAS_TYPES:
        if kind in device["ras"]:
            labels = identity + (("type", kind), ("scope", "volatile"))
            samples.append(Sample("node_gpu_ecc_errors_total", labels, device["ras"][kind]))
    return samples


def collect_amd(root, tools, deadline, state, problems, now=None):
    """Samples of all AMD devices, numbered by PCI address. Raises Failure if there is none at all."""
    now = time.time() if now is None else now
    memory = state["amd"]
    boot = boot_id(root)
    keep_for_boot(memory, boot, names={}, ras={})
    ras = memory["ras"]
    due = [address for address in driven(root, "amd")
           if not 0 <= now - ras.get(address, {}).get("at", -RAS_PERIOD) < RAS_PERIOD]
    code, data = ask("amd", lambda: write_all(1, json.dumps(amd_probe(root, due)).encode("ascii")), deadline, state)
    if code:
        raise Failure("internal")
    devices = json.loads(data.decode("ascii"))
    if not devices:
        raise Failure("no_devices")
    for device in devices:
        device["values"] = amd_values(device, problems)
        if device["address"] in due and not device["asleep"]:
            ras[device["address"]] = {"at": now, "counts": problems.value("ras", amd_ras, device) or {}}
        device["ras"] = ras.get(device["address"], {}).get("counts", {})
    amd_fill(devices, find_tool([tools.amd_smi] if tools.amd_smi else ["amd-smi", "rocm-smi"]), deadline, state, problems, now)
    driver = read(os.path.join(root, "sys/module/amdgpu/version"))
    samples = []
    for index, device in enumerate(devices):
        if amd_lost(device):
            problems.lost("amd", device["address"])
            continue
        samples += amd_samples(index, device, memory["names"].get(device["address"], {}), driver)
    if not samples:
        problems.errors.clear()
        raise Failure("device_lost")
    return samples


COLLECTORS = {"nvidia": collect_nvidia, "amd": collect_amd}


def vendors_here(root):
    """The vendors to read: those with a device, and NVIDIA also with its driver loaded (all its devices may be lost)."""
    found = set()
    if os.path.isdir(os.path.join(root, "sys/module/nvidia")) or list(accelerators(root, "nvidia")):
        found.add("nvidia")
    if driven(root, "amd"):
        found.add("amd")
    return [vendor for vendor in VENDORS if vendor in found]


# --- the kernel's log ------------------------------------------------------------------------------------------------

LOG = "kernel_log"


def fatal_codes(path):
    """{vendor: names} of the codes that the catalogue calls fatal, as the role wrote them."""
    with open(path, "rb") as stream:
        return {vendor: frozenset(names) for vendor, names in json.loads(stream.read().decode("utf-8")).items()}


def log_devices(root, samples):
    """{address: {vendor, gpu?, uuid?}} of the devices that are here, named as their other samples name them."""
    found = {address: {"vendor": vendor} for vendor in PCI_VENDORS for address in accelerators(root, vendor)}
    # Gaudi's vendor makes nothing else, so its driver tells enough.
    gaudi = glob.glob(os.path.join(glob.escape(root), "sys/bus/pci/drivers/habanalabs/????:*"))
    found.update((os.path.basename(path), {"vendor": "intel_gaudi"}) for path in gaudi)
    for sample in samples:
        labels = dict(sample.labels)
        if sample.family == "node_gpu_info" and "pci_address" in labels:
            found[labels["pci_address"]] = {name: labels[name] for name in ("vendor", "gpu", "uuid")}
    return found


def log_uuids(root, present, boot, deadline, state):
    """Add the UUIDs that NVIDIA's driver tells, once per boot, of devices which nothing else names here; a sick driver may not answer."""
    unnamed = [address for address, labels in present.items() if labels["vendor"] == "nvidia" and "uuid" not in labels
               and state[LOG]["devices"].get(address, {}).get("boot") != boot]
    if not unnamed:
        return

    def action():
        texts = {address: read(os.path.join(root, "proc/driver/nvidia/gpus", address, "information")) or "" for address in unnamed}
        write_all(1, json.dumps(texts).encode("ascii"))

    try:
        _code, data = ask("nvidia", action, deadline, state)
        for address, text in json.loads(data.decode("ascii")).items():
            found = re.search(r"^GPU UUID:\s*(GPU-[0-9A-Fa-f-]{8,64})$", text, re.M)
            if found:
                present[address].update(uuid=found.group(1), boot=boot)
    except (Failure, ValueError):
        return


def log_device(root, one, present):
    """The address of the device of a record that names it differently, or not at all; "" if that cannot be told."""
    if not one.address:
        devices = [address for address, labels in present.items() if labels["vendor"] == one.vendor]
        return devices[0] if len(devices) == 1 else ""
    if ADDRESS.match(one.address):
        return one.address
    for folder in ("sys/class/habanalabs", "sys/class/accel"):
        device = os.path.basename(os.path.realpath(os.path.join(root, folder, one.address, "device")))
        if ADDRESS.match(device):
            return device
    return ""


def is_uncounted(root, one, device, present):
    """Whether a record is about graphics that are no accelerator, such as a processor's. A device that is gone, or a switch, may be one."""
    if device in present or one.kind == "sxid" or one.vendor not in PCI_VENDORS or not pci_id(root, device):
        return False
    code = (read(os.path.join(root, DEVICES, device, "class")) or "")[2:6].lower()
    return not ids.is_accelerator(PCI_VENDORS[one.vendor], pci_id(root, device), code)


def read_log(options, state, present, fatal, boot):
    """Count what is new in the kernel's log. Returns why that was not all, or None."""
    memory, path = state[LOG], find_tool([options.journalctl])
    if not path:
        return "tool_missing"
    now, uptime = time.time(), time.monotonic()
    deadline = uptime + min(options.timeout, LOG_SECONDS)

    def found(one, record):
        device = log_device(options.root, one, present)
        if not is_uncounted(options.root, one, device, present):
            kernel_log.count(memory, one, record, device, fatal, kernel_log.happened(record, boot, now, uptime))

    for position in [memory["position"], None] if memory["position"] else [None]:
        reading = kernel_log.Reading(position, memory["floor"], memory["named"], found)
        late, code = False, 0
        try:
            code, _output = ask(LOG, tool([path] + kernel_log.arguments(options.journal, position)), deadline, state, take=reading.take)
        except Failure:
            late = True
        except kernel_log.Lost:
            pass
        try:
            after = reading.end()
        except kernel_log.Lost:
            if late:
                return "timeout"
            kernel_log.begin_again(memory)
            continue
        memory["position"], memory["named"] = after or memory["position"], reading.parser.named
        if late:
            return "behind" if reading.records else "timeout"
        return "failed" if code else None if memory["position"] else "empty"
    return "failed"


def log_samples(options, state, samples):
    """The samples of errors in the kernel's log, and why it was not read to its end."""
    reason, found, before = "internal", [], copy.deepcopy(state[LOG])
    try:
        present, fatal = log_devices(options.root, samples), fatal_codes(options.codes)
        boot = boot_id(options.root).replace("-", "")
        log_uuids(options.root, present, boot, time.monotonic() + min(options.timeout, LOG_SECONDS), state)
        kernel_log.meet(state[LOG], present)
        reason = read_log(options, state, present, fatal, boot)
        found = [Sample(*item) for item in kernel_log.series(state[LOG], fatal, boot, time.time())]
    except Exception as error:  # a defect here must not silence the vendors, nor count the same records again and again
        state[LOG] = before
        print("kernel log: %s: %s" % (type(error).__name__, error), file=sys.stderr)
    return found + [Sample("accelmon_collector_kernel_log_problem", (("reason", name),), float(name == reason)) for name in LOG_REASONS]


# --- links ------------------------------------------------------------------------------------------------------------

LINKS = "links"
KINDS = {"nvidia": "nvlink", "amd": "xgmi"}


def nvidia_text(options, deadline, state, *words):
    """(exit status, text) of nvidia-smi about all devices; (0, "") where it has nothing to ask. Raises Failure."""
    bound = driven(options.root, "nvidia")
    if not bound or any(asleep(options.root, address) for address in bound):  # it asks all devices, and would wake them
        return 0, ""
    path = find_tool([options.nvidia_smi])
    if not path:
        raise Failure("tool_missing")
    code, data = ask("nvidia", tool([path] + list(words)), deadline, state)
    return code, data.decode("utf-8", "replace")


def nvidia_link_errors(options, deadline, state):
    """What links.nvlink_errors gives; none if the tool does not answer: which links are up is known all the same."""
    try:
        return links.nvlink_errors(nvidia_text(options, deadline, state, "nvlink", "-e")[1])
    except Failure as failure:
        print("errors of links of nvidia: %s" % REASONS[failure.args[0]], file=sys.stderr)
        return []


def nvidia_links(options, deadline, state, identities):
    """[(labels of a device, active, inactive or None, {type: errors})] of NVLink. Raises Failure if the tool does not tell."""
    code, text = nvidia_text(options, deadline, state, "nvlink", "-s")
    devices = links.nvlink(text)
    if code and not devices:
        raise Failure("tool_failed")
    known, found = {labels[0][1]: labels for labels in identities if dict(labels)["vendor"] == "nvidia"}, []
    # Another exporter that reads the devices counts errors itself.
    errors = {index: (uuid, counts) for index, uuid, counts in (nvidia_link_errors(options, deadline, state) if known and devices else ())}
    for device in devices:
        labels = known.get(str(device.index))
        if labels is None and device.uuid:
            model = nvidia_model(options.root, "", Problems().value("model", plain, device.model))
            labels = (("gpu", str(device.index)), ("uuid", device.uuid), ("vendor", "nvidia"), ("model", model))
        if labels and device.uuid in ("", dict(labels)["uuid"]):
            uuid, counts = errors.get(device.index, ("", {}))
            found.append((labels, device.active, device.inactive, counts if uuid in ("", dict(labels)["uuid"]) else {}))
    return found


def amd_links(options, deadline, state, identities):
    """The same of XGMI. The kernel lists the links that came up when it loaded the driver, and no others."""
    bound = driven(options.root, "amd")
    if not bound:
        return []

    def probe():
        files = {address: {} for address in bound}
        for address in bound:
            for name in AMD_FILES:
                read_into(files[address], [], name, os.path.join(options.root, DEVICES, address, name))
        write_all(1, json.dumps({"files": files, "xgmi": links.xgmi(options.root)}).encode("ascii"))

    code, data = ask("amd", probe, deadline, state)
    if code:
        raise Failure("internal")
    told, found = json.loads(data.decode("ascii")), []
    known = {labels[0][1]: labels for labels in identities if dict(labels)["vendor"] == "amd"}
    for index, address in enumerate(bound):
        if address in told["xgmi"]:
            labels = known.get(str(index)) or amd_identity(index, {"address": address, "files": told["files"][address]}, {})
            found.append((labels, told["xgmi"][address], None, {}))
    return found


LINK_READERS = {"nvidia": nvidia_links, "amd": amd_links}


def read_links(options, state, samples, now):
    """Read the links anew if it is time to. What could not be read is not known any more, until the next time."""
    memory = state[LINKS]
    identities = [tuple(item for item in sample.labels if item[0] in ("gpu", "uuid", "vendor", "model"))
                  for sample in samples if sample.family == "node_gpu_info"]
    divided = [sample.labels for sample in samples if sample.family == "node_gpu_mig_mode" and sample.value]
    # Devices get other numbers when one is lost.
    here = " ".join([boot_id(options.root)] + ["%s=%s" % (one[0][1], one[1][1]) for one in identities])
    if memory["here"] == here and 0 <= now - memory["at"] < links.PERIOD:
        return
    memory.update(here=here, at=now, devices=[])
    for vendor, reader in LINK_READERS.items():
        deadline = time.monotonic() + min(options.timeout, links.SECONDS)
        try:
            found = reader(options, deadline, state, identities)
        except Failure as failure:
            print("links of %s: %s" % (vendor, REASONS[failure.args[0]]), file=sys.stderr)
            continue
        # In MIG mode a device has no links, which is no fault.
        memory["devices"] += [{"labels": dict(labels), "kind": KINDS[vendor], "active": active, "inactive": inactive, "errors": errors}
                              for labels, active, inactive, errors in found if labels not in divided]


def link_samples(options, state, samples):
    """The samples of links, as they were last read."""
    try:
        read_links(options, state, samples, time.time())
    except Exception as error:  # a defect here must not silence the vendors
        state[LINKS] = fresh_links()
        print("links: %s: %s" % (type(error).__name__, error), file=sys.stderr)
    found = []
    for device in state[LINKS]["devices"]:
        identity = tuple((name, device["labels"][name]) for name in ("gpu", "uuid", "vendor", "model"))
        for name in ("active", "inactive"):
            if device[name] is not None:
                found.append(Sample("node_gpu_links", identity + (("kind", device["kind"]), ("state", name)), float(device[name])))
        for name, count in sorted(device["errors"].items()):
            found.append(Sample("node_gpu_link_errors_total", identity + (("kind", device["kind"]), ("type", name)), float(count)))
    return found


def fresh_links():
    """What is remembered of links: {here: boot and devices, at: when they were read, devices: [{labels, kind, active, inactive, errors}]}."""
    return {"here": "", "at": 0.0, "devices": []}


def kept_links(kept):
    """The same of the state file."""
    devices = []
    for device in kept["devices"]:
        labels = {name: plain(str(device["labels"][name])) for name in ("gpu", "uuid", "vendor", "model")}
        counts = {name: None if device[name] is None else int(device[name]) for name in ("active", "inactive")}
        errors = {name: int(count) for name, count in device["errors"].items() if name in links.ERRORS and int(count) >= 0}
        if device["kind"] in KINDS.values() and all(value is None or 0 <= value <= links.MOST for value in counts.values()):
            devices.append(dict(counts, labels=labels, kind=device["kind"], errors=errors))
    return {"here": str(kept["here"]), "at": float(kept["at"]), "devices": devices}


# --- jobs -----------------------------------------------------------------------------------------------------------

JOBS = "jobs"
JOB_DEVICES_LIMIT = 256  # devices that are remembered in one boot


def nvidia_minors(root, addresses, deadline, state):
    """{address: {nodes, uuid}} as NVIDIA's driver tells them; a sick driver may not answer."""
    def action():
        texts = {address: read(os.path.join(root, "proc/driver/nvidia/gpus", address, "information")) or "" for address in addresses}
        write_all(1, json.dumps(texts).encode("ascii"))

    found = {}
    try:
        _code, data = ask("nvidia", action, deadline, state)
        for address, text in json.loads(data.decode("ascii")).items():
            lines = processes.pairs(text)
            if re.match(r"[0-9]{1,4}\Z", lines.get("Device Minor", "")):
                uuid = Problems().value("uuid", nvidia_uuid, lines.get("GPU UUID", ""))
                found[address] = {"nodes": ["/dev/nvidia" + lines["Device Minor"]], "uuid": uuid or "pci-" + address}
    except (Failure, ValueError):
        pass
    return found


def job_devices(root, present, boot, deadline, state):
    """Devices as job_owners.resolve() wants them.

    One that is no longer there is remembered until the next boot: a device that fell off the bus still has its job.
    present: as log_devices() gives them
    """
    memory = state[JOBS]
    keep_for_boot(memory, boot, devices={})
    known = memory["devices"]
    bound = {vendor: driven(root, vendor) for vendor in DRIVERS}
    new = [address for address in bound["nvidia"] if not known.get(address, {}).get("nodes")]
    minors = nvidia_minors(root, new, deadline, state) if new else {}
    for vendor, addresses in bound.items():
        for number, address in enumerate(addresses):
            if address not in known and len(known) >= JOB_DEVICES_LIMIT:
                continue
            device = known.setdefault(address, {"address": address, "nodes": [], "gpu": str(number)})
            if address in minors:
                device.update(minors[address])
            elif vendor == "amd":
                device["uuid"] = amd_uuid(read(os.path.join(root, DEVICES, address, "unique_id")) or "", address)
            device.update((name, value) for name, value in present.get(address, {}).items() if name in ("gpu", "uuid") and value)
    for node, address in graphics_nodes(root):
        if address in known:
            hand_over(node, known[address], known.values())
    return list(known.values())


def hand_over(node, owner, devices):
    """A device node that one device has now, and another may have had before."""
    if node in owner["nodes"]:
        return
    for device in devices:
        device["nodes"] = [other for other in device["nodes"] if other != node]
    owner["nodes"].append(node)


def graphics_nodes(root):
    """(device node, PCI address) of all that the kernel's graphics drivers have."""
    for path in glob.glob(os.path.join(glob.escape(root), "sys/class/drm/*")):
        if re.match(r"(?:renderD|card)[0-9]{1,4}\Z", os.path.basename(path)):
            yield "/dev/dri/" + os.path.basename(path), os.path.basename(os.path.realpath(os.path.join(path, "device")))


def job_key(path):
    """The key with which users' names are hashed; None without one."""
    text = read(path) if path else None
    return text.encode("utf-8") if text else None


def job_samples(options, state, samples):
    """The samples of jobs and their accelerators; none on a host without owner files."""
    try:
        owners, problems = job_owners.read(options.root)
        if not owners and not problems:
            return []
        boot = boot_id(options.root)
        devices = job_devices(options.root, log_devices(options.root, samples), boot, time.monotonic() + min(options.timeout, LOG_SECONDS), state)
        found = job_owners.series(owners, problems, devices, job_owners.slurm(options.root), options.job_user, job_key(options.job_user_key))
        return [Sample(*item) for item in found]
    except Exception as error:  # a defect here must not silence the vendors
        print("jobs: %s: %s" % (type(error).__name__, error), file=sys.stderr)
        return []


# --- processes ------------------------------------------------------------------------------------------------------

PROCESSES = "processes"
OPEN_FILES = ("amd", "intel_gpu")  # vendors whose drivers tell of processes in what the kernel says of their open files


def open_files(options, state, deadline):
    """What processes have open of AMD's and Intel's devices, with the time. Raises Failure.

    This needs a privilege on other users' processes. No tool has been started yet.
    """
    if not processes.readable(options.root):
        raise Failure(processes.NOT_PERMITTED)
    at = time.monotonic()
    code, data = ask(PROCESSES, lambda: write_all(1, json.dumps(processes.clients(options.root)).encode("ascii")), deadline, state)
    if code:
        raise Failure("internal")
    return at, json.loads(data.decode("ascii"))


def begin_processes(options, state, boot):
    """Read what takes a privilege, if it is time to, and give the privilege up in any case; returns what finish_processes() takes, or None.

    Raises OSError if it cannot be given up.
    """
    found = None
    memory, now = state[PROCESSES], time.monotonic()
    if options.processes and not (memory["boot"] == boot and 0 <= now - memory["at"] < processes.PERIOD):
        found = {"at": now, "clients": [], "problems": []}
        vendors = [vendor for vendor in OPEN_FILES if list(accelerators(options.root, vendor))]
        try:
            if vendors:
                found["at"], found["clients"] = open_files(options, state, now + min(options.timeout, processes.SECONDS))
        except Failure as failure:
            found["problems"] = [[vendor, failure.args[0]] for vendor in vendors]
        except Exception as error:  # a defect here must not silence the vendors
            found["problems"] = [[vendor, "internal"] for vendor in vendors]
            print("processes: %s: %s" % (type(error).__name__, error), file=sys.stderr)
    processes.give_up_capabilities()
    return found


def nvidia_shares(options, deadline, state):
    """What processes.monitored gives; none if the tool does not answer: what memory they have is known all the same."""
    try:
        return processes.monitored(nvidia_text(options, deadline, state, *processes.NVIDIA_MONITOR)[1])
    except Failure as failure:
        print("engines of nvidia: %s" % REASONS[failure.args[0]], file=sys.stderr)
        return {}


def nvidia_uses(options, deadline, state, numbers):
    """What processes have of NVIDIA's devices, as the tool tells. numbers: {UUID: the tool's number of the device}. Raises Failure."""
    code, text = nvidia_text(options, deadline, state, *processes.NVIDIA_QUERY)
    apps = processes.compute_apps(text)
    if code and not apps:
        raise Failure("tool_failed")
    pids = sorted({pid for _uuid, pid, _size in apps if pid})
    owners = {}
    if pids:
        _code, data = ask(PROCESSES, lambda: write_all(1, json.dumps([processes.owner(options.root, pid) for pid in pids]).encode("ascii")),
                          deadline, state)
        owners = dict(zip(pids, (tuple(one) if one else None for one in json.loads(data.decode("ascii")))))
    engines = nvidia_shares(options, deadline, state) if pids else {}
    # Of a process in another name space the tool does not tell the number; each line is one then.
    return [processes.Use(uuid, pid or "line %d" % place, owners.get(pid), size, engines.get((numbers.get(uuid), pid)))
            for place, (uuid, pid, size) in enumerate(apps)]


def process_labels(present, known, uses):
    """{UUID or PCI address: labels} of the devices that uses may be on. present, known: as log_devices() and job_devices() give them"""
    found = {}
    for device in known:
        if device.get("uuid") and device["address"] in present:
            labels = (("index", device["gpu"]), ("uuid", device["uuid"]), ("vendor", present[device["address"]]["vendor"]))
            found[device["uuid"]] = found[device["address"]] = labels
    for use in uses:  # on an instance of a device whose own name nothing tells
        device = job_owners.resolve(use.device, known, []) if use.device not in found else None
        if device and device["uuid"].startswith(("GPU-", "MIG-")):
            found[use.device] = found.get(device["uuid"], (("uuid", device["uuid"]), ("vendor", "nvidia")))
    return found


def finish_processes(options, state, samples, boot, begun):
    """Sum up what processes have, with what NVIDIA's tool tells."""
    memory, counters, uses = state[PROCESSES], {}, []
    before, elapsed = memory["clients"] if memory["boot"] == boot else {}, begun["at"] - memory["at"]
    for one in begun["clients"]:
        name = "%s %s" % (one["address"], one["client"])
        counters[name] = {engine: counts[:2] for engine, counts in one["engines"].items()}
        uses.append(processes.Use(one["address"], one["pid"], tuple(one["owner"]) if one["owner"] else None, one["size"],
                                  processes.shares(one, before.get(name), elapsed)))
    present, problems = log_devices(options.root, samples), list(begun["problems"])
    known = job_devices(options.root, present, boot, time.monotonic() + min(options.timeout, LOG_SECONDS), state)
    numbers = {device["uuid"]: device["gpu"] for device in known if device.get("uuid")}
    known += [{"address": address, "gpu": str(number), "uuid": "pci-" + address}
              for number, address in enumerate(accelerators(options.root, "intel_gpu"))]
    try:
        uses += nvidia_uses(options, time.monotonic() + min(options.timeout, processes.SECONDS), state, numbers)
    except Failure as failure:
        problems.append(["nvidia", failure.args[0]])
    state[PROCESSES] = {"boot": boot, "at": begun["at"], "clients": counters, "problems": problems,
                        "rows": processes.rows(uses, process_labels(present, known, uses))}


def process_samples(options, state, samples, boot, begun):
    """The samples of processes, as they were last read; none where nobody asked for them."""
    if not options.processes:
        state[PROCESSES] = processes.fresh()
        return []
    try:
        if begun:
            finish_processes(options, state, samples, boot, begun)
    except Exception as error:  # a defect here must not silence the vendors
        state[PROCESSES] = processes.fresh()
        print("processes: %s: %s" % (type(error).__name__, error), file=sys.stderr)
    return [Sample(*item) for item in processes.series(state[PROCESSES])]


# --- the file -------------------------------------------------------------------------------------------------------

def render(samples):
    """Samples as text in the exposition format: each family once, with its help and type, in the order of FAMILIES."""
    by_family = collections.OrderedDict((family, []) for family in FAMILIES)
    for sample in samples:
        labels = ",".join('%s="%s"' % (name, escaped(value)) for name, value in sample.labels)
        value = "%d" % sample.value if sample.value == int(sample.value) else repr(sample.value)
        by_family[sample.family].append("%s{%s} %s\n" % (sample.family, labels, value))
    parts = []
    for family, lines in by_family.items():
        if lines:
            kind, text = FAMILIES[family]
            parts.append("# HELP %s %s\n# TYPE %s %s\n" % (family, text, family, kind))
            parts += lines
    return "".join(parts)


LABEL = r'[a-z_]+="(?:[^"\\\n]|\\\\|\\"|\\n)*"'
LINE = re.compile(r"([a-z_]+)\{(%s(?:,%s)*)\} -?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?\Z" % (LABEL, LABEL))


def sound(text):
    """Whether node_exporter takes the text: every line well-formed, each family declared once, no series twice."""
    series, declared = set(), set()
    for line in text.split("\n")[:-1]:
        if line.startswith("# HELP "):
            name = line.split(" ")[2]
            if name in declared:
                return False
            declared.add(name)
        elif not line.startswith("# TYPE "):
            match = LINE.match(line)
            key = line.rpartition(" ")[0]
            if not match or match.group(1) not in declared or key in series:
                return False
            series.add(key)
    return text.endswith("\n") or not text


def own_samples(reports, state):
    """Samples about the collection itself. reports: {vendor: {at, duration, success}}."""
    samples = []
    for vendor, report in reports.items():
        label = (("vendor", vendor),)
        samples += [
            Sample("accelmon_collector_success", label, 1.0 if report["success"] else 0.0),
            Sample("accelmon_collector_last_run_timestamp_seconds", label, round(report["at"], 3)),
            Sample("accelmon_collector_last_success_timestamp_seconds", label, state["success"].get(vendor, 0.0)),
            Sample("accelmon_collector_duration_seconds", label, round(report["duration"], 6)),
        ]
        for reason in REASONS:
            samples.append(Sample("accelmon_collector_errors_total", label + (("reason", reason),),
                                  float(state["errors"].get(vendor, {}).get(reason, 0))))
        for field, times in sorted(state["invalid"].get(vendor, {}).items()):
            samples.append(Sample("accelmon_collector_invalid_values_total", label + (("field", field),), float(times)))
    if "nvidia" in reports and state["nvidia"].get("driver"):
        for group, spellings in GROUPS.items():
            known = state["nvidia"]["chosen"].get(group, 0) < len(spellings)
            samples.append(Sample("accelmon_collector_group_supported", (("vendor", "nvidia"), ("group", group)), float(known)))
    return samples


# --- state ----------------------------------------------------------------------------------------------------------

def fresh_state():
    """What is remembered between runs.

    errors, invalid: {vendor: {name: times}}; success: {vendor: seconds}; stuck: {vendor: {pid, start}};
    nvidia: {driver, chosen: {group: spelling}}; amd: {boot, names, names_at, ras: {address: {at, counts}}};
    jobs: {boot, devices: {address: {address, gpu, uuid?, nodes}}}; kernel_log: as kernel_log.fresh says; links: as fresh_links;
    processes: as processes.fresh says.
    """
    return {"errors": {}, "invalid": {}, "success": {}, "stuck": {}, "nvidia": {}, "amd": {}, JOBS: {}, LOG: kernel_log.fresh(), LINKS: fresh_links(),
            PROCESSES: processes.fresh()}


def is_number(value):
    """Whether a value of the state file is a number (true and false are not)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < COUNTER_MAX


def kept_counts(kept):
    """{vendor: {name: times}} of the state file."""
    return {vendor: {name: int(times) for name, times in kept[vendor].items() if NAME.match(name) and is_number(times)}
            for vendor in VENDORS if vendor in kept}


def kept_success(kept):
    """{vendor: seconds} of the state file."""
    return {vendor: float(kept[vendor]) for vendor in VENDORS if is_number(kept.get(vendor))}


def kept_stuck(kept):
    """{vendor: {pid, start}} of the state file."""
    return {vendor: {"pid": int(kept[vendor]["pid"]), "start": str(kept[vendor]["start"])} for vendor in VENDORS + (LOG, PROCESSES) if vendor in kept}


def kept_nvidia(kept):
    """{driver, chosen} of the state file."""
    chosen = {group: which for group, which in kept["chosen"].items()
              if group in GROUPS and group != "core" and which in range(len(GROUPS[group]) + 1)}
    return {"driver": str(kept["driver"]), "chosen": chosen}


def kept_amd(kept):
    """{boot, names, names_at?, ras} of the state file."""
    state = {"boot": str(kept["boot"]), "names": {}, "ras": {}}
    for address, names in kept["names"].items():
        state["names"][address] = {key: str(names[key]) for key in ("gpu", "model", "serial") if key in names}
    for address, entry in kept["ras"].items():
        counts = {kind: float(entry["counts"][kind]) for _key, kind in RAS_TYPES if is_number(entry["counts"].get(kind))}
        state["ras"][address] = {"at": float(entry["at"]), "counts": counts}
    if is_number(kept.get("names_at")):
        state["names_at"] = float(kept["names_at"])
    return state


def kept_jobs(kept):
    """{boot, devices} of the state file."""
    devices = {}
    for address, entry in kept["devices"].items():
        devices[address] = {name: str(entry[name]) for name in ("address", "gpu", "uuid") if entry.get(name)}
        devices[address].update(address=str(entry["address"]), nodes=[str(node) for node in entry["nodes"]])
    return {"boot": str(kept["boot"]), "devices": devices}


NAME = re.compile(r"[a-z_]{1,64}\Z")
KEPT = {"errors": kept_counts, "invalid": kept_counts, "success": kept_success, "stuck": kept_stuck,
        "nvidia": kept_nvidia, "amd": kept_amd, JOBS: kept_jobs, LOG: kernel_log.kept, LINKS: kept_links, PROCESSES: processes.kept}


def load_state(path):
    """The state of the last run. What is missing in it, or is not ours, starts again."""
    state = fresh_state()
    try:
        with open(path, "rb") as stream:
            document = json.loads(stream.read(1 << 20).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return state
    for part, function in KEPT.items():
        try:
            state[part] = function(document[part])
        except (Absent, ValueError, KeyError, TypeError, AttributeError, OverflowError):
            continue
    return state


# --- one run --------------------------------------------------------------------------------------------------------

def collect(vendor, root, tools, timeout, state):
    """Read one vendor. Returns (samples, report); failures are counted in the state, never raised."""
    at, started, problems, samples = time.time(), time.monotonic(), Problems(), []
    try:
        samples = COLLECTORS[vendor](root, tools, started + timeout, state, problems)
    except Failure as failure:
        problems.errors[failure.args[0]] += 1
    except Exception as error:  # a defect here must not silence the other vendor or the metrics about it
        print("%s: %s: %s" % (vendor, type(error).__name__, error), file=sys.stderr)
        problems.errors["internal"] += 1
    for part, counts in (("errors", problems.errors), ("invalid", problems.invalid)):
        kept = state[part].setdefault(vendor, {})
        for name, times in counts.items():
            kept[name] = kept.get(name, 0) + times
    if samples:
        state["success"][vendor] = round(at, 3)
    return samples + problems.told, {"at": at, "duration": time.monotonic() - started, "success": bool(samples)}


def run(options):
    """Read all vendors, keep the state, replace the file. Returns the exit status."""
    state = load_state(options.state)
    boot = boot_id(options.root)
    try:
        begun = begin_processes(options, state, boot)
    except OSError as error:
        print(error.strerror, file=sys.stderr)
        return 1
    tools = Tools(options.nvidia_smi, options.amd_smi)
    samples, reports = [], collections.OrderedDict()
    for vendor in vendors_here(options.root) if options.vendors == ["auto"] else options.vendors:
        found, reports[vendor] = collect(vendor, options.root, tools, options.timeout, state)
        samples += found
    samples += link_samples(options, state, samples)
    samples += log_samples(options, state, samples)
    samples += job_samples(options, state, samples)
    samples += process_samples(options, state, samples, boot, begun)
    text = render(samples + own_samples(reports, state))
    if not sound(text):
        for vendor, report in reports.items():
            report["success"] = False
            state["errors"][vendor]["internal"] = state["errors"][vendor].get("internal", 0) + 1
        text = render(own_samples(reports, state))
    status = 0
    for path, content, mode in ((options.state, json.dumps(state, sort_keys=True) + "\n", 0o600), (options.output, text, 0o644)):
        try:
            replace_file(path, content, mode)
        except OSError as error:
            print("%s: %s" % (path, error.strerror), file=sys.stderr)
            status = 1
    return status


def vendor_list(text):
    """'auto', or vendors separated by commas as a list, which 'none' leaves empty."""
    if text == "none":
        return []
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names != ["auto"] and (not names or set(names) - set(VENDORS)):
        raise argparse.ArgumentTypeError("%r: give auto, none, or some of %s separated by commas" % (text, ", ".join(VENDORS)))
    return names


def seconds(text):
    """A positive number of seconds."""
    value = float(text)
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError("%r: give seconds between 0 and 3600" % text)
    return value


def main(argv=None):
    """Parse the command line and run under the lock."""
    parser = argparse.ArgumentParser(description="Write accelerator metrics for node_exporter's textfile collector.")
    parser.add_argument("--output", required=True, metavar="FILE", help="file to replace, ending in .prom")
    parser.add_argument("--state", required=True, metavar="FILE", help="file that keeps counters between runs")
    parser.add_argument("--vendors", type=vendor_list, default=["auto"], metavar="LIST",
                        help="auto (those with a device here), none, or some of nvidia,amd")
    parser.add_argument("--timeout", type=seconds, default=10.0, metavar="SECONDS", help="time for each vendor (default 10)")
    parser.add_argument("--nvidia-smi", default="nvidia-smi", metavar="PROGRAM", help="name or path of nvidia-smi")
    parser.add_argument("--amd-smi", default="", metavar="PROGRAM", help="name or path of amd-smi or rocm-smi (default: the first found)")
    parser.add_argument("--journalctl", default="journalctl", metavar="PROGRAM", help="name or path of journalctl")
    parser.add_argument("--journal", metavar="DIRECTORY", help="read the kernel's records of this journal instead of the host's")
    parser.add_argument("--codes", default=os.path.join(HERE, "fatal_codes.json"), metavar="FILE",
                        help="codes that start at 0, by vendor (default: beside the program)")
    parser.add_argument("--job-user", choices=("name", "hash", "none"), default="name", help="how jobs name their user (default: name)")
    parser.add_argument("--job-user-key", metavar="FILE", help="key of the hash; without one, users are left out")
    parser.add_argument("--processes", action="store_true", help="sum up what processes hold of the devices, by job or systemd unit")
    parser.add_argument("--publish", metavar="DIRECTORY", help="read no device; copy the file into a directory that somebody else owns")
    parser.add_argument("--root", default="/", metavar="DIRECTORY", help="where sys, proc and run are, for tests")
    options = parser.parse_args(argv)
    if options.publish:
        return publish_alone(options.output, options.publish)
    try:
        lock = os.open(options.state + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        print("%s.lock: %s" % (options.state, error.strerror), file=sys.stderr)
        return 1
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print("%s.lock: another run is under way" % options.state, file=sys.stderr)
        return 75
    try:
        return run(options)
    finally:
        os.close(lock)


if __name__ == "__main__":
    sys.exit(main())
