# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""fleet_verify_info and fleet_status_info as Ansible runs them: a process of their own, parameters in, JSON out.

Stubbed: storage and rule evaluator, by a web server that gives answers recorded from the real ones
(tests/fixtures/api: two nodes; gpu1 has lost a device, gpu2's exporter is stopped). Dialling is real: nothing listens on
the port that the registry has for gpu2.
"""
import base64
import contextlib
import http.server
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import parse_qs

import pytest

FIXTURES = pathlib.Path(__file__).parents[3] / "fixtures" / "api"
MODULES = "ansible_collections.accelmon.fleet.plugins.modules."
# How each query begins that the modules send.
QUERIES = {
    "last_over_time(up{": "up",
    "count by (": "devices",
    "(max by (cluster, node) (last_over_time(node_time_seconds": "collector_age",
    "last_over_time(accelmon_fleet_generation": "generations",
    "max by (cluster, node, result) (min_over_time(accelmon_collector_job_files": "job_files",
    "last_over_time(accelmon_collector_job_file_problem": "job_file_problems",
    "last_over_time(accelerator_info": "lost",
    "last_over_time(ALERTS": "alerts_series",
    "min by (cluster, node, vendor, index, uuid) (last_over_time(accelerator_health_score": "health",
    "last_over_time(slurm_node_drain_decision_info": "drains",
    "last_over_time(accelerator_error_last_timestamp_seconds": "error_times",
    "last_over_time(accelerator_errors_total": "error_counts",
}
# guessed: what vmalert writes while the two alerts fire.
ALERTS_SERIES = {"status": "success", "data": {"resultType": "vector", "result": [
    {"metric": {"__name__": "ALERTS", "alertname": "HostDown", "alertstate": "firing", "cluster": "demo", "node": "gpu2"}, "value": [1, "1"]}]}}


def error(value, **labels):
    device = {"cluster": "demo", "node": "gpu1", "vendor": "nvidia", "pci_bus_id": "0000:01:00.0", "kind": "xid"}
    return {"metric": dict(device, **labels), "value": [1, str(value)]}


# guessed: errors as the rules record them. One was seen by an exporter alone, and one is older than a day.
ERRORS = {
    "error_times": [error(int(time.time()) - 60, code="79", index="3", uuid="GPU-3"), error(int(time.time()) - 90000, code="31")],
    # The host came to another rack meanwhile.
    "error_counts": [error(1, code="79", index="3", uuid="GPU-3", rack="r1"), error(2, code="79", index="3", uuid="GPU-3", rack="r2"),
                     error(9, code="31"), error(1, code="48", pci_bus_id="0000:02:00.0"), error(1, code="48", node="gpu9")],
}


class Services:
    """Storage, rule evaluator, alertmanager and registry of the recorded fleet; `broken` answers HTTP 500.

    password: if set, whoever does not bring it as the user accelmon gets HTTP 401
    received: alerts that the alertmanager has
    """

    def __init__(self, folder):
        self.broken, self.queries, self.password = set(), [], ""
        self.unwell, self.drains = [], []
        self.received = [{"labels": {"alertname": "Watchdog"}}]
        self.holder = socket.socket()
        self.holder.bind(("127.0.0.1", 0))
        self.dead_port = self.holder.getsockname()[1]
        self.state_dir = folder / "registry"
        self.state_dir.mkdir()
        (self.state_dir / "demo.json").write_text(self.text("registry"))
        (self.state_dir / "demo.lock").touch()
        services = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                wanted = "Basic " + base64.b64encode(("accelmon:" + services.password).encode()).decode()
                if services.password and self.headers.get("Authorization") != wanted:
                    self.send_response(401)
                    self.end_headers()
                    return
                form = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
                query = form.get("query", [""])[0]
                name = services.name(self.path, query)
                services.queries.append((name, form))
                self.send_response(500 if name in services.broken else 200)
                self.end_headers()
                self.wfile.write(services.text(name).encode())

            do_GET = do_POST = answer

            def log_message(self, *_args):
                """Keep the test's output clean."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @staticmethod
    def name(path, query):
        """The fixture that answers this request."""
        if path == "/api/v1/query":
            return next(name for start, name in QUERIES.items() if query.startswith(start))
        return "received" if path.startswith("/api/v2/alerts?") else path.rpartition("/")[2]

    def text(self, name):
        if name == "alerts_series":
            return json.dumps(ALERTS_SERIES)
        if name in ("job_files", "job_file_problems"):
            return json.dumps({"status": "success", "data": {"resultType": "vector", "result": []}})
        if name in ("health", "drains"):
            return json.dumps({"status": "success", "data": {"resultType": "vector", "result": self.unwell if name == "health" else self.drains}})
        if name in ERRORS:
            return json.dumps({"status": "success", "data": {"resultType": "vector", "result": ERRORS[name]}})
        if name in ("received", "metrics"):
            return json.dumps(self.received)
        return (FIXTURES / (name + ".json")).read_text().replace("19102", str(self.dead_port))

    def run(self, module, **options):
        """The result of one run of the module."""
        nothing = str(self.state_dir / "none")
        args = dict({"password_file": nothing, "ca_file": nothing, "state_dir": str(self.state_dir), "storage_url": self.url, "rules_url": self.url}, **options)
        done = subprocess.run(
            [sys.executable, "-m", MODULES + module], input=json.dumps({"ANSIBLE_MODULE_ARGS": args}),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=600, check=False,
            env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)))
        assert done.stderr == "", done.stderr
        return json.loads(done.stdout)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.holder.close()


