# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a job as data. Stubbed: the storage, whose answers are made up; real ones are in test_job_report_live."""
import re

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import job, query
from ansible_collections.accelmon.fleet.tests.unit.plugins.job_samples import NOW, VIEWS, answers, device, document


def test_a_pause_of_more_than_an_hour_begins_another_run():
    assert job.runs([]) == [] and job.runs([3600]) == [(3600, 3600)]
    assert job.runs([7200, 3600, 18000, 14400, 21600]) == [(3600, 7200), (14400, 21600)]


@pytest.mark.parametrize("seconds,interval,step", [(600, 15, 30), (7200, 15, 30), (7200, 60, 120), (86400, 15, 300), (30 * 86400, 15, 14400),
                                                   (400 * 86400, 15, 86400), (0, 1, 30)])
def test_a_job_of_any_length_is_looked_at_a_few_hundred_times(seconds, interval, step):
    assert job.step_of({"seconds": seconds}, job.MOMENTS, interval) == step and seconds / step <= 2 * job.MOMENTS


def test_matchers_are_exact_for_any_text_and_short_for_many_nodes():
    assert query.exactly("job_id", 'a"\\\n') == 'job_id="a\\"\\\\\\n"'
    few, many = ["gpu1", "gpu.2"], [f"gpu{number:04d}" for number in range(1250)]
    assert query.roughly("node", few) == query.matcher("node", few)
    rough = query.roughly("node", many)
    pattern = re.fullmatch('node=~"(.*)"', rough).group(1)
    assert len(rough) <= 800 and all(re.fullmatch(pattern, name) for name in many) and not re.fullmatch(pattern, "mon0001")
    assert query.roughly("node", ["x" * 5000, "y"]) == 'node=~".*"'


def test_a_storage_that_stops_answering_halfway_costs_what_comes_after():
    found = {"id": "7", "cluster": "west", "begin": NOW - 7200, "end": NOW, "seconds": 7200}
    held = [({"cluster": "west", "node": "gpu1", "index": "0", "uuid": "GPU-0"}, 60.0)]

    def ask(expression, _moment):
        if "accelerator_power_watts" in expression:
            raise Failure("the storage at http://mon01 answers HTTP 500")
        return held
    told, problems = job.observe(ask, lambda *_: [], VIEWS, found, None, 15, NOW)
    assert problems == ["the storage at http://mon01 answers HTTP 500"] and told["held"] == held and told["alerts"] == []
    made = job.document(VIEWS, told, {**found, "longer": False, "earlier": []}, problems, None, NOW)
    assert made["answer"]["state"] in ("warning", "unknown") and made["devices"][0]["power"] is None and made["totals"]["energy"] is None


def test_a_question_never_grows_with_the_job():
    questions = []
    held = [({"cluster": "west", "node": f"gpu-node-{number:05d}.example.org", "index": "0", "uuid": f"GPU-{number}"}, 60.0) for number in range(5000)]

    def ask(expression, _moment):
        questions.append(expression)
        return held if expression.startswith("count_over_time((group") else []

    def ask_range(expression, start, end, step):
        questions.append(expression)
        assert (end - start) // step <= 2 * job.POINTS
        return []
    begin = NOW - 30 * 86400
    job.observe(ask, ask_range, VIEWS, {"id": "7", "cluster": "west", "begin": begin, "end": NOW, "seconds": NOW - begin}, None, 15, NOW)
    # VictoriaMetrics refuses questions of more than 16 KiB.
    assert len(questions) <= 30 and max(map(len, questions)) < 16000


def test_a_device_that_others_are_unlike_is_idle_or_stands_apart_but_not_both():
    rows = [device(index=index) for index in range(8)]
    found = document(answers(rows, power=lambda one: 250 if one["index"] == "3" else 600 + int(one["index"]),
                             clock=lambda one: 1.0e9 if one["index"] == "4" else 1.9e9,
                             utilization=lambda one: 0.01 if one["index"] == "5" else 0.9,
                             temperature=lambda one: 88 if one["index"] == "6" else 60))
    apart = {row["index"]: [one["reading"] for one in row["apart"]] for row in found["devices"] if row["apart"]}
    assert apart == {"3": ["power"], "4": ["clock"], "6": ["temperature"]} and [row["use"] for row in found["devices"]].count("idle") == 1
    # Three are too few to say which of them is odd.
    assert not any(row["apart"] for row in document(answers(rows[:3], power=lambda one: 100 * int(one["index"])))["devices"])


def test_what_another_device_of_the_node_did_is_not_the_jobs():
    told = answers([device(index=0)])
    mine, other = device(index=0), device(index=1)
    bus = {name: mine[name] for name in ("cluster", "node", "vendor", "pci_bus_id")}
    error = {"kind": "xid", "code": "79"}
    told["last"] = [({**mine, **error}, NOW - 100.0), ({**other, **error}, NOW - 100.0), ({**bus, "kind": "xid", "code": "48"}, NOW - 50.0),
                    ({**bus, "pci_bus_id": "0000:ff:00.0", "kind": "xid", "code": "31"}, NOW - 50.0)]
    told["alerts"] = [({**where, "alertname": name, "severity": "critical"}, 3.0)
                      for where, name in ((other, "A"), ({"cluster": "west", "node": "gpu1"}, "HostDown"))]
    found = document(told)
    assert [(one["kind"], one["code"], one["count"], one["times"]) for one in found["errors"]] == [("xid", "48", 1, 1), ("xid", "79", 1, 1)]
    assert [(one["name"], one["seconds"]) for one in found["alerts"]] == [("HostDown", 3 * told["step"])]


def test_a_job_whose_devices_nobody_reads_is_unknown():
    told = answers([device(index=index) for index in range(2)])
    told["info"], told["values"] = [], {}
    found = document(told)
    assert found["answer"] == {"state": "unknown", "reasons": ["2 of 2 devices were without any reading: gpu1/0 and gpu1/1"]}
    assert found["totals"]["utilization"] is None and found["totals"]["idle"] is None


def test_a_job_that_was_over_before_anybody_looked_has_its_devices():
    held = [({"cluster": "west", "node": "gpu1", "index": "0", "uuid": "GPU-0"}, 1.0)]

    def ask(expression, _moment):
        return held if expression.startswith("group by") else []
    about = {"id": "7", "cluster": "west", "begin": NOW - 60, "end": NOW, "seconds": 60, "longer": False, "earlier": []}
    told, problems = job.observe(ask, lambda *_: [], VIEWS, about, None, 15, NOW)
    found = job.document(VIEWS, told, about, problems, None, NOW)
    assert found["answer"] == {"state": "unknown", "reasons": ["1 of 1 device was without any reading: gpu1/0"]}


@pytest.mark.parametrize("days,longer", [(1, True), (30, False)])
def test_a_job_that_began_before_the_time_that_is_looked_at(days, longer):
    begin = NOW // 60 * 60 - 86400

    def ask_range(_expression, start, end, step):
        return [({"cluster": "west", "user": "ada"}, [(at, 1.0) for at in range(start, end + 1, step) if at >= begin])]
    found = job.find(lambda *_: [({}, 1.0)], ask_range, ("7", "", None), days, 15, NOW + 10)
    assert found["longer"] == longer and found["running"] and found["user"] == "ada" and found["account"] == ""
