# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A day of a fleet in which nothing breaks: no alert may fire. The same day with a few faults: exactly theirs may.

    tests/rules/day.py [--programs DIR] [--hours HOURS]

The day is generated, from the pages in tests/fixtures/expositions: their names, labels, models and limits, with values that change as those of
devices do that work, rest, write checkpoints and miss a scrape now and then. No real fleet was recorded for this. 100 devices of four vendors,
a sample every 15 seconds. VictoriaMetrics stores the day, and vmalert replays the rules over it.

`smoke` is the short form, which run.py has as its step "day": a node of each kind and a few hours, evaluated by promtool.
"""

import argparse
import json
import math
import random
import re
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import run

# pylint: disable=wrong-import-order
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import registry
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.alerts import alert_groups
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.recording import recording_groups
from ansible_collections.accelmon.fleet.tests.unit.plugins.fleet_samples import exporter, record
import dashboard_answers
import expositions
import live

STEP = 15
GIB = 2 ** 30
PATIENCE = 900
# Kind of a node: (page, job, source, devices by vendor, how many such nodes). Together 100 devices.
KINDS = {
    "h": ("dcgm_plain.prom", "dcgm_exporter", "dcgm", {"nvidia": 2}, 17),
    "t": ("textfile_mixed.prom", "node_exporter", "textfile", {"nvidia": 2, "amd": 1}, 8),
    "m": ("amd_spx.prom", "amd_exporter", "amd_exporter", {"amd": 2}, 11),
    "g": ("all_smi_0.28.1_intel_gaudi.prom", "all_smi", "all_smi", {"intel_gaudi": 2}, 5),
    "i": ("all_smi_0.28.1_mock_intel.prom", "all_smi", "all_smi", {"intel_gpu": 2}, 5),
}
PORTS = {"dcgm_exporter": 9400, "node_exporter": 9100, "amd_exporter": 5000, "all_smi": 9401}
# The pages are of several drivers, and the fleet has one for each vendor: {vendor: what the pages of its own exporter have}.
DRIVERS = {"nvidia": "570.86.15", "amd": "6.12.12"}
# What the rules read and the pages lack: {job: (a row with its labels, {row: first value})}.
MORE = {
    "dcgm_exporter": ("DCGM_FI_DEV_GPU_UTIL", {
        "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL": 3, "DCGM_FI_DEV_SLOWDOWN_TEMP": 87, "DCGM_FI_DEV_GPU_TEMP_LIMIT": 20, "DCGM_FI_DEV_MEM_MAX_OP_TEMP": 95,
        "DCGM_FI_DEV_THERMAL_VIOLATION": 0, "DCGM_FI_DEV_POWER_VIOLATION": 0, "DCGM_FI_DEV_CLOCKS_EVENT_REASONS": 1, "DCGM_FI_DEV_PCIE_LINK_GEN": 5,
        "DCGM_FI_DEV_PCIE_LINK_WIDTH": 16, "DCGM_FI_DEV_PCIE_MAX_LINK_GEN": 5, "DCGM_FI_DEV_PCIE_MAX_LINK_WIDTH": 16,
        "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": 5, "DCGM_FI_DEV_GET_GPU_RECOVERY_ACTION": 0}),
    "node_exporter": ("node_gpu_utilization_percent", {
        "node_gpu_recovery_action": 0, "node_gpu_pcie_replays_total": 7, 'node_gpu_throttle_seconds_total{reason="hw_thermal_slowdown"}': 2}),
    "amd_exporter": ("gpu_gfx_activity", {"gpu_ecc_correct_total": 11, "pcie_speed": 32, "pcie_max_speed": 32}),
    "all_smi": ("all_smi_gpu_utilization", {}),
}
# What a value does, by the name of its series; the first that fits. Of a moment of a device: busy (0 to 1) and seconds since midnight.
COURSES = [
    (r"SLOWDOWN_TEMP|MEM_MAX_OP_TEMP|threshold|limit_watts|ENFORCED_POWER_LIMIT|limit_max|power_max|total_bytes|FB_TOTAL|total_vram", None),
    (r"GPU_TEMP_LIMIT", lambda base, busy, at: 45 - round(37 * busy)),
    (r"MEMORY_TEMP|memory_temperature", lambda base, busy, at: 44 + round(36 * busy)),
    (r"(?i)temp", lambda base, busy, at: 36 + round(38 * busy)),
    (r"UTIL|utilization(_percent)?$|activity", lambda base, busy, at: round(100 * busy)),
    (r"(?i)power_(usage|draw|consumption)|package_power", lambda base, busy, at: round(base * (0.2 + 0.8 * busy) + busy, 2)),
    (r"FB_USED|used_bytes|used_vram", lambda base, busy, at: round(base * (0.1 + 0.9 * min(1, 2 * busy)))),
    (r"FB_FREE|free_bytes", lambda base, busy, at: round(base * (1 - 0.9 * min(1, 2 * busy)))),
    (r"(?i)energy", lambda base, busy, at: base + 400 * at),
    # A clock that rests, and moves a little under load.
    (r"SM_CLOCK|gpu_clock(_hertz)?$|frequency", lambda base, busy, at: round(base * (0.2 if busy < 0.05 else 0.97 + 0.03 * busy))),
    # Idle, or at the power limit.
    (r"EVENT_REASONS", lambda base, busy, at: 1 if busy < 0.05 else 4 if busy > 0.97 else 0),
    (r"POWER_VIOLATION", lambda base, busy, at: base + 2e7 * at),
    # Links rest as well.
    (r"PCIE_LINK_GEN", lambda base, busy, at: (1 + at // STEP % 3) if busy < 0.05 else base),
    (r"PCIE_LINK_WIDTH", lambda base, busy, at: 8 if busy < 0.05 else base),
    (r"(?i)replay", lambda base, busy, at: base + at // 700),
    # The pages tell of a device that waits for a reset.
    (r"ECC_DBE|uncorrect|ROW_REMAP", lambda base, busy, at: 0),
    (r"SBE|ecc_correct_total", lambda base, busy, at: base + at // 5000),
    (r"throttle_seconds|THERMAL_VIOLATION", lambda base, busy, at: base + at // 3600),
    (r"last_success_timestamp", lambda base, busy, at: at - 9),
]


class Node:
    """A node: how busy it is at each moment, and when it is not scraped."""

    def __init__(self, name, kind, number, moments):
        self.name, self.kind, self.moments = name, kind, moments
        self.target = {"cluster": "c1", "rack": f"r{number % 6}", "node": name}
        self.dice = random.Random(name)
        self.busy = self._busy()
        # One scrape in fifty fails, on its own or with the one after it.
        self.missed = {place + more for place in range(4, moments) if self.dice.random() < 0.01 for more in range(self.dice.choice((1, 2)))}

    def _busy(self):
        """Jobs of one to five hours with a checkpoint every half hour, and rests between them."""
        found = []
        while len(found) < self.moments:
            works, long = self.dice.random() < 0.7, self.dice.randint(3600, 5 * 3600) // STEP
            level = self.dice.uniform(0.6, 0.99)
            for place in range(long):
                checkpoint = place % 120 in (117, 118, 119)
                found.append(0.0 if not works else 0.1 if checkpoint else min(1, max(0.06, level + self.dice.uniform(-0.04, 0.04))))
        return found[:self.moments]


def course(name, base, node, begin):
    """The values of a series at each moment."""
    for pattern, value in COURSES:
        if re.search(pattern, name):
            if value is None:
                break
            offset = begin if "timestamp" in name else 0
            return [value(base, busy, place * STEP) + offset for place, busy in enumerate(node.busy)]
    return [base] * node.moments


def page_of(kind):
    """The rows of devices of a kind's page, and what the pages lack: [(row without its value, name, first value)]."""
    name, job, _source, _vendors, _count = KINDS[kind]
    alike, more = MORE[job]
    found = []
    for labels, value in expositions.rows(expositions.page(name)):
        if "driver_version" in labels and labels.get("vendor") in DRIVERS:
            labels["driver_version"] = DRIVERS[labels["vendor"]]
        rest = ",".join(f'{key}="{text}"' for key, text in labels.items() if key != "__name__")
        found.append((f"{labels['__name__']}{{{rest}}}", labels["__name__"], float(value)))
        if labels["__name__"] == alike:
            for row, first in more.items():
                other, _brace, fixed = row.rstrip("}").partition("{")
                found.append((f"{other}{{{','.join(filter(None, [rest, fixed]))}}}", other, first))
    return found