@pytest.fixture(name="services")
def _services(tmp_path):
    services = Services(tmp_path)
    with contextlib.closing(services):
        yield services


def test_verify_gives_failures_counts_and_a_report(services):
    result = services.run("fleet_verify_info", monitoring_host="mon01", inventory_hosts=["gpu1", "gpu2"], rule_groups=["accelmon_alerts"])
    assert result["ok"] is False and result["changed"] is False and result["notes"] == []
    assert [(item["cluster"], item["node"], item["check"]) for item in result["failures"]] == [
        ("demo", "gpu1", "devices"), ("demo", "gpu2", "target")]
    assert [item["line"] for item in result["failures"]] == [
        "gpu1: 7 of 8 nvidia accelerators fresh; gone: index 7 (GPU-7); repair it, or run accept_devices.yml --limit gpu1 if it is gone for good",
        "gpu2: connection refused on 127.0.0.1:%d (node_exporter not running there); start it on gpu2; site.yml --limit gpu2 does" % services.dead_port]
    assert result["report"].splitlines()[1:] == [item["line"] for item in result["failures"]]
    assert result["counts"]["accelerators_expected"] == 12 and result["counts"]["accelerators_fresh"] == 7
    assert all(form["latency_offset"] == ["1s"] for name, form in services.queries if form)


def test_verify_of_some_nodes(services):
    assert [item["node"] for item in services.run("fleet_verify_info", hosts=["gpu2"])["failures"]] == ["gpu2"]


def test_verify_in_check_mode_is_the_same(services):
    both = [services.run("fleet_verify_info", monitoring_host="mon01", _ansible_check_mode=mode)["failures"] for mode in (False, True)]
    assert both[0] == both[1] and both[0]


def test_verify_waits_and_tries_again(services):
    services.run("fleet_verify_info", wait=1)
    assert [name for name, _form in services.queries].count("up") == 2


def test_verify_without_registry(services, tmp_path):
    assert services.run("fleet_verify_info", monitoring_host="mon01", state_dir=str(tmp_path / "no"))["failures"][0]["line"] == (
        "mon01: cannot read the registry %s/no: no such file or directory; run site.yml" % tmp_path)
    line = services.run("fleet_verify_info", monitoring_host="mon01", clusters=["west"])["failures"][0]["line"]
    assert line == "mon01: cannot read the registry file %s/west.json: no such file or directory; run site.yml" % services.state_dir


def test_verify_without_storage_and_evaluator(services):
    services.broken = {"up", "rules"}
    result = services.run("fleet_verify_info", monitoring_host="mon01")
    assert [item["line"].split("; ")[0] for item in result["failures"]] == [
        "mon01: the storage at %s/api/v1/query answers HTTP 500" % services.url,
        "mon01: the rule evaluator at %s/api/v1/rules answers HTTP 500" % services.url]


def test_verify_names_no_devices_if_the_storage_breaks_meanwhile(services):
    services.broken = {"lost"}
    assert services.run("fleet_verify_info")["failures"][0]["reason"] == "7 of 8 nvidia accelerators fresh"


@pytest.mark.parametrize("module", ["fleet_verify_info", "fleet_status_info"])
@pytest.mark.parametrize("interval", ["soon", "15x", "0s", "", "15 s", "1h m"])
def test_a_bad_interval_is_refused(services, module, interval):
    result = services.run(module, interval=interval)
    assert result["failed"] and result["msg"].startswith(
        "interval = %s: %s" % (interval, "must be more than 0s" if interval == "0s" else "not a duration; use a number with a unit"))


