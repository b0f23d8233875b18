# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recorded series that a storage lacks though it has what was scraped: when, and how vmalert evaluates their rules again."""
import time

from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import query

# The series that stands for all recorded ones.
RECORDED = "accelerator_info"
# The storage gives this many points of a query at most, and a few are missing wherever a service was restarted.
MOST, FEWEST = 10000, 3
# What is being recorded now is no gap, and what was just written cannot be read at once.
YOUNG, SETTLE = 60, 3


def present(params, access, expression, step, start, end):
    """Sorted moments, multiples of `step` seconds, at which an expression has a value in the storage."""
    found = set()
    while start <= end:
        last = min(end, start + (MOST - 1) * step)
        for _labels, points in query.range_query(params["storage_url"], "count(%s)" % expression, params["query_timeout"], start, last, step, access):
            found.update(int(moment) for moment, _value in points)
        start = last + step
    return sorted(found)


def gaps(scraped, recorded, step):
    """[(first, last)] of the moments at which something was scraped and nothing recorded, between the first and the last that was recorded."""
    found, have = [], set(recorded)
    for moment in scraped:
        if moment in have or not recorded or not recorded[0] < moment < recorded[-1]:
            continue
        if found and moment - found[-1][1] <= step:
            found[-1][1] = moment
        else:
            found.append([moment, moment])
    return [(first, last) for first, last in found if last - first >= (FEWEST - 1) * step]


def search(params, access, step):
    """The gaps of the last hours.

    params: `storage_url`, `query_timeout`, `hours`, `recordable`: what has a value wherever something can be recorded; step: seconds between two evaluations
    """
    end = (int(time.time()) - YOUNG) // step * step
    start = end - params["hours"] * 3600 // step * step
    return gaps(present(params, access, params["recordable"], step, start, end),
                present(params, access, "last_over_time(%s[%ds])" % (RECORDED, step), step, start, end), step)


def command(params, rules, gap):
    """The command that evaluates the rules in a file over a gap, as vmalert's own user. It listens nowhere and notifies nobody."""
    return ["systemd-run", "--wait", "--pipe", "--collect", "--quiet", "--property=User=%s" % params["user"],
            "--property=SupplementaryGroups=accelmon", "--property=ProtectSystem=strict", "--property=NoNewPrivileges=yes"] + params["command"] + [
                "-rule=%s" % rules, "-replay.timeFrom=%s" % query.instant(gap[0]), "-replay.timeTo=%s" % query.instant(gap[1]),
                # One stage reads nothing that it writes itself.
                "-replay.rulesDelay=0s", "-replay.disableProgressBar"]


def replay(params, run_command, rules, found):
    """Evaluate the rules in these files, one file after the other, each over all gaps."""
    for path in rules:
        for gap in found:
            code, output, errors = run_command(command(params, path, gap))
            if code:
                lines = [line for line in (output + errors).splitlines() if line.strip()]
                why = query.one_line(lines[-1] if lines else "no reason given")
                raise Failure("vmalert could not replay %s to %s: %s" % (query.instant(gap[0]), query.instant(gap[1]), why))
        time.sleep(SETTLE)
