# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""report.yml, run by ansible-playbook on this machine, and the module that it calls.

Stubbed: storage and rule evaluator as in test_fleet_modules, and their answers about devices, which are guessed; the monitoring host, by this
machine over a local connection. The playbook is used as it is but for its folders.
"""
import contextlib
import json
import os
import stat

import pytest
import test_fleet_modules
from ansible_collections.accelmon.fleet.tests.unit.plugins.mail_server import mail_server
from ansible_collections.accelmon.fleet.tests.unit.plugins.report_samples import VIEWS
from test_fleet_playbooks import ROOT, Playbooks, shown

EVIL = "</td><script>alert(1)</script>{{ 1 + 1 }}"


class Services(test_fleet_modules.Services):
    """The recorded fleet, with readings of its devices."""

    @staticmethod
    def name(path, query):
        if path == "/api/v1/query_range":
            return "power" if "power" in query else "nothing"
        if path == "/api/v1/query" and not query.startswith(tuple(test_fleet_modules.QUERIES)):
            return query.partition("{")[0]
        return test_fleet_modules.Services.name(path, query)

    def text(self, name):
        device = {"cluster": "demo", "node": "gpu1", "vendor": "nvidia", "uuid": "", "model": EVIL}
        vectors = {
            "accelerator_info": [({**device, "index": str(index)}, 1) for index in range(7)],
            "accelerator_utilization_ratio": [({**device, "index": str(index)}, index / 7) for index in range(6)],
            "accelerator_errors_total": [({**device, "index": "2", "kind": "xid", "code": "79"}, 2)]}
        if name in ("power", "nothing"):
            end = int(self.queries[-1][1]["end"][0])
            rows = [{"metric": {"cluster": "demo", "vendor": "nvidia"}, "values": [[end - 900, "3600"], [end, "3600"]]}]
            return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": rows if name == "power" else []}})
        if name.startswith("accelerator_"):
            rows = [{"metric": labels, "value": [1, str(value)]} for labels, value in vectors.get(name, ())]
            return json.dumps({"status": "success", "data": {"resultType": "vector", "result": rows}})
        # The recorded alerts have no texts.
        return super().text(name).replace('"annotations": {}', '"annotations": {"summary": "it is so", "action": "look"}')


@pytest.fixture(name="services")
def _services(tmp_path):
    services = Services(tmp_path)
    with contextlib.closing(services):
        yield services


@pytest.fixture(name="playbooks")
def _playbooks(tmp_path, services):
    playbooks = Playbooks(tmp_path, services)
    text = (ROOT / "playbooks" / "report.yml").read_text()
    module = "        module: accelmon.fleet.fleet_report_info\n        options:\n"
    assert text.count(module) == text.count("/var/lib/accelmon/report\n") == 1
    text = text.replace(module, f"{module}          state_dir: {services.state_dir}\n").replace("/var/lib/accelmon/report\n", f"{tmp_path}/kept\n")
    (tmp_path / "report.yml").write_text(text.replace("owner: root", f"owner: {os.getuid()}").replace("group: root", f"group: {os.getgid()}"))
    return playbooks


def test_the_page_is_kept_and_fetched_and_the_workflow_gets_the_answer(playbooks, services):
    folder, file = playbooks.folder / "kept", playbooks.folder / "fleet.html"
    code, out = playbooks.run("report", "--diff", accelmon_report_file=str(file))
    assert code == 0, out
    assert len([name for name, form in services.queries if "accelerator_health_score" in form.get("query", [""])[0]]) == 1
    assert "<script" not in out and shown(out) == [
        "No. Something needs attention now.", "2 critical alerts fire", "5 of 12 accelerators are missing", "1 node down: gpu2",
        f"report: mon01:{folder}/report.html"]
    page = (folder / "report.html").read_text()
    assert file.read_text() == page and "<script" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;{{ 1 + 1 }}" in page
    document = json.loads((folder / "report.json").read_text())
    assert document["monitoring_host"] == "mon01" and len(document["devices"]) == 7 and document["totals"]["energy_joules"] == 3600 * 1800
    assert [error["code"] for error in document["errors"]] == ["79"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "report.html", folder / "report.json", file)] == [0o700, 0o600, 0o600, 0o600]
    stats = json.JSONDecoder().raw_decode(out[out.index("{", out.index("RUN: ", out.index("CUSTOM STATS"))):])[0]["accelmon_report"]
    assert stats["state"] == "critical" and stats["file"] == str(file) and stats["kept"] == {"mon01": f"{folder}/report.html"}


def test_the_report_is_mailed_to_a_receiver_of_alerts(playbooks):
    with mail_server() as server:
        receivers = [{"name": "chat", "type": "slack", "api_url": "https://hooks.example.org/x"},
                     {"name": "ops", "type": "email", "to": "ops@example.org", "from": "mon@example.org", "smarthost": server.place, "require_tls": False,
                      "username": "mon", "password": "geheim"}]
        code, out = playbooks.run("report", "-vv", accelmon_report_mail="ops", alertmanager_receivers=receivers)
        assert code == 0 and "geheim" not in out, out
        (to, message), = server.mails
        assert to == ["TO:<ops@example.org>"] and message["Subject"] == "Is everything all right with the accelerators? No. Something needs attention now."
        assert message.get_body().get_content().splitlines()[:2] == ["No. Something needs attention now.", "2 critical alerts fire"]
        (page,) = message.iter_attachments()
        assert page.get_content().rstrip() == (playbooks.folder / "kept" / "report.html").read_text().rstrip()
        code, out = playbooks.run("report", "--check", accelmon_report_mail="ops", alertmanager_receivers=receivers)
        assert code == 0 and len(server.mails) == 1, out
    code, out = playbooks.run("report", accelmon_report_mail="chat", alertmanager_receivers=receivers)
    assert code == 2 and "accelmon_report_mail = chat: alertmanager_receivers has no such receiver of type email; name one of ops" in out


def test_in_check_mode_only_the_file_that_was_asked_for_is_written_here_as_json(playbooks):
    file = playbooks.folder / "fleet.json"
    code, out = playbooks.run("report", "--check", "--limit", "gpu1", accelmon_report_file=str(file), accelmon_output="json")
    assert code == 0, out
    document = json.loads(file.read_text())
    assert shown(out) == document and [row["node"] for row in document["nodes"]] == ["gpu1"] and not (playbooks.folder / "kept").exists()


def test_without_a_registry_nothing_is_kept(playbooks, services):
    (services.state_dir / "demo.json").unlink()
    code, out = playbooks.run("report")
    assert code == 0, out
    assert shown(out) == ["Not known. The report is incomplete.", f"the registry {services.state_dir} is empty; run site.yml"]
    assert not (playbooks.folder / "kept").exists()


def test_without_a_monitoring_host_there_is_a_clear_error(playbooks):
    code, out = playbooks.run("report", inventory="none.yml")
    assert code == 2 and "group monitoring is empty or missing; add the host that stores, scrapes and alerts" in out


def test_without_storage_the_registry_is_reported(services):
    services.broken = {"up"}
    report = services.run("fleet_report_info", views=VIEWS, monitoring_host="mon01")["report"]
    assert report["totals"]["present"] is None and report["totals"]["expected"] == 12 and report["devices"] == []
    assert report["answer"]["state"] == "critical" and any("answers HTTP 500" in reason for reason in report["answer"]["reasons"])


def test_where_no_rules_are_evaluated_alerts_are_not_known(services, monkeypatch):
    """The evaluator answers that nothing fires, not even the alert that always does."""
    told = services.text
    monkeypatch.setattr(services, "text", lambda name: '{"status": "success", "data": {"alerts": []}}' if name == "alerts" else told(name))
    report = services.run("fleet_report_info", views=VIEWS, monitoring_host="mon01")["report"]
    assert report["alerts"] == [] and report["totals"]["critical_alerts"] is None and report["totals"]["warnings"] is None
    assert report["problems"] == ["no rules are evaluated: the alert Watchdog, which must always fire, does not; run verify.yml to learn why"]


def test_a_storage_that_stops_answering_halfway_costs_what_comes_after(services):
    services.broken = {"accelerator_temperature_celsius"}
    report = services.run("fleet_report_info", views=VIEWS, monitoring_host="mon01")["report"]
    assert len(report["devices"]) == 7 and {device["temperature"] for device in report["devices"]} == {None}
    assert len(report["problems"]) == 1 and "answers HTTP 500" in report["problems"][0]


def test_alerts_have_their_texts_and_without_evaluator_their_names(services):
    found = services.run("fleet_report_info", views=VIEWS, monitoring_host="mon01")["report"]["alerts"]
    assert {alert["name"]: bool(alert["summary"] and alert["since"]) for alert in found} == {"AcceleratorMissing": True, "HostDown": True}
    services.broken = {"alerts"}
    found = services.run("fleet_report_info", views=VIEWS, monitoring_host="mon01")["report"]["alerts"]
    assert [(alert["name"], alert["summary"], alert["since"]) for alert in found] == [("HostDown", "", "")]
