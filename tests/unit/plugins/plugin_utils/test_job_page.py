# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a job as a page and as text. Stubbed: the storage's answers are made up (job_samples)."""
import pathlib
import re
import time

from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import job, report
from ansible_collections.accelmon.fleet.tests.unit.plugins.job_samples import NOW, VIEWS, answers, device, document
from test_report_page import ACTIVE, EVIL, Reader


def odd(**changes):
    """A document in which everything is to be said of a device."""
    rows = [device(index=index) for index in range(8)]
    told = answers(rows, utilization=lambda one: {"1": 0.02, "2": 0.3}.get(one["index"], 0.9), power=lambda one: 250 if one["index"] == "3" else 600,
                   heat=lambda one: 0.6 if one["index"] == "4" else 0)
    told["info"] = [(one, value / 2 if one["index"] == "5" else value) for one, value in told["info"] if one["index"] != "6"]
    told["last"] = [({**rows[0], "kind": "xid", "code": "79"}, NOW - 100.0)]
    told["alerts"] = [({**rows[0], "alertname": name, "severity": severity}, 3.0)
                      for name, severity in (("AcceleratorErrorFatal", "critical"), ("Own", "page"))]
    return document(told, **changes)


def test_a_job_that_was_well_says_so_first():
    page = Reader(job.page(document(answers([device(index=index) for index in range(8)]))))
    text = "".join(page.text)
    first = ["Job 4711 of ada (account physics, partition gpu)", "Yes: its devices were busy and well.", "8 devices on 1 node"]
    assert sorted(first, key=text.index) == first
    assert "Alerts" not in page.text and "Error codes of its devices" not in page.text and "9.6 kWh" in page.text
    assert ["gpu1/0", "", "NVIDIA H100 80GB HBM3", "2h00m", "90 %", "5 %", "60 %", "60 °C", "600 W", "1.2 kWh", "1.9 GHz", "0 %"] in page.rows
    assert ["NVIDIA H100 80GB HBM3", "nvidia", "8", "n/a / n/a", "n/a / n/a", "n/a / n/a", "600 W / 450 W", "n/a / n/a"] in page.rows


def test_what_needs_a_look_comes_first_with_its_reason():
    page = Reader(job.page(odd(earlier=[[NOW - 90000, NOW - 80000]])))
    rows = {row[0]: row for row in page.rows if row[0].startswith("gpu1/") and len(row) == 12}
    assert list(rows) == [f"gpu1/{index}" for index in (5, 6, 1, 2, 3, 4, 0, 7)]
    assert [rows[f"gpu1/{index}"][1] for index in (5, 6, 1, 2, 3)] == [
        "not seen for 1h00m", "no reading", "idle", "half used", "power 250 W, others 600 W"]
    text = "".join(page.text)
    assert "Xid 79" in text and "explain.yml -e accelmon_explain=AcceleratorErrorFatal says what to do." in text and "accelmon_explain=Own" not in text
    assert "A job with this id ran before" in text
    used = {name for attribute, value in page.attributes if attribute == "class" for name in value.split()}
    assert used <= set(re.findall(r"\.([a-z]\w*)", str(report.style()))), used


def test_the_text_is_short_and_says_what_matters():
    lines = job.lines(odd())
    assert lines[0] == "Job 4711 of ada (account physics, partition gpu), cluster west" and lines[1].endswith(", 2h00m")
    assert "* 1 of 8 devices was idle: gpu1/1" in lines and max(map(len, lines)) < 120
    many = job.lines(document(answers([device(f"gpu{node}", index) for node in range(100) for index in range(8)])))
    assert len(many) < 20 and many[-1] == "and 792 more"
    alone = job.lines(document(answers([device()]), user="", account="", partition="", running=True, longer=True))
    assert alone[0] == "Job 4711, cluster west" and alone[1].startswith("since 2026-") and alone[1].endswith(" UTC or earlier, 2h00m until now")


def test_nothing_that_a_scheduler_or_a_node_says_is_more_than_text():
    evil = EVIL + "\n\x1b[31m"
    rows = [device(evil, index, model=evil, pci_bus_id=evil, rack=evil) for index in range(2)]
    told = answers(rows, utilization=lambda one: 0.0)
    told["last"] = [({**rows[0], "kind": evil, "code": evil}, NOW - 1.0)]
    told["alerts"] = [({**rows[0], "alertname": evil, "severity": evil}, 1.0)]
    found = document(told, id=evil, cluster=evil, user=evil, account=evil, partition=evil, problems=[evil])
    page = Reader(job.page(found))
    assert not page.names & ACTIVE and not [name for name, _value in page.attributes if name.startswith("on")]
    assert not [value for name, value in page.attributes if name in ("href", "src", "style")]
    assert all(line.isprintable() for line in job.lines(found))


def test_ten_thousand_devices_fit_and_are_quick():
    found = document(answers([device(f"gpu{node}", index) for node in range(1250) for index in range(8)]))
    began = time.process_time()
    page = job.page(found)
    assert len(page) < 200000 and time.process_time() - began < 10


def test_views_are_complete():
    for part in ("devices", "lines"):
        for name, view in VIEWS[part].items():
            assert {"title", "unit", "over", "query"} <= set(view) and report.written(1.0, view["unit"]) != "n/a", name
            assert view.get("help") or part == "lines", name
            assert set(re.findall(r"@(\w+)@", view["query"])) == {"nodes"}, name
    assert set(VIEWS["peers"]) <= set(VIEWS["devices"]) and {one["view"] for one in VIEWS["apart"]["readings"]} == {"clock", "power", "temperature"}


def test_the_document_is_documented():
    text = (pathlib.Path(__file__).resolve().parents[4] / "docs" / "job_report.md").read_text()
    found = odd()
    names = {*found, *found["job"], *found["totals"], *found["alerts"][0], *found["errors"][0], *found["models"][0], *found["devices"][0], *VIEWS["lines"]}
    assert not [name for name in names - {"cluster", "node", "index", "uuid", "vendor", "model", "rack", "serial", "pci_bus_id"} if f"`{name}`" not in text]