def machine(node, begin):
    """[(row, values)] of the machine itself."""
    disk = 'device="/dev/nvme0n1p2",fstype="ext4",mountpoint="/"'
    constants = {"node_boot_time_seconds": begin - 40 * 86400, f"node_filesystem_size_bytes{{{disk}}}": 400 * GIB, f"node_filesystem_readonly{{{disk}}}": 0,
                 f"node_filesystem_files{{{disk}}}": 1e7, f"node_filesystem_files_free{{{disk}}}": 8e6, "node_memory_MemTotal_bytes": 1024 * GIB,
                 "node_vmstat_oom_kill": 4, 'node_edac_uncorrectable_errors_total{controller="0"}': 0, 'node_bonding_slaves{master="bond0"}': 2,
                 'node_bonding_active{master="bond0"}': 2, 'accelmon_exporter_restarts_total{exporter="x"}': 1,
                 "accelmon_certificate_expiry_timestamp_seconds": begin + 200 * 86400}
    rows = [(row, [value] * node.moments) for row, value in constants.items()]
    # A disk on which checkpoints come and go.
    rows.append((f"node_filesystem_avail_bytes{{{disk}}}", [(190 + 60 * math.sin(place / 300)) * GIB for place in range(node.moments)]))
    rows.append(("node_memory_MemAvailable_bytes", [(900 - 700 * busy) * GIB for busy in node.busy]))
    rows.append(("node_time_seconds", [begin + place * STEP + 0.2 for place in range(node.moments)]))
    return rows


