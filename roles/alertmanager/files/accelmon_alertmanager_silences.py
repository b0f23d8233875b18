# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes which silences are active in the Alertmanager of this host into a file of metrics, so that whoever may ask only the storage knows of them.

Who made a silence, and why, is left out. Python >= 3.6, standard library only.

Exit status: 0 the file was written; 1 it was not, and says what was last known.
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

import asking  # noqa: E402  pylint: disable=wrong-import-position,import-error
from textfile import Samples, publish_alone, replace_file  # noqa: E402  pylint: disable=wrong-import-position,import-error

# Of silences: each is a series. A site with more of them is told that in the log.
MOST = 500
# Characters of a silence's matchers; storages cut a label's value at 1,024 bytes. A longer silence could be about anything.
LONGEST, ANYTHING = 1000, "[]"
SEEN, LAST = "accelmon_fleet_silence_seen_timestamp_seconds", "accelmon_fleet_silences_last_success_timestamp_seconds"
FAMILIES = collections.OrderedDict((
    (SEEN, ("gauge", "When the monitoring host last saw a silence with these matchers active in its Alertmanager.")),
    (LAST, ("gauge", "When the monitoring host last got all active silences from its Alertmanager.")),
))


def matchers(silence):
    """What a silence is about, as JSON on one line of ASCII."""
    found = [{"name": one["name"], "value": one["value"], "isRegex": one["isRegex"], "isEqual": one.get("isEqual", True)} for one in silence["matchers"]]
    text = json.dumps(found, sort_keys=True, separators=(",", ":"))
    return text if len(text) <= LONGEST else ANYTHING


def active(answer):
    """The matchers of all active silences in an answer of the API."""
    if not isinstance(answer, list):
        raise TypeError
    return sorted(set(matchers(one) for one in answer if one["status"]["state"] == "active"))


def run(options):
    """Ask, and write the file. Returns what went wrong, or ""."""
    try:
        now = round(time.time(), 3)
        found = asking.asked(vars(options), options.url + "/api/v2/silences", active, timeout=options.timeout)
        if len(found) > MOST:
            return "%d silences are active, more than %d; end some, or use fewer matchers for more alerts" % (len(found), MOST)
        samples = Samples(FAMILIES)
        for text in found:
            samples.add(SEEN, now, ("node", options.node), ("matchers", text))
        samples.add(LAST, now, ("node", options.node))
        replace_file(options.output, samples.text())
    except asking.Failure as failure:
        return str(failure)
    except OSError as error:
        return "%s: %s" % (error.filename, error.strerror)
    return ""


def main(argv=None):
    """Parse the command line and run once."""
    parser = argparse.ArgumentParser(description="Write the silences of this host's Alertmanager into a file of metrics.")
    parser.add_argument("--output", required=True, metavar="FILE", help="file of metrics to replace, ending in .prom")
    parser.add_argument("--publish", metavar="DIRECTORY", help="ask nothing; copy the file into a directory that somebody else owns")
    parser.add_argument("--url", default="", help="where Alertmanager listens")
    parser.add_argument("--node", default="", metavar="NAME", help="name of this host in the inventory")
    parser.add_argument("--password-file", default="", metavar="FILE", help="file with the password of the stack")
    parser.add_argument("--ca-file", metavar="FILE", help="authority that Alertmanager's certificate must lead to")
    parser.add_argument("--timeout", type=float, default=10, metavar="SECONDS", help="time for the answer (default 10)")
    options = parser.parse_args(argv)
    if options.publish:
        return publish_alone(options.output, options.publish)
    problem = run(options)
    if problem:
        print(problem, file=sys.stderr)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
