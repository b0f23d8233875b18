# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pages of vmui, VictoriaMetrics' own user interface, from the views of the catalogue.

vmui draws lines and nothing else, and its axis begins at the smallest value: what matters is shown as a difference or a share. It opens the first
row of a page alone, so each page has one.
"""
import re

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load

# How values are scaled, and what is written behind them.
UNITS = {"ratio": (100, "%"), "celsius": (1, "°C"), "watts": (1, "W"), "score": (1, ""), "count": (1, "")}
CLUSTER, DEVICE = "{{cluster}} {{vendor}}", "{{cluster}} {{node}} {{vendor}} {{index}}"
# Of thousands of devices, those that matter most at the end of the time that is shown.
TOP = 10
SELECTOR = re.compile(r"[a-z_:]+\{[^}]*\}")
# VictoriaMetrics looks back no further than a step at the end, and health is recorded once a minute.
LAST = r"last_over_time(\g<0>[5m] @ end())"
SHOWN = ("health", "temperature", "memory_temperature", "memory", "utilization", "power")


def everywhere(query, views):
    """The query of a view for all clusters and nodes."""
    for text, value in ((",@nodes@", ""), ("@nodes@", ""), ("@clusters@", ""), ("@step@", views["step"]), ("{}", "")):
        query = query.replace(text, value)
    return query


def panel(title, text, query, alias, unit="count", width=6):
    """A plot."""
    factor, sign = UNITS[unit]
    return {"title": title, "description": text, "unit": sign, "expr": [query if factor == 1 else f"{factor} * ({query})"], "alias": [alias],
            "showLegend": True, "width": width}


def top(view, views):
    """A plot of the devices with the highest values of a view, or with the lowest ones if those are marked."""
    query, now = everywhere(view["query"], views), everywhere(SELECTOR.sub(LAST, view["query"]), views)
    if view.get("lower"):
        which, chosen, more = "lowest", f"bottomk({TOP}, {now} <= {view['notice']})", f" Empty if none is {view['notice']} or less."
    else:
        which, chosen, more = "highest", f"topk({TOP}, {now})", ""
    return panel(f"{view['title']}: the {TOP} {which}", view["help"] + more, f"{query} and {chosen}", DEVICE, view["unit"])


def pages():
    """{name of the file: page}."""
    views = load("views")
    rows = {name: everywhere(view["query"], views) for name, view in views["rows"].items()}
    made = {
        "Fleet": [panel(view["title"], view["help"], everywhere(view["query"], views), CLUSTER, view["unit"]) for view in views["trends"].values()],
        "Devices": [top(views["devices"][name], views) for name in SHOWN],
        "Health and errors": [
            panel("Devices that are not well", "By the component that lowers their health score.",
                  f"count by (cluster, vendor, component) ({rows['faults']})", f"{CLUSTER} {{{{component}}}}"),
            panel("Error codes", "How often each code occurred. explain.yml says what a code means.",
                  f"sum by (cluster, vendor, kind, code) ({rows['errors']})", f"{CLUSTER} {{{{kind}}}} {{{{code}}}}"),
        ],
    }
    return {f"{number}-{title.lower().replace(' ', '-')}.json": {"title": f"accelmon: {title}", "rows": [{"title": title, "panels": panels}]}
            for number, (title, panels) in enumerate(made.items(), 1)}
