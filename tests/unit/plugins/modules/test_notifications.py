# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks routes.yml, silence.yml and test_notification.yml, run by ansible-playbook on this machine, and what they ask Alertmanager.

Stubbed: Alertmanager, by a web server with the parts of its API that are used; the monitoring host, by this machine over a local connection.
Log entries are recorded (tests/fixtures/alertmanager). derived from documentation: the metrics and the API.
"""
import contextlib
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import alertmanager
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.client import Access

ROOT = pathlib.Path(__file__).parents[4]


class Alertmanager:
    """An Alertmanager that keeps silences and alerts, and counts what each receiver gets.

    failing: integrations that refuse everything
    """

    def __init__(self):
        self.silences, self.alerts, self.requests, self.failing = {}, [], [], set()
        self.counts = {kind: [0, 0] for kind in ("slack", "pagerduty", "webhook")}
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, text, status=200):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def do_GET(self):
                if self.path == "/metrics":
                    return self.answer("".join(
                        f'alertmanager_notification_requests_total{{integration="{kind}"}} {tried}\n'
                        f'alertmanager_notification_requests_failed_total{{integration="{kind}"}} {failed}\n' for kind, (tried, failed) in fake.counts.items()))
                return self.answer(json.dumps(list(fake.silences.values())) if "silences" in self.path else "ok")

            def do_POST(self):
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                fake.requests.append((self.path, told))
                if self.path == "/api/v2/silences":
                    name = told.get("id") or f"id{len(fake.requests)}"
                    fake.silences[name] = {**told, "id": name, "status": {"state": "active"}}
                else:
                    fake.alerts += told
                    kind = {"ops": "slack", "oncall": "pagerduty"}.get(told[0]["labels"]["accelmon_test"], "webhook")
                    fake.counts[kind][0] += 1
                    fake.counts[kind][1] += kind in fake.failing
                return self.answer("{}")

            def do_DELETE(self):
                fake.silences[self.path.rpartition("/")[2]]["status"]["state"] = "expired"
                self.answer("{}")

            def log_message(self, *_arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def api(self, *before):
        return alertmanager.Api([*before, self.url], 5, Access())


@pytest.fixture
def manager():
    with contextlib.closing(Alertmanager()) as made:
        yield made


def test_the_same_silence_again_changes_nothing(manager):
    api, ours = manager.api(), {"node": "gpu7"}
    assert alertmanager.create(api, ours, "new fan", "ada", 3600)[0] is True
    assert alertmanager.create(api, ours, "new fan", "ada", 3600)[0] is False
    assert [path for path, _told in manager.requests] == ["/api/v2/silences"] and len(api.silences()) == 1


@pytest.mark.parametrize("change", [{"comment": "new card"}, {"author": "bob"}, {"length": 7200}])
def test_another_reason_person_or_duration_replaces_it(manager, change):
    api, asked = manager.api(), {"comment": "new fan", "author": "ada", "length": 3600}
    alertmanager.create(api, {"node": "gpu7"}, **asked)
    assert alertmanager.create(api, {"node": "gpu7"}, **{**asked, **change})[0] is True
    assert len(api.silences()) == 1 and alertmanager.create(api, {"node": "gpu7"}, **{**asked, **change})[0] is False


def test_a_silence_ends_alone(manager):
    api = manager.api()
    for labels in ({"node": "gpu7"}, {"node": "gpu7", "alertname": "HostDown"}):
        alertmanager.create(api, labels, "new fan", "ada", 3600)
    assert alertmanager.expire(api, {"node": "gpu7"}) == (True, "no longer silent")
    assert alertmanager.expire(api, {"node": "gpu7"}) == (False, "was not silent")
    assert [alertmanager.shown(one)["labels"] for one in api.silences()] == ['alertname="HostDown", node="gpu7"']


def test_check_mode_changes_nothing(manager):
    api = manager.api()
    assert alertmanager.create(api, {"node": "gpu7"}, "new fan", "ada", 60, check_mode=True)[0] is True and not api.silences()
    alertmanager.create(api, {"node": "gpu7"}, "new fan", "ada", 60)
    assert alertmanager.expire(api, {"node": "gpu7"}, check_mode=True)[0] is True and len(api.silences()) == 1


def test_a_silence_by_pattern_is_none_of_ours(manager):
    api = manager.api()
    manager.silences["x"] = {"id": "x", "status": {"state": "active"}, "comment": "c", "createdBy": "u", "startsAt": "2026-11-28T01:00:00.000Z",
                             "endsAt": "2026-11-28T03:00:00.000Z", "matchers": [{"name": "node", "value": "gpu7", "isRegex": True, "isEqual": True}]}
    assert alertmanager.expire(api, {"node": "gpu7"})[0] is False
    assert alertmanager.shown(manager.silences["x"])["labels"] == 'node=~"gpu7"'


def test_the_first_alertmanager_that_answers_is_asked(manager):
    assert manager.api("http://127.0.0.1:1").url == manager.url
    with pytest.raises(Failure, match="cannot reach the alertmanager at http://127.0.0.1:1"):
        alertmanager.Api(["http://127.0.0.1:1"], 1, Access())


LOGS = {path.stem: path.read_text() for path in sorted((ROOT / "tests" / "fixtures" / "alertmanager").glob("*.log"))}


@pytest.mark.parametrize("log", LOGS.values(), ids=list(LOGS))
def test_a_receivers_own_error_is_found_and_holds_no_secret(log):
    assert alertmanager.own_error(log, "bad") == ("bad/slack[0]: notify retry canceled due to unrecoverable error after 1 attempts: "
                                                  "channel '': unexpected status code 404: ok")
    found = alertmanager.own_error(log, "t")
    assert "bot.example.org" in found and "connection refused" in found and "S3cret" not in found
    assert alertmanager.own_error(log, "fine") == alertmanager.own_error(log, "ba") == ""


def test_that_the_api_takes_an_alert_is_no_proof(manager):
    def deliver(log=""):
        return alertmanager.deliver(manager.api(), "ops", "slack", "mon1", lambda _since: log, 3, sleep=lambda _seconds: time.sleep(0.1))
    assert deliver() == {"receiver": "ops", "integration": "slack", "delivered": True, "error": ""}
    assert manager.alerts[0]["labels"]["accelmon_test"] == "ops" and manager.alerts[0]["labels"]["severity"] == "info"
    manager.failing.add("slack")
    found = deliver()
    assert not found["delivered"] and "no attempt succeeded within 3 s" in found["error"]
    found = deliver(LOGS["0.28"].replace("receiver=t ", "receiver=ops "))
    assert not found["delivered"] and "connection refused" in found["error"]


@pytest.fixture
def play(tmp_path, manager):
    """Runs a playbook on an inventory with one node and one monitoring host; (status, output)."""
    (tmp_path / "inventory.json").write_text(json.dumps({"all": {"children": {
        "accelerator_nodes": {"hosts": {"gpu7": {"accelmon_cluster": "west", "accelmon_rack": "r7", "ansible_host": "10.0.0.7",
                                                 "accelmon_labels": {"team": "training"},
                                                 "accelmon_alert_host_overrides": {"ExporterDown": {"severity": "critical"}}}}},
        "monitoring": {"hosts": {"mon1": {
            "ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": sys.executable, "alertmanager_port": manager.port,
            "alertmanager_receivers": [
                {"name": "ops", "type": "slack", "api_url": "https://hooks.example.org/S3cret"},
                {"name": "oncall", "type": "pagerduty", "routing_key": "S3cret", "match": {"severity": "critical"}}],
            "accelmon_label_names": ["team"], "alertmanager_watchdog_urls": ["https://heartbeat.example.org/S3cret"]}}}}}}))

    def run(name, *arguments):
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", "-i", str(tmp_path / "inventory.json"), str(ROOT / "playbooks" / f"{name}.yml"), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=600, check=False, cwd=str(tmp_path),
            env=dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"), ANSIBLE_HOME=str(tmp_path / "home"),
                     ANSIBLE_LOCALHOST_WARNING="0", ANSIBLE_FORCE_COLOR="0", ANSIBLE_NOCOWS="1"))
        assert "S3cret" not in done.stdout
        return done.returncode, done.stdout
    return run


def test_routes_says_who_is_told(play):
    code, out = play("routes", "-e", "accelmon_alert=HostDown,node=gpu7")
    assert code == 0 and "cluster=west, node=gpu7, rack=r7, scope=node, severity=critical, team=training: goes to" in out
    assert "  ops (slack): gets every alert" in out and "  oncall (pagerduty): asks for severity=critical" in out
    code, out = play("routes", "-e", "accelmon_alert=ExporterDown,node=gpu7,rack=r8")
    assert code == 0 and "rack=r8, scope=exporter, severity=critical, team=training" in out and "oncall" in out
    code, out = play("routes", "-e", "accelmon_alert=Watchdog", "-e", "accelmon_output=json")
    assert code == 0 and '"watchdog-1"' in out and '"ops"' not in out
    code, out = play("routes", "-e", '{"accelmon_alert": {"alertname": "HostDwn"}}')
    assert code == 2 and "HostDwn is no alert; did you mean HostDown?" in out


def test_silence_silences_once_and_ends(play, manager):
    asked = ("silence", "-e", "accelmon_silence=node=gpu7", "-e", "accelmon_silence_comment='new fan'", "-e", "accelmon_silence_by=ada")
    code, out = play(*asked)
    assert code == 0 and "changed=1" in out
    code, out = play(*asked)
    assert code == 0 and "changed=0" in out and "already silent until" in out and "(ada: new fan)" in out
    assert [one["createdBy"] for one in manager.silences.values()] == ["ada"]
    code, out = play("silence", "-e", "accelmon_silence=node=gpu7", "-e", "accelmon_silence_action=expire")
    assert code == 0 and "changed=1" in out and "no silences" in out


def test_a_silence_from_a_survey_is_by_whoever_launched_the_job(play, manager):
    code, out = play("silence", "-e", json.dumps({"accelmon_silence": "node=gpu7", "accelmon_silence_comment": "new fan", "accelmon_silence_for": "",
                                                  "awx_user_name": "grace", "awx_job_id": 7, "tower_user_name": "grace"}))
    assert code == 0 and "changed=1" in out
    assert [one["createdBy"] for one in manager.silences.values()] == ["grace"]


@pytest.mark.parametrize("arguments,words", [
    (["-e", "accelmon_silence=node=gpu8", "-e", "accelmon_silence_comment=x"], "gpu8 is not in the inventory; did you mean gpu7?"),
    (["-e", "accelmon_silence=node=gpu7"], "accelmon_silence_comment = '': "),
    (["-e", "accelmon_silence_comment=x"], "accelmon_silence = '': no alert is named"),
    (["-e", "accelmon_silence=node=gpu7", "-e", "accelmon_silence_for=soon"], "accelmon_silence_for = soon: not a duration")])
def test_a_silence_that_would_mute_nothing_is_refused(play, manager, arguments, words):
    code, out = play("silence", *arguments)
    assert code == 2 and words in out and not manager.requests


def test_test_notification_names_each_receiver(play, manager):
    code, out = play("test_notification")
    assert code == 0 and "mon1: ops (slack): delivered" in out and "mon1: watchdog-1 (webhook): delivered" in out
    assert [one["labels"]["accelmon_test"] for one in manager.alerts] == ["ops", "oncall", "watchdog-1"]
