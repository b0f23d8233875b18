# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scrape targets from fleet records: pure functions, the only place where targets come from.

A record is one host as `fleet_records` gives it; read here are its members `host`, `address`, `cluster`, `labels`
and `exporters`, the last a list of {job, port, scheme?, path?, labels?, custom?}. Which source is in charge of what is
no label: a target whose labels change is another target, and all its series would end.
"""
import json

# One encoder for all lines: making one for each takes as long as the encoding.
encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def instance(address, port):
    """host:port of a target, with an IPv6 address in brackets."""
    return "[%s]:%s" % (address, port) if ":" in address else "%s:%s" % (address, port)


def target_labels(record, exporter):
    """The labels of one target, all of them strings.

    A custom exporter carries its `job`, as all custom jobs share one scrape job.
    """
    labels = dict(record.get("labels") or {})
    labels.update(exporter.get("labels") or {})
    labels["cluster"] = record["cluster"]
    labels["node"] = record["host"]
    if exporter.get("custom"):
        labels["job"] = exporter["job"]
    if exporter.get("scheme", "http") != "http":
        labels["__scheme__"] = exporter["scheme"]
    if exporter.get("path", "/metrics") != "/metrics":
        labels["__metrics_path__"] = exporter["path"]
    return labels


def scrape_targets(records):
    """{job: [{"targets": ["address:port"], "labels": {...}}]}, the same for the same records in any order.

    Entries are sorted by node, then target, then path.
    """
    jobs = {}
    for record in records:
        for exporter in record["exporters"]:
            entry = {"targets": [instance(record["address"], exporter["port"])], "labels": target_labels(record, exporter)}
            jobs.setdefault(exporter["job"], []).append(entry)
    for entries in jobs.values():
        entries.sort(key=_order)
    return jobs


def _order(entry):
    labels = entry["labels"]
    return labels["cluster"], labels["node"], entry["targets"], labels.get("__metrics_path__", ""), sorted(labels.items())


def render(entries):
    """Text of a target file: JSON with one entry per line, so that a changed host is one changed line."""
    lines = [encode(entry) for entry in entries]
    return "[\n%s\n]\n" % ",\n".join(lines)


def file_name(job, cluster, custom):
    """Path of a job's target file below the directory of targets. A job name has no dot, so none is ambiguous."""
    return "custom/%s.%s.json" % (job, cluster) if custom else "%s/%s.json" % (job, cluster)


def target_files(cluster, records):
    """{path below the directory of targets: text} of one cluster."""
    return dict(
        (file_name(job, cluster, "job" in entries[0]["labels"]), render(entries))
        for job, entries in scrape_targets(records).items()
    )
