# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the dashboards cost the storage for a large fleet: every query of a dashboard, as a browser sends them when it is opened.

    PYTHONPATH=.collections python3 benchmarks/dashboards.py --programs DIR [--backend victoriametrics|prometheus] [--nodes 1250] [--devices 8] [--times 3]

A real victoria-metrics on loopback, or a real prometheus and a vmagent that writes to it, which are ended afterwards. Simulated: the recorded series,
written as they would be (one sample for every 15 seconds; of single devices for a quarter of an hour, of their load and jobs and of everything else for
six hours), with an error on each hundredth device and a job on three of four.
Six queries at a time, as browsers do, over six hours in steps of 15 seconds, or of a minute where the panel says so. Variables are at their defaults; the
boards for single nodes show one.

Printed for each dashboard, for what the first screen shows, for all that is open, and for closed rows: the time until the last answer and the storage's CPU
time; for the last two also the slowest query, the largest answer and the most lines of a plot, of the median of several times. Other work on the machine
makes the times worse, so its load is printed with them.
"""
import argparse
import concurrent.futures
import contextlib
import itertools
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, ".collections"), os.path.join(ROOT, "tests", "rules")]

import dashboards as asked  # noqa: E402  pylint: disable=import-self
from dashboard_answers import ready, Storage  # noqa: E402
import live  # noqa: E402
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.error_series import info_rules  # noqa: E402

EVERY = 15
HOURS = 6
# Rows of Grafana's grid that a screen of 1080 lines shows; it asks for the others when they come into view.
SCREEN = 24
# Prometheus takes samples in the order of their times alone, so it is filled with so many seconds of the whole fleet at a time.
PART = 1800
PATIENCE = 600
TICKS = os.sysconf("SC_CLK_TCK")
# (series, further labels, least, most) of every device.
DEVICES = (
    ("accelerator_utilization_ratio", {}, 0, 1), ("accelerator_memory_used_bytes", {}, 0, 8e10), ("accelerator_memory_total_bytes", {}, 8.5e10, 8.5e10),
    ("accelerator_temperature_celsius", {"sensor": "core"}, 40, 85), ("accelerator_temperature_celsius", {"sensor": "memory"}, 50, 95),
    ("accelerator_power_watts", {}, 90, 700), ("accelerator_power_limit_watts", {}, 700, 700), ("accelerator_clock_hertz", {"domain": "core"}, 1e9, 2e9),
    ("accelerator_energy_joules_total", {"source": "dcgm"}, 1e9, 1e9), ("accelerator_ecc_errors_total", {"type": "uncorrected"}, 0, 0),
    ("accelerator_row_remap_state", {}, 0, 0), ("accelerator_health_score", {}, 100, 100), ("accelerator_health_known_ratio", {}, 0.8, 0.8))
ROLLED = (("accelerator_info:count", 8, 8), ("accelerator_utilization_ratio:avg", 0, 1), ("accelerator_memory_used_bytes:sum", 0, 1e12),
          ("accelerator_memory_total_bytes:sum", 1e12, 1e12), ("accelerator_power_watts:sum", 1e3, 1e4), ("accelerator_temperature_celsius:max", 40, 85))
JOBS = (
    ("accelerator_job_info:count", 12, 12), ("accelerator_job_info:idle", 0, 3), ("accelerator_utilization_ratio:avg", 0, 1),
    ("accelerator_memory_used_bytes:sum", 0, 9e11), ("accelerator_memory_total_bytes:sum", 1e12, 1e12), ("accelerator_temperature_celsius:max", 40, 85),
    ("accelerator_power_watts:sum", 1e3, 8e3))
SPREAD = (("accelerator_utilization_ratio", 0, 1), ("accelerator_temperature_celsius", 40, 85), ("accelerator_power_watts", 90, 700))


class Samples:
    """Lines for the import of VictoriaMetrics and vmagent: a series each, with values out of a few that are made beforehand.

    end: time of the last sample; since, until: of these times alone.
    """

    def __init__(self, end, since, until):
        self.end, self.since, self.until = end, since, until
        self.dice, self.made = random.Random(1), {}

    def times(self, span):
        """When a series of so many seconds has samples."""
        return range(max(self.end - span, self.since), min(self.end + 1, self.until), EVERY)

    def values(self, span, least, most):
        """Values and times of a span, as JSON."""
        known = self.made.setdefault((span, least, most), [])
        if len(known) < (1 if least == most else 8):
            times = self.times(span)
            values = [round(self.dice.uniform(least, most), 3) for _at in times]
            known.append('"values":%s,"timestamps":%s' % (json.dumps(values), json.dumps([1000 * at for at in times])))
        return self.dice.choice(known)

    def line(self, name, labels, least=1, most=1, span=HOURS * 3600):
        """A series; nothing if it has no samples then."""
        if not self.times(span):
            return ""
        return '{"metric":%s,%s}\n' % (json.dumps({"__name__": name, **labels}), self.values(span, least, most))

    def node(self, number, devices):
        """Everything about a node."""
        short = 900
        place = {"cluster": f"c{number % 2}", "rack": f"r{number // 8}", "node": f"gpu{number}"}
        vendor = {**place, "vendor": "nvidia"}
        for name, least, most in ROLLED:
            yield self.line(f"node:{name}", vendor, least, most, short)
        for name, most in (("busy", devices), ("free", devices // 4)):
            yield self.line(f"model:accelerator_utilization_ratio:{name}", {**vendor, "model": "NVIDIA H100 80GB HBM3"}, 0, most, short)
        yield self.line("node:accelerator_health_score:min", vendor, 100, 100, short)
        yield self.line("accelmon_expected_accelerators", {"cluster": place["cluster"], "node": place["node"], "vendor": "nvidia"}, devices, devices, short)
        yield self.line("accelmon_fleet_node_info", {**place, "state": "active"}, span=short)
        for job in ("node_exporter", "dcgm_exporter"):
            for name, least, most in (("up", 1, 1), ("scrape_duration_seconds", 0.1, 0.5), ("scrape_samples_scraped", 900, 900)):
                yield self.line(name, {**place, "job": job, "instance": f"gpu{number}:1"}, least, most)
        for index in range(devices):
            device = {**vendor, "index": str(index), "uuid": f"GPU-{number}-{index}", "model": "NVIDIA H100 80GB HBM3"}
            yield self.line("accelerator_info", {**device, "driver_version": "570.86.15", "pci_bus_id": f"0000:{index}b:00.0"}, span=short)
            for name, more, least, most in DEVICES:
                yield self.line(name, {**device, **more}, least, most, HOURS * 3600 if name == "accelerator_utilization_ratio" else short)
            if index % 4:
                job = number // 4
                yield self.line("accelerator_job_info", {**{label: device[label] for label in ("cluster", "node", "index", "uuid")}, "job_id": str(job),
                                                         "user": f"u{job % 50}", "account": f"a{job % 9}", "partition": "gpu"})
            if (number * devices + index) % 100 == 0:
                code = {**device, "pci_bus_id": f"0000:{index}b:00.0", "kind": "xid", "code": "79"}
                yield self.line("accelerator_errors_total", code, 3, 3)
                yield self.line("accelerator_error_last_timestamp_seconds", code, self.end - 600, self.end - 600)
                yield self.line("accelerator_health_state", {**device, "component": "errors"}, 0, 0, short)

    def roll_ups(self, racks):
        """Everything that is recorded for racks and clusters, and what is known of codes."""
        places = [("cluster", {"cluster": f"c{number}", "vendor": "nvidia"}) for number in range(2)]
        places += [("rack", {"cluster": f"c{number % 2}", "rack": f"r{number}", "vendor": "nvidia"}) for number in range(racks)]
        for level, labels in places:
            for name, least, most in ROLLED:
                yield self.line(f"{level}:{name}", labels, least, most)
            for name, least, most in SPREAD:
                for which in ("p50", "p95"):
                    yield self.line(f"{level}:{name}:{which}", labels, least, most)
        for _level, labels in places[:2]:
            for percent in range(0, 101, 10):
                yield self.line("cluster:accelerator_utilization_ratio:buckets", {**labels, "percent": str(percent)}, 100, 900)
        for cluster, user, account in sorted({(job % 2, job % 50, job % 9) for job in range(2 * racks)}):
            owner = {"cluster": f"c{cluster}", "partition": "gpu", "account": f"a{account}", "user": f"u{user}"}
            yield self.line("user:accelerator_job_info:count", owner, 1, 64)
            yield self.line("user:accelerator_job_info:idle", owner, 0, 8)
        for cluster, job in itertools.product(range(2), range(2 * racks)):
            owner = {"cluster": f"c{cluster}", "partition": "gpu", "account": f"a{job % 9}", "user": f"u{job % 50}", "job_id": str(job)}
            for name, least, most in JOBS:
                yield self.line(f"job:{name}", owner, least, most, 900)
        for rule in info_rules():
            yield self.line(rule["record"], rule["labels"], span=900)
        yield self.line("ALERTS", {"alertname": "Watchdog", "alertstate": "firing"}, span=900)


BLOCK = 8_000_000  # characters


def blocks(lines):
    """The lines in pieces that one request takes."""
    block = []
    length = 0
    for line in lines:
        block.append(line)
        length += len(line)
        if length > BLOCK:
            yield "".join(block)
            block, length = [], 0
    yield "".join(block)


def found(options, name):
    """Path of a program."""
    return shutil.which(name, path=options.programs) or sys.exit(f"no {name} in {options.programs}")


def fill(url, made, options):
    """Import a fleet."""
    lines = (line for number in range(options.nodes) for line in made.node(number, options.devices))
    for block in itertools.chain(blocks(made.roll_ups(options.nodes // 8)), blocks(lines)):
        urllib.request.urlopen(url + "/api/v1/import", block.encode(), timeout=PATIENCE).close()


@contextlib.contextmanager
def victoriametrics(options, folder, end):
    """(process, address) of a filled VictoriaMetrics."""
    port = live.free_port()
    url = f"http://127.0.0.1:{port}"
    with live.running(folder, "victoria-metrics", found(options, "victoria-metrics"), f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={folder}/data",
                      "-retentionPeriod=1d", "-search.disableCache") as storage:
        ready(Storage(url), "/health")
        fill(url, Samples(end, 0, end + 1), options)
        urllib.request.urlopen(url + "/internal/force_flush", timeout=PATIENCE).close()
        yield storage, url


@contextlib.contextmanager
def prometheus(options, folder, end):
    """(process, address) of a filled Prometheus. A vmagent turns the lines into what it takes, in one queue, which keeps their order."""
    port, agent_port = live.free_port(), live.free_port()
    url, agent = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{agent_port}"
    with open(f"{folder}/prometheus.yml", "w", encoding="utf-8") as handle:
        handle.write("scrape_configs: []\n")
    with live.running(folder, "prometheus", found(options, "prometheus"), f"--config.file={folder}/prometheus.yml", f"--web.listen-address=127.0.0.1:{port}",
                      f"--storage.tsdb.path={folder}/data", "--web.enable-remote-write-receiver") as storage:
        with live.running(folder, "vmagent", found(options, "vmagent"), f"-httpListenAddr=127.0.0.1:{agent_port}", "-remoteWrite.queues=1",
                          f"-remoteWrite.url={url}/api/v1/write", "-remoteWrite.forcePromProto", f"-remoteWrite.tmpDataPath={folder}/queue"):
            ready(Storage(url), "/-/ready")
            ready(Storage(agent), "/health")
            for since in range(end - HOURS * 3600, end + 1, PART):
                fill(agent, Samples(end, since, since + PART), options)
                # Last in the queue: with it, everything before has arrived.
                last = {"metric": {"__name__": "part", "since": str(since)}, "values": [1], "timestamps": [1000 * since]}
                urllib.request.urlopen(agent + "/api/v1/import", json.dumps(last).encode(), timeout=PATIENCE).close()
                live.until(url, f'last_over_time(part{{since="{since}"}}[{HOURS + 1}h])', 1)
        settle(storage.pid)
        yield storage, url


BACKENDS = {"victoriametrics": victoriametrics, "prometheus": prometheus}


def settle(pid):
    """Wait until a storage is done with what it has taken in."""
    end = time.monotonic() + PATIENCE
    before = spent(pid) - 1
    while spent(pid) - before > 0.2 and time.monotonic() < end:
        before = spent(pid)
        time.sleep(5)


def spent(pid):
    """CPU seconds of a process."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as handle:
        fields = handle.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def closed(board):
    """A board of the panels in its closed rows alone."""
    return {**board, "panels": [panel for row in board["panels"] for panel in row.get("panels", ())], "templating": {"list": []}}


