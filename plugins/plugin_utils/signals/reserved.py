# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of series that are not a node's to write, made from the catalogue and from the rules."""

import functools
import re

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.recording import recording_groups

# What a scraper writes about each scrape, and what an evaluator writes about each alert.
WRITTEN = ("up", "scrape_.*", "ALERTS", "ALERTS_FOR_STATE")
# Ours by their beginning; what is recorded may have the level before it.
OURS = ("accelmon_", "accelerator_")
# How names begin that programs of the stack tell of themselves.
PROGRAMS = ("alertmanager", "prometheus", "vm", "vmagent", "vmalert", "vmauth")


@functools.lru_cache(maxsize=None)
def recorded():
    """Names of everything that the recording rules write."""
    return tuple(sorted({rule["record"] for group in recording_groups("15s") for rule in group["rules"]}))


def families():
    """Patterns of all names that begin with one of ours, bare or after a level, as the recorded ones do."""
    levels = sorted({name.partition(":")[0] for name in recorded() if ":" in name})
    others = [name for name in recorded() if not re.match(f"(?:[a-z]+:)?(?:{'|'.join(OURS)})", name)]
    return [f"(?:(?:{'|'.join(levels)}):)?(?:{'|'.join(OURS)}).*"] + others


def published(job):
    """Patterns of names of ours that the exporter of a job may write all the same, as the catalogue lists them."""
    catalogue = load("sources")
    names = [source["own"] for source in catalogue["sources"].values() if source["job"] == job and "own" in source]
    return names + [name for part in catalogue["published"].values() if job in part["jobs"] for name in part["series"]]


def of_others(job):
    """Names of series about other hosts that an exporter of ours must not write. A custom one may: it is not believed, as only its job differs."""
    return [] if job == "custom" else sorted(name for other, spec in load("sources")["delegated"].items() if other != job
                                             for name in (*spec["about"], *spec["own"]))


def of_the_stack(job):
    """Patterns of names that services of the stack tell of themselves.

    An exporter of ours has none that begins as they do. A custom one may be a Prometheus of the site's own: it loses those that alerts read.
    """
    return sorted(load("sources")["stack"]) if job == "custom" else [f"(?:{'|'.join(PROGRAMS)})_.*"]


def rules(job, own_label):
    """Relabelling of a job's series: what is reserved is dropped. own_label: the name of a label that no series has, for what is let through."""
    through = published(job)
    ours = "|".join(families())
    others = {"source_labels": ["__name__"], "regex": "|".join(list(WRITTEN) + of_others(job) + of_the_stack(job)), "action": "drop"}
    if not through:
        return [{"source_labels": ["__name__"], "regex": ours, "action": "drop"}, others]
    return [
        {"source_labels": ["__name__"], "regex": "|".join(through), "target_label": own_label, "replacement": "1"},
        {"source_labels": ["__name__", own_label], "regex": f"(?:{ours});", "action": "drop"},
        {"regex": own_label, "action": "labeldrop"},
        others]
