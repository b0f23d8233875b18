# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which series somebody emits where the collection runs, and what says the same of every vendor's devices."""
import functools
import re

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import amd_exporter, dcgm
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import reserved

# By their beginning: what node_exporter tells of a host, and what every exporter tells of itself.
COMMON = ("node_(?!gpu_).*", "go_.*", "process_.*", "promhttp_.*", "python_.*", f"(?:grafana|{'|'.join(reserved.PROGRAMS)})_.*")
# Fields of DCGM that an exporter of the site may have and ours does not.
FIELD = re.compile(r"DCGM_(FI|EXP)_\w+\Z")


@functools.lru_cache(maxsize=None)
def stored():
    """{other name of a series: the one under which it is stored}."""
    return {theirs: ours for source in load("sources")["sources"].values() for ours, theirs in source.get("renamed", {}).items()}


@functools.lru_cache(maxsize=None)
def known():
    """(names, pattern) of all series that the collection's exporters, its registry, its rules and its stack emit."""
    catalogue = load("sources")
    names = set(reserved.recorded())
    for source in catalogue["sources"].values():
        names |= set(source["metrics"])
    names |= set(dcgm.fields(dcgm.counters(str(load("dcgm")["version"]), True))) - set(stored())
    names |= {field.lower() for field in amd_exporter.FIELDS} | {f"gpu_{field.lower()}" for field in amd_exporter.FIELDS if field.startswith("PCIE")}
    for part in (catalogue["registry"], catalogue["stack"], catalogue["node"], *(part["series"] for part in catalogue["published"].values())):
        names |= set(part)
    for part in catalogue["delegated"].values():
        names |= {*part["about"], *part["own"]}
    patterns = [*reserved.WRITTEN, *COMMON, "gpu_prof_.*", catalogue["sources"]["all_smi"]["devices"]]
    return frozenset(names), re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


def missing(name):
    """Why nobody emits a series here, as `wrong; fix`; "" if somebody does."""
    names, pattern = known()
    if name in stored():
        return f"it is stored as {stored()[name]}; use that name"
    if name in names or pattern.fullmatch(name):
        return ""
    if FIELD.match(name):
        return "dcgm_exporter does not export this field; add it to dcgm_exporter_extra_counters"
    return "no exporter of the collection emits it; keep the rule out, or scrape who emits it (accelmon_custom_exporters)"


@functools.lru_cache(maxsize=None)
def _neutral():
    """{raw series: [(recorded series with its static labels, how its value differs)]}, for series of one vendor's exporter."""
    found = {}
    for item in load("series")["devices"]:
        if item["unit"] == "always 1":
            continue
        for variant in item["variants"]:
            labels = ",".join(f'{label}="{value}"' for label, value in sorted(variant.get("labels", {}).items()))
            for part in (part for parts in variant["from"].values() for part in parts):
                change = next((f"{word[:-1] if word.endswith('e') else word.removesuffix('y') + 'i'}ed by {part[word]}" for word in ("divide", "multiply")
                               if word in part), "")
                for name in [part["metric"]] if isinstance(part["metric"], str) else part["metric"]:
                    told = (item["name"] + (f"{{{labels}}}" if labels else ""), change)
                    found.setdefault(name, []).append(told)
    return found


def neutral(name):
    """What says the same of devices of every vendor, in words; "" if nothing does."""
    return " or ".join(f"{series} ({change})" if change else series for series, change in dict.fromkeys(_neutral().get(name, ())))


def forgotten(name):
    """Pattern of labels of a series that are dropped when it is scraped; None if there are none."""
    for source in load("sources")["sources"].values():
        if name in source["metrics"] or re.fullmatch(source["devices"], name):
            labels = [item["label"] for item in source.get("forget", ())]
            return re.compile("|".join(f"(?:{label})" for label in labels)) if labels else None
    return None
