# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How each source's readings are asked for, so that they can be laid side by side."""

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.expressions import counted, one_of_each, seen

# What a device is the same by, whoever reads it. Its model is not among them: sources may write it in other ways.
IDENTITY = ["cluster", "node", "vendor", "index", "uuid"]
# Stands for the matcher of nodes, which is filled in where the question is asked.
NODES = "@nodes@"


def comparisons():
    """What fleet_compare_info asks: {"present": {source: expression}, "jobs": {source: job}, "series": [{"name", "unit", "from": {source: expression}}]}.

    Every expression has one value for each device, in the unit of our series, from one source whether it is in charge or not.
    Left out are series that only one source has, identity, and counts that each source begins at another moment.
    """
    sources, asked = load("sources")["sources"], []
    for item in load("series")["devices"]:
        if item["unit"] == "always 1" or "source" in item.get("labels", []):
            continue
        for variant in item["variants"]:
            if len(variant["from"]) < 2:
                continue
            labels = ",".join(f'{label}="{text}"' for label, text in sorted(variant.get("labels", {}).items()))
            asked.append({
                "name": item["name"] + (f"{{{labels}}}" if labels else ""),
                "unit": item["unit"],
                "from": {source: " or ".join(f"({counted(one_of_each(source, sources[source], item, part, IDENTITY, [NODES]), sources[source])})"
                                             for part in choices)
                         for source, choices in variant["from"].items()},
            })
    return {
        "present": {name: f"group by (cluster, node, vendor) ({counted(seen(name, spec, [NODES]), spec)})" for name, spec in sources.items()},
        "jobs": {name: spec["job"] for name, spec in sources.items()},
        "series": asked,
    }
