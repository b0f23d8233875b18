# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restarts an exporter that runs and does not answer any more, and counts that for node_exporter's textfile collector.

A timer starts this. One run asks once. Only after several failures in a row, of a service that runs long enough, is the service
restarted; each restart that does not help doubles how many it takes for the next. Python >= 3.6, standard
library only, beside accelmon_inner.py, which lies in the same directory.

Exit status: 0 whatever the exporter does, 1 if something could not be written or systemd takes no restart, or with --require if the program
is too old.
"""

import argparse
import http.client
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import accelmon_inner  # noqa: E402 pylint: disable=wrong-import-position,import-error

FAILURES = 3  # in a row, before the first restart
MOST_FAILURES = 96
SECONDS = 20  # that another program may take
PAGE_LIMIT = 64 * 1024 * 1024
METRIC = """\
# HELP accelmon_exporter_restarts_total How often an exporter was restarted because it ran and did not answer.
# TYPE accelmon_exporter_restarts_total counter
accelmon_exporter_restarts_total{exporter="%s"} %d
"""


def fetch(place, page, seconds):
    """(status, text) of a page; status 0 if nothing answers."""
    inner = accelmon_inner.Inner(place, seconds)
    try:
        inner.request("GET", page, headers={"Host": "localhost", "Connection": "close"})
        answer = inner.getresponse()
        return answer.status, accelmon_inner.page(answer, PAGE_LIMIT)
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error) or type(error).__name__
    finally:
        inner.close()


def answers(place, page, ready, rows, seconds):
    """(whether the exporter is well, what was seen)."""
    if ready:
        status, text = fetch(place, ready, seconds)
        if status != 404:
            return status == 200, "%s: %s" % (ready, "HTTP %d" % status if status else text)
    status, text = fetch(place, page, seconds)
    if status != 200:
        return False, "%s: %s" % (page, "HTTP %d" % status if status else text)
    return any(line.startswith(rows) for line in text.splitlines()), "%s: no row begins with %s" % (page, rows)


def running_seconds(unit):
    """Since when a unit is active, in seconds; None if it is not."""
    try:
        out = subprocess.check_output(["systemctl", "show", "--property=ActiveState,ActiveEnterTimestampMonotonic", unit], timeout=SECONDS).decode()
        known = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
        with open("/proc/uptime") as stream:
            uptime = float(stream.read().split()[0])
        return uptime - int(known["ActiveEnterTimestampMonotonic"]) / 1e6 if known["ActiveState"] == "active" else None
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None


def judged(state, well, running, grace):
    """(new state, whether to restart).

    state: {"restarts": in all, "failures": in a row, "wasted": restarts since it was well}
    running: seconds that the service runs, None if it does not. What somebody stopped is left alone.
    """
    state = dict({"restarts": 0, "failures": 0, "wasted": 0}, **state)
    if well:
        state.update(failures=0, wasted=0)
    elif running is None or running < grace:
        state.update(failures=0)
    else:
        state["failures"] += 1
        if state["failures"] >= min(FAILURES * 2 ** min(state["wasted"], 8), MOST_FAILURES):
            state.update(restarts=state["restarts"] + 1, failures=0, wasted=state["wasted"] + 1)
            return state, True
    return state, False


def numbers(text):
    """The first version in a text, as numbers that compare."""
    match = re.search(r"\d+(\.\d+)+", text)
    return tuple(int(part) for part in match.group(0).split(".")) if match else ()


def too_old(program, floor):
    """Why an installed program cannot be used, in one line; "" if it can, or does not tell its version, or is not there yet."""
    if not os.path.exists(program):
        return ""
    try:
        told = subprocess.check_output([program, "--version"], timeout=SECONDS).decode("utf-8", "replace")
    except (OSError, subprocess.SubprocessError) as error:
        return "%s --version: %s; install %s or newer" % (program, error, floor)
    if numbers(told) and numbers(told) < numbers(floor):
        return "%s is %s; this host needs %s or later" % (program, told.strip(), floor)
    return ""


def read_state(path):
    """The state that the last run left; {} if it cannot be read."""
    try:
        with open(path) as stream:
            state = json.load(stream)
        return dict((key, int(state[key])) for key in ("restarts", "failures", "wasted"))
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write(path, text):
    """Replace a file, if it has another text, readable for everybody."""
    try:
        with open(path) as stream:
            if stream.read() == text:
                return
    except OSError:
        pass
    new = "%s.%d" % (path, os.getpid())
    with open(new, "w") as stream:
        stream.write(text)
    os.chmod(new, 0o644)
    os.rename(new, path)


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Restart an exporter that does not answer.")
    parser.add_argument("--require", nargs=2, metavar=("PROGRAM", "VERSION"), help="only check whether a program is older than VERSION")
    parser.add_argument("--name", default="", help="the exporter's name, for the counter")
    parser.add_argument("--unit", default="", help="its unit")
    parser.add_argument("--to", default="", metavar="PLACE", help="where it listens: path of a Unix socket, or ADDRESS:PORT")
    parser.add_argument("--page", default="/metrics", help="page that must have the rows")
    parser.add_argument("--rows", default="", help="how one of these rows begins")
    parser.add_argument("--ready", default="", help="page that answers 200 when the exporter is healthy, if it has one")
    parser.add_argument("--seconds", type=float, default=10, help="time limit for an answer")
    parser.add_argument("--grace", type=float, default=60, help="seconds after a start in which failures are ignored")
    parser.add_argument("--state", default="", metavar="FILE", help="state kept between runs")
    parser.add_argument("--output", default="", metavar="FILE", help="file for the counter; skipped if its directory is missing")
    options = parser.parse_args(arguments)
    if options.require:
        problem = too_old(*options.require)
        sys.stderr.write(problem + "\n" if problem else "")
        return 1 if problem else 0
    for name in ("name", "unit", "to", "state", "output"):
        if not getattr(options, name):
            parser.error("give --" + name)
    well, seen = answers(options.to, options.page, options.ready, options.rows, options.seconds)
    state, restart = judged(read_state(options.state), well, None if well else running_seconds(options.unit), options.grace)
    try:
        # Written first: if the restart takes this process with it, it is counted all the same.
        write(options.state, json.dumps(state, sort_keys=True) + "\n")
        if os.path.isdir(os.path.dirname(options.output)):
            write(options.output, METRIC % (options.name, state["restarts"]))
    except OSError as error:
        sys.stderr.write("%s: %s\n" % (error.filename, error.strerror))
        return 1
    if restart:
        sys.stderr.write("%s does not answer (%s); restarting it\n" % (options.unit, seen))
        try:
            subprocess.check_call(["systemctl", "--no-block", "try-restart", options.unit], timeout=SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            sys.stderr.write("cannot restart %s: %s\n" % (options.unit, error))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
