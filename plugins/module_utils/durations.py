# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Durations as Prometheus writes them (15s, 1m30s, 90d); the one grammar for everything that takes one."""
import re

# From the longest to the shortest, the order in which they are written.
UNITS = (("y", 365 * 86400000), ("w", 7 * 86400000), ("d", 86400000), ("h", 3600000), ("m", 60000), ("s", 1000), ("ms", 1))
# [0-9] and not \d, which means the digits of every script.
DURATION = re.compile("".join("(?:([0-9]{1,12})%s)?" % unit for unit, _length in UNITS) + r"\Z")


def milliseconds(text):
    """Length of a duration such as 15s, 1m30s, 0m or 500ms.

    Raises ValueError for anything else, also for a number without a unit.
    """
    match = DURATION.match(text) if text and isinstance(text, str) else None
    if not match:
        raise ValueError("not a duration; use a number with a unit, for example 15s, 1m30s or 90d")
    return sum(int(number or 0) * length for number, (_unit, length) in zip(match.groups(), UNITS))


def seconds(text):
    """Whole seconds of a duration, rounded up, at least one. Raises ValueError as `milliseconds` does."""
    return max(1, -(-milliseconds(text) // 1000))


def units_of(text):
    """The units that a duration is written with."""
    return [unit for number, (unit, _length) in zip(DURATION.match(text).groups(), UNITS) if number is not None]
