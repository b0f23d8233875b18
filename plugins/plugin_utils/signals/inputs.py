# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What alerts need to fire: the readings of devices in their expressions, who provides these, and how to ask for them."""
import itertools
import re

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.alerts import PART, READING, changes, reading_of, settings, there

# What decides which readings an alert needs: readings, brackets and the operators between sets of series.
TOKEN = re.compile(READING.pattern + r"|(?P<word>\b(?:or|and|unless)\b|[()])")


def needs(expression):
    """[set of readings]: an expression can have a value where all readings of one of these sets are there.

    What is behind `unless` takes away, and need not be there.
    """
    tokens = [match.group("word") or {match.group(1)} for match in TOKEN.finditer(PART.sub("0", expression))]
    known = load("readings")["readings"]
    return _smallest(_choices([token if isinstance(token, str) else frozenset(token & known.keys()) for token in tokens]))


def _choices(tokens):
    """The choices of what stands up to the closing bracket; takes the tokens off the list."""
    found, here, counts = [], [frozenset()], True
    while tokens:
        token = tokens.pop(0)
        if token == ")":
            break
        if token == "or":
            found, here, counts = found + here, [frozenset()], True
        elif token in ("and", "unless"):
            counts = token == "and"
        else:
            inner = _choices(tokens) if token == "(" else [token]
            if counts:
                here = [one | other for one, other in itertools.product(here, inner)]
    return found + here


def _smallest(choices):
    """The choices without those that ask for more than another one does, in order."""
    return [choice for choice in dict.fromkeys(choices) if not any(other < choice for other in choices)]


def present(name, interval):
    """Expression: how many devices have a reading now, by cluster, node and vendor, whatever it is over time."""
    return f"count by (cluster, node, vendor) {there(name, interval)}"


def of_alerts(interval, overrides=None, chosen_presets=None):
    """What fleet_verify_info looks for: {"alerts": {name: [[readings]]}, "readings": {name: {"present": expression, "sources": [...],
    "optional": whether equal devices may differ in it, "vendor": the only one whose devices have it, or None}}, "exporters": {source: role},
    "vendors": {source: [...]}}.

    Of alerts that are enabled for the fleet and need readings of devices.
    """
    fleet_wide, wanted = changes(overrides), {}
    for alert in load("alerts")["alerts"]:
        choices = needs(alert["expr"])
        if all(choices) and settings(alert, fleet_wide.get(alert["alert"], {}), chosen_presets)["enabled"]:
            wanted[alert["alert"]] = [sorted(choice) for choice in choices]
    names = sorted({name for choices in wanted.values() for choice in choices for name in choice})
    sources = load("sources")["sources"]
    return {
        "alerts": wanted,
        "readings": {name: {"present": present(name, interval), "sources": list(reading_of(name)["from"]), "optional": reading_of(name).get("optional", False),
                            "vendor": reading_of(name).get("vendor")} for name in names},
        "exporters": {name: source["role"] for name, source in sources.items()},
        "vendors": {name: source["vendors"] for name, source in sources.items()},
    }
