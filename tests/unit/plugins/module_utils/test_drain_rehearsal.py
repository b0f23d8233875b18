# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What draining would have done over the stored past. Stubbed: the storage, by a function that has series; the real one is asked once."""
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request

import pytest

from ansible_collections.accelmon.fleet.plugins.module_utils import drain
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import drain_rehearsal
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.draining import rehearsed
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem

FIRST = 1795860000
ONE = {"cluster": "c1", "query": "verdicts", "silences": "silences", "own_percent": 5, "total_percent": 25, "per_hour": 3}


class Past:
    """A storage: verdicts, and what Slurm said, minute by minute. spans: {node: (first minute, last minute)} of verdicts; silenced: of silences about
    nodes, which somebody looked for at each minute until `looked`."""

    def __init__(self, spans, size=100, out=0, flags=(), slurm=True, silenced=(), looked=10 ** 6):
        self.spans, self.size, self.out, self.flags, self.slurm = spans, size, out, flags, slurm
        self.silenced, self.looked = dict(silenced), looked
        self.asked = []

    def __call__(self, expression, start, end):
        self.asked.append(expression)
        minutes = range(start, end + 1, 60)

        def row(labels, value=1, first=0, last=10 ** 6):
            return labels, [(float(moment), value) for moment in minutes if FIRST + first * 60 <= moment <= FIRST + last * 60]

        if expression == "verdicts":
            return [row({"node": node, "cause": "error", "index": "3"}, FIRST + first * 60 - 60, first, last)
                    for node, (first, last) in self.spans.items()]
        if expression == "silences":
            return self.silences(minutes)
        if expression.startswith("count(count by (node) (up{"):
            return [row({}, self.size)]
        if not self.slurm:
            return []
        if expression.startswith("count("):
            return [row({}, self.size if "flag" not in expression else self.out)]
        if expression.startswith("slurm_node_state_info"):
            return [row({"node": node, "state": "idle"}) for node in self.spans]
        return [row(dict({"node": node}, **labels), 1, first, last) for name, node, labels, first, last in self.flags if expression.startswith(name)]

    def silences(self, minutes):
        """The rows, of which none ends: each says when it was last seen."""
        if not self.silenced:
            return []

        def seen(minute):
            return FIRST + min(minute, self.looked) * 60

        found = [({"node": "mon1"}, [(float(moment), seen((moment - FIRST) // 60)) for moment in minutes])]
        for node, (first, last) in self.silenced.items():
            text = json.dumps([{"name": "node", "value": node, "isRegex": False, "isEqual": True}])
            found.append(({"node": "mon1", "matchers": text}, [
                (float(moment), seen(min((moment - FIRST) // 60, last))) for moment in minutes if moment >= FIRST + first * 60]))
        return found


def events(past, minutes=180, **more):
    """[(minute, node, action, why)]."""
    found, known = drain_rehearsal.rehearse_cluster(past, dict(ONE, **more), FIRST, FIRST + minutes * 60, 60)
    assert known == (past.slurm and bool(past.spans))
    return [((one["at"] - FIRST) / 60, one["node"], one["action"], one["why"]) for one in found]


def test_a_quiet_past_costs_one_question():
    past = Past({})
    assert events(past) == [] and past.asked == ["verdicts"]


def test_a_node_is_drained_once_and_resumed_when_its_verdict_is_over():
    assert events(Past({"n1": (10, 30)})) == [(10, "n1", "drain", "")]
    assert events(Past({"n1": (10, 30), "n2": (100, 120)})) == [(10, "n1", "drain", ""), (100, "n2", "drain", "")]


def test_limits():
    many = {"n%d" % number: (10 + number, 170) for number in range(1, 5)}
    assert events(Past(many)) == [(11, "n1", "drain", ""), (12, "n2", "drain", ""), (13, "n3", "drain", ""), (14, "n4", "blocked", "mass")]
    spread = {"n%d" % number: (20 * number, 400) for number in range(1, 6)}
    assert events(Past(spread, size=1000), 200)[2:] == [
        (60, "n3", "drain", ""), (80, "n4", "drain", ""), (100, "n5", "drain", "")]
    assert events(Past(spread, size=1000), 200, per_hour=1)[:4] == [
        (20, "n1", "drain", ""), (40, "n2", "blocked", "hour"), (60, "n3", "blocked", "hour"), (80, "n2", "drain", "")], "it waits for time to pass"
    assert events(Past({"n1": (10, 30)}, out=25)) == [(10, "n1", "blocked", "total")]


def test_what_others_did_in_slurm_counts():
    flags = [("slurm_node_flag", "n1", {"flag": "drain"}, 5, 20), ("slurm_node_drain_reason_info", "n1", {"reason": "fan"}, 5, 20)]
    assert events(Past({"n1": (10, 30)}, flags=flags, out=1)) == [(10, "n1", "left", "theirs"), (21, "n1", "drain", "")]
    ours = [flags[0], ("slurm_node_drain_reason_info", "n1", {"reason": drain.PREFIX + " error"}, 5, 20)]
    assert events(Past({"n1": (10, 19)}, flags=ours, out=1)) == [(10, "n1", "kept", "")]


def test_silences_of_the_past_count():
    assert events(Past({"n1": (10, 30)}, silenced={"n1": (5, 19)})) == [(10, "n1", "left", "silenced"), (20, "n1", "drain", "")]
    assert events(Past({"n1": (10, 30)}, silenced={"n2": (5, 19)})) == [(10, "n1", "drain", "")]
    # From the eleventh minute without an answer of Alertmanager on, nobody knew.
    assert events(Past({"n1": (10, 30), "n2": (20, 40)}, silenced={"n3": (5, 6)}, looked=9)) == [(10, "n1", "drain", "")]


def test_a_past_without_slurm():
    assert events(Past({"n1": (10, 30)}, slurm=False)) == [(10, "n1", "drain", "")]


def test_many_steps_go_in_parts():
    past = Past({"n1": (10, 5000)})
    assert events(past, 4000) == [(10, "n1", "drain", "")] and past.asked.count("verdicts") == 3


def test_a_storage_that_does_not_answer(monkeypatch):
    def broken(*_arguments):
        raise Failure("cannot reach the storage at http://x: refused")

    monkeypatch.setattr(drain_rehearsal.query, "range_query", broken)
    found = drain_rehearsal.rehearse([ONE], 1, 60, "http://x", 5, None)
    assert found["rows"] == [] and found["problems"] == ["c1: cannot reach the storage at http://x: refused"]


def test_what_is_rehearsed():
    hostvars = {"ctl": {"inventory_hostname": "ctl", "accelmon_slurm_controller": True, "accelmon_cluster": "west", "slurm_drain_per_hour": "5"},
                "gpu7": {"inventory_hostname": "gpu7"}}
    found = rehearsed(hostvars, {"accelerator_nodes": ["gpu7", "ctl"], "monitoring": []})
    assert [{key: value for key, value in one.items() if key not in ("query", "silences")} for one in found] == [
        {"cluster": "west", "own_percent": 5, "total_percent": 25, "per_hour": 5}] and 'cluster="west"' in found[0]["query"]
    with pytest.raises(Problem, match="no host has accelmon_slurm_controller = true"):
        rehearsed(hostvars, {"accelerator_nodes": ["gpu7"]})


def test_a_real_storage(tmp_path):
    """Alerts, a silence and states of Slurm as they are stored, through the real queries."""
    program = shutil.which("victoria-metrics", path=os.environ.get("ACCELMON_PROGRAMS"))
    if not program:
        pytest.skip("no victoria-metrics in ACCELMON_PROGRAMS or on PATH")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = "http://127.0.0.1:%d" % probe.getsockname()[1]
    now = int(time.time()) // 60 * 60
    first, moments = now - 7200, range(now - 7200, now + 1, 30)
    lines, told = [], json.dumps([{"name": "alertname", "value": "Accelerator.*", "isRegex": True, "isEqual": True},
                                  {"name": "node", "value": "n1", "isRegex": False, "isEqual": True}])
    for name, labels, begin, value in (
            ("accelmon_fleet_silences_last_success_timestamp_seconds", {"node": "mon1"}, first, lambda moment: moment),
            ("accelmon_fleet_silence_seen_timestamp_seconds", {"node": "mon1", "matchers": told}, first + 600, lambda moment: min(moment, first + 3600)),
            ("ALERTS", {"alertname": "AcceleratorRowRemapFailed", "alertstate": "firing", "node": "n1", "index": "3"}, first + 1800, 1),
            ("ALERTS_FOR_STATE", {"alertname": "AcceleratorRowRemapFailed", "node": "n1", "index": "3"}, first + 1740, first + 1740),
            ("slurm_node_state_info", {"job": "slurm_collector", "node": "n1", "state": "mixed"}, first, 1),
            ("slurm_node_state_info", {"job": "slurm_collector", "node": "n2", "state": "idle"}, first, 1)):
        seen = [moment for moment in moments if moment >= begin]
        values = [value(moment) if callable(value) else value for moment in seen]
        lines.append(json.dumps({"metric": dict(labels, __name__=name, cluster="c1"), "values": values,
                                 "timestamps": [moment * 1000 for moment in seen]}))
    with subprocess.Popen([program, "-storageDataPath=%s" % (tmp_path / "data"), "-httpListenAddr=" + url[7:], "-retentionPeriod=1d"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as storage:
        try:
            opener, end = urllib.request.build_opener(urllib.request.ProxyHandler({})), time.monotonic() + 120
            while True:
                try:
                    opener.open(url + "/api/v1/import", data="\n".join(lines).encode(), timeout=10).close()
                    opener.open(url + "/internal/force_flush", timeout=10).close()
                    break
                except OSError:
                    assert time.monotonic() < end
                    time.sleep(0.2)
            hostvars = {"ctl": {"inventory_hostname": "ctl", "accelmon_slurm_controller": True, "accelmon_cluster": "c1"}}
            found = drain_rehearsal.rehearse(rehearsed(hostvars, {"monitoring": ["ctl"]}), 1, 60, url, 60, None)
        finally:
            storage.kill()
    assert found["problems"] == [] and len(found["notes"]) == 1
    assert [(one["node"], one["action"], one["cause"], one["why"]) for one in found["rows"]] == [
        ("n1", "left", "row_remap_failed", "silenced"), ("n1", "drain", "row_remap_failed", "")]
    assert abs(found["rows"][0]["at"] - (first + 1800)) <= 60 and abs(found["rows"][1]["at"] - (first + 3660)) <= 60
    assert found["rows"][1]["reason"].startswith("accelmon: row_remap_failed gpu=3 20")
    assert found["table"].splitlines()[2].split()[2:] == ["c1", "n1", "drain", "row_remap_failed", "-"]
