# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The scrape configuration at work: real scrapers and storages on loopback.

Stubbed: the exporters. One web server plays all of them, each under a path of its own, with the text of `PAGES`;
another one plays a service of the stack.
Everything is started here and ended here; a step takes about 20 s, and no wait is longer than 60 s.
"""

import contextlib
import http.server
import json
import os
import re
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.scrape import scrape_file
import expositions

PATIENCE = 120

# guessed: written by hand in the form of node_exporter and of our collector.
DEVICES = """node_load1 0.5
node_gpu_utilization_percent{gpu="0",uuid="GPU-1",vendor="nvidia",model="H100"} 40
node_gpu_utilization_percent{gpu="0",uuid="0xa",vendor="amd",model="MI300X"} 60
node_gpu_info{gpu="0",uuid="GPU-1",vendor="nvidia",model="H100",pci_address="0000:1b:00.0"} 1
accelmon_collector_last_success_timestamp_seconds{vendor="nvidia"} 1
accelmon_collector_last_success_timestamp_seconds{vendor="amd"} 1
node_pcidevice_info{vendor="nvidia",gpu="0"} 1
accelmon_expected_accelerators{cluster="c1",node="n1",vendor="nvidia"} 999
accelmon_source_elected{cluster="c1",node="n1",vendor="nvidia",source="textfile",job="node_exporter"} 0
accelmon_fleet_generation{cluster="c1"} 999
"""
# Pages of the other exporters, as the fixtures have them: {path: (job, page)}.
EXPORTERS = {
    "/dcgm": ("dcgm_exporter", "dcgm_mig.prom"),
    "/nvswitch": ("dcgm_exporter", "dcgm_nvswitch.prom"),
    "/cpx": ("amd_exporter", "amd_cpx.prom"),
    "/gaudi": ("all_smi", "all_smi_0.28.1_intel_gaudi.prom"),
    "/old": ("all_smi", "all_smi_derived_nvidia_amd.prom"),
}
PAGES = {
    "/n1": DEVICES,
    "/n2": DEVICES,
    "/web": 'web_requests_total{job="inner"} 3\naccelmon_fleet_node_info{cluster="c1",node="n1",state="maintenance"} 1\n',
    "/metrics": """node_load1 0.1
accelmon_expected_accelerators{cluster="c1",node="n1",vendor="nvidia"} 8
accelmon_source_elected{cluster="c1",node="n1",vendor="nvidia",source="textfile",job="node_exporter"} 1
accelmon_fleet_node_info{cluster="c1",node="n1",state="active"} 1
accelmon_fleet_generation{cluster="c1"} 3
accelmon_collector_success{vendor="nvidia"} 1
""",
}
STACK = {"/metrics": "vm_rows 1\n"}


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the pages of its server, which may be functions, and notes which requests came."""

    seen = set()

    def do_GET(self):
        """One page, or the way to another where its text is like "302 to /another"."""
        self.seen.add(self.path)
        text = self.server.pages.get(urllib.parse.urlsplit(self.path).path)
        text = text() if callable(text) else text
        way = re.fullmatch(r"(3\d\d) to (\S+)", text or "")
        if way:
            self.send_response(int(way.group(1)))
            self.send_header("Location", way.group(2))
            self.send_header("Refresh", f"0; url={way.group(2)}")
            self.end_headers()
            return
        self.send_response(200 if text else 404)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        with contextlib.suppress(OSError):
            # Who has read enough ends the connection.
            self.wfile.write((text or "").encode())

    def log_message(self, *_arguments):
        """Nothing on the terminal."""


