# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What processes hold of each accelerator, summed by job or systemd unit. Python >= 3.6, standard library only.

A process is only ever a part of a sum: its number, its name and its command line do not leave this file. Names that users choose, such as
those of units below their own service manager, do not either.
"""

import collections
import os
import re

PERIOD = 60  # seconds: nvidia-smi initialises the driver each time, and there may be thousands of processes
SECONDS = 5.0  # for reading them
ROWS = 20  # of a device; the rest is one more
OTHER = "other"
ENTRIES_LIMIT = 2048  # processes on devices, and what they have open there
FILES_LIMIT = 4096  # open files of one process
DEPTH_LIMIT = 64  # ancestors of a process
NOT_PERMITTED = "not_permitted"

# What one process has of one device. device: its UUID or PCI address; process: equal for all that is of the same process; owner: ("job_id" or
# "unit", name), or None; size: bytes, None where that is not known; engines: {name: share of the time in which it was busy}, None likewise
Use = collections.namedtuple("Use", "device process owner size engines")


# --- whose a process is ---------------------------------------------------------------------------------------------

# Where Slurm puts the processes of a job: version 2 of control groups, and version 1. Only root makes groups there.
JOB_GROUPS = (re.compile(r"/system\.slice/(?:[^/]+_)?slurmstepd\.scope/job_([0-9]{1,10})(?:/|\Z)"),
              re.compile(r"/slurm(?:_[^/]+)?/uid_[0-9]+/job_([0-9]{1,10})(?:/|\Z)"))
STEP = re.compile(r"slurmstepd: \[([0-9]{1,10})\.")
UNIT = re.compile(r"[A-Za-z0-9:_.@\\-]{1,200}\.(?:service|scope)\Z")
CONTAINER = re.compile(r"([0-9a-f]{12})[0-9a-f]{20,52}")  # such ids are shown as short as container tools do
LABEL_LIMIT = 64  # characters


def contents(path, limit=65536):
    """Text of a file; "" if it cannot be read."""
    try:
        with open(path, "rb") as stream:
            return stream.read(limit).decode("utf-8", "replace")
    except OSError:
        return ""


def groups(text):
    """The control groups of a process, that of systemd first."""
    # Only the kernel ends a line: splitlines() would also end it within a name that a user chose.
    lines = [line.split(":", 2) for line in text.split("\n") if line.count(":") >= 2]
    ours = [path for _number, controllers, path in lines if controllers in ("", "name=systemd") and path != "/"]
    return ours + [path for _number, _controllers, path in lines if path not in ours]


def unit(path):
    """The systemd unit or the container of a control group, or None. All sessions of users are one: what they run has names of their choice."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["user.slice"]:
        return "user.slice"
    for part in parts:
        if UNIT.match(part):
            return CONTAINER.sub(r"\1", part)[:LABEL_LIMIT]
    for part in parts[1:]:
        if CONTAINER.match(part) and re.match(r"[a-z]{1,32}\Z", parts[0]):
            return "%s-%s" % (parts[0], part[:12])
    return None


def job_above(root, pid):
    """The job of Slurm whose slurmstepd is an ancestor of a process, or None: for a Slurm that does not use control groups, or not by number."""
    for _generation in range(DEPTH_LIMIT):
        folder = os.path.join(root, "proc", str(pid))
        status = dict(line.split(":\t", 1) for line in contents(os.path.join(folder, "status")).split("\n") if ":\t" in line)
        # A user may call a process as Slurm does. Of processes that are not root's nothing is believed.
        if status.get("Name") == "slurmstepd" and status.get("Uid", "").split()[:1] == ["0"]:
            found = STEP.match(contents(os.path.join(folder, "cmdline"), 4096))
            return found.group(1) if found else None
        if not re.match(r"[1-9][0-9]*\Z", status.get("PPid", "")):
            return None
        pid = status["PPid"]
    return None


def owner(root, pid):
    """("job_id" or "unit", name) of a process; None where neither is known."""
    paths = groups(contents(os.path.join(root, "proc", str(pid), "cgroup")))
    jobs = [found.group(1) for path in paths for found in (pattern.match(path) for pattern in JOB_GROUPS) if found]
    job = jobs[0] if jobs else job_above(root, pid)
    if job:
        return ("job_id", job)
    names = [name for name in map(unit, paths) if name]
    return ("unit", names[0]) if names else None


# --- NVIDIA: the vendor's tool --------------------------------------------------------------------------------------

NVIDIA_QUERY = ("--query-compute-apps=gpu_uuid,pid,used_memory", "--format=csv,noheader,nounits")
NVIDIA_UUID = re.compile(r"(?:GPU|MIG)-[0-9A-Za-z/-]{8,80}\Z")


