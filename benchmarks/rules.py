# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the recording layer and the alerts cost for a large fleet, and how long a fault takes to reach Alertmanager.

    PYTHONPATH=.collections python3 benchmarks/rules.py --programs DIR [--backend victoriametrics|prometheus] [--nodes 1250] ...

Real programs on loopback: victoria-metrics, vmagent and vmalert, or prometheus, with the scrape configuration and the rules that this
checkout renders. Simulated: the exporters, which one process plays for all nodes, and Alertmanager, which only notes what arrives.
The pages have the rows of DCGM's exporter (--rows all: each of roles/dcgm_exporter/files/counters.csv; read: only those that the rules
read); --all-smi, --textfile and --standby give a share of the nodes all-smi alone, the textfile collector alone, or all-smi
as a standby beside DCGM's exporter. --jobs gives the devices of a share of the nodes to jobs of four nodes each, as owner files do, so that rules
have devices to join with jobs; --joins leaves out all rules but these and those whose series they read.

Measured: time of each rule and of each group, as the evaluator tells it; how old a recorded sample is, and the reading behind
it, by a device whose power tells the time of its scrape; CPU time and memory of each program; the time from the moment when a device
vanishes from its exporter until AcceleratorMissing arrives. Other work on the machine makes all of them worse, so its load is
printed with them. Ends whatever it started; needs the Python of ansible-core.
"""
import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, ".collections"))

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load  # noqa: E402
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.alerts import alert_file, alert_groups  # noqa: E402
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.recording import recording_file, recording_groups  # noqa: E402
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.scrape import scrape_file  # noqa: E402

CYCLE_BUDGET_S = 3
TICKS = os.sysconf("SC_CLK_TCK")
# The power of device 0 of node 0 is the second of its scrape, in a range that is within bounds.
CLOCK = 4000
VARIANTS = 4
JOB_NODES = 4
# (part of a metric's name, lowest, highest); of the first that fits, and 0 for all others. Where nothing is wrong no alert fires: the rules, and who is
# told, have nothing more to do, and what VictoriaMetrics skips is skipped.
READINGS = (
    ("TEMP_LIMIT", 10, 40), ("temperature_margin", 10, 40), ("SLOWDOWN_TEMP", 0, 0), ("threshold_slowdown", 95, 95), ("MAX_OP_TEMP", 95, 95),
    ("SHUTDOWN_TEMP", 99, 99), ("EVENT_REASONS", 0, 0), ("LINK_GEN", 5, 5), ("link_generation", 5, 5), ("LINK_WIDTH", 16, 16), ("link_width", 16, 16),
    ("FABRIC_MANAGER_STATUS", 3, 3), ("fabric_state", 3, 3), ("TEMP", 40, 69), ("temperature", 40, 69), ("UTIL", 60, 100), ("utilization", 60, 100),
    ("POWER_USAGE", 600, 690), ("power_draw", 600, 690), ("power_consumption", 600, 690), ("LIMIT", 700, 700), ("limit", 700, 700),
    ("FB_TOTAL", 81559, 81559), ("FB_USED", 0, 80000), ("total_bytes", 85519761408, 85519761408), ("used_bytes", 0, 80000000000),
    ("clock_hertz", 1900000000, 1980000000), ("CLOCK", 1900, 1980), ("mhz", 1900, 1980), ("ENERGY", 10**9, 10**9 + 10**6),
    ("energy", 10**6, 10**6 + 10**3), ("info", 1, 1))
# Nobody has these for the devices that are simulated: they are of GPUs before Ampere, or have a row only after an error.
ABSENT = re.compile(r"DCGM_FI_DEV_RETIRED_|DCGM_EXP_XID")


def log(text):
    """One line for the one who waits."""
    print(text, file=sys.stderr, flush=True)


def value(name, dice):
    """A reading of a metric of a device that works, with which nothing is wrong."""
    return next((dice.randint(low, high) for part, low, high in READINGS if part in name), 0)


def dcgm_names(rows):
    """Names of the series of one device."""
    if rows == "read":
        return list(load("sources")["sources"]["dcgm"]["metrics"])
    with open(os.path.join(ROOT, "roles/dcgm_exporter/files/counters.csv"), encoding="utf-8") as handle:
        names = [line.split(",", 1)[0] for line in handle if line.strip() and not line.startswith("#")]
    return [name for name in names if not ABSENT.match(name)]


def dcgm_row(name, number):
    """Labels as DCGM's exporter gives them; @node@ is filled in for each node."""
    return ('%s{gpu="%d",UUID="GPU-@node@-4000-8000-%012d",pci_bus_id="00000000:%02X:00.0",device="nvidia%d",modelName="NVIDIA H100 80GB HBM3",'
            'Hostname="gpu@node@",DCGM_FI_DRIVER_VERSION="570.86.15"}' % (name, number, number, 16 * number + 11, number))


