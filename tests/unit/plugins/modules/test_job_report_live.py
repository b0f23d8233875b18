# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a job, asked of real VictoriaMetrics and Prometheus that have the same samples: they have to answer the same.

Needs the programs in the directory ACCELMON_PROGRAMS, or on PATH; without them every test here is skipped.
The playbook is run by ansible-playbook on this machine, which is the monitoring host over a local connection.
Guessed: all samples are made up; their names and labels are those of the recorded series and of accelerator_job_info.
"""
import json
import stat
import time
import types

import pytest
import test_report_live
from ansible_collections.accelmon.fleet.plugins.modules import fleet_job_info
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import job as pages
from test_fleet_playbooks import ROOT, Playbooks, shown

pytestmark = test_report_live.pytestmark
EVIL = 'x"} or up{a=~".*\\'
INTERVAL = 60
HOUR, DAY = 3600, 86400


class Fleet:
    """Samples of nodes with four devices each, once a minute; job 4711 has gpu1 and gpu2 of the cluster west for two hours, until an hour ago."""

    def __init__(self, now):
        self.now = now // 60 * 60
        self.begin, self.end = self.now - 3 * HOUR, self.now - HOUR

    def holds(self, at):
        """[(cluster, node, index, id, user)] of jobs at a time."""
        found = []
        if self.begin <= at < self.end:
            found += [("west", node, index, "4711", "ada") for node in ("gpu1", "gpu2") for index in range(4)]
        if at >= self.end:
            found += [("west", "gpu1", index, "4712", "bob") for index in range(4)]
        if at >= self.begin:
            found += [("west", "gpu3", index, "5000", "bob") for index in range(4)] + [("east", "gpu1", 0, EVIL, "<script>alert(1)</script>")]
        if at < self.begin:
            found += [("west", "gpu3", 0, "4711", "eve")] if at < self.now - 9 * DAY else []
            found += [(cluster, "gpu2", 0, "77", "ada") for cluster in ("east", "west")] if at < self.now - 9 * DAY else []
        return found

    def readings(self, at):
        """(labels, {series: value}) of devices at a time."""
        for cluster, node in (("west", "gpu1"), ("west", "gpu2"), ("west", "gpu3"), ("east", "gpu1")):
            for index in range(4):
                place = (node, index)
                if cluster == "west" and place == ("gpu1", 2) and self.end - HOUR // 2 <= at < self.end:
                    continue
                mine = cluster == "west" and node != "gpu3" and self.begin <= at < self.end
                load = {("gpu2", 3): 0.02, ("gpu2", 2): 0.3}.get(place, 0.9) if mine else 0.6
                power = 300 if mine and place == ("gpu1", 1) else 600 + index if mine else 450
                labels = f'cluster="{cluster}",rack="r1",node="{node}",index="{index}",uuid="GPU-{node}{index}",vendor="nvidia",model="H100"'
                yield labels, {"accelerator_info": (',pci_bus_id="0000:%s:00.0"' % index, 1), "accelerator_utilization_ratio": ("", load),
                               "accelerator_memory_used_bytes": ("", 40e9), "accelerator_memory_total_bytes": ("", 80e9),
                               "accelerator_temperature_celsius": (',sensor="core"', 60 + index if mine else 50),
                               "accelerator_power_watts": ("", power), "accelerator_clock_hertz": (',domain="core"', 1.9e9)}, place

    def lines(self):
        """Lines of an exposition. No sample is at a whole minute, where the two programs differ."""
        old = self.now - 10 * DAY
        for at in [*range(old, old + 600, 60), *range(self.begin - HOUR, self.now - 60, 60)]:
            stamp = at + 7
            for cluster, node, index, job_id, user in self.holds(at):
                escaped = job_id.replace("\\", "\\\\").replace('"', '\\"')
                yield (f'accelerator_job_info{{cluster="{cluster}",rack="r1",node="{node}",index="{index}",uuid="GPU-{node}{index}",job_id="{escaped}",'
                       f'user="{user}",account="physics",partition="gpu"}} 1 {stamp}')
            for labels, series, place in self.readings(at):
                for name, (more, value) in series.items():
                    yield f"{name}{{{labels}{more}}} {value} {stamp}"
                if 'cluster="west"' in labels and place == ("gpu1", 3):
                    for seconds in (60 * (at - self.begin) // 240,):
                        yield f'node_gpu_throttle_seconds_total{{{labels},reason="sw_thermal_slowdown",source="textfile"}} {seconds} {stamp}'
            fell = self.end - HOUR // 2
            if at >= fell:
                labels = 'cluster="west",node="gpu1",vendor="nvidia",pci_bus_id="0000:2:00.0",kind="xid",code="79"'
                yield f"accelerator_error_last_timestamp_seconds{{{labels}}} {fell} {stamp}"
                yield f"accelerator_errors_total{{{labels}}} 2 {stamp}"
                yield f'ALERTS{{alertname="AcceleratorErrorFatal",alertstate="firing",severity="critical",{labels}}} 1 {stamp}'
                yield f'ALERTS{{alertname="Odd",alertstate="firing",severity="warning",cluster="west",node="gpu3",index="0",uuid="GPU-gpu30"}} 1 {stamp}'
                yield f"accelerator_error_last_timestamp_seconds{{{labels.replace('gpu1', 'gpu3')}}} {fell} {stamp}"


@pytest.fixture(scope="module", name="fleet")
def _fleet(tmp_path_factory):
    fleet = Fleet(int(time.time()))
    with test_report_live.storing(tmp_path_factory.mktemp("storages"), fleet.lines()) as urls:
        fleet.urls = urls
        yield fleet


def asked(fleet, program, job, hosts=None, cluster=None, days=30):
    """What the module returns."""
    return fleet_job_info.collected({
        "job": job, "clusters": [cluster] if cluster else [], "hosts": hosts, "days": days, "interval": f"{INTERVAL}s", "views": pages.views(f"{INTERVAL}s"),
        "storage_url": fleet.urls[program], "query_timeout": 60, "password_file": "/none", "ca_file": "/none", "monitoring_host": "mon01"}, fleet.now + 20)


def both(fleet, *args, **more):
    """The result of VictoriaMetrics, after a look at that of Prometheus."""
    found, other = (asked(fleet, program, *args, **more) for program in ("victoria-metrics", "prometheus"))
    assert found["problem"] == other["problem"]
    if found["report"]:
        for told in (found, other):
            lines = told["report"]["lines"]
            # Without the mark that a scraper leaves where a series ends, one of them shows it for five minutes more.
            kept = [place for place, at in enumerate(lines["times"]) if not fleet.end - HOUR // 2 <= at <= fleet.end - HOUR // 2 + 330]
            told["report"]["lines"] = {name: [values[place] for place in kept] for name, values in lines.items()}
        alike(found["report"], other["report"], "report")
    return found


def alike(one, other, where):
    """Whether two documents say the same, but for how the two programs compute a rate, and for how long they show a series that has stopped."""
    if isinstance(one, dict):
        assert set(one) == set(other), where
        for name in one:
            alike(one[name], other[name], f"{where}.{name}")
    elif isinstance(one, list):
        assert len(one) == len(other), (where, one, other)
        for place, item in enumerate(one):
            alike(item, other[place], f"{where}[{place}]")
    elif isinstance(one, float) and isinstance(other, float):
        assert one == pytest.approx(other, rel=0.05 if where.endswith(".energy") else 0.01, abs=2e-4), where
    elif where.endswith((".seen", ".alerts[0].seconds")):
        assert one == pytest.approx(other, abs=300), where
    else:
        assert one == other, where


def test_a_job_that_ended(fleet):
    found = both(fleet, "4711")["report"]
    job, rows = found["job"], {(row["node"], row["index"]): row for row in found["devices"]}
    assert (job["cluster"], job["user"], job["account"], job["partition"], job["running"]) == ("west", "ada", "physics", "gpu", False)
    assert (job["begin"], job["end"]) == (fleet.begin, fleet.end) and [len(run) for run in job["earlier"]] == [2]
    assert len(rows) == 8 and {row["held"] for row in rows.values()} == {2 * HOUR}
    assert {place: row["use"] for place, row in rows.items() if row["use"] != "busy"} == {("gpu2", "2"): "half", ("gpu2", "3"): "idle"}
    assert rows["gpu2", "3"]["idle"] == 1 and rows["gpu1", "0"]["idle"] == 0 and rows["gpu1", "0"]["memory"] == 0.5
    assert [(place, one["reading"]) for place, row in rows.items() for one in row["apart"]] == [(("gpu1", "1"), "power")]
    assert rows["gpu1", "2"]["seen"] == pytest.approx(1.5 * HOUR, abs=360) and rows["gpu1", "0"]["seen"] == 2 * HOUR
    assert rows["gpu1", "0"]["energy"] == pytest.approx(600 * 2 * HOUR, rel=0.02) and rows["gpu1", "0"]["temperature"] == 60
    assert rows["gpu1", "3"]["heat"] == pytest.approx(0.25, abs=0.01) and rows["gpu1", "0"]["heat"] is None
    assert [(error["kind"], error["code"], error["times"], error["count"]) for error in found["errors"]] == [("xid", "79", 2, 1)]
    assert [(alert["name"], alert["severity"]) for alert in found["alerts"]] == [("AcceleratorErrorFatal", "critical")]
    model = found["models"][0]
    assert (model["devices"], model["power"]["others"], model["utilization"]) == (8, 450, {"job": 0.9, "others": 0.6})
    assert found["problems"] == [] and found["answer"]["state"] == "critical" and found["answer"]["reasons"] == [
        "1 critical alert fired: AcceleratorErrorFatal", "1 of 8 devices was not seen for part of the time: gpu1/2", "1 of 8 devices was idle: gpu2/3",
        "1 of 8 devices was busy less than half of the time: gpu2/2", "1 of 8 devices was unlike the others of the job: gpu1/1",
        "1 of 8 devices was throttled: gpu1/3", "1 error code occurred: xid 79"]
    assert found["lines"]["lowest"][5] == 0.02 and None not in found["lines"]["utilization"][1:-1]
    page = pages.page(found)
    assert "Xid 79" in page and page.count("<polyline") == 5


def test_a_job_that_runs_has_no_end_yet(fleet):
    job = both(fleet, "5000")["report"]["job"]
    assert job["running"] and job["begin"] == fleet.begin and fleet.now - job["end"] <= 2 * INTERVAL
    assert both(fleet, "4712")["report"]["job"]["begin"] == fleet.end


def test_what_is_asked_of_a_part_of_the_job(fleet):
    found = both(fleet, "4711", hosts=["gpu2", "gpu3"])["report"]
    assert {row["node"] for row in found["devices"]} == {"gpu2"} and found["errors"] == found["alerts"] == [] and found["totals"]["devices"] == 4


def test_the_same_id_in_two_clusters(fleet):
    problem = both(fleet, "77")["problem"]
    assert problem.startswith("2 clusters had a job with this id: east (2") and problem.endswith("; add -e accelmon_job_cluster=east")
    found = both(fleet, "77", cluster="west")["report"]
    assert found["job"]["cluster"] == "west" and found["job"]["seconds"] <= 660


def test_a_job_that_nobody_has(fleet):
    assert both(fleet, "4710")["problem"] == ("no device had this job in the last 30 days; check the id, or look further back with accelmon_job_days")
    assert both(fleet, "77", days=2, cluster="west")["problem"].startswith("no device of cluster west had this job in the last 2 days; ")


def test_an_id_is_an_id_whatever_it_contains(fleet):
    for text in (EVIL, EVIL + '"', '4711|.*', '.*', '4711",cluster="east', "4711\\", "4711\n", "{{ 1 }}"):
        found = both(fleet, text)
        assert bool(found["report"]) == (text == EVIL), text
    found = both(fleet, EVIL)["report"]
    page, lines = pages.page(found), pages.lines(found)
    assert found["totals"]["devices"] == 1 and "<script" not in page and "&lt;script&gt;" in page and lines[0].startswith(f"Job {EVIL} of <script>")


@pytest.fixture(name="playbooks")
def _playbooks(tmp_path, fleet):
    port = int(fleet.urls["victoria-metrics"].rpartition(":")[2])
    playbooks = Playbooks(tmp_path, types.SimpleNamespace(server=types.SimpleNamespace(server_address=("127.0.0.1", port)), state_dir=tmp_path))
    (tmp_path / "job_report.yml").write_text((ROOT / "playbooks" / "job_report.yml").read_text())
    return playbooks


def test_the_playbook_prints_a_short_text_and_writes_what_the_files_name_says(playbooks):
    files = {name: playbooks.folder / name for name in ("job.html", "job.txt")}
    for name, file in files.items():
        code, out = playbooks.run("job_report", "--check", "--diff", accelmon_job=4711, accelmon_report_file=str(file))
        assert code == 0, out
    lines = shown(out)
    assert files["job.txt"].read_text().splitlines() == lines and lines[0] == "Job 4711 of ada (account physics, partition gpu), cluster west"
    assert files["job.html"].read_text().startswith("<!DOCTYPE html>") and "Xid 79" in files["job.html"].read_text()
    assert {stat.S_IMODE(file.stat().st_mode) for file in files.values()} == {0o600} and '"state": "critical"' in out[out.index("CUSTOM STATS"):]


def test_the_playbook_prints_and_writes_json(playbooks):
    file = playbooks.folder / "job.txt"
    code, out = playbooks.run("job_report", "--limit", "gpu2", accelmon_job="4711", accelmon_output="json", accelmon_report_file=str(file))
    assert code == 0, out
    assert json.loads(file.read_text()) == shown(out) and shown(out)["totals"]["devices"] == 4 and shown(out)["monitoring_host"] == "mon01"


@pytest.mark.parametrize("given,words", [
    ({"accelmon_job": "4710"}, "mon01: accelmon_job = 4710: no device had this job in the last 30 days; check the id, or look further back with"),
    ({"accelmon_job": "77"}, "mon01: accelmon_job = 77: 2 clusters had a job with this id"),
    ({}, "accelmon_job = '': there is no job to report on; give its id, for example -e accelmon_job=4711"),
    ({"accelmon_job": "47\n11"}, "it has a line break"), ({"accelmon_job": "4711", "accelmon_job_days": 0}, "out of range; use 1 to 400")])
def test_what_cannot_be_reported_is_one_line(playbooks, given, words):
    code, out = playbooks.run("job_report", **given)
    assert code == 2 and words in out.replace("\\n", " "), out