def test_status_gives_rows_table_and_totals(services):
    result = services.run("fleet_status_info")
    assert [(row["node"], row["state"], row["alerts"]) for row in result["rows"]] == [
        ("gpu2", "down", ["HostDown"]), ("gpu1", "active", ["AcceleratorMissing"])]
    assert result["table"].splitlines() == [
        "NODE  ADDRESS    ACCELERATORS         EXPORTERS           STATE   ALERTS",
        "gpu2  127.0.0.1  nvidia 0/4 textfile  node_exporter down  down    HostDown",
        "gpu1  127.0.0.1  nvidia 7/8 textfile  node_exporter up    active  AcceleratorMissing"]
    assert result["summary"] == "2 nodes: 1 active, 1 down; accelerators nvidia 7/12; 2 alerts"
    assert result["problems"] == [] and result["fleet_alerts"] == [] and result["changed"] is False


def test_status_names_the_devices_that_are_not_well(services):
    services.unwell = [{"metric": {"cluster": "demo", "node": "gpu1", "vendor": "nvidia", "index": str(index)}, "value": [1, str(score)]}
                       for index, score in ((0, 70), (3, 0), (11, 40), (2, 40))]
    result = services.run("fleet_status_info", sort="name")
    assert [one["index"] for one in result["rows"][0]["health"]] == ["3", "2", "11", "0"] and "health" not in result["rows"][1]
    assert [line.split("active  ")[-1].split("down    ")[-1] for line in result["table"].splitlines()[1:]] == [
        "0 (nvidia 3), 40 (nvidia 2), 40 (nvidia 11), 1 more  AcceleratorMissing", "-" + " " * 52 + "HostDown"]
    assert result["table"].splitlines()[0].split()[-2:] == ["HEALTH", "ALERTS"]


def test_status_says_what_the_slurm_controller_decides(services):
    services.drains = [
        {"metric": {"cluster": "demo", "node": "gpu1", "action": "blocked", "cause": "device_missing", "why": "mass"}, "value": [1, "1"]},
        {"metric": {"cluster": "demo", "node": "gpu9", "action": "drain", "cause": "error", "why": ""}, "value": [1, "1"]}]
    result = services.run("fleet_status_info", sort="name")
    assert result["rows"][0]["drain"] == {"action": "blocked", "cause": "device_missing", "why": "mass"} and "drain" not in result["rows"][1]
    assert result["table"].splitlines()[0].split()[-2:] == ["SLURM", "ALERTS"]
    assert "  not drained: device_missing (mass)  AcceleratorMissing" in result["table"] and "  -" + " " * 35 + "HostDown" in result["table"]


def test_status_by_name_and_of_some_nodes(services):
    assert [row["node"] for row in services.run("fleet_status_info", sort="name")["rows"]] == ["gpu1", "gpu2"]
    result = services.run("fleet_status_info", hosts=["gpu1"], only_problems=True)
    assert [row["node"] for row in result["rows"]] == ["gpu1"] and result["totals"]["nodes"] == 1


def test_status_finds_what_fires_since_when_and_the_errors_of_a_day(services):
    result = services.run("fleet_status_info", hosts=["gpu1"], findings=True)
    assert [one["row"]["node"] for one in result["findings"]] == ["gpu1"] and result["problems"] == []
    found = result["findings"][0]
    assert [(alert["alert"], alert["severity"]) for alert in found["alerts"]] == [("AcceleratorMissing", "critical")]
    assert found["alerts"][0]["since"] == "2026-11-21T03:12:54Z"
    assert [(one["code"], one["count"], one["last"] is None, one.get("uuid")) for one in found["errors"]] == [("79", 2, False, "GPU-3"), ("48", 1, True, None)]
    assert "findings" not in services.run("fleet_status_info")


def test_status_says_that_findings_are_not_known(services):
    services.broken = {"error_counts"}
    result = services.run("fleet_status_info", hosts=["gpu1"], findings=True)
    assert result["findings"][0]["alerts"] is None and result["findings"][0]["errors"] is None
    assert result["problems"] == ["the storage at %s/api/v1/query answers HTTP 500" % services.url]


def test_status_takes_alerts_from_the_storage_if_the_evaluator_is_away(services):
    services.broken = {"alerts"}
    result = services.run("fleet_status_info")
    assert [row["alerts"] for row in result["rows"]] == [["HostDown"], []]
    assert result["problems"] == ["the rule evaluator at %s/api/v1/alerts answers HTTP 500" % services.url]


