"""From DCGM's exporter to all-smi and back: no sample of the recording layer is lost, and nothing counts twice.

Simulated: the GPUs, and both exporters, which replay expositions (files/replay.py). Which one a recorded power comes from shows in its value.
Real: site.yml, the registry, vmagent, VictoriaMetrics, vmalert.
"""

import json
import time

import pytest

from conftest import eventually

GPUS = 4
INTERVAL = 5
# The power of every GPU in each exposition.
POWER = {"dcgm": 612.5, "all_smi": 604.331}
# Series of devices that both sources have, with one label set for a device whoever reads it.
SERIES = ("accelerator_power_watts", "accelerator_utilization_ratio", "accelerator_memory_used_bytes", "accelerator_memory_total_bytes",
          "accelerator_temperature_celsius", "accelerator_clock_hertz")
# Recorded later than it is evaluated for, with what a shared machine adds.
SETTLE = 25


def switch(fleet, source):
    """Put a source in charge with site.yml, and wait until its readings are recorded."""
    run = fleet.site("-e", json.dumps({"accelmon_accelerator_source": source}) if source != "dcgm" else "{}", "--limit", "gpu1")
    eventually(lambda: set(fleet.query('accelerator_power_watts{node="gpu1"}').values()) == {POWER[source]}, f"{source} is in charge")
    return run


def samples(fleet, selector, begin, end):
    """{labels: [(moment in s, value or None)]} of the raw samples in the storage, None where an evaluation found the series gone."""
    text = fleet.get(fleet.storage("/api/v1/export"), "--data-urlencode", f"match[]={selector}", "--data", f"start={begin:.0f}", "--data", f"end={end:.0f}")
    found = {}
    for line in text.splitlines():
        series = json.loads(line)
        found.setdefault(frozenset(series["metric"].items()), []).extend(
            zip([moment / 1000 for moment in series["timestamps"]], series["values"]))
    return {labels: sorted(rows, key=lambda row: row[0]) for labels, rows in found.items()}


def elected(fleet):
    """{source: 0 or 1} as the registry tells of gpu1."""
    return fleet.values('accelmon_source_elected{node="gpu1"}', "source")


@pytest.fixture(scope="module", name="window")
def _window(fleet):
    """(begin, end) of a time in which dcgm, all_smi and dcgm were in charge in turn, each for a while."""
    fleet.shell("gpu1", "rm -f /run/lab-*-hidden")
    switch(fleet, "dcgm")
    time.sleep(SETTLE)
    begin = time.time()
    time.sleep(4 * INTERVAL)
    switch(fleet, "all_smi")
    eventually(lambda: elected(fleet) == {"dcgm": 0, "all_smi": 1}, "the registry's file is scraped")
    time.sleep(4 * INTERVAL)
    switch(fleet, "dcgm")
    eventually(lambda: elected(fleet) == {"dcgm": 1, "all_smi": 0}, "the registry's file is scraped")
    time.sleep(4 * INTERVAL)
    end = time.time()
    time.sleep(SETTLE)
    return begin, end


@pytest.mark.parametrize("metric", SERIES)
def test_no_device_has_a_gap_or_a_double(fleet, window, metric):
    selector = '%s{node="gpu1"%s}' % (metric, ',sensor="core"' if metric.startswith("accelerator_temperature") else "")
    found = samples(fleet, selector, *window)
    assert len(found) == GPUS, f"not one series for each GPU: {sorted(map(sorted, found))}"
    for labels, rows in found.items():
        assert "source" not in dict(labels)
        # An evaluation at which the series was gone would have left a mark of its end.
        assert all(isinstance(value, (int, float)) for _moment, value in rows), rows
        gaps = [later[0] - earlier[0] for earlier, later in zip(rows, rows[1:])]
        # One evaluation may come late or be left out on a busy machine, for reasons of its own; a switch must cost none.
        assert max(gaps) <= 2 * INTERVAL and rows[0][0] < window[0] + 2 * INTERVAL and rows[-1][0] > window[1] - SETTLE, rows


