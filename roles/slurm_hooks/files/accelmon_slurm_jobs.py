# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the hooks leave to do on a node of Slurm. A timer runs it as root. Python >= 3.6, standard library only.

* It asks slurmd, once after each start of it, for the node's list of GPUs: hooks only get positions in that list.
* It removes owner files of jobs that have ended without an epilog. A slurmstepd of the job proves that it runs. Without one it may still run,
  as an idle allocation does: then squeue is asked, and without its answer the file stays.
* It puts back what an epilog took away from a job that runs. slurmctld that got no answer may have a node run the epilog again, by when the
  job, which was requeued, may have begun there again under its id.

Exit status: 0, 1 if the result could not be written.
"""

import argparse
import json
import os
import re
import shutil
import stat
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# Beside the program, or in the collection it is part of.
sys.dont_write_bytecode = True  # it would lie beside the program for ever
sys.path += [HERE, os.path.join(HERE, "../../../plugins/module_utils")]

import command  # noqa: E402  pylint: disable=wrong-import-position,import-error
from textfile import replace_file  # noqa: E402  pylint: disable=wrong-import-position,import-error

SEARCH_PATH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/opt/slurm/sbin:/opt/slurm/bin:/sbin:/bin"
YOUNG = 300  # seconds: a job may not have its slurmstepd yet
SOON = 120  # seconds from a prolog to the first slurmstepd of its run, and not to that of a later run: a requeued job waits
ENDING = 30  # seconds for which a slurmstepd may outlive the epilog
KEPT = SOON + ENDING  # seconds: what an epilog took away, by when it is known whether it has to be put back; or a killed prolog left
ASK_PERIOD = 600  # seconds between questions to the controller
LIST_RETRY = 600  # seconds until slurmd is asked again after a failure
LIST_TIMEOUT = 30.0  # seconds; with AutoDetect it loads the vendor's library
ASK_TIMEOUT = 5.0  # seconds; without a controller, squeue waits much longer
ASK_LIMIT = 64  # jobs
SIZE_LIMIT = 8192  # bytes of an owner file, as for the collector

GRES = re.compile(r"Gres Name=gpu (?:Type=\S+ )?Count=([0-9]{1,6}) .*?File=(\S+)")
ENDED_FILE = re.compile(r"\.([0-9]{1,20})\.ended\Z")
PASSING = re.compile(r"\.[0-9]{1,20}(\.ended)?\Z")
TICKS = os.sysconf("SC_CLK_TCK")
STEP = re.compile(r"\Aslurmstepd: \[([0-9]{1,20})\.")
GONE = re.compile(r"Invalid job id", re.I)
# States of a job that no longer has its devices.
ENDED = ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PENDING", "PREEMPTED", "REVOKED", "TIMEOUT")


def read(path, limit=65536):
    """Text of a small file, or None."""
    try:
        with open(path, "rb") as stream:
            return stream.read(limit).decode("utf-8", "replace")
    except OSError:
        return None


def began(folder):
    """When a process began, in ticks of the kernel since the boot, as digits; None if it is gone."""
    after_name = (read(os.path.join(folder, "stat")) or "").rpartition(")")[2].split()
    return after_name[19] if len(after_name) > 19 and after_name[19].isdigit() else None


def booted(proc):
    """When the kernel began to count, by the clock that files have."""
    found = re.search(r"^btime ([0-9]+)$", read(os.path.join(proc, "stat"), 1 << 20) or "", re.MULTILINE)
    return int(found.group(1)) if found else 0


def processes(proc, owner):
    """(slurmd, jobs): slurmd as {key, argv} or None, and {job: time at which its first slurmstepd began}. Only processes of the owner count."""
    slurmd, jobs, boot = None, {}, booted(proc)
    for pid in sorted((name for name in os.listdir(proc) if name.isdigit()), key=int):
        folder = os.path.join(proc, pid)
        name = (read(os.path.join(folder, "comm")) or "").strip()
        if name not in ("slurmd", "slurmstepd"):
            continue
        try:
            if os.stat(folder).st_uid != owner:
                continue
        except OSError:
            continue
        command_line, ticks = read(os.path.join(folder, "cmdline")) or "", began(folder)
        if ticks is None:
            continue
        if name == "slurmstepd":
            for job in STEP.findall(command_line):
                jobs[job] = min(jobs.get(job, float("inf")), boot + int(ticks) / TICKS)
        elif slurmd is None and command_line.strip("\0"):
            slurmd = {"key": "%s %s" % (pid, ticks), "argv": [word for word in command_line.split("\0") if word]}
    return slurmd, jobs


def same_configuration(argv):
    """The options of slurmd that say where its configuration is and which node it is."""
    found, words = [], iter(argv[1:])
    for word in words:
        if word in ("-f", "-N", "--conf-server"):
            found += [word, next(words, "")]
        elif re.match(r"-[fN].|--conf-server=", word):
            found.append(word)
    return found


def expanded(path):
    """The paths that one with a range in brackets stands for: /dev/nvidia[0-1,4]."""
    match = re.match(r"([^\[\]]*)\[([0-9,-]{1,256})\]\Z", path)
    if not match:
        return [path]
    found = []
    for part in match.group(2).split(","):
        first, _dash, last = part.partition("-")
        if not first.isdigit() or not (last or first).isdigit() or int(last or first) - int(first) > 1024:
            return [path]
        found += ["%s%0*d" % (match.group(1), len(first), number) for number in range(int(first), int(last or first) + 1)]
    return found


def file_list(text):
    """Paths of a list in which commas separate paths and numbers in brackets."""
    return [path for part in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", text) for path in expanded(part)]


def positions(text):
    """Device files of each position in the node's list of GPUs, from what `slurmd -G` prints."""
    found = []
    for count, files in GRES.findall(text):
        count, paths = int(count), [] if files == "(null)" else file_list(files)
        if count == 1:
            found.append(paths)
        elif count == len(paths):
            found += [[path] for path in paths]
        else:
            found += [[] for _number in range(min(count, 1024))]
    return found


