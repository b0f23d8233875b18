# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node that tells everything twice: no rule fails for it, as it would then fail for the whole fleet.

Real: a scraper, a storage and an evaluator on loopback, with all rules. Stubbed: the exporters, as in live.py. guessed: all pages are made up for
the test.
"""

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.alerts import alert_groups
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.inputs import of_alerts
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.recording import recording_file, recording_groups
import live

INTERVAL = "3s"
EVALUATORS = {"vmagent": "victoriametrics", "prometheus": "prometheus"}
# Names that end so are counters, of which rates need some that rise.
COUNTERS = ("_total", "_TOTAL", "_COUNT", "_EVENTS")


def row(name, labels, place):
    """One line of a page."""
    value = int(time.time() * 1000) if name.endswith(COUNTERS) else place % 5
    return "%s{%s} %d" % (name, ",".join(f'{label}="{text}"' for label, text in labels.items()), value)


def rows(name, labels):
    """A series in each way in which it can be there twice: with another text in one of its labels, without it, and with one label more."""
    whole = {label: f"{label}1" for label in labels}
    ways = [whole, {**whole, "also": "1"}, {**whole, "also": "2"}]
    for label in labels:
        ways += [{**whole, label: "other"}, {other: text for other, text in whole.items() if other != label}]
    return [row(name, way, place) for place, way in enumerate(ways)]


def of_source(spec):
    """A page of a source with every series that rules read, by every name that it has, for one device that is not clear about who it is."""
    own = list(dict.fromkeys([*spec["keys"], *sum(spec["labels"].values(), []), *spec.get("further", ()), *([spec["parts"]] if "parts" in spec else [])]))
    names = {**spec["metrics"], **{other: spec["metrics"].get(ours, []) for ours, other in spec.get("renamed", {}).items()}}
    return [line for name, more in names.items() for line in rows(name, list(dict.fromkeys([*own, *more])))]


def page(job):
    """All that an exporter of this job may tell, twice."""
    sources = load("sources")
    lines = [line for spec in sources["sources"].values() if spec["job"] == job for line in of_source(spec)]
    tables = [part["series"] for part in sources["published"].values() if job in part["jobs"]]
    tables += [sources["node"]] if job == "node_exporter" else []
    tables += [{**spec["about"], **spec["own"]} for other, spec in sources["delegated"].items() if other == job]
    lines += [line for table in tables for name, labels in table.items() for line in rows(name, [label for label in labels if label != "cluster"])]
    return "\n".join(lines) + "\n"


def well():
    """The page of a node that means well, whose NVLinks have errors and whose list of fields has the newer names."""
    labels = {"gpu": "0", "UUID": "GPU-0", "modelName": "H100", "pci_bus_id": "00000000:1B:00.0"}
    return "\n".join(row(name, labels, 1) for name in (
        "DCGM_FI_DEV_GPU_TEMP_CELSIUS", "DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_TOTAL", "DCGM_FI_DEV_NVLINK_RECOVERY_FAILED_TOTAL")) + "\n"


def registry():
    """What the monitoring host says of both nodes."""
    lines = ['accelmon_fleet_generation{cluster="c1"} 3']
    for node in ("bad", "good"):
        lines += [f'accelmon_fleet_node_info{{cluster="c1",node="{node}",state="active"}} 1',
                  f'accelmon_expected_accelerators{{cluster="c1",node="{node}",vendor="nvidia"}} 8',
                  f'accelmon_expected_links{{cluster="c1",node="{node}",kind="nvlink"}} 18']
    return "\n".join(lines) + "\n"


def failing(api, expressions):
    """[what the evaluator says of an expression that it cannot evaluate]."""
    found = []
    for name, expression in expressions:
        try:
            with urllib.request.urlopen(f"{api}/api/v1/query", data=urllib.parse.urlencode({"query": expression}).encode(), timeout=20):
                pass
        except urllib.error.HTTPError as error:
            found.append(f"{name}: {json.load(error)['error'][:300]}")
    return found


def expressions(engine):
    """[(name, expression)] of all that is evaluated or asked about all nodes at once."""
    groups = recording_groups(INTERVAL, EVALUATORS[engine]) + alert_groups(interval=INTERVAL)
    rules = {(rule.get("alert") or rule["record"], rule["expr"]) for group in groups for rule in group["rules"]}
    return sorted(rules) + [(name, reading["present"]) for name, reading in of_alerts(INTERVAL)["readings"].items()]


def answered(api, engine):
    """Every rule has an answer, and what the other node has is in it."""
    other = load("sources")["sources"]["dcgm"]["renamed"]
    live.until(api, 'min_over_time(up[9s]) == 1', len(jobs()) + 3)
    live.until(api, 'count by (cluster, node) (accelerator_temperature_celsius{node="good"})', 1)
    found = failing(api, expressions(engine))
    assert not found, "\n".join(found)
    rules = {rule.get("alert"): rule["expr"] for group in alert_groups(interval=INTERVAL) for rule in group["rules"]}
    for alert in ("AcceleratorLinkErrors", "AcceleratorLinkRecoveryFailed"):
        live.until(api, f'count by (node) (({rules[alert]}) and on (node) group by (node) (up{{node="good"}}))', 1)
    # The newer names are not stored, and the rows with both are one series.
    assert not live.query(api, '{__name__=~"%s"}' % "|".join(other.values()))
    for ours in other:
        assert live.query(api, ours + '{node="bad"}'), ours


def jobs():
    """Jobs of the exporters that tell everything twice."""
    sources = load("sources")
    return sorted({spec["job"] for spec in sources["sources"].values()} | set(sources["delegated"]))


def fleet(programs, folder, engine):
    """Two nodes, of which one tells everything twice."""
    pages = {f"/{job}": (lambda job=job: page(job)) for job in jobs()}
    with live.serving({**pages, "/good": well, "/metrics": registry}) as port, live.serving(live.STACK) as stack:
        def entry(path, node):
            return [{"targets": [f"127.0.0.1:{port}"], "labels": {"cluster": "c1", "rack": "r1", "node": node, "__metrics_path__": f"/{path}"}}]

        live.write_targets(folder, {f"{job}/c1.json": entry(job, "bad") + (entry("good", "good") if job == "dcgm_exporter" else []) for job in jobs()})
        path = os.path.join(folder, "recording.yml")
        with open(path, "w", encoding="utf-8") as handle:
            handle.write(recording_file(INTERVAL, EVALUATORS[engine]))
        options = {"scrape_interval": INTERVAL, **({"rule_files": [path]} if engine == "prometheus" else {})}
        with live.ENGINES[engine](programs, folder, port, stack, **options) as api:
            if engine == "prometheus":
                answered(api, engine)
                return
            with live.running(folder, "vmalert", programs.path("vmalert"), f"-httpListenAddr=127.0.0.1:{live.free_port()}", f"-rule={path}",
                              f"-datasource.url={api}", f"-remoteWrite.url={api}", "-notifier.blackhole", "-rule.evalDelay=1s"):
                answered(api, engine)
