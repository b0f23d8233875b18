# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pages of exporters as series: what a scrape with our configuration would store of them.

Relabelling is done here in Python, with the rules that scrape_file writes; live.py shows that vmagent and Prometheus do the same.
"""

import os
import re

from ansible.module_utils.common.yaml import yaml_load

from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.scrape import scrape_file

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures", "expositions")
ROW = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)\Z")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def jobs():
    """{job: its part of the scrape configuration}."""
    text = scrape_file({"node_exporter": "127.0.0.1:9100", "cluster": "c1", "node": "mon"})
    return {job["job_name"]: job for job in yaml_load(text)["scrape_configs"]}


def rows(text):
    """[(labels with __name__, value as text)] of an exposition."""
    found = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, labels, value = ROW.match(line).groups()
            found.append(({"__name__": name, **dict(LABEL.findall(labels or ""))}, value))
    return found


def filled(replacement, match):
    """A replacement with the groups of a match in it."""
    return re.sub(r"\$(\d)", lambda group: match.group(int(group.group(1))), replacement)


def relabelled(rules, labels):
    """Labels after metric_relabel_configs: the actions that we use; None for a dropped series."""
    labels = dict(labels)
    for rule in rules:
        action = rule.get("action", "replace")
        if action == "labeldrop":
            labels = {name: value for name, value in labels.items() if not re.fullmatch(rule["regex"], name)}
            continue
        if action == "labelmap":
            for name, value in list(labels.items()):
                match = re.fullmatch(rule["regex"], name)
                if match:
                    labels[filled(rule["replacement"], match)] = value
            continue
        value = ";".join(labels.get(name, "") for name in rule["source_labels"])
        if action == "lowercase":
            labels[rule["target_label"]] = value.lower()
            continue
        match = re.fullmatch(rule.get("regex", "(.*)"), value)
        if action == "drop" and match or action == "keep" and not match:
            return None
        if action == "replace" and match:
            labels[rule["target_label"]] = filled(rule.get("replacement", "$1"), match)
    return {name: value for name, value in labels.items() if value}


def stored(text, job, target):
    """[(labels, value)] that are stored of a page; target: the labels of its target, which win over the page's own."""
    target = {**target, "job": job, "instance": f"{target['node']}:1"}
    result = []
    for labels, value in rows(text):
        merged = {(f"exported_{name}" if name in target else name): content for name, content in labels.items()}
        name = job if target.get("rack") else f"{job}_bare"
        made = relabelled(jobs_cached()[name]["metric_relabel_configs"], {**merged, **target})
        if made is not None:
            result.append((made, value))
    return result


_CACHE = {}


def jobs_cached():
    """The jobs, rendered once."""
    if not _CACHE:
        _CACHE.update(jobs())
    return _CACHE


def series(text, job, target):
    """{series as promtool wants it: value} of a page."""
    result = {}
    for labels, value in stored(text, job, target):
        name = labels.pop("__name__")
        result["%s{%s}" % (name, ",".join(f'{key}="{labels[key]}"' for key in sorted(labels)))] = value
    return result


def page(name):
    """Text of a recorded or derived exposition."""
    with open(os.path.join(FOLDER, name), encoding="utf-8") as handle:
        return handle.read()


def with_values(text, value):
    """A page on which every reading of a device is the same; what is 1 by its nature stays."""
    return "\n".join(line if line.startswith("#") or "_info" in line.split("{")[0] or "{" not in line else re.sub(r" \S+$", f" {value}", line)
                     for line in text.splitlines())


def with_label(text, label, value):
    """A page on which a label says the same of every device."""
    return re.sub(rf'(?<=[{{, ]){label}="[^"]*"', f'{label}="{value}"', text)
