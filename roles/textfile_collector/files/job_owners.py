# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which job has which accelerator, from the owner files of a scheduler's hooks. Python >= 3.6, standard library only.

There is one file per job, named after it; docs/jobs.md describes it. Whoever writes them is root, but what they say comes from a scheduler
and its users: sizes, counts and characters are bounded, and a file that cannot be read or understood never hides the others.
"""

import collections
import json
import os
import re
import stat
import time

FOLDER = "run/accelmon/jobs"
SLURM = "run/accelmon/slurm.json"  # written by the program of the role slurm_hooks, every minute
SLURM_LATE = 600  # seconds after which nobody looks after the files of Slurm's jobs
FILES_LIMIT = 512
SIZE_LIMIT = 8192  # bytes
TOKENS_LIMIT = 128  # devices of one job
NAMED_LIMIT = 10  # problems that are listed with the job's name; all are counted
LABEL_LIMIT = 64  # characters

# What is wrong with an owner file.
PROBLEMS = collections.OrderedDict((
    ("refused", "it is no regular file, has another owner than its directory, or others may write to it"),
    ("damaged", "its name, its size or one of its lines is not as documented"),
    ("unresolved", "one of its devices is not known on this host"),
))

JOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\[\]-]{0,63}\Z")
KEYS = ("devices", "slurm_gpus", "visible", "user", "account", "partition")
GPU = re.compile(r"GPU-[0-9A-Fa-f-]{8,64}\Z")
MIG = re.compile(r"MIG-(?:(GPU-[0-9A-Fa-f-]{8,64})/[0-9]{1,3}/[0-9]{1,3}|[0-9A-Fa-f-]{8,64})\Z")
ADDRESS = re.compile(r"[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7]\Z")
NODE = re.compile(r"/dev/(?:nvidia[0-9]{1,4}|dri/(?:renderD|card)[0-9]{1,4})\Z")
RENDER = 128  # the number of the first render node

Owner = collections.namedtuple("Owner", "job_id tokens user account partition slurm damaged")


class Refused(Exception):
    """The file is not one to trust."""


class Damaged(Exception):
    """The file is not as documented."""


def content(folder, name, owner):
    """Bytes of an owner file. Raises Refused, Damaged, OSError; FileNotFoundError if its job has just ended.

    folder: descriptor of the directory; owner: uid of who has the directory
    """
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError:  # a symbolic link, a socket
        raise Refused()
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != owner or found.st_nlink > 1 or found.st_mode & 0o022:
            raise Refused()
        data = stream.read(SIZE_LIMIT + 1)
    if len(data) > SIZE_LIMIT:
        raise Damaged()
    return data


def split(text):
    """The items of a list that commas separate."""
    return [item.strip() for item in text.split(",") if item.strip()]


def slurm_tokens(gpus, visible):
    """The devices of a job of Slurm.

    gpus: SLURM_JOB_GPUS, positions in the node's list of GPUs; visible: CUDA_VISIBLE_DEVICES, which tells UUIDs if Slurm knows them
    """
    if visible and all(GPU.match(item) for item in visible):
        return visible
    if gpus:
        return ["slurm:" + item if item.isdigit() else item for item in gpus]
    return [item for item in visible if MIG.match(item)]


def is_sound(text):
    """Whether a text can be the value of a label."""
    return len(text) <= LABEL_LIMIT and text.isprintable() and "\ufffd" not in text


def parse(job_id, data):
    """The Owner that an owner file describes. What can be understood of a damaged one counts."""
    values, damaged = collections.defaultdict(list), False
    # A line ends where the writer ended it: splitlines() would also end it within what a user chose.
    lines = data.decode("utf-8", "replace").split("\n")
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals or not re.match(r"[a-z_]{1,32}\Z", key):
            damaged = True
        elif key in KEYS:
            values[key].append(value.strip())
    labels = {}
    for key in ("user", "account", "partition"):
        text = values[key][-1] if values[key] else ""
        labels[key] = text if is_sound(text) else ""
        damaged = damaged or labels[key] != text
    lists = {key: [item for value in values[key] for item in split(value)] for key in ("devices", "slurm_gpus", "visible")}
    tokens = lists["devices"] + slurm_tokens(lists["slurm_gpus"], lists["visible"])
    if not tokens or len(tokens) > TOKENS_LIMIT:
        damaged = True
    return Owner(job_id, tokens[:TOKENS_LIMIT], slurm="scheduler=slurm" in lines, damaged=damaged, **labels)


def read(root):
    """(owners, {job or file: problem}) of the directory; ([], {}) without one."""
    path = os.path.join(root, FOLDER)
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return [], {}
    except OSError:
        return [], {FOLDER: "refused"}
    owners, problems = [], {}
    try:
        found = os.fstat(folder)
        if found.st_mode & 0o022:
            return [], {FOLDER: "refused"}
        # A name that begins with a dot is a file that is being written.
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
        for name in names[:FILES_LIMIT]:
            try:
                if not JOB.match(name):
                    raise Damaged()
                owner = parse(name, content(folder, name, found.st_uid))
            except FileNotFoundError:
                continue
            except (Refused, OSError):
                problems[name] = "refused"
                continue
            except Damaged:
                problems[name] = "damaged"
                continue
            owners.append(owner)
            if owner.damaged:
                problems[name] = "damaged"
        problems.update((name, "damaged") for name in names[FILES_LIMIT:])
    finally:
        os.close(folder)
    return owners, problems


def slurm(root):
    """{positions, unverified} as the program of slurm_hooks left them.

    positions: device files of each position in the node's list of GPUs; unverified: number of jobs of which Slurm did not say whether they still run,
    None if that program has not run lately
    """
    try:
        with open(os.path.join(root, SLURM), "rb") as stream:
            late = time.time() - os.fstat(stream.fileno()).st_mtime > SLURM_LATE
            document = json.loads(stream.read(1 << 20).decode("utf-8"))
        positions = [[str(path) for path in paths] for paths in document["positions"]]
        return {"positions": positions, "unverified": None if late else int(document["unverified"])}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {"positions": [], "unverified": None}


def resolve(token, devices, positions):
    """Labels of a device, or None for one that is not known here.

    devices: [{gpu, uuid, address, nodes}]; gpu and uuid may be missing; nodes: its device files
    """
    def first(test):
        return next((device for device in devices if test(device)), None)

    if GPU.match(token):
        return first(lambda device: device.get("uuid") == token) or {"uuid": token}
    instance = MIG.match(token)
    if instance:
        return resolve(instance.group(1), devices, positions) if instance.group(1) else {"uuid": token}
    if ADDRESS.match(token):
        domain, _colon, rest = token.lower().partition(":")
        return first(lambda device: device["address"] == "%04x:%s" % (int(domain, 16), rest))
    if NODE.match(token):
        return first(lambda device: token in device["nodes"])
    if re.match(r"slurm:[0-9]{1,4}\Z", token):
        position = int(token[6:])
        # With AMD's render nodes, some versions give the number of the node instead of the position.
        paths = positions[position % RENDER] if position % RENDER < len(positions) else []
        return next((device for device in (resolve(path, devices, []) for path in paths if NODE.match(path)) if device), None)
    if re.match(r"[0-9]{1,4}\Z", token):
        numbered = [device for device in devices if device.get("gpu") == str(int(token))]
        return numbered[0] if len(numbered) == 1 else None
    return None


def named(user, policy, key):
    """What stands for a user's name: the name, a keyed hash of it, or nothing.

    key: bytes; without one there is no hash, and the name is left out
    """
    if policy == "name":
        return user
    if policy == "hash" and key and user:
        import hashlib  # pylint: disable=import-outside-toplevel
        import hmac  # pylint: disable=import-outside-toplevel
        return hmac.new(key, user.encode("utf-8"), hashlib.sha256).hexdigest()[:16]
    return ""


def series(owners, problems, devices, known, policy, key):
    """(family, labels, value) of every job and device, and of what is wrong with owner files.

    problems: as read() gives them, and those of devices are added; known: as slurm() gives it
    """
    rows, problems = set(), dict(problems)
    for owner in owners:
        for token in owner.tokens:
            device = resolve(token, devices, known["positions"])
            if not device or not device.get("uuid"):
                problems.setdefault(owner.job_id, "unresolved")
                continue
            labels = (("index", device.get("gpu")), ("uuid", device["uuid"]), ("job_id", owner.job_id), ("user", named(owner.user, policy, key)),
                      ("account", owner.account), ("partition", owner.partition))
            rows.add(tuple(label for label in labels if label[1]))
    found = [("accelerator_job_info", labels, 1.0) for labels in sorted(rows)]
    counts = collections.Counter(problems.values())
    unverified = sum(1 for owner in owners if owner.slurm) if known["unverified"] is None else known["unverified"]
    counts.update(read=len(owners), unverified=unverified)
    for result in ("read", "unverified") + tuple(PROBLEMS):
        found.append(("accelmon_collector_job_files", (("result", result),), float(counts[result])))
    for name, problem in sorted(problems.items())[:NAMED_LIMIT]:
        shown = "".join(char if char.isprintable() else "?" for char in name)[:LABEL_LIMIT]
        found.append(("accelmon_collector_job_file_problem", (("file", shown), ("problem", problem)), 1.0))
    return found
