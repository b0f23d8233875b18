# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""fleet_rehearsal_info and rehearse_alerts.yml, with real storages and rule evaluators on loopback that hold two days of made-up samples.

Needs victoria-metrics and vmalert, or prometheus and promtool, in the directory ACCELMON_PROGRAMS or on PATH; without them the tests of
that backend are skipped. Stubbed: the monitoring host, by this machine over a local connection.
"""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.request

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import query, rehearsal
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import alerts, rehearsal as rehearsed_rules
from ansible_collections.accelmon.fleet.tests.unit.plugins.live_programs import eventually, free_port

ROOT = pathlib.Path(__file__).parents[4]
FOLDER = os.environ.get("ACCELMON_PROGRAMS")
DAY, HOUR, STEP = 86400, 3600, 60
# Nobody asks for a password.
ACCESS = {"storage": None, "rules": None}
NEEDS = {"victoriametrics": ("victoria-metrics", "vmalert"), "prometheus": ("prometheus", "promtool")}
OVERRIDES = {"NodeFilesystemFull": {"threshold": 10}, "HostDown": {"enabled": False}}
INVENTORY = """
all:
  vars:
    ansible_connection: local
    ansible_become: false
    ansible_python_interpreter: "%(python)s"
    accelmon_alert_overrides: %(overrides)s
  children:
    accelerator_nodes: {hosts: {n1: , n2: {accelmon_alert_host_overrides: %(own)s}}}
    monitoring: {hosts: {mon01: {victoriametrics_port: %(storage)d, vmalert_port: %(rules)d}}}
