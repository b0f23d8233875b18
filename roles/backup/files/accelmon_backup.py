# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backs up a monitoring host, and says in metrics how that went. Python >= 3.6, standard library only.

Exit status: 0 there is a new backup, 1 there is none.
"""

import argparse
import json
import os
import sys
import time

# Copies are beside this program. In the collection they are where modules have them.
HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True  # it would lie beside the program for ever
sys.path += [HERE, os.path.join(HERE, "../../../plugins/module_utils")]

import backup  # noqa: E402  pylint: disable=wrong-import-position,import-error
from textfile import Samples, replace_file  # noqa: E402  pylint: disable=wrong-import-position,import-error

# member of the result -> (name, help)
METRICS = (
    ("success", "accelmon_backup_success", "1 if the last run wrote a backup."),
    ("at", "accelmon_backup_last_success_timestamp_seconds", "When the last backup was begun; 0 for never."),
    ("bytes", "accelmon_backup_size_bytes", "Size of the last backup."),
    ("seconds", "accelmon_backup_duration_seconds", "How long the last backup took."),
)


def load(path):
    """JSON in a file."""
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)


def remembered(path):
    """What is known of the last backup."""
    try:
        return load(path)
    except (OSError, ValueError):
        return {"at": 0, "bytes": 0, "seconds": 0}


def explained(error, path):
    """An error of the system in one line; path: what it is about if it does not say so itself."""
    return "%s: %s" % (error.filename or path, error.strerror or error)


def run(settings):
    """Take a backup and note the result, which backup.yml shows. Returns what went wrong, or ""."""
    path, begin = os.path.join(settings["home"], "backup", "last.json"), time.time()
    last = dict(remembered(path), success=0, problem="")
    last["at"] = min(last["at"], begin)  # after a clock that was ahead, it would never be too old
    try:
        made = backup.take(settings, round(begin, 3))
        files = made.pop("files")
        last.update(made, files=len(files), success=1, seconds=round(time.time() - begin, 3))
    except backup.Failure as failure:
        last["problem"] = str(failure)
    except OSError as error:
        last["problem"] = explained(error, settings["directory"])
    backup.write(path, json.dumps(last).encode())
    samples = Samples({name: ("gauge", text) for _member, name, text in METRICS})
    for member, name, _text in METRICS:
        samples.add(name, last[member])
    replace_file(os.path.join(settings["textfile_directory"], "accelmon_backup.prom"), samples.text())
    return last["problem"]


def main(argv=None):
    """Parse the command line and run once."""
    parser = argparse.ArgumentParser(description="Back up a monitoring host.")
    parser.add_argument("--settings", required=True, type=load, metavar="FILE", help="JSON that the role backup writes")
    options = parser.parse_args(argv)
    os.umask(0o077)
    try:
        problem = run(options.settings)
    except OSError as error:  # the result cannot be noted
        problem = explained(error, options.settings["home"])
    if problem:
        print(problem, file=sys.stderr)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