def all_smi_row(name, number):
    """Labels as all-smi gives them."""
    more = ',driver_version="570.86.15"' if name.endswith("_info") else ',scope="gpu"' if "energy" in name else ""
    return '%s{gpu="NVIDIA H100 80GB HBM3",instance="gpu@node@",gpu_uuid="GPU-@node@-4000-8000-%012d",gpu_index="%d"%s}' % (name, number, number, more)


def textfile_row(name, number):
    """Labels as the textfile collector gives them."""
    more = {"node_gpu_info": ',pci_address="0000:%02x:00.0",driver_version="570.86.15"' % (16 * number + 11), "node_gpu_clock_hertz": ',domain="core"',
            "node_gpu_ecc_errors_total": ',type="uncorrected",scope="volatile"'}.get(name, "")
    return '%s{gpu="%d",uuid="GPU-@node@-4000-8000-%012d",vendor="nvidia",model="NVIDIA H100 80GB HBM3"%s}' % (name, number, number, more)


def job_row(number):
    """The job of a device, as the textfile collector tells it; @job@ is filled in for each node."""
    return ('accelerator_job_info{index="%d",uuid="GPU-@node@-4000-8000-%012d",job_id="@job@",user="ada",account="physics",partition="gpu"} 1\n'
            % (number, number)).encode()


class Pages:
    """The exporters' pages: templates of a node for each source, in variants with other values."""

    def __init__(self, options):
        dice = random.Random(1)
        known = load("sources")["sources"]
        makers = {"dcgm": (dcgm_row, dcgm_names(options.rows)),
                  "all_smi": (all_smi_row, list(known.get("all_smi", {}).get("metrics", ()))),
                  "textfile": (textfile_row, [name for name in known["textfile"]["metrics"] if name.startswith("node_gpu_")])}
        self.templates = {}
        for source, (row, names) in makers.items():
            for variant in range(VARIANTS):
                lines = []
                for name in names:
                    for number in range(options.devices):
                        lines.append("%s %s" % (row(name, number), value(name, dice)))
                self.templates[source, variant] = ("\n".join(lines) + "\n").encode()
        for variant in range(VARIANTS):
            self.templates["jobs", variant] = b"".join(map(job_row, range(options.devices)))
        self.fault = None  # (node, number of the device that is gone)
        self.fixed = {}
        self.asked = 0

    def rows(self, source):
        """Rows of one page."""
        return self.templates[source, 0].count(b"\n")

    def page(self, path):
        """The text of a path: /<source>/<node>, or a fixed one."""
        if path in self.fixed:
            return self.fixed[path]
        self.asked += 1
        source, node = path.strip("/").split("/")
        number = int(node)
        job = b"%d" % (4711 + number // JOB_NODES)
        text = self.templates[source, (self.asked + number) % VARIANTS].replace(b"@node@", node.encode()).replace(b"@job@", job)
        if self.fault and self.fault[0] == number:
            gone = b"4000-8000-%012d" % self.fault[1]
            text = b"\n".join(line for line in text.split(b"\n") if gone not in line)
        if number == 0:
            pattern = rb"(?m)^((?:DCGM_FI_DEV_POWER_USAGE|all_smi_gpu_power_consumption_watts|node_gpu_power_draw_watts)\{[^}]*8000-000000000000\"[^}]*\}) .*$"
            text = re.sub(pattern, rb"\1 " + ("%.3f" % (time.time() % CLOCK)).encode(), text)
        return text


class Exporters:
    """One loopback server for all pages, and for what Alertmanager is sent."""

    def __init__(self, pages):
        self.pages, self.arrived, self.port = pages, {}, None
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        threading.Thread(target=self._run, args=(ready,), daemon=True).start()
        ready.wait(10)

    def _run(self, ready):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=2048))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()

    async def _serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: *(\d+)", head)
                body = await reader.readexactly(int(length.group(1))) if length else b""
                path = head.split(b" ", 2)[1].decode().split("?")[0]
                if path.endswith("/alerts"):
                    self._note(json.loads(body))
                    text = b"{}"
                else:
                    text = self.pages.page(path)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
                await writer.drain()
        writer.close()

    def _note(self, alerts):
        now = time.time()
        for alert in alerts:
            labels = alert["labels"]
            self.arrived.setdefault((labels["alertname"], labels.get("node")), now)


