# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""query: what is asked of storage and rule evaluator, and what is said when they do not answer as they should.

Stubbed: the services, by a small HTTP server that gives the answers written here.
"""
import http.server
import json
import random
import re
import socket
import ssl
import threading
from urllib.error import URLError
from urllib.parse import parse_qs

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import compare, query, report, view
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.compare import comparisons

# What VictoriaMetrics takes unless its flag -search.maxQueryLen says otherwise.
LONGEST = 16384
MANY = {
    "numbers": [f"gpu{number:04d}" for number in range(1, 2001)],
    "numbers without zeros": [f"node{number}" for number in range(2000)],
    "racks": [f"dgx-h100-r{rack:02d}-n{place:02d}.cluster.example.org" for rack in range(1, 101) for place in range(1, 21)],
}


class Api:
    """A server with one answer for everything; `asked` holds the path and the form of the requests."""

    def __init__(self):
        self.status, self.body, self.asked = 200, b"", []
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                api.asked.append((self.command, self.path, parse_qs(form)))
                self.send_response(api.status)
                self.end_headers()
                self.wfile.write(api.body)

            do_GET = do_POST = answer

            def log_message(self, *_args):
                """Keep the test's output clean."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def says(self, data, status=200):
        self.status, self.body = status, data if isinstance(data, bytes) else json.dumps(data).encode()


@pytest.fixture(name="api")
def _api():
    api = Api()
    yield api
    api.server.shutdown()
    api.server.server_close()


def vector(*rows):
    return {"status": "success", "data": {"resultType": "vector", "result": [
        {"metric": labels, "value": [1795229324, value]} for labels, value in rows]}}


def test_an_instant_query_asks_for_the_present_and_reads_labels_and_values(api):
    api.says(vector(({"node": "gpu7"}, "1"), ({"node": "gpu8"}, "0.5")))
    assert query.instant_query(api.url + "/", "up", 5, now=1000.5) == [({"node": "gpu7"}, 1.0), ({"node": "gpu8"}, 0.5)]
    assert api.asked == [("POST", "/api/v1/query", {"query": ["up"], "time": ["1000.500"], "latency_offset": ["1s"]})]


@pytest.mark.parametrize("names, wanted", [
    (["west", "east"], 'cluster=~"east|west"'),
    (["a.b+c"], 'cluster=~"a\\\\.b\\\\+c"'),
    (['q"b\\'], 'cluster=~"q\\"b\\\\\\\\"'),
])
def test_names_are_safe_in_a_query(names, wanted):
    assert query.matcher("cluster", names) == wanted


def names_of(matcher, names):
    """Those of the names that a matcher of nodes finds."""
    pattern = re.fullmatch('node=~"(.*)"', matcher, re.S).group(1)
    return {name for name in names if re.fullmatch(json.loads(f'"{pattern}"'), name)}


@pytest.mark.parametrize("names", [*MANY.values(), random.Random(7).sample([f"gpu{number:05d}" for number in range(10000)], 500),
                                   ["a", "ab", "abc", "b]", "b-", "b^", "b\\", 'b"', "b.", "bé", "b\n", "x" * 900], ["x" * 300, "y" * 300, "z" * 300]],
                         ids=lambda names: names[0][:20])
def test_many_names_are_one_pattern_of_the_same_names(names):
    others = [f"gpu{number:05d}" for number in range(0, 10000, 9)] + [f"gpu{number:04d}" for number in range(0, 10000, 9)] + [
        name[:-1] for name in names] + [name + "0" for name in names] + ["", "c", "b", "b_", "node2000", "dgx-h100-r01-n21.cluster.example.org"]
    assert names_of(query.matcher("node", names), {*names, *others}) == set(names)


@pytest.mark.parametrize("names", MANY.values(), ids=MANY)
def test_every_query_about_thousands_of_nodes_is_one_that_victoriametrics_takes(monkeypatch, names):
    asked, questions = [], comparisons()
    questions["present"] = dict.fromkeys(questions["present"], "present")

    def ask(expression, *_times):
        asked.append(expression)
        return [({"cluster": "west", "node": name}, 1.0) for name in names] if expression == "present" else []

    monkeypatch.setattr(view, "asking", lambda _params: (ask, ask))
    params = {"interval": "15s", "fresh_intervals": 4, "recording_delay": 60}
    view.lost_devices(params, {("west", name) for name in names})
    view.device_errors(params, {"west": {"hosts": dict.fromkeys(names)}})
    compare.observe(ask, questions, [], None)
    views = load("views")
    assert report.observe(report.no_answers(views, 1e9), views, "up", ask, ask, ["west"], names) == []
    assert len(asked) > 50 and max(map(len, asked)) <= LONGEST


def test_a_range_query_gives_moments_and_values(api):
    api.says({"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {"vendor": "amd"}, "values": [[900, "1"], [2700, "3.5"]]}]}})
    assert query.range_query(api.url, "x", 5, 900, 2700, 900) == [({"vendor": "amd"}, [(900.0, 1.0), (2700.0, 3.5)])]
    assert api.asked == [("POST", "/api/v1/query_range", {
        "query": ["x"], "start": ["900"], "end": ["2700"], "step": ["900s"], "nocache": ["1"], "latency_offset": ["1s"]})]
    api.says(vector())
    with pytest.raises(Failure, match="returned a vector instead of a matrix"):
        query.range_query(api.url, "x", 5, 900, 1800, 900)
    api.says({"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": [[900]]}]}})
    with pytest.raises(Failure, match="does not respond like the Prometheus API"):
        query.range_query(api.url, "x", 5, 900, 1800, 900)