def asks(name, board, rows):
    """[(who asks, path, query, step)] when a board is opened; rows: of Grafana's grid that are on the screen. Closed rows ask for nothing."""
    chosen = {"cluster": ["c0"], "node": ["gpu0"], "vendor": ["nvidia"]} if name in ("node", "accelerator") else {}
    found = [(who, "label", asked.filled(expression, chosen), EVERY) for who, expression in asked.expressions(board) if who.startswith("$")]
    for panel in (panel for panel in board["panels"] if panel["type"] != "row" and panel["gridPos"]["y"] < rows):
        step = 60 if panel.get("interval") == "1m" else EVERY
        found += [(f"{panel['title']} {target['refId']}", "query" if target["instant"] else "query_range", asked.filled(target["expr"], chosen), step)
                  for target in panel["targets"]]
    return found


def answer(url, end, ask):
    """(who asked, seconds, bytes, series of a plot) of one query."""
    who, path, query, step = ask
    query = query.replace("[%s:" % asked.BUILT_IN["__range"], "[%ds:" % (HOURS * 3600)).replace("[%s]" % asked.BUILT_IN["__range"], "[%ds]" % (HOURS * 3600))
    times = {"start": end - HOURS * 3600, "end": end}
    parameters = {"query": {"query": query, "time": end}, "query_range": {"query": query, "step": step, **times}, "label": {"match[]": query, **times}}[path]
    begun = time.monotonic()
    place = f"label/{who[1:]}/values" if path == "label" else path
    with urllib.request.urlopen(f"{url}/api/v1/{place}?{urllib.parse.urlencode(parameters)}", timeout=300) as found:
        text = found.read()
    return who, time.monotonic() - begun, len(text), len(json.loads(text)["data"]["result"]) if path == "query_range" else 0


