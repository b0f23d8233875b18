# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""fleet_verify_info and fleet_status_info against real VictoriaMetrics, vmagent and vmalert, with our own scrape and rule files.

Needs the programs victoria-metrics, vmagent and vmalert in the directory ACCELMON_PROGRAMS, or on PATH; without them
every test here is skipped. Scrapes and evaluates every second instead of every 15 s, so that a step takes seconds.
Stubbed: the exporters, small web servers on loopback ports that give the text written here.
"""
import contextlib
import http.server
import os
import shutil
import subprocess
import threading
import time
import urllib.request

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import registry, targets, view
from ansible_collections.accelmon.fleet.plugins.modules import fleet_status_info, fleet_verify_info
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import alerts, inputs, recording, scrape
from ansible_collections.accelmon.fleet.tests.unit.plugins.live_programs import free_port

PROGRAMS = ("victoria-metrics", "vmagent", "vmalert")
FOLDER = os.environ.get("ACCELMON_PROGRAMS")
MISSING = [name for name in PROGRAMS if not shutil.which(name, path=FOLDER)]
pytestmark = pytest.mark.skipif(bool(MISSING), reason="not found in ACCELMON_PROGRAMS or on PATH: " + ", ".join(MISSING))

GROUPS = recording.group_names("1s", "victoriametrics")
PATIENCE = 300


class Exporter:
    """A web server on a port of its own; `text` is what it gives, `status` its answer's status."""

    def __init__(self):
        self.text, self.status, self.server = "", 200, None
        self.port = free_port()
        self.start()

    def start(self):
        exporter = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(exporter.status)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(exporter.text().encode())

            def log_message(self, *_args):
                """Keep the test's output clean."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def devices(count, collector_late=0, gone=()):
    """What node_exporter gives of a node with `count` devices, less those that are gone: the driver numbers the others anew.

    guessed: in the form of our collector
    """
    now = time.time()
    lines = ["node_time_seconds %f" % now]
    for index, number in enumerate(number for number in range(count) if number not in gone):
        lines.append('node_gpu_info{gpu="%d",uuid="GPU-%d",vendor="nvidia",model="H100",pci_address="0000:0%d:00.0"} 1' % (index, number, number))
        lines.append('node_gpu_ecc_errors_total{gpu="%d",uuid="GPU-%d",vendor="nvidia",model="H100",type="uncorrected",scope="volatile"} 0'
                     % (index, number))
    lines.append('accelmon_collector_last_success_timestamp_seconds{vendor="nvidia"} %f' % (now - collector_late))
    return "\n".join(lines) + "\n"


class Lab:
    """A fleet of gpu1 (8 devices) and gpu2 (4), monitored for real by mon01."""

    def __init__(self, folder):
        self.folder = folder
        self.nodes = {"gpu1": Exporter(), "gpu2": Exporter()}
        self.monitor = Exporter()
        self.ports = dict((name, free_port()) for name in PROGRAMS)
        self.running = {}
        self.registry = registry.empty("demo")
        self.have("gpu1", 8)
        self.have("gpu2", 4)
        self.record({"gpu1": 8, "gpu2": 4})
        for name, text in (
            ("scrape.yml", scrape.scrape_file({
                "scrape_interval": "1s", "targets_dir": str(folder / "targets"), "cluster": "demo", "node": "mon01",
                "node_exporter": "127.0.0.1:%d" % self.monitor.port})),
            ("rules/recording.yml", recording.recording_file("1s")),
            ("rules/alerts.yml", alerts.alert_file({"HostDown": {"for": "0s"}, "AcceleratorMissing": {"for": "0s"}})),
        ):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)

    def start(self):
        """Start the programs."""
        folder = self.folder
        storage = self.params()["storage_url"]
        self.run("victoria-metrics", "-storageDataPath=%s" % (folder / "data"), "-search.latencyOffset=1s")
        self.run("vmagent", "-promscrape.config=%s" % (folder / "scrape.yml"), "-promscrape.fileSDCheckInterval=1s",
                 "-remoteWrite.url=%s/api/v1/write" % storage, "-remoteWrite.tmpDataPath=%s" % (folder / "buffer"),
                 "-remoteWrite.flushInterval=200ms")
        self.run("vmalert", "-rule=%s" % (folder / "rules" / "*.yml"), "-rule.evalDelay=0s", "-evaluationInterval=1s", "-datasource.url=" + storage,
                 "-remoteWrite.url=" + storage, "-remoteRead.url=" + storage, "-remoteWrite.flushInterval=200ms", "-notifier.blackhole")

    def have(self, name, count, late=0, gone=()):
        """The node has this many devices from now on, less those that are gone, and its collector is so many seconds late."""
        self.nodes[name].text = lambda: devices(count, late, gone)

    def record(self, counts, state=None, present=("gpu1", "gpu2"), full_run=False, labels=None):
        """What a run of site.yml does: merge the records, write registry, targets and series."""
        found = dict((name, {
            "host": name, "address": "127.0.0.1", "cluster": "demo", "labels": (labels or {}).get(name, {}), "state": (state or {}).get(name, "active"),
            "answered": True, "expected": {}, "accelerators": {"nvidia": {"H100": count}},
            "exporters": [{"job": "node_exporter", "port": self.nodes[name].port, "scheme": "http", "path": "/metrics", "elected": ["nvidia"]}],
        }) for name, count in counts.items())
        self.registry = registry.merge(self.registry, found, set(present), full_run=full_run)[0]
        series = registry.series(self.registry)
        self.monitor.text = lambda: series
        (self.folder / "registry").mkdir(exist_ok=True)
        (self.folder / "registry" / "demo.json").write_text(registry.dump(self.registry))
        for name, text in targets.target_files("demo", registry.records(self.registry)).items():
            path = self.folder / "targets" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def run(self, name, *arguments):
        with open(str(self.folder / (name + ".log")), "w") as log:
            self.running[name] = subprocess.Popen(
                [shutil.which(name, path=FOLDER), "-httpListenAddr=127.0.0.1:%d" % self.ports[name]] + list(arguments),
                stdout=log, stderr=log, cwd=str(self.folder))
        end = time.monotonic() + PATIENCE
        while True:
            try:
                urllib.request.urlopen("http://127.0.0.1:%d/health" % self.ports[name], timeout=1).close()
                return
            except OSError:
                assert self.running[name].poll() is None and time.monotonic() < end, (self.folder / (name + ".log")).read_text()[-2000:]
                time.sleep(0.1)

    def params(self, **options):
        """Parameters of both modules, with their defaults but for the place and the pace."""
        defaults = dict((name, spec.get("default")) for name, spec in dict(view.ARGUMENTS, **fleet_verify_info.ARGUMENTS).items())
        defaults.update(
            state_dir=str(self.folder / "registry"), interval="1s", fresh_intervals=6, collector_limit=6, recording_delay=2, query_timeout=5,
            storage_url="http://127.0.0.1:%d" % self.ports["victoria-metrics"], rules_url="http://127.0.0.1:%d" % self.ports["vmalert"],
            rule_groups=GROUPS, dial_timeout=1, dial_budget=10,
            only_problems=False, sort="name", findings=False, sites=[], choices_dir="/nonexistent")
        defaults.update(options)
        return defaults

    def failures(self, **options):
        return fleet_verify_info.explained(self.params(**options), "mon01")["failures"]

    def becomes(self, wanted, **options):
        """The reasons, once they are the wanted ones; after a while the test fails with those there are."""
        end = time.monotonic() + PATIENCE
        while True:
            found = [(item["node"], item["reason"]) for item in self.failures(**options)]
            if found == wanted:
                return
            assert time.monotonic() < end, found
            time.sleep(0.5)

    def rows(self, **options):
        return dict((row["node"], row) for row in fleet_status_info.status(self.params(**options))["rows"])

    def alerts_become(self, node, wanted):
        end = time.monotonic() + PATIENCE
        while self.rows()[node]["alerts"] != wanted:
            assert time.monotonic() < end, self.rows()[node]
            time.sleep(0.5)

    def close(self):
        for process in self.running.values():
            process.kill()
            process.wait()
        for exporter in list(self.nodes.values()) + [self.monitor]:
            with contextlib.suppress(OSError):
                exporter.stop()


@pytest.fixture(scope="module", name="lab")
def _lab(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("lab"))
    try:
        lab.start()
        yield lab
    finally:
        lab.close()


@pytest.fixture(autouse=True)
def _well(request):
    """Every test starts with a fleet in which nothing is wrong."""
    if not MISSING:
        request.getfixturevalue("lab").becomes([])


def test_a_healthy_fleet(lab):
    result = fleet_verify_info.explained(lab.params(inventory_hosts=["gpu1", "gpu2"]), "mon01")
    assert result["failures"] == [] and result["notes"] == []
    assert result["counts"]["accelerators_fresh"] == 12 and result["counts"]["fine"] == 2
    status = fleet_status_info.status(lab.params())
    assert status["problems"] == [] and status["fleet_alerts"] == []
    assert status["summary"] == "2 nodes: 2 active; accelerators nvidia 12/12; 0 alerts"


def test_a_lost_device_is_named_fires_and_clears(lab):
    lab.have("gpu1", 7)
    lab.becomes([("gpu1", "7 of 8 nvidia accelerators fresh; gone: index 7 (GPU-7)")])
    lab.alerts_become("gpu1", ["AcceleratorMissing"])
    status = fleet_status_info.status(lab.params(findings=True, hosts=["gpu1"]))
    assert status["problems"] == [] and [(one["row"]["node"], one["errors"]) for one in status["findings"]] == [("gpu1", [])]
    assert [(alert["alert"], alert["since"] != "", alert["action"] != "") for alert in status["findings"][0]["alerts"]] == [("AcceleratorMissing", True, True)]
    assert lab.rows()["gpu1"]["accelerators"] == {"nvidia": {"seen": 7, "expected": 8, "source": "textfile"}}
    # Another run finds 7; the 8 stay expected.
    lab.record({"gpu1": 7, "gpu2": 4})
    lab.becomes([("gpu1", "7 of 8 nvidia accelerators fresh; gone: index 7 (GPU-7)")])
    assert lab.failures(hosts=["gpu2"]) == []
    lab.have("gpu1", 8)
    lab.becomes([])
    lab.alerts_become("gpu1", [])


def test_of_devices_with_other_numbers_only_the_lost_one_is_named(lab):
    lab.have("gpu1", 8, gone={3})
    lab.becomes([("gpu1", "7 of 8 nvidia accelerators fresh; gone: index 3 (GPU-3)")])
    lab.have("gpu1", 8)
    lab.becomes([])


def test_a_stopped_exporter_is_refused_and_its_host_is_down(lab):
    exporter = lab.nodes["gpu2"]
    exporter.stop()
    lab.becomes([("gpu2", "connection refused on 127.0.0.1:%d (node_exporter not running there)" % exporter.port)])
    lab.alerts_become("gpu2", ["HostDown"])
    assert lab.rows()["gpu2"]["state"] == "down" and lab.rows(only_problems=True).keys() == {"gpu2"}
    exporter.start()
    lab.becomes([])


def test_an_exporter_with_an_error(lab):
    lab.nodes["gpu2"].status = 500
    lab.becomes([("gpu2", "127.0.0.1:%d answers HTTP 500 (node_exporter)" % lab.nodes["gpu2"].port)])
    lab.nodes["gpu2"].status = 200
    lab.becomes([])


def test_a_stale_collector(lab):
    lab.have("gpu1", 8, late=300)
    lab.becomes([("gpu1", "the textfile collector last succeeded for nvidia 300 s ago (limit 6 s)")])
    lab.have("gpu1", 8)
    lab.becomes([])


def test_owner_files_of_jobs_that_are_wrong(lab):
    rows = "".join('accelmon_collector_job_files{result="%s"} %d\n' % row for row in (("read", 2), ("damaged", 1), ("unverified", 0)))
    lab.nodes["gpu1"].text = lambda: devices(8) + rows + 'accelmon_collector_job_file_problem{file="4711\\n",problem="damaged"} 1\n'
    lab.becomes([("gpu1", "1 owner file is damaged (4711)")])
    lab.have("gpu1", 8)
    lab.becomes([])


def test_maintenance_mutes(lab):
    lab.record({"gpu1": 8, "gpu2": 4}, state={"gpu2": "maintenance"})
    lab.becomes([])
    lab.have("gpu2", 3)
    end = time.monotonic() + PATIENCE
    while True:
        result = fleet_verify_info.explained(lab.params(), "mon01")
        # An alert that fired before the mute was evaluated has to end, though the device stays away.
        if [item["note"] for item in result["notes"]] == [
                "in maintenance, its alerts are muted; now 3 of 4 nvidia accelerators fresh"] and lab.rows()["gpu2"]["alerts"] == []:
            break
        assert time.monotonic() < end, result
        time.sleep(0.5)
    assert result["failures"] == []
    lab.have("gpu2", 4)
    lab.record({"gpu1": 8, "gpu2": 4})
    lab.becomes([])


def test_a_series_that_its_source_tells_and_no_rule_finds(lab):
    """A label of the target has the name of one by which the rule selects; check.yml refuses it, but a registry may still have it."""
    series = recording.expected_series()
    lab.becomes([], recorded_series=series)
    lab.record({"gpu1": 8, "gpu2": 4}, labels={"gpu2": {"type": "a", "scope": "b"}})
    lab.becomes([("gpu2", "accelerator_ecc_errors_total of nvidia is not recorded, although textfile reports it")], recorded_series=series)
    lab.record({"gpu1": 8, "gpu2": 4})
    lab.becomes([], recorded_series=series)


def test_an_alert_whose_inputs_do_not_exist(lab):
    wanted = inputs.of_alerts("1s", {}, [])
    assert not wanted["alerts"]
    wanted = inputs.of_alerts("1s", {"AcceleratorRecoveryRequired": {"enabled": True}}, [])
    row = 'node_gpu_recovery_action{gpu="%d",uuid="GPU-%d",vendor="nvidia",model="H100"} 0\n'
    lab.nodes["gpu1"].text = lambda: devices(8) + "".join(row % (number, number) for number in range(8))
    end = time.monotonic() + PATIENCE
    while True:
        result = fleet_verify_info.explained(lab.params(alert_inputs=wanted), "mon01")
        if [(item["node"], item["note"]) for item in result["notes"]] == [
                ("gpu2", "AcceleratorRecoveryRequired cannot fire for nvidia, read by textfile: these devices do not report what they look at")]:
            break
        assert time.monotonic() < end, result
        time.sleep(0.5)
    assert result["failures"] == []
    wanted["readings"]["recovery_action"]["optional"] = False
    reason = "AcceleratorRecoveryRequired cannot fire for nvidia: textfile does not report here what it reports of the same model elsewhere"
    lab.becomes([("gpu2", reason)], alert_inputs=wanted)
    lab.have("gpu1", 8)


def test_a_newer_registry_than_the_published_one(lab):
    lab.monitor.status = 500
    lab.becomes([("mon01", "the storage lacks the expected devices of cluster demo (registry generation %d)" % lab.registry["generation"])])
    lab.monitor.status = 200
    lab.becomes([])


def test_a_broken_rule(lab):
    path = lab.folder / "rules" / "site.yml"
    # Reads well and fails when it is evaluated: many values on both sides.
    path.write_text('groups: [{name: site, interval: 1s, rules: [{record: site, expr: '
                    '"accelerator_info * on (cluster) group_left () accelerator_info"}]}]\n')
    lab.running["vmalert"].send_signal(1)
    end = time.monotonic() + PATIENCE
    while not any(item["check"] == "rules" and "1 of 1 rules in group site fail, first site: " in item["reason"] for item in lab.failures()):
        assert time.monotonic() < end, lab.failures()
        time.sleep(0.5)
    path.unlink()
    lab.running["vmalert"].send_signal(1)
    lab.becomes([])


def test_no_scraper_then_no_evaluator_then_no_storage(lab):
    """The last test: it ends the programs one by one."""
    lab.running["vmagent"].kill()
    lab.running["vmagent"].wait()
    end = time.monotonic() + PATIENCE
    while "scraper" not in [item["check"] for item in lab.failures()]:
        assert time.monotonic() < end, lab.failures()
        time.sleep(0.5)
    assert not [item for item in lab.failures() if item["node"] != "mon01"]
    lab.running["vmalert"].kill()
    lab.running["vmalert"].wait()
    rules_url = lab.params()["rules_url"]
    assert "cannot reach the rule evaluator at %s/api/v1/rules: refused" % rules_url in [item["reason"] for item in lab.failures()]
    # What fired last is still in the storage.
    status = fleet_status_info.status(lab.params(recording_delay=60))
    assert status["problems"] == ["cannot reach the rule evaluator at %s/api/v1/alerts: refused" % rules_url]
    lab.running["victoria-metrics"].kill()
    lab.running["victoria-metrics"].wait()
    storage_url = lab.params()["storage_url"]
    assert [item["reason"] for item in lab.failures()] == [
        "cannot reach the storage at %s/api/v1/query: refused" % storage_url,
        "cannot reach the rule evaluator at %s/api/v1/rules: refused" % rules_url]
    rows = lab.rows()
    assert rows["gpu1"]["accelerators"] == {"nvidia": {"seen": None, "expected": 8, "source": "textfile"}}
    assert rows["gpu1"]["exporters"] == {"node_exporter": "unknown"}
