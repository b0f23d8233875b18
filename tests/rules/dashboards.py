# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The committed dashboards: what they ask, with variables filled in the way Grafana does."""

import glob
import json
import os
import re

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "dashboards")
# What Grafana fills in for a time range of so many seconds, with so many between two points.
RANGE, STEP = 1800, 60
BUILT_IN = {"__range": f"{RANGE}s", "__rate_interval": "240s", "__interval": f"{STEP}s"}
VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")
VALUES_OF = re.compile(r"label_values\((.*), (\w+)\)", re.DOTALL)


def boards():
    """{name: dashboard}, as they are committed."""
    found = {}
    for path in sorted(glob.glob(os.path.join(FOLDER, "*.json"))):
        with open(path, encoding="utf-8") as handle:
            found[os.path.splitext(os.path.basename(path))[0]] = json.load(handle)
    return found


def panels(board):
    """The panels that show something, also those of a closed row."""
    return [panel for outer in board["panels"] for panel in ([outer] if outer["type"] != "row" else outer["panels"])]


def variables(board):
    """{name: variable} of those that the storage is asked about."""
    return {variable["name"]: variable for variable in board["templating"]["list"] if variable["type"] == "query"}


def expressions(board):
    """[(who asks, expression)] of panels, variables and annotations."""
    found = [(f"{panel['title']} {target['refId']}", target["expr"]) for panel in panels(board) for target in panel.get("targets", [])]
    found += [(f"${name}", VALUES_OF.fullmatch(variable["query"]["query"]).group(1)) for name, variable in variables(board).items()]
    return found + [(annotation["name"], annotation["expr"]) for annotation in board["annotations"]["list"]]


def filled(expression, values):
    """The expression as it is sent. values: {variable: [value]}, of which one that is missing is everything."""
    def value(match):
        name = match.group(1) or match.group(2)
        if name in BUILT_IN:
            return BUILT_IN[name]
        chosen = [re.sub(r"([\\^$*+?.()|\[\]{}/])", r"\\\\\1", one) for one in values.get(name, ())]
        return f"({'|'.join(chosen)})" if len(chosen) > 1 else chosen[0] if chosen else ".*"

    return VARIABLE.sub(value, expression)