def program(name, beside):
    """Path of a program of Slurm, searched for beside slurmd first."""
    prefix = os.path.dirname(os.path.dirname(beside)) if os.path.isabs(beside) else ""
    own = "%s/bin:%s/sbin:" % (prefix, prefix) if prefix else ""
    return shutil.which(name, path=own + SEARCH_PATH)


def ask(argv, timeout):
    """(exit status, what it printed) of a command; (None, "") if it did not answer."""
    try:
        code, output, errors = command.run_bytes(argv, timeout, environment={"PATH": SEARCH_PATH})
    except OSError:
        return None, ""
    return (None, "") if code is None else (code, (output + errors).decode("utf-8", "replace"))


def listed(memory, slurmd, now):
    """Bring the node's list of GPUs into the memory, if slurmd has started since it was asked."""
    if not slurmd:
        return  # what its jobs have, they keep
    known = memory["slurmd"] == slurmd["key"]
    if known and (memory["positions"] or 0 <= now - memory["tried"] < LIST_RETRY):
        return
    argv = slurmd["argv"]
    path = argv[0] if os.path.isabs(argv[0]) else program("slurmd", "")
    code, text = ask([path, "-G"] + same_configuration(argv), LIST_TIMEOUT) if path else (None, "")
    # A list that may be another than slurmd's own would name wrong devices.
    memory.update(slurmd=slurmd["key"], tried=now, positions=positions(text) if code == 0 else [])
    if code != 0:
        print("slurmd -G: %s" % ("no answer" if code is None else text.strip().split("\n")[-1][:200]), file=sys.stderr)


def put_back(folder, jobs, now):
    """Put back what an epilog took away from a job that runs, and remove what has passed.

    jobs: {job: time at which its first slurmstepd began}
    """
    try:
        names = [name for name in os.listdir(folder) if PASSING.match(name)]
    except OSError:
        return
    for name in names:
        path, ended = os.path.join(folder, name), ENDED_FILE.match(name)
        try:
            status = os.lstat(path)
            own = os.path.join(folder, ended.group(1)) if ended else ""
            if ended and 0 <= jobs.get(ended.group(1), 0) - status.st_mtime < SOON and now - status.st_ctime > ENDING and not os.path.lexists(own):
                os.rename(path, own)
            elif now - status.st_ctime > KEPT:
                os.unlink(path)
        except OSError:
            continue  # the next run tries again