def opened(url, pid, end, name, board, rows):
    """What opening a board costs, so far down."""
    before, begun = spent(pid), time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(6) as browser:
        answers = list(browser.map(lambda ask: answer(url, end, ask), asks(name, board, rows)))
    slowest, largest = max(answers, key=lambda one: one[1]), max(answers, key=lambda one: one[2])
    return {"seconds": time.monotonic() - begun, "cpu": spent(pid) - before, "queries": len(answers), "slowest": slowest[:2],
            "largest": (largest[0], largest[2]), "bytes": sum(one[2] for one in answers), "lines": max(one[3] for one in answers)}


def costs(url, pid, end, name, board):
    """[(CPU seconds of the storage, seconds, bytes, who asked)] of each query of a board, one after the other, the dearest first."""
    found = []
    for ask in asks(name, board, 1000):
        before = spent(pid)
        who, duration, size, _lines = answer(url, end, ask)
        found.append((spent(pid) - before, duration, size, who))
    return sorted(found, reverse=True)


def told(url, pid, end, name, board, times):
    """Print what opening a board costs."""
    runs = [opened(url, pid, end, name, board, 1000) for _time in range(times)]
    run = sorted(runs, key=lambda one: one["seconds"])[len(runs) // 2]
    print(f"{name:12} {run['queries']} queries, {run['seconds']:.2f} s, CPU {statistics.median(one['cpu'] for one in runs):.2f} s, "
          f"slowest {run['slowest'][0]} {run['slowest'][1]:.2f} s, {run['bytes'] / 1e6:.1f} MB, of which {run['largest'][0]} "
          f"{run['largest'][1] / 1e6:.1f} MB, {run['lines']} lines, load {os.getloadavg()[0]:.1f}", flush=True)


def measure(options, url, pid, end):
    """Open every board, or ask the dearest queries."""
    if options.queries:
        for name in options.queries:
            for cpu, duration, size, who in costs(url, pid, end, name, asked.boards()[name])[:12]:
                print(f"{name:12} {who}: CPU {cpu:.2f} s, {duration:.2f} s, {size / 1e6:.2f} MB", flush=True)
        return
    for name, board in asked.boards().items():
        for _time in range(options.times):
            screen = opened(url, pid, end, name, board, SCREEN)
            print(f"{name:12} the first screen: {screen['queries']} queries, {screen['seconds']:.2f} s, CPU {screen['cpu']:.2f} s", flush=True)
        told(url, pid, end, name, board, options.times)
        if closed(board)["panels"]:
            told(url, pid, end, f"{name} closed", closed(board), options.times)


def main():
    """Fills a storage and opens every board."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--backend", choices=BACKENDS, default="victoriametrics")
    parser.add_argument("--nodes", type=int, default=1250)
    parser.add_argument("--devices", type=int, default=8)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--queries", metavar="BOARD", action="append", help="print the dearest queries of these boards instead, asked one after the other")
    options = parser.parse_args()
    end = int(time.time()) // 60 * 60
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        with BACKENDS[options.backend](options, folder, end) as (storage, url):
            stored = sum(value[1] for [value] in Storage(url).values(f"sum(count_over_time(accelerator_utilization_ratio[{HOURS}h]))", end, True).values())
            print(f"{options.nodes * options.devices} devices with {stored:.0f} samples of their load, filled in {time.monotonic() - begun:.0f} s", flush=True)
            measure(options, url, storage.pid, end)


if __name__ == "__main__":
    main()