@contextlib.contextmanager
def serving(pages):
    """The port of a web server with these pages."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.pages = pages
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def free_port():
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(folder, name, *command):
    """The program while the block runs; its output goes to a file and into the error of a block that fails."""
    path = os.path.join(folder, f"{name}.log")
    with open(path, "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    try:
        yield process
    except AssertionError as error:
        with open(path, encoding="utf-8", errors="replace") as log:
            raise AssertionError(f"{error}\n{name} said:\n{log.read()[-2000:]}") from error
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def targets(folder, port, closed):
    """Files as the registry writes them."""
    def entry(address, path, **labels):
        return {"targets": [f"127.0.0.1:{address}"], "labels": {"cluster": "c1", "__metrics_path__": path, **labels}}

    files = {
        "node_exporter/c1.json": [
            entry(port, "/n1", node="n1", rack="r1"),
            entry(port, "/n2", node="n2"),
            entry(closed, "/n4", node="n4"),
        ],
        "custom/web.c1.json": [entry(port, "/web", node="n1", job="web")],
    }
    for path, (job, _page) in EXPORTERS.items():
        files.setdefault(f"{job}/c1.json", []).append(entry(port, path, node=path[1:], rack="r2"))
    write_targets(folder, files)


def write_targets(folder, files):
    """Target files below the folder's directory of targets, each at once: {name: content}."""
    for name, content in files.items():
        path = os.path.join(folder, "targets", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(os.path.join(folder, "fresh"), "w", encoding="utf-8") as handle:
            json.dump(content, handle)
        os.replace(os.path.join(folder, "fresh"), path)


def configuration(folder, port, stack, backend, **options):
    """Path of the rendered scrape configuration."""
    path = os.path.join(folder, "scrape.yml")
    with open(path, "w", encoding="utf-8") as handle:
        handle.write(scrape_file({
            "backend": backend, "scrape_interval": "1s", **options, "targets_dir": os.path.join(folder, "targets"),
            "node_exporter": f"127.0.0.1:{port}", "stack": {"vmagent": f"127.0.0.1:{stack}"}, "cluster": "c1", "node": "mon"}))
    return path


def query(api, expression):
    """Labels of all series of an instant query."""
    url = f"{api}/api/v1/query?" + urllib.parse.urlencode({"query": expression, "latency_offset": "1ms", "nocache": "1"})
    with urllib.request.urlopen(url, timeout=20) as answer:
        return [series["metric"] for series in json.load(answer)["data"]["result"]]


def until(api, expression, count):
    """Waits until the expression has count series, and returns them."""
    end = time.monotonic() + PATIENCE
    found = None
    while time.monotonic() < end:
        try:
            found = query(api, expression)
            if len(found) == count:
                return found
        except (OSError, urllib.error.URLError, ValueError) as error:
            found = error
        time.sleep(0.5)
    raise AssertionError(f"{expression}: after {PATIENCE} s not {count} series but {found}")


def same(api, expression, expected):
    """The series of an expression, with all their labels but __name__, become exactly these: a storage shows some of a page before others."""
    wanted = sorted(expected, key=lambda series: sorted(series.items()))
    end = time.monotonic() + PATIENCE / 4
    while True:
        found = [{label: value for label, value in series.items() if label != "__name__"} for series in query(api, expression)]
        order = sorted(found, key=lambda series: sorted(series.items()))
        if order == wanted:
            return
        assert time.monotonic() < end, f"{expression}\n  is     {order}\n  not    {wanted}"
        time.sleep(0.5)


def scraped(api, port, stack, closed):
    """What must be in the storage."""
    here = f"127.0.0.1:{port}"
    until(api, "up", 6 + len(EXPORTERS))
    until(api, 'accelmon_fleet_generation', 1)
    until(api, 'node_gpu_utilization_percent', 4)

    def node(name, **labels):
        return {"cluster": "c1", "node": name, "job": "node_exporter", "instance": here, **({"rack": "r1"} if name == "n1" else {}), **labels}

    nvidia = {"gpu": "0", "index": "0", "uuid": "GPU-1", "vendor": "nvidia", "model": "H100"}
    amd = {"gpu": "0", "index": "0", "uuid": "0xa", "vendor": "amd", "model": "MI300X"}
    ours = {"source": "textfile"}
    same(api, "node_gpu_utilization_percent", [node(name, **device, **ours) for name in ("n1", "n2") for device in (nvidia, amd)])
    same(api, 'node_gpu_info{node="n1"}', [node("n1", **nvidia, **ours, pci_address="0000:1b:00.0", pci_bus_id="0000:1b:00.0")])
    same(api, 'accelmon_collector_last_success_timestamp_seconds{node="n1"}', [node("n1", vendor="nvidia", **ours), node("n1", vendor="amd", **ours)])
    # Series that only look alike: no index, no source.
    same(api, 'node_pcidevice_info{node="n1"}', [node("n1", vendor="nvidia", gpu="0")])
    same(api, "node_load1", [node("n1"), node("n2")])
    same(api, 'up{rack!="r2"}', [
        node("n1"), node("n2"), {**node("n4"), "instance": f"127.0.0.1:{closed}"},
        {"cluster": "c1", "node": "n1", "job": "web", "instance": here},
        {"cluster": "c1", "node": "mon", "job": "vmagent", "instance": f"127.0.0.1:{stack}"},
        {"job": "accelmon_fleet", "instance": here}])
    same(api, "web_requests_total", [{"cluster": "c1", "node": "n1", "job": "web", "instance": here, "exported_job": "inner"}])
    # Only the monitoring host speaks for the registry, and only of it.
    fleet = {"cluster": "c1", "job": "accelmon_fleet", "instance": here}
    same(api, "accelmon_expected_accelerators == 8", [{**fleet, "node": "n1", "vendor": "nvidia"}])
    same(api, "accelmon_expected_accelerators", [{**fleet, "node": "n1", "vendor": "nvidia"}])
    same(api, "accelmon_source_elected == 1", [{**fleet, "node": "n1", "vendor": "nvidia", "source": "textfile", "job": "node_exporter"}])
    same(api, "accelmon_source_elected == 0", [])
    same(api, "accelmon_fleet_generation", [fleet])
    same(api, "accelmon_fleet_node_info", [{**fleet, "node": "n1", "state": "active"}])
    same(api, '{job="accelmon_fleet",__name__=~"node_.*|accelmon_collector.*"}', [])
    assert "/metrics?collect%5B%5D=textfile" in Handler.seen, Handler.seen
    # The scrapers do what tests/rules/expositions.py does in Python, to every row of every exporter.
    for path, (job, name) in EXPORTERS.items():
        until(api, f'up{{node="{path[1:]}"}} == 1', 1)
        wanted = [{**labels, "instance": here} for labels, _value in expositions.stored(
            expositions.page(name), job, {"cluster": "c1", "node": path[1:], "rack": "r2"})]
        assert len(wanted) > 20
        for metric in sorted({labels["__name__"] for labels in wanted}):
            same(api, f'{metric}{{node="{path[1:]}"}}', [
                {label: value for label, value in labels.items() if label != "__name__"} for labels in wanted if labels["__name__"] == metric])
        dropped = {labels["__name__"] for labels, _value in expositions.rows(expositions.page(name))} - {labels["__name__"] for labels in wanted}
        for metric in sorted(dropped):
            same(api, f'{metric}{{node="{path[1:]}"}}', [])


@contextlib.contextmanager
def vmagent(programs, folder, port, stack, **options):
    """The address to query of a VictoriaMetrics that a vmagent with our configuration writes to."""
    agent, storage = programs.path("vmagent"), programs.path("victoria-metrics")
    store, agent_port = free_port(), free_port()
    api = f"http://127.0.0.1:{store}"
    with running(folder, "victoria-metrics", storage, f"-httpListenAddr=127.0.0.1:{store}", f"-storageDataPath={folder}/data",
                 "-retentionPeriod=1d", "-search.disableCache"), \
         running(folder, "vmagent", agent, f"-httpListenAddr=127.0.0.1:{agent_port}",
                 f"-promscrape.config={configuration(folder, port, stack, 'vmagent', **options)}",
                 "-promscrape.config.strictParse", "-promscrape.fileSDCheckInterval=1s", f"-remoteWrite.url={api}/api/v1/write",
                 f"-remoteWrite.tmpDataPath={folder}/queue", "-remoteWrite.flushInterval=200ms"):
        yield api


@contextlib.contextmanager
def prometheus(programs, folder, port, stack, **options):
    """The address to query of a Prometheus that scrapes with our configuration."""
    listen = free_port()
    with running(folder, "prometheus", programs.path("prometheus"), f"--web.listen-address=127.0.0.1:{listen}",
                 f"--storage.tsdb.path={folder}/data", f"--config.file={configuration(folder, port, stack, 'prometheus', **options)}"):
        yield f"http://127.0.0.1:{listen}"


ENGINES = {"vmagent": vmagent, "prometheus": prometheus}


def fleet(programs, folder, engine):
    """A fleet that means well."""
    closed = free_port()
    with serving({**PAGES, **{path: expositions.page(page) for path, (_job, page) in EXPORTERS.items()}}) as port, serving(STACK) as stack:
        targets(folder, port, closed)
        with ENGINES[engine](programs, folder, port, stack) as api:
            scraped(api, port, stack, closed)
