# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Labels that a site gives to its targets, and its own exporters, which have labels too.

A target's label wins over one of the page: a name that series or rules use already would take away what tells them apart.
"""
import functools
import re

from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import amd_exporter
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.alerts import alert_groups
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.recording import recording_groups
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import OWN_JOBS, dict_of, label_value, page, port

NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
JOB = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]*\Z")
PREFIXES = ("__", "accelmon_", "exported_")
INSTEAD = {"cluster": "set accelmon_cluster instead", "rack": "set accelmon_rack instead"}
# What scrapers, evaluators and the exposition format write by themselves.
ENGINES = frozenset("alertgroup alertname alertstate instance job le quantile vmrange".split())
# Lists of labels, and matchers, in an expression.
LISTS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
MATCHERS = re.compile(r"\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"(?:[^"\\]|\\.)*"')


def in_expression(text):
    """Labels that an expression names."""
    names = {name.strip() for found in LISTS.findall(text) for name in found.split(",")}
    names |= {name for found in MATCHERS.findall(text) for name in MATCHER.findall(found)}
    names |= set(re.findall(r'count_values by \([^)]*\) \("(\w+)"', text))
    return names - {""}


def _of_rules():
    """Labels that our rules read, write or set."""
    names = set()
    for group in recording_groups("15s") + alert_groups():
        for rule in group["rules"]:
            names |= in_expression(rule["expr"]) | set(rule.get("labels", {}))
    return names


def _of_source(source):
    """Labels of one source's series: those that it has, and those that relabelling makes of them."""
    names = {"source", "vendor", *source["labels"], *source["keys"], *source.get("vendor_by", {}), *source.get("further", {})}
    names |= {label for theirs in source["labels"].values() for label in theirs}
    names |= {label for labels in source["metrics"].values() for label in labels}
    return names | {source[key] for key in ("parts", "pci") if key in source}


@functools.lru_cache(maxsize=None)
def reserved():
    """Names of labels that series or rules of ours have, from the catalogue, the rules and the configurations of exporters."""
    catalogue = load("sources")
    names = set(ENGINES) | _of_rules() | {label.lower() for label in amd_exporter.LABELS}
    for source in catalogue["sources"].values():
        names |= _of_source(source)
    for part in (catalogue["registry"], catalogue["stack"], catalogue["node"], *(part["series"] for part in catalogue["published"].values())):
        names |= {label for labels in part.values() for label in labels}
    for text in catalogue["exporter_labels"].values():
        names |= set(text.split())
    return frozenset(names)


def labels(value):
    """{label: text}."""
    found = {}
    for name, item in value.items():
        if not isinstance(name, str) or not NAME.match(name):
            raise Problem(f"{name} is not a label name; use letters, digits and underscores, no digit first")
        if name.startswith(PREFIXES):
            raise Problem(f"the label {name} begins with a reserved prefix; choose another name")
        if name in reserved():
            raise Problem(f"the label {name} is reserved; " + INSTEAD.get(
                name, f"the collection's series or rules use it. Choose another, such as site_{name.lower()}"))
        try:
            found[name] = label_value(item)
        except Problem as problem:
            raise Problem(f"{name}: {problem}") from None
    return found


CUSTOM_KEYS = ("job", "port", "path", "scheme", "labels")


def custom_exporters(value):
    """[{job, port, path, scheme, labels?}], completed with defaults."""
    found, places = [], set()
    for number, entry in enumerate(value, 1):
        try:
            exporter = _custom_exporter(entry)
        except Problem as problem:
            raise Problem(f"entry {number}: {problem}") from None
        place = (exporter["port"], exporter["path"])
        if place in places:
            raise Problem(f"entry {number}: port {place[0]} and path {place[1]} occur twice; list each target once")
        places.add(place)
        found.append(exporter)
    return found


def _custom_exporter(entry):
    dict_of(entry)
    for key in entry:
        if key not in CUSTOM_KEYS:
            raise Problem(f"{key} is not known; use {', '.join(CUSTOM_KEYS)}")
    for key in ("job", "port"):
        if key not in entry:
            raise Problem(f"{key} is missing; give job and port")
    job = entry["job"]
    if not isinstance(job, str) or not JOB.match(job) or len(job) > 100:
        raise Problem(f"job {job} is not usable as a name; use letters, digits, dash and underscore, no digit first")
    if job.removesuffix("_bare").removesuffix("_plain") in OWN_JOBS or job.startswith("accelmon_"):
        raise Problem(f"job {job} is the collection's own; choose another name")
    try:
        exporter = {"job": job, "port": port(entry["port"])}
    except Problem as problem:
        raise Problem(f"port {entry['port']}: {problem}") from None
    exporter["path"] = entry.get("path", "/metrics")
    if not isinstance(exporter["path"], str) or not exporter["path"].startswith("/"):
        raise Problem(f"path {exporter['path']} does not begin with /; give an absolute path")
    page(exporter["path"])
    exporter["scheme"] = entry.get("scheme", "http")
    if exporter["scheme"] not in ("http", "https"):
        raise Problem(f"scheme {exporter['scheme']} is not known; use http or https")
    if entry.get("labels"):
        exporter["labels"] = labels(dict_of(entry["labels"]))
    return exporter
