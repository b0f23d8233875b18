# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the commands of Slurm on its controller, which may hang or refuse. Programs there have a copy of this file beside them, and of command.py:
standard library only.
"""
import argparse
import collections
import json
import re
import sys

try:
    import command  # pylint: disable=import-error
except ImportError:  # in the collection, where no program runs
    from ansible_collections.accelmon.fleet.plugins.module_utils import command

OUTPUT_LIMIT = 64 * 1024 * 1024  # bytes; 10,000 nodes are 8 MB
LABEL_LIMIT = 128  # characters
# Slurm writes times as a user's environment asks; this is its own form.
ENVIRONMENT = {"SLURM_TIME_FORMAT": "standard"}

# Why the controller was not asked with success. Known beforehand, so that every counter starts at 0.
REASONS = collections.OrderedDict((
    ("tool_missing", "the command is not installed"),
    ("timeout", "no answer in time"),
    ("unreachable", "slurmctld does not answer"),
    ("denied", "Slurm refuses to answer this user, or munge does not know it"),
    ("failed", "the command ended with another error"),
    ("output_too_large", "the answer is larger than anything sensible"),
    ("bad_output", "a line could not be understood"),
))
# What Slurm's commands say, as far as it tells which of them it is.
SAID = (
    ("unreachable", re.compile(r"unable to contact slurm controller|connect failure|connection refused|connection timed out|socket timed out|"
                               r"unable to establish controller|could not establish a configuration source|in standby mode", re.I)),
    ("denied", re.compile(r"permission denied|invalid user|authentication|munge", re.I)),
)
# After these the controller is not asked a second time in a run: that would only take as long again.
IN_VAIN = ("timeout", "unreachable")


class Failure(Exception):
    """The controller did not answer; args[0] is one of REASONS."""


def plain(text, limit=LABEL_LIMIT):
    """Text of others for a label: one line, printable and bounded."""
    return "".join(char if char.isprintable() else " " for char in text).strip()[:limit]


def ask(program, arguments, timeout):
    """What a command of Slurm answers, as text. Raises Failure."""
    path = command.which(program)
    if not path:
        raise Failure("tool_missing")
    try:
        code, output, errors = command.run_bytes([path] + arguments, timeout, limit=OUTPUT_LIMIT, environment=ENVIRONMENT)
    except OSError:
        raise Failure("tool_missing") from None
    if code is None:
        raise Failure("output_too_large" if len(output) + len(errors) > OUTPUT_LIMIT else "timeout")
    said = errors.decode("utf-8", "replace")
    if code:
        sys.stderr.write("%s: exit status %s: %s\n" % (path, code, plain(said.strip().partition("\n")[0], 400)))
        raise Failure(next((reason for reason, pattern in SAID if pattern.search(said)), "failed"))
    return output.decode("utf-8", "replace")


def names_of(path):
    """{Slurm's name of a node: the inventory's}, for those that differ."""
    try:
        with open(path, encoding="utf-8") as stream:
            return {str(name): str(other) for name, other in json.load(stream).items()}
    except (OSError, ValueError, AttributeError) as error:
        raise argparse.ArgumentTypeError("%s: %s" % (path, error)) from None


def seconds(text):
    """A time limit."""
    value = float(text)
    if not 0 < value <= 600:
        raise argparse.ArgumentTypeError("%s is not between 0 and 600" % text)
    return value