def test_rules_and_alerts_are_read(api):
    api.says({"status": "success", "data": {"groups": [
        {"name": "g", "rules": [{"name": "R", "type": "alerting", "health": "err", "lastError": "a\n b", "state": "firing"}, {"name": "S"}]},
        {"name": "empty", "rules": None}]}})
    assert query.rule_groups(api.url, 5) == [
        {"name": "g", "rules": [
            {"name": "R", "type": "alerting", "health": "err", "last_error": "a b", "state": "firing"},
            {"name": "S", "type": "", "health": "", "last_error": "", "state": ""}]},
        {"name": "empty", "rules": []}]
    api.says({"status": "success", "data": {"alerts": [{"state": "firing", "labels": {"alertname": "A"}}, {"state": "pending", "labels": {}}]}})
    assert query.firing(api.url, 5) == [{"labels": {"alertname": "A"}, "annotations": {}, "since": ""}]
    api.says({"status": "success", "data": {"alerts": None}})
    assert query.firing(api.url, 5) == []
    assert [path for _method, path, _form in api.asked] == ["/api/v1/rules", "/api/v1/alerts", "/api/v1/alerts"]


@pytest.mark.parametrize("answer, status, words", [
    ({"status": "error", "errorType": "422", "error": "unexpected\ntoken"}, 422, "answers HTTP 422: unexpected token"),
    (b"<html>", 502, "answers HTTP 502"),
    (b"<html>", 200, "does not respond like the Prometheus API"),
    (b"\xff", 200, "does not respond like the Prometheus API"),
    ([], 200, "does not respond like the Prometheus API"),
    ({"status": "success"}, 200, "does not respond like the Prometheus API"),
    ({"status": "error", "error": "busy"}, 200, "returned an error: busy"),
    ({"status": "error"}, 200, "returned an error: no reason given"),
])
def test_answers_that_are_none(api, answer, status, words):
    api.says(answer, status)
    for what, call in (
            ("storage", lambda: query.instant_query(api.url, "up", 5)),
            ("rule evaluator", lambda: query.rule_groups(api.url, 5)),
            ("rule evaluator", lambda: query.loaded_alerts(api.url, 5)),
            ("rule evaluator", lambda: query.firing(api.url, 5))):
        with pytest.raises(Failure) as caught:
            call()
        assert str(caught.value).startswith("the %s at %s/api/v1/" % (what, api.url)) and str(caught.value).endswith(words)


@pytest.mark.parametrize("data", [{"resultType": "vector"}, {"resultType": "vector", "result": [{"metric": {}}]}, {}, None, "x"])
def test_a_vector_that_is_none(api, data):
    api.says({"status": "success", "data": data})
    with pytest.raises(Failure, match="does not respond like the Prometheus API"):
        query.instant_query(api.url, "up", 5)


def test_another_type_than_a_vector(api):
    api.says({"status": "success", "data": {"resultType": "matrix", "result": []}})
    with pytest.raises(Failure, match="returned a matrix instead of a vector"):
        query.instant_query(api.url, "up[1m]", 5)


def test_rules_and_alerts_of_another_shape(api):
    api.says({"status": "success", "data": {"groups": [{}], "alerts": [{}]}})
    for call in (query.rule_groups, query.loaded_alerts, query.firing):
        with pytest.raises(Failure, match="does not respond like the Prometheus API"):
            call(api.url, 5)


def failing(url):
    with pytest.raises(Failure) as caught:
        query.instant_query(url, "up", 0.5)
    return str(caught.value)


def test_a_storage_that_cannot_be_reached():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        url = "http://127.0.0.1:%d" % holder.getsockname()[1]
        assert failing(url) == "cannot reach the storage at %s/api/v1/query: refused" % url
    assert failing("http://tsdb.invalid:1") == "cannot reach the storage at http://tsdb.invalid:1/api/v1/query: name does not resolve"
    assert failing("nonsense").startswith("cannot reach the storage at nonsense/api/v1/query: ")


def test_a_storage_that_hangs():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(5)
        assert failing("http://127.0.0.1:%d" % listener.getsockname()[1]).endswith(": timed out")


def test_something_else_listens():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(5)

        def serve():
            peer = listener.accept()[0]
            peer.recv(4096)
            peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            peer.close()
        threading.Thread(target=serve, daemon=True).start()
        assert "does not speak HTTP" in failing("http://127.0.0.1:%d" % listener.getsockname()[1])


def test_a_proxy_is_never_used(api, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    api.says(vector())
    assert query.instant_query(api.url, "up", 5) == []


@pytest.mark.parametrize("error, words", [
    (URLError(OSError(113, "x")), "no route to host"),
    (URLError(OSError(110, "x")), "timed out"),
    (OSError(104, "x"), "connection reset"),
    (ssl.SSLError(1, "bad"), "TLS failed"),
    (OSError(1, "Operation not permitted"), "Operation not permitted"),
    (ValueError("odd"), "odd"),
    (ValueError(), "ValueError"),
])
def test_words_for_errors(error, words):
    assert query.explain(error).startswith(words)


def test_one_line_is_cut():
    assert query.one_line("a\n  b\tc") == "a b c"
    assert query.one_line("x" * 300) == "x" * 197 + "..."