def errors(node, begin, code, at, count):
    """[(row, values)] of a code that the kernel log has from one moment on, and of one that it never had."""
    labels = 'gpu="0",vendor="nvidia",pci_address="0000:1b:00.0",kind="xid",code="%s"'
    return [(f"node_gpu_errors_total{{{labels % 48}}}", [0] * node.moments),
            (f"node_gpu_errors_total{{{labels % code}}}", [count if place >= at else None for place in range(node.moments)]),
            (f"node_gpu_error_last_timestamp_seconds{{{labels % code}}}", [begin + at * STEP - 3 if place >= at else None for place in range(node.moments)])]


def without(change):
    """What makes a reading vanish for good from a part of the day on."""
    return lambda values: [None if place >= change * len(values) else value for place, value in enumerate(values)]


def becomes(change, last):
    """What makes a reading another one for good from a part of the day on."""
    return lambda values: [last if place >= change * len(values) else value for place, value in enumerate(values)]


# Node: (its fault, rows that change, what they do, the alerts that are right about it). Parts of the day, far from each other.
FAULTS = {
    "h1": ("a device falls off the bus", r'^DCGM_\w+\{gpu="1"', without(0.3), {"AcceleratorMissing"}),
    "h2": ("a row cannot be remapped", r'^DCGM_FI_DEV_ROW_REMAP_FAILURE\{gpu="0"', becomes(0.5, 1), {"AcceleratorRowRemapFailed"}),
    "g1": ("the machine dies", "", without(0.45), {"HostDown"}),
    "m1": ("the exporter dies", r"^(gpu_|pcie_)", without(0.6), {"ExporterDown"}),
    "t1": ("a device falls off the bus, says the kernel log", r"^no row$", None, {"AcceleratorErrorFatal"}),
}


def nodes(moments, each=None):
    """The nodes of the fleet; each: how many of each kind, instead of all."""
    return [Node(f"{kind}{number}", kind, number, moments) for kind, spec in KINDS.items() for number in range(1, 1 + (each or spec[4]))]