def owner_files(folder, confirmed, now):
    """{job: time of its file} of the files of Slurm's jobs that no slurmstepd confirms."""
    found = {}
    try:
        names = os.listdir(folder)
    except OSError:
        return found
    for name in names:
        path = os.path.join(folder, name)
        try:
            status = os.lstat(path)
        except OSError:
            continue
        if not name.isdigit() or name in confirmed or not stat.S_ISREG(status.st_mode) or 0 <= now - status.st_mtime < YOUNG:
            continue
        if "scheduler=slurm" in (read(path, SIZE_LIMIT) or "").split("\n"):
            found[name] = status.st_mtime
    return found


def is_over(squeue, job):
    """Whether a job has ended; None if Slurm does not say."""
    code, text = ask([squeue, "--noheader", "--states=all", "--format=%A %T", "--jobs=" + job], ASK_TIMEOUT)
    if code == 0:
        rows = [line.split() for line in text.splitlines()]
        return all(len(row) == 2 and row[1] in ENDED for row in rows if row and row[0] == job)
    return True if code is not None and GONE.search(text) else None


def unanswered(doubtful, folder, squeue):
    """Remove the files of jobs that have ended. Returns the jobs of which Slurm did not say whether they have."""
    jobs, silent, answers = sorted(doubtful), [], bool(squeue)
    for job in jobs[:ASK_LIMIT]:
        over = is_over(squeue, job) if answers else None
        answers = over is not None  # else the others would not be answered either
        path = os.path.join(folder, job)
        try:
            if over and os.lstat(path).st_mtime == doubtful[job]:  # not of a job that was requeued meanwhile
                os.unlink(path)
        except FileNotFoundError:
            continue
        except OSError:
            over = None
        silent += [job] if over is None else []
    return silent + jobs[ASK_LIMIT:]


def reconcile(memory, folder, confirmed, squeue, now, clock):
    """Remove the files of jobs that have ended, and count those of which that is not known.

    now: of the monotonic clock; clock: of the one that files have
    """
    doubtful = owner_files(folder, confirmed, clock)
    if doubtful and not 0 <= now - memory["asked"] < ASK_PERIOD:
        memory.update(asked=now, unanswered=unanswered(doubtful, folder, squeue))
    memory["unverified"] = len(set(memory["unanswered"]).intersection(doubtful))


def remembered(path):
    """What the last run left; what is missing in it starts again."""
    memory = {"positions": [], "unverified": 0, "unanswered": [], "slurmd": "", "tried": -LIST_RETRY, "asked": -ASK_PERIOD}
    try:
        kept = json.loads(read(path, 1 << 20) or "")
        memory.update(asked=float(kept["asked"]), unanswered=[str(job) for job in kept["unanswered"]])
        memory.update(positions=[[str(name) for name in paths] for paths in kept["positions"]], slurmd=str(kept["slurmd"]), tried=float(kept["tried"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return memory


def main(argv=None):
    """Parse the command line and run once."""
    parser = argparse.ArgumentParser(description="Keep what hooks of Slurm wrote about jobs in step with Slurm.")
    parser.add_argument("--root", default="/", metavar="DIRECTORY", help="where proc and run are, for tests")
    root = parser.parse_args(argv).root
    output, now = os.path.join(root, "run/accelmon/slurm.json"), time.monotonic()
    memory = remembered(output)
    slurmd, confirmed = processes(os.path.join(root, "proc"), os.getuid())
    listed(memory, slurmd, now)
    jobs, clock = os.path.join(root, "run/accelmon/jobs"), time.time()
    put_back(jobs, confirmed, clock)
    reconcile(memory, jobs, confirmed, program("squeue", slurmd["argv"][0] if slurmd else ""), now, clock)
    try:
        replace_file(output, json.dumps(memory, sort_keys=True) + "\n")
    except OSError as error:
        print("%s: %s" % (output, error.strerror), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
