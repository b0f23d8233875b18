# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The queries of what drains nodes of Slurm: for verdicts, which are alerts of the catalogue that fire, and since when; and for silences."""
import json

from ansible_collections.accelmon.fleet.plugins.module_utils.durations import seconds
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.error_series import matchers
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.errors import codes, severity
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.expressions import selector

# By which a storage tells errors of devices apart.
EVENT = "cluster, node, vendor, pci_bus_id, kind, code"
# When each monitoring host last saw each silence, and last saw them all. That is told for a day after it has ended: a host that tells nothing any more
# must not look like one that has no silences.
SILENCES = "last_over_time(accelmon_fleet_silence_seen_timestamp_seconds[15m])\nor last_over_time(accelmon_fleet_silences_last_success_timestamp_seconds[1d])"


def causes():
    """Names of all causes, in the order of the catalogue."""
    return [one["cause"] for one in load("drain")["causes"]]


def counted(errors):
    """[(kind, code)] of the errors for which a node is drained; errors: as the catalogue has it."""
    return [(kind, code) for (kind, code), (_title, entry) in codes().items()
            if kind in errors["kinds"] and severity(entry) == "critical" and set(entry["actions"]).intersection(errors["actions"])]


def since(one, cluster):
    """Expression of when a cause began, in seconds since the epoch, for whatever has it now."""
    where = selector("", {"cluster": cluster})[1:-1]
    if "errors" not in one:
        alert = f'{where},alertname="{one["alert"]}"'
        return f'(ALERTS_FOR_STATE{{{alert}}} and ignoring (alertstate) ALERTS{{{alert},alertstate="firing"}})'
    by_kind = {}
    for kind, code in counted(one["errors"]):
        by_kind.setdefault(kind, []).append((kind, code))
    last = "\nor ".join(f"accelerator_error_last_timestamp_seconds{{{where},{matchers(pairs)}}}" for pairs in by_kind.values())
    firing = f'ALERTS{{{where},alertname=~"{"|".join(one["errors"]["alerts"])}",alertstate="firing"}}'
    # With the labels of the alert, by which it may be silenced. The index is the log's: an alert about an error has none.
    return f"({firing}\n* on ({EVENT}) group_left (index) topk by ({EVENT}) (1, {last}))"


def query(cluster):
    """The query for all verdicts about nodes of a cluster. A row has the alert's labels and `cause`; its value is since when it holds."""
    terms = [f'label_replace({since(one, cluster)} <= time() - {seconds(one["least"])}, "cause", "{one["cause"]}", "", "")'
             for one in load("drain")["causes"]]
    return "\nor ".join(terms)


def verdicts_file(cluster):
    """Text of the file by which the program on the controller asks."""
    return json.dumps({"query": query(cluster), "silences": SILENCES, "causes": causes()}, indent=2) + "\n"