def test_each_source_was_in_charge_of_all_devices_at_a_time(fleet, window):
    found = samples(fleet, 'accelerator_power_watts{node="gpu1"}', *window)
    moments = {}
    for rows in found.values():
        for moment, value in rows:
            moments.setdefault(moment, set()).add(value)
    assert all(len(values) == 1 for values in moments.values()), "two sources were in charge of one vendor at once"
    order = [next(iter(moments[moment])) for moment in sorted(moments)]
    turns = [value for place, value in enumerate(order) if not place or value != order[place - 1]]
    assert turns == [POWER["dcgm"], POWER["all_smi"], POWER["dcgm"]]


@pytest.mark.parametrize("record, least, most", [
    ("node:accelerator_info:count", GPUS, GPUS),
    ("cluster:accelerator_info:count", GPUS, GPUS),
    # Of the evaluation in which the source changes some devices may be by the old one and others by the new.
    ("node:accelerator_power_watts:sum", GPUS * POWER["all_smi"], GPUS * POWER["dcgm"]),
    ("cluster:accelerator_power_watts:sum", GPUS * POWER["all_smi"], GPUS * POWER["dcgm"]),
])
def test_no_roll_up_has_a_gap_or_counts_twice(fleet, window, record, least, most):
    (rows,) = samples(fleet, record + '{vendor="nvidia"}', *window).values()
    wrong = [(moment, value) for moment, value in rows if value is None or not least - 0.001 <= value <= most + 0.001]
    assert wrong == []
    assert max(later[0] - earlier[0] for earlier, later in zip(rows, rows[1:])) <= 2 * INTERVAL, rows


def test_nobody_was_alerted(fleet, window):
    assert samples(fleet, 'ALERTS{alertstate="firing",node="gpu1"}', *window) == {}


def test_both_are_scraped_all_the_time(fleet, window):
    for job in ("dcgm_exporter", "all_smi"):
        (rows,) = samples(fleet, 'up{node="gpu1",job="%s"}' % job, *window).values()
        assert {value for _moment, value in rows} == {1}, f"the target of {job} became another or went down"


def test_compare_sources_shows_both(fleet, window):
    run = fleet.play("playbooks/compare_sources.yml", "-e", "accelmon_output=json", "--check")
    assert run.code == 0 and run.changed() == 0, run.output
    start = run.output.index("{\n", run.output.index("TASK [Show "))
    shown = json.JSONDecoder().raw_decode(run.output[start:])[0]["msg"]
    power = [row["values"] for row in shown["rows"] if row["series"] == "accelerator_power_watts"]
    assert power == [POWER] * GPUS and shown["problems"] == []
    assert {row["source"]: row["elected"] for row in shown["exporters"]} == {"dcgm": True, "all_smi": False}
    assert all(row["samples"] > 0 for row in shown["exporters"])


def test_a_lost_device_alerts_by_the_source_in_charge_alone(fleet, window):
    assert window
    try:
        fleet.shell("gpu1", "echo 3 > /run/lab-all-smi-hidden")
        eventually(lambda: len(fleet.query('all_smi_gpu_utilization{node="gpu1"}')) == GPUS - 1, "the standby does not see the GPU")
        time.sleep(10 + SETTLE)
        assert not fleet.firing("AcceleratorMissing", node="gpu1")
        eventually(lambda: fleet.values('node:accelerator_info:count{node="gpu1"}') == {"gpu1": GPUS}, "all GPUs are counted")
        fleet.shell("gpu1", "rm /run/lab-all-smi-hidden; echo 3 > /run/lab-dcgm-hidden")
        eventually(lambda: fleet.firing("AcceleratorMissing", node="gpu1"), "the alert fires by the source in charge")
        # The standby still sees it, and is not asked.
        eventually(lambda: len(fleet.query('all_smi_gpu_utilization{node="gpu1"}')) == GPUS, "the standby's GPUs")
    finally:
        fleet.shell("gpu1", "rm -f /run/lab-all-smi-hidden /run/lab-dcgm-hidden")
    eventually(lambda: not fleet.firing("AcceleratorMissing", node="gpu1"), "the alert ends")
