# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of podman, and where the lab keeps its things."""

import contextlib
import fcntl
import json
import os
import subprocess
import sys

from hardware import Error

HERE = os.path.dirname(os.path.abspath(__file__))


def cache():
    """Return the folder for everything that is built: outside the checkout, shared by all checkouts of a user."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "accelmon")


def say(text):
    """Tell the person what is going on. Standard output is kept for what programs read."""
    sys.stderr.write("lab: %s\n" % text)
    sys.stderr.flush()


@contextlib.contextmanager
def alone():
    """Hold what all labs of a user share, the images and the ssh key, while it is looked for and made. Labs may come up side by side."""
    os.makedirs(cache(), exist_ok=True)
    with open(os.path.join(cache(), "lab.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def environment():
    """Return the environment for podman, with the settings for machines that were not started by systemd."""
    env = dict(os.environ)
    if "CONTAINERS_CONF" not in env and not os.path.isdir("/run/systemd/system"):
        env["CONTAINERS_CONF"] = os.path.join(HERE, "containers.conf")
    return env


def podman(*arguments, check=True, stdin=None):
    """Run podman and return the finished process, its output as text."""
    try:
        done = subprocess.run(["podman", *arguments], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(), check=False)
    except FileNotFoundError:
        raise Error("podman is not installed; run tests/setup.sh, which installs or names what is missing")
    if check and done.returncode != 0:
        raise Error("podman %s: %s" % (" ".join(arguments[:2]), done.stderr.strip() or "exit status %d" % done.returncode))
    return done


def inspect(names):
    """Return {name: inspection} of those of the containers that exist."""
    names = list(names)
    if not names:
        return {}
    listed = podman("ps", "--all", "--format", "{{.Names}}").stdout.split()
    there = [name for name in names if name in listed]
    return {entry["Name"]: entry for entry in json.loads(podman("inspect", *there).stdout)} if there else {}