def registry_page(options, kinds):
    """The series of the registry about all nodes."""
    lines = ['accelmon_fleet_generation{cluster="bench"} 1']
    for number, sources in enumerate(kinds):
        node = 'cluster="bench",node="gpu%05d"' % number
        lines.append('accelmon_expected_accelerators{%s,vendor="nvidia"} %d' % (node, options.devices))
        lines.append('accelmon_fleet_node_info{%s,state="active"} 1' % node)
        for place, source in enumerate(sources):
            job = load("sources")["sources"][source]["job"]
            lines.append('accelmon_source_elected{%s,vendor="nvidia",source="%s",job="%s"} %d' % (node, source, job, 0 if place else 1))
    return ("\n".join(lines) + "\n").encode()


def mix(options):
    """The sources of each node, the one in charge first."""
    kinds = []
    for number in range(options.nodes):
        share = (number + 0.5) / options.nodes
        if share > 1 - options.textfile:
            kinds.append(["textfile"])
        elif share > 1 - options.textfile - options.all_smi:
            kinds.append(["all_smi"])
        else:
            kinds.append(["dcgm", "all_smi"] if share < options.standby else ["dcgm"])
    return kinds


def write_targets(folder, port, kinds, owned):
    """Target files as the registry writes them. owned: how many nodes tell jobs as well"""
    jobs = {}
    for number, sources in enumerate(kinds):
        # A node with the textfile collector in charge has that target already.
        pages = [(source, load("sources")["sources"][source]["job"]) for source in sources]
        pages += [("jobs", "node_exporter")] * (number < owned and sources[0] != "textfile")
        for source, job in pages:
            jobs.setdefault(job, []).append({
                "targets": ["127.0.0.1:%d" % port],
                "labels": {"cluster": "bench", "node": "gpu%05d" % number, "rack": "r%d" % (number // 32), "__metrics_path__": "/%s/%05d" % (source, number)}})
    for job, entries in jobs.items():
        os.makedirs(os.path.join(folder, "targets", job))
        with open(os.path.join(folder, "targets", job, "bench.json"), "w", encoding="utf-8") as handle:
            json.dump(entries, handle)


def free_port():
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def program(folders, name):
    """Path of a program in the first folder that has it, also by the name that upstream's archives give it."""
    for folder in folders:
        for name_there in (name + "-prod", name):
            path = os.path.join(folder, name_there)
            if os.access(path, os.X_OK):
                return path
    raise SystemExit("--programs: no %s in %s" % (name, " or ".join(folders)))


@contextlib.contextmanager
def running(folder, commands):
    """{name: pid} of the programs while the block runs; what they say goes to files in the folder."""
    processes = {}
    try:
        for name, command in commands.items():
            with open(os.path.join(folder, name + ".log"), "wb") as output:
                processes[name] = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
        yield {name: process.pid for name, process in processes.items()}
        for name, process in processes.items():
            if process.poll() is not None:
                with open(os.path.join(folder, name + ".log"), encoding="utf-8", errors="replace") as said:
                    raise SystemExit("%s ended: %s" % (name, said.read()[-1500:]))
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def spent(pids):
    """{name: (CPU seconds so far, largest resident MB)}."""
    found = {}
    for name, pid in pids.items():
        with open("/proc/%d/stat" % pid, encoding="ascii") as handle:
            fields = handle.read().rsplit(")", 1)[1].split()
        with open("/proc/%d/status" % pid, encoding="ascii") as handle:
            peak = int(re.search(r"VmHWM:\s+(\d+)", handle.read()).group(1)) / 1024
        found[name] = ((int(fields[11]) + int(fields[12])) / TICKS, peak)
    return found


def get(url, patience=30, **parameters):
    """Member data of an answer of the Prometheus API, or None while there is none."""
    body = urllib.parse.urlencode(parameters).encode() if parameters else None
    try:
        with urllib.request.urlopen(url, data=body, timeout=patience) as answer:
            return json.load(answer)["data"]
    except (OSError, ValueError, urllib.error.URLError):
        return None


def query(api, expression):
    """[(labels, value)] of an instant query; empty while there is no answer."""
    data = get(api + "/api/v1/query", query=expression, latency_offset="1ms", nocache="1", time="%.3f" % time.time())
    return [(row["metric"], float(row["value"][1])) for row in data["result"]] if data else []


def backend_commands(options, folder, port, rules):
    """({name: command}, URL of the storage, URL of the evaluator)."""
    found = {name: program(options.programs, name) for name in (
        ("prometheus",) if options.backend == "prometheus" else ("victoria-metrics", "vmagent", "vmalert"))}
    store, evaluator, agent = (free_port() for dummy in range(3))
    chosen = {"backend": "prometheus" if options.backend == "prometheus" else "vmagent", "scrape_interval": "%ds" % options.interval,
              "targets_dir": folder + "/targets", "node_exporter": "127.0.0.1:%d" % port, "cluster": "bench", "node": "mon"}
    if options.backend == "prometheus":
        chosen.update(rule_files=[rules + "/*.yml"], alertmanagers=[{"target": "127.0.0.1:%d" % port}])
    with open(folder + "/scrape.yml", "w", encoding="utf-8") as handle:
        handle.write(scrape_file(chosen))
    api = "http://127.0.0.1:%d" % store
    if options.backend == "prometheus":
        return {"prometheus": [found["prometheus"], "--config.file=%s/scrape.yml" % folder, "--web.listen-address=127.0.0.1:%d" % store,
                               "--storage.tsdb.path=%s/data" % folder]}, api, api
    # The arguments of the roles, as far as they bear on time.
    return {
        "victoria-metrics": [found["victoria-metrics"], "-httpListenAddr=127.0.0.1:%d" % store, "-storageDataPath=%s/data" % folder,
                             "-retentionPeriod=1d", "-search.latencyOffset=5s"],
        "vmagent": [found["vmagent"], "-httpListenAddr=127.0.0.1:%d" % agent, "-promscrape.config=%s/scrape.yml" % folder,
                    "-remoteWrite.url=%s/api/v1/write" % api, "-remoteWrite.tmpDataPath=%s/queue" % folder],
        "vmalert": [found["vmalert"], "-httpListenAddr=127.0.0.1:%d" % evaluator, "-rule=%s/*.yml" % rules, "-evaluationInterval=%ds" % options.interval,
                    "-rule.evalDelay=0s", "-disableAlertgroupLabel", "-remoteWrite.flushInterval=500ms", "-datasource.url=%s" % api,
                    "-remoteWrite.url=%s" % api, "-remoteRead.url=%s" % api,
                    "-notifier.url=http://127.0.0.1:%d" % port],
    }, api, "http://127.0.0.1:%d" % evaluator


def rule_times(evaluator):
    """{group: [(rule, its labels and expression, seconds of the last evaluation)]}."""
    data = get(evaluator + "/api/v1/rules") or {"groups": []}
    found = {}
    for group in data["groups"]:
        for rule in group["rules"]:
            if rule.get("lastError"):
                log("%s failed: %s" % (rule["name"], rule["lastError"][-300:]))
            found.setdefault(group["name"], []).append((rule["name"] + json.dumps(rule.get("labels") or {}), float(rule.get("evaluationTime") or 0)))
    return found


def joining(groups):
    """Names of the recorded series whose rules join devices with jobs."""
    return {rule["record"] for group in groups for rule in group["rules"] if "accelerator_job_info" in rule["expr"]}


def only_joins(groups):
    """The groups without rules that neither join devices with jobs nor record series of devices, which the joins read."""
    joins = joining(groups)
    left = [dict(group, rules=[rule for rule in group["rules"] if group["name"].startswith("accelmon_devices_") or rule["record"] in joins])
            for group in groups]
    return [group for group in left if group["rules"]]


def rule_files(options):
    """{name of a file: its text}."""
    every = "%ds" % options.interval
    if options.joins:
        return {"joins": json.dumps({"groups": only_joins(recording_groups(every, options.backend))})}
    return {"recording": recording_file(every, options.backend),
            "alerts": alert_file({"AcceleratorMissing": {"for": "%ds" % options.fault_for}}, interval=every)}


def watched(options, api, evaluator):
    """(ages of the reading, ages of its sample, times of all rules) of some cycles, which it waits for."""
    started = time.monotonic()
    ages, stamps, rounds = [], [], []
    clock = 'accelerator_power_watts{cluster="bench",node="gpu00000",index="0"}'
    next_rules = started + options.interval
    while time.monotonic() < started + options.cycles * options.interval:
        for _labels, seen in query(api, clock):
            ages.append((time.time() - seen) % CLOCK)
        for _labels, seen in query(api, "timestamp(%s)" % clock):
            stamps.append(time.time() - seen)
        if time.monotonic() >= next_rules:
            rounds.append(rule_times(evaluator))
            next_rules += options.interval
        time.sleep(1)
    return ages, stamps, rounds


def sampled(options, api, evaluator, pids):
    """Figures of some cycles."""
    started, before, load_before = time.monotonic(), spent(pids), os.getloadavg()[0]
    ages, stamps, rounds = watched(options, api, evaluator)
    wall, after = time.monotonic() - started, spent(pids)
    return {
        "load": [round(load_before, 1), round(os.getloadavg()[0], 1)], **rule_figures(options, rounds),
        "age_s": {what: {"median": round(statistics.median(found), 1), "worst": round(max(found), 1)} if found else None
                  for what, found in (("sample", stamps), ("reading", ages))},
        "cpu_cores": {name: round((after[name][0] - before[name][0]) / wall, 2) for name in pids},
        "memory_mb": {name: round(after[name][1]) for name in pids},
    }


def collected(rounds):
    """({group: [seconds]}, {(group, place in it, rule): [seconds]}) of rounds as rule_times() gives them."""
    groups, rules = {}, {}
    for found in rounds:
        for group, members in found.items():
            groups.setdefault(group, []).append(sum(seconds for _name, seconds in members))
            for place, (name, seconds) in enumerate(members):
                rules.setdefault((group, place, name), []).append(seconds)
    return groups, rules


def rule_figures(options, rounds):
    """How long groups and rules take. rounds: as rule_times() gives them, after each cycle"""
    groups, rules = collected(rounds)
    usual = {group: statistics.median(times) for group, times in groups.items()}
    every = "%ds" % options.interval
    written, alerts = recording_groups(every, options.backend), alert_groups(interval=every)
    seldom = {group["name"] for group in written + alerts if group.get("interval", every) != every}
    fast = [name for name in groups if name not in seldom]
    # Groups that the evaluator begins together take as long as the longest of them; without a word about that each is on its own.
    moments = {}
    for group in written:
        if group["name"] in fast:
            moments.setdefault(group.get("eval_offset", group["name"]), []).append(usual[group["name"]])
    return {
        "groups_s": {group: {"median": round(usual[group], 3), "worst": round(max(times), 3)} for group, times in groups.items()},
        "evaluating_s": round(sum(max(times) for times in moments.values()), 3),
        "alerts_s": round(sum(usual[group["name"]] for group in alerts if group["name"] in fast), 3),
        "cycle_s": round(sum(usual[name] for name in fast), 3),
        "cycle_with_slow_s": round(sum(usual.values()), 3),
        "job_join_s": round(sum(statistics.median(times) for (_group, _place, name), times in rules.items() if name.partition("{")[0] in joining(written)), 3),
        "rules_s": [{"group": group, "rule": name, "median": round(statistics.median(times), 3)}
                    for (group, _place, name), times in sorted(rules.items(), key=lambda item: -statistics.median(item[1]))],
    }


@contextlib.contextmanager
def stopped(pids):
    """Nothing is scraped and evaluated while the block runs, but the storage answers."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(5)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def idle_prometheus(folder, command, api):
    """Its pids: one with the data of the one that has ended, and nothing to scrape and to evaluate."""
    with open(folder + "/idle.yml", "w", encoding="utf-8") as handle:
        handle.write("global: {}\n")
    with running(folder, {"prometheus": [command[0], "--config.file=%s/idle.yml" % folder] + command[2:]}) as pids:
        end = time.monotonic() + 120
        while not query(api, "count(accelerator_info)") and time.monotonic() < end:
            time.sleep(1)
        yield pids


def cpu_of_each(api, rules, pids, storage):
    """CPU seconds of the storage for each rule, least of three, while nothing is scraped and evaluated: other work on the machine hardly changes it.

    rules: what the evaluator told of them; storage: its name in pids. {group: {"cpu_s": sum of its rules, "rules": [[rule, CPU seconds]],
    "joins_s": CPU seconds of those that join devices with jobs}}; the work of vmalert with the answers is not in it.
    """
    found, measured = {}, {}
    for group in rules["groups"]:
        for rule in group["rules"]:
            # What is known of error codes is the same constant for each.
            times = measured.setdefault(rule["query"], [])
            while len(times) < 3:
                before = spent(pids)[storage][0]
                query(api, rule["query"])
                times.append(spent(pids)[storage][0] - before)
            told = found.setdefault(group["name"], {"cpu_s": 0, "joins_s": 0, "rules": []})
            told["rules"].append([rule["name"] + json.dumps(rule.get("labels") or {}), round(min(times), 2)])
            told["cpu_s"] += min(times)
            told["joins_s"] += min(times) if "accelerator_job_info" in rule["query"] else 0
    return found


def fault_time(options, pages, exporters):
    """Seconds from the fault until the alert arrives, and what `for` it has."""
    key = ("AcceleratorMissing", "gpu00001")
    exporters.arrived.pop(key, None)
    pages.fault = (1, options.devices - 1)
    started = time.time()
    while key not in exporters.arrived and time.time() < started + options.fault_for + 90:
        time.sleep(0.2)
    found = exporters.arrived.get(key)
    return {"for_s": options.fault_for, "seconds": round(found - started, 1) if found else None}


def await_devices(options, folder, api):
    """Wait until all devices are recorded. Ends the run if they are not in time."""
    wanted, end = options.nodes * options.devices, time.monotonic() + options.patience
    seen = 0
    while seen < wanted and time.monotonic() < end:
        time.sleep(5)
        seen = sum(number for _labels, number in query(api, "count(accelerator_info)"))
    log("%d of %d devices are recorded" % (seen, wanted))
    if seen != wanted:
        if options.keep:
            log("kept: " + folder)
        raise SystemExit("not all devices are recorded, or some more than once")


def measure(options):
    """All figures of one run."""
    kinds = mix(options)
    pages = Pages(options)
    pages.fixed["/metrics"] = registry_page(options, kinds)
    exporters = Exporters(pages)
    folder = tempfile.mkdtemp(prefix="accelmon-bench-")
    try:
        write_targets(folder, exporters.port, kinds, round(options.jobs * options.nodes))
        os.makedirs(folder + "/rules")
        for name, text in rule_files(options).items():
            with open("%s/rules/%s.yml" % (folder, name), "w", encoding="utf-8") as handle:
                handle.write(text)
        commands, api, evaluator = backend_commands(options, folder, exporters.port, folder + "/rules")
        with running(folder, commands) as pids:
            await_devices(options, folder, api)
            time.sleep(2 * options.interval)
            wanted = options.nodes * options.devices
            found = {"backend": options.backend, "nodes": options.nodes, "devices": wanted, "interval_s": options.interval,
                     "mix": {"all_smi": options.all_smi, "textfile": options.textfile, "standby": options.standby},
                     "rows_per_node": {source: pages.rows(source) for source in ("dcgm", "all_smi", "textfile")},
                     **sampled(options, api, evaluator, pids)}
            series = query(api, 'count({__name__=~"accelerator_.*"})')
            owned = query(api, "count(accelerator_job_info)")
            found["devices_with_jobs"] = int(owned[0][1]) if owned else 0
            found["alerts"] = {labels["alertname"]: int(number) for labels, number in query(api, 'count by (alertname) (ALERTS{alertname!="Watchdog"})')}
            found["recorded_series_per_device"] = round(series[0][1] / wanted, 2) if series else None
            rules = get(evaluator + "/api/v1/rules") if options.each else None
            if options.each and options.backend == "victoriametrics":
                with stopped([pids["vmagent"], pids["vmalert"]]):
                    found["cpu_of_each"] = cpu_of_each(api, rules, pids, "victoria-metrics")
            if options.fault:
                found["fault"] = fault_time(options, pages, exporters)
        if options.each and options.backend == "prometheus":
            with idle_prometheus(folder, commands["prometheus"], api) as pids:
                found["cpu_of_each"] = cpu_of_each(api, rules, pids, "prometheus")
        return found
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


def markdown(found, rules):
    """The figures as text."""
    lines = ["%s, %d devices on %d nodes, every %d s, load of the machine %s to %s" % (
        found["backend"], found["devices"], found["nodes"], found["interval_s"], *found["load"]), "", "| group | median s | worst s |", "|---|---|---|"]
    lines += ["| %s | %.3f | %.3f |" % (group, times["median"], times["worst"]) for group, times in found["groups_s"].items()]
    lines += ["| of each cycle, with groups side by side | %.3f | budget %d |" % (found["evaluating_s"], CYCLE_BUDGET_S),
              "| alerts of each cycle, added up | %.3f | |" % found["alerts_s"],
              "| rules that join %d devices with jobs, added up | %.3f | |" % (found["devices_with_jobs"], found["job_join_s"]),
              "| groups of each cycle, added up | %.3f | |" % found["cycle_s"], "| all groups | %.3f | |" % found["cycle_with_slow_s"], ""]
    lines += ["| rule | median s |", "|---|---|"] + ["| %s `%s` | %.3f |" % (rule["group"], rule["rule"], rule["median"]) for rule in found["rules_s"][:rules]]
    if "cpu_of_each" in found:
        lines += ["", "| group | CPU s of one evaluation in the storage |", "|---|---|"]
        lines += ["| %s | %.2f |" % (group, told["cpu_s"]) for group, told in found["cpu_of_each"].items()]
        lines += ["| rules that join devices with jobs | %.2f |" % sum(told["joins_s"] for told in found["cpu_of_each"].values())]
    lines += ["", "| program | CPU cores | MB |", "|---|---|---|"]
    lines += ["| %s | %.2f | %d |" % (name, cores, found["memory_mb"][name]) for name, cores in found["cpu_cores"].items()]
    lines += ["", "alerts that fire or wait: %s" % (", ".join("%s %d" % item for item in sorted(found["alerts"].items())) or "none")]
    lines += ["", "age in s of a recorded sample, and of the reading behind it: %s; fault to Alertmanager: %s; recorded series per device: %s" % (
        found["age_s"], found.get("fault"), found["recorded_series_per_device"])]
    return "\n".join(lines)


def main():
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", action="append", required=True, help="folder with the programs; of several the first that has one counts")
    parser.add_argument("--backend", choices=("victoriametrics", "prometheus"), default="victoriametrics")
    parser.add_argument("--nodes", type=int, default=1250)
    parser.add_argument("--devices", type=int, default=8, help="of each node")
    parser.add_argument("--interval", type=int, default=15)
    parser.add_argument("--cycles", type=int, default=6, help="intervals to measure")
    parser.add_argument("--patience", type=int, default=240, help="seconds until all devices must be recorded")
    parser.add_argument("--rows", choices=("all", "read"), default="all")
    parser.add_argument("--all-smi", type=float, default=0, help="share of the nodes, 0 to 1")
    parser.add_argument("--textfile", type=float, default=0)
    parser.add_argument("--standby", type=float, default=0)
    parser.add_argument("--jobs", type=float, default=0, help="share of the nodes whose devices have jobs, 0 to 1")
    parser.add_argument("--joins", action="store_true", help="only rules that join devices with jobs, and those whose series they read")
    parser.add_argument("--each", action="store_true", help="CPU time of each rule, while nothing is scraped")
    parser.add_argument("--fault", action="store_true", help="take a device away, and wait for its alert")
    parser.add_argument("--fault-for", type=int, default=30, help="seconds that this alert waits")
    parser.add_argument("--top", type=int, default=12, help="dearest rules to print")
    parser.add_argument("--json", help="file for all figures")
    parser.add_argument("--keep", action="store_true", help="keep the folder with data and logs")
    options = parser.parse_args()
    if options.joins and options.fault:
        parser.error("--joins leaves out alerts, so there is none for --fault")
    # So that what runs is ended also when somebody ends this.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit("ended"))
    found = measure(options)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as handle:
            json.dump(found, handle, indent=1)
    print(markdown(found, options.top))


if __name__ == "__main__":
    main()