def scraped(node, rows, job, broken):
    """[(labels, values)] that are stored of rows with values of one target, with what the scraper says about it."""
    change = FAULTS[node.name][1:3] if broken and node.name in FAULTS and FAULTS[node.name][2] else None
    values = []
    for row, listed in rows:
        if change and re.search(change[0], row):
            listed = change[1](listed)
        values.append([None if place in node.missed else value for place, value in enumerate(listed)])
    # The page says the number of the row instead of a value.
    page = "\n".join(f"{row} {place}" for place, (row, _listed) in enumerate(rows))
    found = [(labels, values[int(place)]) for labels, place in expositions.stored(page, job, node.target)]
    answers = [any(values[place][moment] is not None for place in range(len(values))) for moment in range(node.moments)]
    target = {**node.target, "job": job, "instance": f"{node.name}:1"}
    samples = len(rows)
    return found + [({"__name__": "up", **target}, [int(answer) for answer in answers]),
                    ({"__name__": "scrape_duration_seconds", **target}, [0.08] * node.moments),
                    ({"__name__": "scrape_samples_scraped", **target}, [samples if answer else 0 for answer in answers]),
                    ({"__name__": "scrape_series_added", **target}, [samples if place == 0 else 0 for place in range(node.moments)])]


def fleet(begin, moments, each=None, broken=False):
    """[(labels, [value of each moment, or None])] of everything that is scraped."""
    found, records = [], {}
    for node in nodes(moments, each):
        _page, job, source, vendors, _count = KINDS[node.kind]
        devices = [(row, course(name, base, node, begin)) for row, name, base in page_of(node.kind)]
        own = machine(node, begin)
        if node.kind == "t":
            # An application's error comes very often when its job ends.
            own += devices + errors(node, begin, *((79, moments // 2, 1) if broken and node.name == "t1" else (45, moments // 3, 1232)))
        else:
            found += scraped(node, devices, job, broken)
        found += scraped(node, own, "node_exporter", broken)
        exporters = [exporter(elected=sorted(vendors))] if source == "textfile" else [
            exporter(), exporter(job=job, port=PORTS[job], elected=sorted(vendors), source=source)]
        records[node.name] = record(node.name, cluster="c1", labels={"rack": node.target["rack"]}, exporters=exporters,
                                    accelerators={vendor: {"x": count} for vendor, count in vendors.items()})
    made = registry.merge(registry.empty("c1"), records, set(records), full_run=True)[0]
    found += [({"job": "accelmon_fleet", "instance": "mon:1", **labels}, [float(value)] * moments) for labels, value in expositions.rows(registry.series(made))]
    for job in ("accelmon_fleet", "victoriametrics", "vmagent", "vmalert", "alertmanager", "node_exporter"):
        target = {"cluster": "c1", "node": "mon", "job": job, "instance": "mon:1"}
        found.append(({"__name__": "up", **(target if job != "accelmon_fleet" else {"job": job, "instance": "mon:1"})}, [1] * moments))
    return found


def groups():
    """The groups of alerts, and of what they read, in the order in which they are evaluated, without what looks something up or chooses a moment."""
    found = alert_groups()
    for group in reversed(recording_groups(f"{STEP}s")):
        if any(re.search(rf"\b{rule['record']}\b", other["expr"]) for rule in group["rules"] for later in found for other in later["rules"]):
            found.insert(0, group)
    return [{"name": group["name"], "interval": group.get("interval", f"{STEP}s"),
             "rules": [{key: value for key, value in rule.items() if key != "annotations"} for rule in group["rules"]]} for group in found]


def expected(broken, names):
    """{(alert, node)} that must have fired."""
    return {(alert, node) for node, (_what, _rows, _change, alerts) in FAULTS.items() if broken and node in names for alert in alerts}


def fired(found):
    """{(alert, node, or what it is about)} of an answer about ALERTS."""
    return {(labels["alertname"], labels.get("node") or labels.get("rack", "")) for labels in found}


SELECTOR = 'ALERTS{alertstate="firing",alertname!="Watchdog"}'


def replayed(programs, folder, hours, broken):
    """{(alert, node)} that fire in a replay of the day."""
    moments = hours * 3600 // STEP
    begin = int(time.time()) // 3600 * 3600 - (hours + 1) * 3600
    url = f"http://127.0.0.1:{live.free_port()}"
    with live.running(folder, "victoria-metrics", programs.path("victoria-metrics"), f"-httpListenAddr={url[len('http://'):]}",
                      f"-storageDataPath={folder}/data-{broken}", "-retentionPeriod=1y", "-search.disableCache", "-search.latencyOffset=0s",
                      # A replay does not write where a series ends, as evaluating now does.
                      "-search.maxStalenessInterval=90s", "-search.maxUniqueTimeseries=1000000", "-memory.allowedBytes=2GB"):
        live.until(url, "1", 1)
        times = [(begin + place * STEP) * 1000 for place in range(moments)]
        for labels, values in fleet(begin, moments, broken=broken):
            there = [(value, at) for value, at in zip(values, times) if value is not None]
            if there:
                line = json.dumps({"metric": labels, "values": [value for value, _at in there], "timestamps": [at for _value, at in there]})
                urllib.request.urlopen(url + "/api/v1/import", line.encode(), timeout=PATIENCE).close()
        urllib.request.urlopen(url + "/internal/force_flush", timeout=PATIENCE).close()
        first, last = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) for at in (begin, begin + moments * STEP))
        for group in groups():
            path = run.write(folder, f"{group['name']}.yml", run.dumped({"groups": [group]}))
            programs.run("vmalert", f"-rule={path}", f"-datasource.url={url}", f"-remoteWrite.url={url}", f"-replay.timeFrom={first}", f"-replay.timeTo={last}",
                         "-replay.disableProgressBar", "-replay.rulesDelay=0s", "-replay.maxDatapointsPerQuery=6000", "-disableAlertgroupLabel",
                         "-httpListenAddr=127.0.0.1:0", timeout=PATIENCE)
            urllib.request.urlopen(url + "/internal/force_flush", timeout=PATIENCE).close()
        query = urllib.parse.urlencode({"query": f"count_over_time({SELECTOR}[{hours + 1}h])", "time": begin + moments * STEP + 60})
        with urllib.request.urlopen(f"{url}/api/v1/query?{query}", timeout=PATIENCE) as answer:
            return fired(series["metric"] for series in json.load(answer)["data"]["result"])


def day(programs, folder, hours=24):
    """Nothing fires on a day without faults, and exactly the alerts of the faults on the same day with them."""
    for broken in (False, True):
        found, wanted = replayed(programs, folder, hours, broken), expected(broken, {node.name for node in nodes(1)})
        assert found == wanted, f"{'with' if broken else 'without'} faults: {sorted(found - wanted)} should not fire, {sorted(wanted - found)} should"


def smoke(programs, folder, hours=1):
    """Exactly the alerts of the faults fire in Prometheus, on a short day of a few nodes, with the marks that a scraper writes where a scrape fails."""
    moments = hours * 3600 // STEP
    series = {dashboard_answers.as_text(labels["__name__"], {key: text for key, text in labels.items() if key != "__name__"}):
              " ".join("stale" if value is None else repr(float(value)) for value in values) for labels, values in fleet(0, moments, each=2, broken=True)}
    wanted = expected(True, {node.name for node in nodes(1, 2)})
    test = {"interval": f"{STEP}s", "input_series": run.input_series(series), "promql_expr_test": [{
        "expr": f"count by (alertname, node) (count_over_time({SELECTOR}[{hours}h])) * 0", "eval_time": f"{(moments - 1) * STEP}s",
        "exp_samples": [{"labels": '{alertname="%s",node="%s"}' % found, "value": 0} for found in sorted(wanted)]}]}
    rules = run.write(folder, "day.yml", run.with_constants(run.dumped({"groups": groups()}), ("45", "79")))
    path = run.write(folder, "test-day.yml", run.dumped({"rule_files": [rules], "evaluation_interval": f"{STEP}s", "tests": [test]}))
    programs.run("promtool", "test", "rules", path, timeout=PATIENCE)


def main(arguments=None):
    """0 if exactly the right alerts fire."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", metavar="DIR", help="where victoria-metrics and vmalert are; PATH without it")
    parser.add_argument("--hours", type=int, default=24)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="accelmon-day-") as folder:
        try:
            day(run.Programs(options.programs), folder, options.hours)
        except AssertionError as error:
            print(error)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