def compute_apps(text):
    """[(UUID of the device, pid or None, bytes or None)] as nvidia-smi lists them. It hides what it may not say in brackets."""
    found = []
    for line in text.splitlines()[:ENTRIES_LIMIT]:
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == 3 and NVIDIA_UUID.match(cells[0]):
            pid, size = (int(cell) if re.match(r"[0-9]{1,9}\Z", cell) else None for cell in cells[1:])
            found.append((cells[0], pid or None, None if size is None else size << 20))
    return found


NVIDIA_MONITOR = ("pmon", "-c", "1", "-s", "u")
NVIDIA_ENGINES = ("sm", "enc", "dec", "jpg", "ofa")


def monitored(text):
    """{(number of the device, pid): {engine: share of about the last second in which the process kept it busy}} of nvidia-smi's monitor.

    The last cell is a name that users choose. There may be a line break in it, so a process that has two lines is not believed.
    """
    names, found, twice = [], {}, set()
    for line in text.split("\n")[:ENTRIES_LIMIT]:
        cells = line.split()
        if cells[:1] == ["#"]:
            names = names or cells[1:]
            continue
        row = dict(zip(names, cells))
        if all(re.match(r"[0-9]{1,9}\Z", row.get(name, "")) for name in ("gpu", "pid")):
            key = (row["gpu"], int(row["pid"]))
            twice.update([key] if key in found else [])
            found[key] = {name: min(1.0, int(row[name]) / 100.0) for name in NVIDIA_ENGINES if re.match(r"[0-9]{1,3}\Z", row.get(name, ""))}
    return {key: engines for key, engines in found.items() if engines and key not in twice}


# --- AMD and Intel: what the kernel says of open files --------------------------------------------------------------

DRIVERS = ("amdgpu", "i915", "xe")
MEMORY = re.compile(r"drm-(resident|memory|total)-(?:vram|local)[0-9]{0,2}\Z")
ENGINE = re.compile(r"drm-(engine-capacity|engine|cycles|total-cycles)-([a-z0-9-]{1,32})\Z")
AMOUNT = re.compile(r"([0-9]{1,20})(?: (KiB|MiB|ns))?\Z")
FACTORS = {"KiB": 1 << 10, "MiB": 1 << 20}


def pairs(text):
    """{key: value} of lines such as `key: value`, as the kernel and its drivers write them."""
    return dict((key.strip(), value.strip()) for key, _colon, value in (line.partition(":") for line in text.split("\n")))


def fdinfo(text):
    """{address, client, size, engines: {name: [busy, of, capacity]}} of an open file, or None for one that is no device's.

    busy: nanoseconds, or cycles out of as many as there were, which is `of`; that is 0 for nanoseconds
    """
    if "drm-driver:" not in text:
        return None
    lines = pairs(text)
    if lines.get("drm-driver") not in DRIVERS or not re.match(r"[0-9]{1,20}\Z", lines.get("drm-client-id", "")):
        return None
    sizes, raw = {}, {}
    for key, value in lines.items():
        amount, memory, engine = AMOUNT.match(value), MEMORY.match(key), ENGINE.match(key)
        if amount and memory:
            sizes[memory.group(1)] = sizes.get(memory.group(1), 0) + int(amount.group(1)) * FACTORS.get(amount.group(2), 1)
        elif amount and engine:
            raw.setdefault(engine.group(2), {})[engine.group(1)] = int(amount.group(1))
    engines = {}
    for name, told in raw.items():
        if "engine" in told:
            engines[name] = [told["engine"], 0, max(1, told.get("engine-capacity", 1))]
        elif "cycles" in told and "total-cycles" in told:
            engines[name] = [told["cycles"], told["total-cycles"], max(1, told.get("engine-capacity", 1))]
    # What is in the device's memory now, by its newer name and its older; else what was asked for.
    size = next((sizes[kind] for kind in ("resident", "memory", "total") if kind in sizes), None)
    return {"address": lines.get("drm-pdev", ""), "client": lines["drm-client-id"], "size": size, "engines": engines}


def readable(root):
    """Whether the kernel tells what processes of other users have open. CAP_SYS_PTRACE is enough since Linux 5.14."""
    try:
        os.listdir(os.path.join(root, "proc/1/fdinfo"))
    except OSError:
        return False
    return True