"""


def program(name):
    return shutil.which(name, path=FOLDER)


def samples(now):
    """{series: {moment: value}} of the last two days. guessed: with names and labels as in tests/rules/cases.

    n1 has 8 % of its disk left for three hours, and 3 % for one. n2 is down for half an hour, and once for a minute.
    """
    moments = range(now - 2 * DAY, now + 1, STEP)
    disk = 'cluster="west",node="n1",job="node_exporter",fstype="ext4",mountpoint="/scratch"'
    full = {now - DAY + minute * 60: 8 if minute < 180 else 3 for minute in range(240)}
    down = set(range(now - 10 * HOUR, now - 10 * HOUR + 1800, STEP)) | {now - 5 * HOUR}
    return {
        'node_filesystem_avail_bytes{%s}' % disk: {moment: full.get(moment, 50) for moment in moments},
        'node_filesystem_size_bytes{%s}' % disk: {moment: 100 for moment in moments},
        'up{cluster="west",node="n1",job="node_exporter"}': {moment: 1 for moment in moments},
        'up{cluster="west",node="n2",job="node_exporter"}': {moment: int(moment not in down) for moment in moments},
    }


def lines(found, factor, metadata):
    """The samples as text; factor: of their times. Prometheus wants the samples of a family together, and the family named."""
    text = []
    for series, values in found.items():
        family = "# TYPE %s gauge" % series.partition("{")[0]
        if metadata and family not in text:
            text.append(family)
        text += ["%s %d %d" % (series, value, moment * factor) for moment, value in values.items()]
    return "\n".join(text + (["# EOF"] if metadata else [])) + "\n"


@contextlib.contextmanager
def running(*command):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module", params=sorted(NEEDS))
def past(request, tmp_path_factory):
    """{"backend", "storage", "rules": URLs, "now"} of a storage with the samples and an evaluator that has the catalogue's alerts loaded."""
    missing = [name for name in NEEDS[request.param] if not program(name)]
    if missing:
        pytest.skip("not found in ACCELMON_PROGRAMS or on PATH: " + ", ".join(missing))
    folder = tmp_path_factory.mktemp(request.param)
    now = int(time.time()) // 60 * 60
    (folder / "alerts.yml").write_text(alerts.alert_file({}))
    storage, rules = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        if request.param == "victoriametrics":
            base = f"http://127.0.0.1:{storage}"
            stack.enter_context(running(program("victoria-metrics"), f"-httpListenAddr=127.0.0.1:{storage}", f"-storageDataPath={folder}/data",
                                        "-retentionPeriod=1y"))
            body = lines(samples(now), 1000, False).encode()
            eventually(lambda: urllib.request.urlopen(f"{base}/api/v1/import/prometheus", body, timeout=30).status == 204)
            urllib.request.urlopen(f"{base}/internal/force_flush", timeout=30).read()
            stack.enter_context(running(program("vmalert"), f"-httpListenAddr=127.0.0.1:{rules}", f"-rule={folder}/alerts.yml",
                                        f"-datasource.url={base}", "-evaluationInterval=1h", "-notifier.blackhole"))
        else:
            rules = storage
            (folder / "samples").write_text(lines(samples(now), 1, True))
            subprocess.run([program("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(folder / "samples"), str(folder / "data")],
                           check=True, stdout=subprocess.DEVNULL)
            (folder / "prometheus.yml").write_text(json.dumps({"global": {"evaluation_interval": "1h"}, "rule_files": [str(folder / "alerts.yml")]}))
            stack.enter_context(running(program("prometheus"), f"--web.listen-address=127.0.0.1:{storage}", f"--config.file={folder}/prometheus.yml",
                                        f"--storage.tsdb.path={folder}/data", "--storage.tsdb.retention.time=1y"))
        urls = {"storage": f"http://127.0.0.1:{storage}", "rules": f"http://127.0.0.1:{rules}"}
        eventually(lambda: query.loaded_alerts(urls["rules"], 10))
        eventually(lambda: query.instant_query(urls["storage"], "up", 10, now))
        yield {"backend": request.param, "ports": (storage, rules), "urls": urls, "now": now}


def rehearsed(past, overrides, names=(), days=3, step=STEP, **options):
    wanted = rehearsed_rules.evaluated(alerts.alert_groups(overrides))
    return rehearsal.rehearse(wanted, list(names), days, step, past["urls"], 30, ACCESS, now=past["now"], rest=lambda seconds: None, **options)


def test_what_changes_is_evaluated_as_it_was_and_as_it_would_be(past):
    told = rehearsed(past, OVERRIDES)
    assert told["problems"] == [] and told["notes"] == ["the storage has 48h00m of the last 3 days"]
    rows = {row["alert"]: row for row in told["rows"]}
    full = rows["NodeFilesystemFull"]
    place = {"cluster": "west", "node": "n1", "mountpoint": "/scratch"}
    assert full["change"] == "changed" and full["severity"] == "warning"
    # One hour below 5 %, and four below 10 %; each less the five minutes of `for`, and kept for less than five by the last value.
    for when, length in (("now", HOUR), ("then", 4 * HOUR)):
        assert full[when]["times"] == 1 and abs(full[when]["seconds"] - length + 300) <= 300, full
        assert [one["labels"] for one in full[when]["places"]] == [place]
    gone = rows["HostDown"]
    # Half an hour, less two minutes; the minute was too short.
    assert gone["change"] == "removed" and gone["then"] is None and gone["now"]["times"] == 1
    assert abs(gone["now"]["seconds"] - 1680) <= 2 * STEP and gone["now"]["places"][0]["labels"]["node"] == "n2"
    # Prometheus lays expressions out in its own way: that is no change.
    assert set(rows) == set(OVERRIDES)
    assert "NodeFilesystemFull would have fired longest at:" in told["table"] and "mountpoint=/scratch" in told["table"]


def test_settings_of_hosts_count_although_the_registry_does_not_publish_them_yet(past):
    change = {"NodeFilesystemFull": {"threshold": 10}}
    groups = alerts.alert_groups({}, hosts=[change])
    name = alerts.setting(change["NodeFilesystemFull"])
    for nodes, times in ((["n1"], 1), (["n2", "n.1"], 0)):
        wanted = rehearsed_rules.evaluated(groups, {("NodeFilesystemFull", name): {"west": nodes}})
        assert [rule["expr"] for rule in wanted] == [rule["expr"] for group in groups for rule in group["rules"]]
        told = rehearsal.rehearse(wanted, [], 2, STEP, past["urls"], 30, ACCESS, now=past["now"], rest=lambda seconds: None)
        (row,) = told["rows"]
        assert row["alert"] == "NodeFilesystemFull" and row["change"] == "changed" and row["now"]["times"] == row["then"]["times"] == 1
        assert (row["then"]["seconds"] > 3 * HOUR) == (times == 1), row


def test_named_alerts_limits_and_nothing_to_do(past):
    told = rehearsed(past, {}, ["HostDown"])
    assert [(row["alert"], row["change"], row["now"] == row["then"]) for row in told["rows"]] == [("HostDown", "same", True)]
    assert rehearsed(past, {}, ["HostDown"], hosts=["n1"])["rows"][0]["now"]["times"] == 0
    assert rehearsed(past, {}, ["HostDown"], clusters=["east"])["rows"][0]["now"]["times"] == 0
    assert rehearsed(past, {}, ["HostDown"], clusters=["west"], hosts=["n2"])["rows"][0]["now"]["times"] == 1
    (row,) = rehearsed(past, {"HostDown": {"severity": "warning"}})["rows"]
    assert (row["severity"], row["change"], row["now"]) == ("warning", "severity", row["then"])
    (row,) = rehearsed(past, {"HostDown": {"for": "1h"}})["rows"]
    assert (row["change"], row["now"]["times"], row["then"]["times"]) == ("changed", 1, 0)
    assert rehearsed(past, {}) == {"rows": [], "table": "", "problems": [], "notes": [
        "no alert would change; name alerts in accelmon_rehearse_alerts to see how often they fired"]}


def test_only_rules_of_the_collection_count_as_loaded(past):
    loaded = query.loaded_alerts(past["urls"]["rules"], 10)
    assert {rule["alert"] for rule in loaded} == {rule["alert"] for rule in rehearsed_rules.evaluated(alerts.alert_groups({}))}


@pytest.mark.parametrize("past", ["victoriametrics"], indirect=True)
def test_the_playbook_prints_a_table_and_json_and_stops_for_wrong_arguments(past, tmp_path):
    (tmp_path / "inventory.yml").write_text(INVENTORY % {
        "python": sys.executable, "overrides": json.dumps(OVERRIDES), "own": json.dumps({"NodeFilesystemFull": {"threshold": 2}}),
        "storage": past["ports"][0], "rules": past["ports"][1]})

    def run(*arguments):
        done = subprocess.run([sys.executable, "-m", "ansible", "playbook", "-i", str(tmp_path / "inventory.yml"), str(ROOT / "playbooks/rehearse_alerts.yml"),
                               *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                              env={**os.environ, "ANSIBLE_NOCOLOR": "1"})
        return done.returncode, done.stdout

    status, output = run("-e", "accelmon_rehearse_days=2")
    assert status == 0, output
    assert "NodeFilesystemFull  warning   changed" in output and "HostDown            critical  removed" in output, output
    status, output = run("-e", "accelmon_output=json", "-e", "accelmon_rehearse_alerts=[HostDown]", "--limit", "n1,mon01")
    assert status == 0 and '"change": "removed"' in output and '"times": 0' in output, output
    status, output = run("-e", "accelmon_rehearse_days=200", "-e", "accelmon_rehearse_alerts=[HostDwon]")
    assert status != 0 and "accelmon_rehearse_days = 200: out of range; use 1 to 90" in output and "HostDwon is not an alert; did you mean HostDown?" in output
    status, output = run("-e", "accelmon_rehearse_days=90", "-e", "accelmon_rehearse_step=15s")
    assert status == 0 and "accelmon_rehearse_step = 15s: 90 days are 518400 steps, and 100000 is the limit" in output, output


def test_an_alert_fires_once_its_time_has_passed_and_a_gap_ends_it():
    found = rehearsal.Episodes(120, 60)
    found.add({"node": "n1"}, [0, 60, 120])
    found.add({"node": "n1"}, [180, 240])
    # Ends before it fires, then fires again.
    found.add({"node": "n1"}, [600, 660, 1200, 1260, 1320])
    found.add({"node": "n2"}, [0, 60])
    assert rehearsal.told(found.fired()) == {"times": 2, "seconds": 240, "more": 0, "places": [{"labels": {"node": "n1"}, "times": 2, "seconds": 240}]}
    at_once = rehearsal.Episodes(0, 60)
    at_once.add({}, [60])
    assert rehearsal.told(at_once.fired())["seconds"] == 60 and rehearsal.where({}) == "the whole fleet"


def test_many_places_are_counted_and_the_longest_listed():
    found = rehearsal.Episodes(0, 60)
    for number in range(50):
        found.add({"node": "n%d" % number}, range(0, 60 * (number + 1), 60))
    told = rehearsal.told(found.fired())
    assert told["times"] == 50 and told["more"] == 30 and told["places"][0] == {"labels": {"node": "n49"}, "times": 1, "seconds": 3000}


def test_questions_are_as_short_as_the_answer_before_was_long():
    asked = []

    def ask(_expression, start, end, step):
        asked.append((end - start) // step + 1)
        return [({"node": "n%d" % number}, []) for number in range(2000 if len(asked) < 3 else 0)]

    rehearsal.episodes(ask, [{"expr": "x", "for": 0}], 0, 60 * 3000, 60, lambda labels: True)
    assert asked[:3] == [60, 100, 100] and asked[3] == 1440 and sum(asked) == 3001


def test_a_span_is_whole_steps_and_not_too_many():
    assert rehearsal.span(1, 60, 1000000030) == (1000000020 - DAY, 1000000020)
    with pytest.raises(Failure, match="give a longer step or fewer days"):
        rehearsal.span(90, 60, 0)


def test_a_storage_that_does_not_answer_is_one_line():
    urls = {"storage": "http://127.0.0.1:1", "rules": "http://127.0.0.1:1"}
    told = rehearsal.rehearse([], [], 7, 60, urls, 5, ACCESS)
    assert told["rows"] == [] and told["problems"] == ["cannot reach the rule evaluator at http://127.0.0.1:1/api/v1/rules: refused"]


def test_an_alert_that_fails_does_not_keep_the_others_from_being_rehearsed(monkeypatch):
    rules = [{"alert": name, "expr": name, "for": 0, "severity": "info"} for name in ("Bad", "Good")]
    monkeypatch.setattr(query, "loaded_alerts", lambda *arguments: [])

    def answer(_url, expression, *_rest):
        if expression == "Bad":
            raise Failure("the storage refuses")
        return [({"node": "n1"}, [(0, 1.0)])]

    monkeypatch.setattr(query, "range_query", answer)
    told = rehearsal.rehearse(rules, [], 1, 3600, {"storage": "s", "rules": "r"}, 5, ACCESS, now=86400, rest=lambda seconds: None)
    assert told["problems"] == ["Bad: the storage refuses"] and [(row["alert"], row["change"]) for row in told["rows"]] == [("Bad", "new"), ("Good", "new")]
    assert told["rows"][0]["then"] is None and told["rows"][1]["then"]["times"] > 0


def test_what_a_node_chose_stays_in_its_line():
    assert rehearsal.where({"node": "n1", "mountpoint": "/a\n/b" + "c" * 300}).count("\n") == 0
    assert len(rehearsal.where({"mountpoint": "c" * 3000})) <= 200
