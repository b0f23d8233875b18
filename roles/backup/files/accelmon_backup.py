# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backs up a monitoring host, or tests its newest backup, and says in metrics how that went. Python >= 3.6, standard library only.

Exit status: 0 there is a new backup, or a good one; 1 there is none.
"""

import argparse
import collections
import json
import os
import sys
import time

# Copies are beside this program. In the collection they are where modules have them.
HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True  # it would lie beside the program for ever
sys.path += [HERE, os.path.join(HERE, "../../../plugins/module_utils")]

import backup  # noqa: E402  pylint: disable=wrong-import-position,import-error
import bucket  # noqa: E402  pylint: disable=wrong-import-position,import-error
import spare  # noqa: E402  pylint: disable=wrong-import-position,import-error
from textfile import Samples, replace_file  # noqa: E402  pylint: disable=wrong-import-position,import-error

# folder: where the result is kept, in the home; page: name of the file of metrics; work: function of (settings, when it was begun);
# metrics: [(member of the result, name, help)]
Kind = collections.namedtuple("Kind", "folder page work metrics")


def journal(line):
    """Say how far it is: a notice, not the warning that systemd takes other lines for."""
    print("<5>" + line, flush=True)


def take(settings, begin):
    """Take a backup, and copy it to the bucket if there is one."""
    made = backup.take(settings, begin, journal)
    copied = bucket.put(settings, load(settings["s3_file"]), made, journal) if settings["s3_file"] else ""
    return dict(made, files=len(made["files"]), copy=copied)


TAKE = Kind("backup", "accelmon_backup.prom", take, (
    ("success", "accelmon_backup_success", "1 if the last run wrote a backup, and its copy if there is to be one."),
    ("at", "accelmon_backup_last_success_timestamp_seconds", "When the last good backup was begun; 0 for never."),
    ("bytes", "accelmon_backup_size_bytes", "Size of the last backup."),
    ("seconds", "accelmon_backup_duration_seconds", "How long the last backup took."),
))
TEST = Kind("backup_test", "accelmon_backup_test.prom", lambda settings, _begin: spare.check(settings, journal), (
    ("success", "accelmon_backup_test_success", "1 if the last test found a good backup."),
    ("at", "accelmon_backup_test_last_success_timestamp_seconds", "When the last test that found a good backup was begun; 0 for never."),
    ("seconds", "accelmon_backup_test_duration_seconds", "How long that test took."),
))


def load(path):
    """JSON in a file."""
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)


def remembered(path):
    """What is known of the last success."""
    try:
        return load(path)
    except (OSError, ValueError):
        return {"at": 0, "bytes": 0, "seconds": 0}


def explained(error, path):
    """An error of the system in one line; path: what it is about if it does not say so itself."""
    return "%s: %s" % (error.filename or path, error.strerror or error)


def run(settings, kind):
    """Do it and note the result, which playbooks show. Returns what went wrong, or ""."""
    path, begin = os.path.join(settings["home"], kind.folder, "last.json"), round(time.time(), 3)
    last = dict(remembered(path), success=0, problem="")
    last["at"] = min(last["at"], begin)  # after a clock that was ahead, it would never be too old
    try:
        last.update(kind.work(settings, begin), at=begin, success=1, seconds=round(time.time() - begin, 3))
    except backup.Failure as failure:
        last["problem"] = str(failure)
    except OSError as error:
        last["problem"] = explained(error, settings["directory"])
    backup.write(path, json.dumps(last).encode())
    samples = Samples({name: ("gauge", text) for _member, name, text in kind.metrics})
    for member, name, _text in kind.metrics:
        samples.add(name, last[member])
    replace_file(os.path.join(settings["textfile_directory"], kind.page), samples.text())
    return last["problem"]


def is_restoring(home):
    """Whether restore.yml is at work between its two halves: site.yml must get to its end whatever a test says."""
    return os.path.exists(os.path.join(home, "backup", "restored"))


def main(argv=None):
    """Parse the command line and run once."""
    parser = argparse.ArgumentParser(description="Back up a monitoring host.")
    parser.add_argument("--settings", required=True, type=load, metavar="FILE", help="JSON that the role backup writes")
    parser.add_argument("--test", action="store_true", help="test the newest backup instead")
    options = parser.parse_args(argv)
    home = options.settings["home"]
    os.umask(0o077)
    if options.test and is_restoring(home):
        journal("not tested: a restore is not finished; run backup_test.yml after it")
        return 0
    try:
        problem = run(options.settings, TEST if options.test else TAKE)
    except OSError as error:  # the result cannot be noted
        problem = explained(error, home)
    if problem:
        print(problem, file=sys.stderr)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
