# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How fleet_verify_info tells an exporter that lets strangers in. Stubbed: the dialling, which answers as the test says."""

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import dial, verdict
from ansible_collections.accelmon.fleet.plugins.modules import fleet_verify_info

TARGET = ("10.0.0.7", 9100, "https", "/metrics")
PLAIN = ("10.0.0.7", 9100, "http", "/metrics")


def fleet(scheme="https", status="active", **more):
    exporter = dict({"job": "node_exporter", "port": 9100, "scheme": scheme, "path": "/metrics"}, **more)
    return {"west": {"hosts": {"gpu7": {"address": "10.0.0.7", "status": status, "exporters": [exporter]}}}}


def found(monkeypatch, answers, clusters, down=()):
    def answer(targets, timeout, budget):
        return {target: answers[target] for target in targets}
    monkeypatch.setattr(dial, "dial_all", answer)
    params = {"hosts": None, "dial_timeout": 2, "dial_budget": 60}
    return fleet_verify_info.open_targets(params, clusters, set(down))


@pytest.mark.parametrize("plain, bare, words", [
    (("http", "400"), ("tls", "ALERT"), None),
    (("not_http", ""), ("not_http", "reset"), None),
    (("refused", ""), ("timeout", ""), None),
    (("ok", "200"), ("tls", ""), "answers plain HTTP"),
    (("http", "401"), ("tls", ""), "answers plain HTTP"),
    (("http", "400"), ("ok", "200"), "answers a client without a certificate"),
    (("http", "400"), ("http", "401"), "answers a client without a certificate"),
])
def test_an_exporter_with_tls(monkeypatch, plain, bare, words):
    answers = {PLAIN: plain, TARGET: bare}
    assert found(monkeypatch, answers, fleet(requires=["certificate"])) == ({TARGET: words} if words else {})


@pytest.mark.parametrize("answer, words", [(("http", "401"), None), (("ok", "200"), "answers without a password")])
def test_an_exporter_with_a_password_alone(monkeypatch, answer, words):
    assert found(monkeypatch, {PLAIN: answer}, fleet("http", requires=["password"])) == ({PLAIN: words} if words else {})


def test_who_is_not_asked(monkeypatch):
    nobody = {}
    assert found(monkeypatch, nobody, fleet("http")) == {}
    assert found(monkeypatch, nobody, fleet(custom=True)) == {}
    assert found(monkeypatch, nobody, fleet(status="maintenance")) == {}
    assert found(monkeypatch, nobody, fleet(), down=[TARGET]) == {}
    assert found(monkeypatch, {PLAIN: ("http", "400")}, fleet()) == {}


def test_each_exporter_is_asked_for_what_its_own_host_requires(monkeypatch):
    clusters = fleet("http", requires=["password"])
    clusters["east"] = {"hosts": {"gpu8": dict(clusters["west"]["hosts"]["gpu7"], address="10.0.0.8", exporters=[
        {"job": "node_exporter", "port": 9100, "scheme": "http", "path": "/metrics"}])}}
    open_to_all = {PLAIN: ("ok", "200"), ("10.0.0.8",) + PLAIN[1:]: ("ok", "200")}
    assert found(monkeypatch, open_to_all, clusters) == {PLAIN: "answers without a password"}


def test_the_line_names_host_and_fix():
    seen = dict(verdict.empty_seen(), open_targets={TARGET: "answers plain HTTP"})
    item = verdict.open_failures("west", "gpu7", fleet()["west"]["hosts"]["gpu7"], seen)[0]
    assert verdict.finish([item], False)[0]["line"] == (
        "gpu7: node_exporter on 10.0.0.7:9100 answers plain HTTP; run site.yml --limit gpu7; if this persists, another service listens there")