def clients(root):
    """[what fdinfo() gives, with pid and owner] of all processes, each client of a device once: forked processes share theirs.

    Who only has the device open, as daemons that look at all devices have, does not use it.
    """
    found = {}
    folder = os.path.join(root, "proc")
    for pid in sorted(int(name) for name in os.listdir(folder) if name.isdigit()):
        try:
            names = sorted(os.listdir(os.path.join(folder, str(pid), "fdinfo")))[:FILES_LIMIT]
        except OSError:
            continue
        whose = None
        for name in names:
            # Which file it is, its link tells to root alone.
            one = fdinfo(contents(os.path.join(folder, str(pid), "fdinfo", name), 16384))
            if one and (one["size"] or any(busy for busy, _of, _capacity in one["engines"].values())):
                whose = whose or (owner(root, pid),)
                found.setdefault((one["address"], one["client"]), dict(one, pid=pid, owner=whose[0]))
        if len(found) >= ENTRIES_LIMIT:
            break
    return list(found.values())


def shares(one, before, elapsed):
    """{engine: share of the time since `before` in which it was busy}, or None without such a time.

    before: {engine: [busy, of]} of the same client then; elapsed: seconds
    """
    if before is None or elapsed <= 0:
        return None
    found = {}
    for name, (busy, of, capacity) in one["engines"].items():
        earlier = before.get(name, [0, 0])
        passed = of - earlier[1] if of else elapsed * 1e9
        if passed > 0 and busy >= earlier[0]:
            found[name] = min(1.0, (busy - earlier[0]) / float(passed) / capacity)
    return found


# --- sums -----------------------------------------------------------------------------------------------------------

def summed(uses):
    """(processes, bytes or None, share or None) of some uses of one device.

    The bytes of all, or none: a sum without one of them would look like less memory. The share is that of the engine they keep busiest.
    """
    engines, known = collections.Counter(), [use for use in uses if use.engines is not None]
    for use in known:
        engines.update(use.engines)
    size = None if any(use.size is None for use in uses) else sum(use.size for use in uses)
    return len({use.process for use in uses}), size, min(1.0, max(engines.values())) if engines else None


def rows(uses, labels):
    """[labels, processes, bytes or None, share or None] of each device and owner; at most ROWS of a device, and one for all others.

    labels: {what a Use calls a device: its labels}; what is on another device is left out
    """
    devices = {}
    for use in uses:
        if use.device in labels:
            devices.setdefault(labels[use.device], {}).setdefault(use.owner, []).append(use)
    found = []
    for device, owners in sorted(devices.items()):
        rest = owners.pop(None, [])
        ranked = sorted(owners.items(), key=lambda item: (-sum(use.size or 0 for use in item[1]), item[0]))
        for _owner, more in ranked[ROWS:]:
            rest = rest + more
        for whose, some in ranked[:ROWS] + ([(("unit", OTHER), rest)] if rest else []):
            found.append([[list(label) for label in device + (whose,)]] + list(summed(some)))
    return found


def series(memory):
    """(family, labels, value) of what was read last."""
    found = []
    for labels, number, size, share in memory["rows"]:
        labels = tuple((name, value) for name, value in labels)
        for family, value in (("accelerator_processes", number), ("accelerator_process_memory_bytes", size),
                              ("accelerator_process_engine_ratio", share)):
            if value is not None:
                found.append((family, labels, round(float(value), 4)))
    for vendor, reason in memory["problems"]:
        found.append(("accelmon_collector_process_problem", (("vendor", vendor), ("reason", reason)), 1.0))
    return found


# --- what is remembered ---------------------------------------------------------------------------------------------

def fresh():
    """{boot, at: seconds since it, clients: {client: {engine: [busy, of]}}, rows: as rows() gives them, problems: [[vendor, reason]]}."""
    return {"boot": "", "at": 0.0, "clients": {}, "rows": [], "problems": []}


def kept(document):
    """The same of the state file. Raises what a document of another shape makes it raise."""
    found = {"boot": str(document["boot"]), "at": float(document["at"]), "clients": {}, "rows": [], "problems": []}
    for name, engines in document["clients"].items():
        found["clients"][name] = {engine: [int(busy), int(of)] for engine, (busy, of) in engines.items()}
    for labels, number, size, share in document["rows"]:
        names = [name for name, _value in labels]
        if set(names) - {"index", "uuid", "vendor", "job_id", "unit"} or len(set(names)) < len(names):
            raise ValueError(names)
        found["rows"].append([[[str(name), str(value)] for name, value in labels], int(number), None if size is None else int(size),
                              None if share is None else float(share)])
    found["problems"] = [[str(vendor), str(reason)] for vendor, reason in document["problems"]]
    return found


# --- privileges -----------------------------------------------------------------------------------------------------

PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4


def give_up_capabilities():
    """See that no program which is started from here on has a capability: the vendors' tools need none. Raises OSError."""
    if re.search(r"^CapAmb:\s*0+$", contents("/proc/self/status"), re.M):
        return
    import ctypes  # pylint: disable=import-outside-toplevel
    if ctypes.CDLL(None, use_errno=True).prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "the capabilities could not be given up")
