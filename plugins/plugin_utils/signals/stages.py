# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Receivers of notifications that change at a known time, by Alertmanager's own clock.

Alertmanager sends what goes through a route at certain times only. So each stage, from one change to the next, has all routes for itself. What was sent
in one stage is not sent again in the next: the same receiver is reached through the same labels.
"""
import time

from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.query import instant


def definition(receiver):
    """What is defined of a receiver, beside the alerts that it gets."""
    return {key: value for key, value in receiver.items() if key not in ("name", "match")}


def stages(receivers, later):
    """[(when it begins, 0 for now, receivers)]. One that is defined in another way than before has the time in its name."""
    found, known = [], {}
    for begin, those in [(0, receivers)] + [(one["from"], one["receivers"]) for one in later]:
        named = []
        for one in those:
            names = known.setdefault(one["name"], {})
            same = [name for name, other in names.items() if other == definition(one)]
            name = same[0] if same else f"{one['name']}@{begin}" if names else one["name"]
            names[name] = definition(one)
            named.append({**one, "name": name})
        found.append((begin, named))
    return found


def interval(moment):
    """Name of the time before a moment."""
    return f"before {instant(moment)}"


def before(moment):
    """Times before a moment, a full minute, as Alertmanager knows them."""
    end = time.gmtime(moment)
    year, month, day = ({"years": [str(end.tm_year)]}, {"months": [str(end.tm_mon)]}, {"days_of_month": [str(end.tm_mday)]})
    times = [{"years": [f"1970:{end.tm_year - 1}"]}]
    if end.tm_mon > 1:
        times.append({**year, "months": [f"1:{end.tm_mon - 1}"]})
    if end.tm_mday > 1:
        times.append({**year, **month, "days_of_month": [f"1:{end.tm_mday - 1}"]})
    if end.tm_hour or end.tm_min:
        times.append({**year, **month, **day, "times": [{"start_time": "00:00", "end_time": time.strftime("%H:%M", end)}]})
    return {"name": interval(moment), "time_intervals": times}


def limited(found, begin, end):
    """Routes that are used from `begin` until `end`; None: without an end."""
    times = {**({"mute_time_intervals": [interval(begin)]} if begin else {}), **({"active_time_intervals": [interval(end)]} if end else {})}
    return [{**one, **times, **({"routes": limited(one["routes"], begin, end)} if "routes" in one else {})} for one in found]