def test_status_if_the_storage_breaks_while_it_is_asked_for_alerts(services):
    services.broken = {"alerts", "alerts_series"}
    result = services.run("fleet_status_info")
    assert len(result["problems"]) == 1 and [row["alerts"] for row in result["rows"]] == [[], []]


def test_status_without_storage_lists_the_registry(services):
    services.broken = {"up"}
    result = services.run("fleet_status_info")
    assert result["problems"] == ["the storage at %s/api/v1/query answers HTTP 500" % services.url]
    assert "nvidia ?/8" in result["table"] and [row["state"] for row in result["rows"]] == ["active", "active"]


def test_a_damaged_registry_is_named(services):
    path = services.state_dir / "demo.json"
    for text, words in ((b"{", "not JSON"), (b"\xff", "not text"), (b"[]", "not a fleet registry")):
        path.write_bytes(text)
        result = services.run("fleet_verify_info", monitoring_host="mon01")
        assert result["failures"][0]["line"].startswith("mon01: registry %s: %s" % (path, words)) and result["failures"][0]["fix"]
    assert str(path) in services.run("fleet_status_info")["problems"][0]


def test_an_empty_registry_says_so(services):
    (services.state_dir / "demo.json").unlink()
    line = services.run("fleet_verify_info", monitoring_host="mon01")["failures"][0]["line"]
    assert line == "mon01: the registry %s is empty; run site.yml" % services.state_dir


def test_verify_asks_whether_the_alerts_arrive(services):
    line = "mon01: the alert Watchdog does not arrive at the Alertmanager at %s; wait for one evaluation" % services.url
    options = {"monitoring_host": "mon01", "alertmanager_urls": [services.url]}

    def of_alertmanager():
        return [item["line"] for item in services.run("fleet_verify_info", **options)["failures"] if item["check"] == "alertmanager"]
    assert of_alertmanager() == []
    services.received = []
    assert [found.startswith(line) for found in of_alertmanager()] == [True]
    services.broken = {"received"}
    assert "answers HTTP 500" in of_alertmanager()[0]


@pytest.mark.parametrize("module", ["fleet_status_info", "fleet_verify_info"])
def test_both_bring_the_password_where_there_is_one(services, module, tmp_path):
    services.password = "the password"
    (tmp_path / "password").write_text("the password\n")
    told = json.dumps(services.run(module, password_file=str(tmp_path / "password")))
    assert "HTTP 401" not in told and "the password" not in told
    assert "answers HTTP 401" in json.dumps(services.run(module))


@pytest.mark.parametrize("body, line", [
    (b'{"database": "ok", "version": "12.1.0"}', None), (b"<html>", "mon01: the Grafana at %s/api/health does not respond like its API; another service"),
    (None, "mon01: the Grafana at %s/api/health answers HTTP 503; check its log on mon01"),
    ("stopped", "mon01: cannot reach the Grafana at %s/api/health: refused; start it on mon01")])
def test_verify_says_that_grafana_is_down(services, body, line):
    """None: as it answers when its database does not."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            assert self.path == "/grafana/api/health" and "Authorization" not in self.headers
            self.send_response(200 if body else 503)
            self.end_headers()
            self.wfile.write(body or b'{"database": "failing"}')

        def log_message(self, *_arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}/grafana"
        if body == "stopped":
            server.server_close()
        else:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        found = [item["line"] for item in services.run("fleet_verify_info", monitoring_host="mon01", stack_urls={"grafana": url})["failures"]
                 if item["check"] == "grafana"]
        if body != "stopped":
            server.shutdown()
    assert [one.startswith(line % url) for one in found] == ([True] if line else []), found


def test_verify_says_which_listener_of_the_stack_is_open(services, tmp_path):
    services.password = "the password"
    (tmp_path / "password").write_text("the password")
    options = {"monitoring_host": "mon01", "stack_urls": {"vmagent": services.url}, "password_file": str(tmp_path / "password")}

    def of_access():
        return [item["line"] for item in services.run("fleet_verify_info", **options)["failures"] if item["check"] == "access"]
    assert of_access() == []
    services.password = ""
    assert of_access() == ["mon01: vmagent at %s answers HTTP 200 without a password; run site.yml --limit mon01; if this persists, "
                           "another service listens there, or a version that only protects some paths" % services.url]
