# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expressions over the error codes of devices: one series for each device and code, whoever saw it.

The kernel log knows when each code came and how often. Exporters only know the last code, as a value that stays until the next one: it
is news while an earlier value differs. What an exporter says from the first time that it is asked, or that it is asked again, is no news. A
device goes by its PCI address here. That is what the kernel log has, and unlike the UUID it is still known after a device has fallen off the
bus, so an alert about that keeps its labels. The rack is no part of what makes an event the same: the log tells an error for hours, and its
host may come to another rack meanwhile.
"""

from ansible_collections.accelmon.fleet.plugins.module_utils.durations import seconds
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import errors
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.expressions import last, matched

INFO = "accelerator_error_info"
DEVICE = ["cluster", "node", "vendor", "pci_bus_id"]
EVENT = DEVICE + ["kind", "code"]
# How far back the value is looked for that it is compared with, as the scrape at that moment may have failed.
GAP = "15m"
# The same for the value of now. It may outlive its device by this much: it counts for an hour anyway.
NOW = "5m"


def by(labels):
    """A list of labels as it is written in an expression."""
    return f"by ({', '.join(labels)})"


def rows(item, name, sources):
    """Selector of a series of the catalogue's `logged` or `last_codes`, by its name there."""
    return matched(item["source"], sources[item["source"]], {"metric": item[name]})


def logged_rows(window, sources):
    """The times that the kernel log had within a window, "15m", or in one of before, "15m offset 1h", with all labels of a row."""
    length, _word, offset = window.partition(" offset ")
    return last(rows(load("errors")["logged"], "last", sources), length, offset)


def when(window, sources):
    """When each code last was, as the kernel log told it in the window."""
    return f"max {by(EVENT)} ({logged_rows(window, sources)})"


def of_log(window, sources):
    """Every code that the kernel log had within the window, from everything scraped in that time; the value is its age in seconds."""
    return f"(time() - {when(window, sources)} < {seconds(window)} > -{seconds(load('errors')['logged']['ahead'])})"


def logged(window, sources):
    """The same in the rack of now."""
    return placed(of_log(window, sources), [logged_rows(window, sources)])


def placed(term, origins):
    """What the term has, in the rack that its node has now; of a node that is not scraped any more, in one that the rows of origins have."""
    racks = [f"count by (cluster, rack, node) ({found})" for found in ['up{node!=""}', *origins]]
    return "(%s\n+ on (cluster, node) group_left (rack) (0 * topk by (cluster, node) (1, %s)))" % (term, " or on (cluster, node) ".join(racks))


def as_codes(values, kind, labels):
    """Values that are codes, as series with the labels kind and code."""
    return f'label_replace(count_values {by(labels)} ("code", {values}), "kind", "{kind}", "", "")'


def last_codes(sources, labels=()):
    """[(kind, labels of the device, source, rows, those of now, expression of the last codes)], one for each exporter. labels: further ones."""
    found = []
    for item in load("errors")["last_codes"]:
        told = rows(item, "metric", sources)
        names = list(dict.fromkeys([*DEVICE, *item.get("labels", ()), *labels]))
        now = last(told, NOW)
        found.append((item["kind"], names, sources[item["source"]], told, now, f"max {by(names)} ({now} > 0) <= {item['highest']}"))
    return found


def new_codes(window, names, source, told, codes):
    """The last codes that are not older than the window: others than at its beginning. Where nobody asked the exporter then: others than ever since."""
    then = f"max {by(names)} (max_over_time({told}[{GAP}] offset {window}))"
    since = f"min {by(names)} (min_over_time({told}[{window}]))"
    asked = f'max by (cluster, node) (max_over_time(up{{job="{source["job"]}"}}[{GAP}] offset {window})) == 1'
    return f"{codes} unless ({codes} == ({then} or {since} unless on (cluster, node) ({asked})))"


def recent(window, sources):
    """Every code that a device had within the window; the value is its age in seconds, or 0 if only an exporter told it."""
    terms, origins = [of_log(window, sources)], [logged_rows(window, sources)]
    for kind, names, source, told, now, codes in last_codes(sources):
        terms.append(f"(0 * {as_codes(new_codes(window, names, source, told, codes), kind, names)})")
        origins.append(now)
    return placed("(%s)" % "\nor ".join(terms), origins)


def known(matchers):
    """What the catalogue knows of the codes that match: one row for each kind and code."""
    return f"topk by (kind, code) (1, max by (kind, code, class, title, action) ({INFO}{{{matchers}}}))"


def matchers(pairs):
    """Matchers of these codes, given as (kind, code): a code of one kind matches under the other kinds, too."""
    kinds, numbers = ("|".join(sorted({str(part) for part in parts})) for parts in zip(*pairs))
    return f'kind=~"{kinds}",code=~"{numbers}"'


def info_rules():
    """A rule for each code of the catalogue: what it is, for alerts and dashboards to join by kind and code."""
    catalogue = load("errors")
    return [{"record": INFO, "expr": "vector(1)",
             "labels": {"kind": kind, "code": str(code), "class": entry["class"], "severity": errors.severity(entry), "title": title,
                        "action": catalogue["actions"][entry["actions"][0]]}}
            for (kind, code), (title, entry) in errors.codes().items()]


def device_rules(labels, sources):
    """Rules of the errors of devices, with the labels of every device series. A device that is gone keeps its address."""
    address = ", ".join(DEVICE)
    whose = [label for label in labels if label not in (*DEVICE, "rack")]
    identity = f'topk by ({address}) (1, max by ({address}, {", ".join(whose)}) (accelerator_info{{pci_bus_id!=""}}))'

    def named(events):
        """Events with the labels of the device that has their address now, or as they are."""
        return f"({events}) * on ({address}) group_left ({', '.join(whose)}) {identity}\nor on ({', '.join(EVENT)}) ({events})"

    log = load("errors")["logged"]
    # What the log counted does not count again. Exporters name the device themselves.
    exporters = "".join(f"\nor on ({', '.join(EVENT)})\n{placed(as_codes(codes, kind, names), [now])}"
                        for kind, names, _source, _told, now, codes in last_codes(sources, whose))
    latest = f"max {by(['rack', *EVENT])} ({rows(log, 'last', sources)}) > 0 <= time() + {seconds(log['ahead'])}"
    count = f"max {by(['rack', *EVENT])} ({rows(log, 'count', sources)}) > 0 <= {log['highest']}"
    return [{"record": "accelerator_error_last_timestamp_seconds", "expr": named(latest)},
            {"record": "accelerator_errors_total", "expr": named(count) + exporters}]
