# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The views of the catalogue, asked of real VictoriaMetrics and Prometheus that have the same samples: they have to answer the same.

Needs the programs in the directory ACCELMON_PROGRAMS, or on PATH; without them every test here is skipped.
Stubbed: the rule evaluator, which is away; the recorded series, whose values are made up.
"""
import contextlib
import math
import os
import shutil
import subprocess
import time
import urllib.request

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import query, registry
from ansible_collections.accelmon.fleet.plugins.modules import fleet_report_info
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import report as pages, vmui
from ansible_collections.accelmon.fleet.tests.unit.plugins.fleet_samples import record
from test_fleet_live import free_port

FOLDER = os.environ.get("ACCELMON_PROGRAMS")
MISSING = [name for name in ("victoria-metrics", "prometheus", "promtool") if not shutil.which(name, path=FOLDER)]
pytestmark = pytest.mark.skipif(bool(MISSING), reason="not found in ACCELMON_PROGRAMS or on PATH: " + ", ".join(MISSING))
PATIENCE = 120


def lines(now):
    """Two clusters with two nodes of four devices over the last 25 hours; one device is gone since an hour.

    No sample is at the beginning of a window, where the two programs differ.
    """
    for at in range(now - 25 * 3600, now, 240):
        at += 1 if at % 900 == 0 else 0
        for cluster in ("east", "west"):
            load_sum = 0
            for node in ("gpu1", "gpu2"):
                for index in range(4):
                    if (cluster, node, index) == ("west", "gpu2", 3) and at > now - 3600:
                        continue
                    labels = f'cluster="{cluster}",rack="r1",node="{node}",index="{index}",uuid="GPU-{node}{index}",vendor="nvidia",model="H100"'
                    busy = round(0.5 + 0.5 * math.sin(at / 5000 + index), 3)
                    load_sum += busy
                    for name, more, value in (
                            ("accelerator_info", ',pci_bus_id="0000:1b:00.0"', 1), ("accelerator_utilization_ratio", "", busy),
                            ("accelerator_memory_used_bytes", "", 30e9), ("accelerator_memory_total_bytes", "", 80e9),
                            ("accelerator_temperature_celsius", ',sensor="core"', 40 + 30 * busy), ("accelerator_power_watts", "", 100 + 500 * busy),
                            ("accelerator_power_limit_watts", "", 700), ("accelerator_health_score", "", 40 if (node, index) == ("gpu1", 1) else 100),
                            ("accelerator_health_known_ratio", "", 0.8)):
                        yield f"{name}{{{labels}{more}}} {value} {at}"
                    if (node, index) == ("gpu1", 1):
                        yield f'accelerator_health_state{{{labels},component="recovery"}} 1 {at}'
                        yield f'accelerator_errors_total{{{labels},pci_bus_id="0000:1b:00.0",kind="xid",code="79"}} 3 {at}'
                        yield f'accelerator_error_last_timestamp_seconds{{{labels},pci_bus_id="0000:1b:00.0",kind="xid",code="79"}} {now - 5000} {at}'
                yield f'accelmon_expected_accelerators{{cluster="{cluster}",node="{node}",vendor="nvidia",host="mon01"}} 4 {at}'
            for name, value in (("accelerator_info:count", 7 if cluster == "west" and at > now - 3600 else 8),
                                ("accelerator_utilization_ratio:avg", load_sum / 8),
                                ("accelerator_memory_used_bytes:sum", 24e10), ("accelerator_memory_total_bytes:sum", 64e10),
                                ("accelerator_power_watts:sum", 800 + 500 * load_sum),
                                ("accelerator_temperature_celsius:max", 70)):
                yield f'cluster:{name}{{cluster="{cluster}",vendor="nvidia"}} {value} {at}'


def answers(url):
    """Wait for a program."""
    end = time.time() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            assert time.time() < end, url
            time.sleep(0.1)


@contextlib.contextmanager
def storing(folder, samples):
    """{program: URL} of storages that have these lines of an exposition, whose times are seconds."""
    # OpenMetrics wants the samples of a series together and in the order of time.
    text = "\n".join(sorted(samples, key=lambda line: (line[:line.rindex("}")], int(line.split()[-1]))))
    (folder / "samples").write_text(text + "\n# EOF\n")
    subprocess.run([shutil.which("promtool", path=FOLDER), "tsdb", "create-blocks-from", "openmetrics", "samples", "prometheus"], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (folder / "prometheus.yml").write_text("scrape_configs: []\n")
    ports = {"victoria-metrics": free_port(), "prometheus": free_port()}
    arguments = {
        "victoria-metrics": ["-storageDataPath=vm", "-retentionPeriod=1y", f"-httpListenAddr=127.0.0.1:{ports['victoria-metrics']}"],
        "prometheus": ["--config.file=prometheus.yml", "--storage.tsdb.path=prometheus", "--storage.tsdb.retention.time=1y",
                       f"--web.listen-address=127.0.0.1:{ports['prometheus']}"]}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    with contextlib.ExitStack() as stack:
        for name, given in arguments.items():
            process = subprocess.Popen([shutil.which(name, path=FOLDER), *given], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.kill)
        answers(urls["victoria-metrics"] + "/health")
        answers(urls["prometheus"] + "/-/ready")
        samples = "\n".join(f"{line}000" for line in text.splitlines()).encode()
        urllib.request.urlopen(urls["victoria-metrics"] + "/api/v1/import/prometheus", data=samples, timeout=PATIENCE).close()
        urllib.request.urlopen(urls["victoria-metrics"] + "/internal/force_flush", timeout=PATIENCE).close()
        yield urls


@pytest.fixture(scope="module", name="storages")
def _storages(tmp_path_factory):
    now = int(time.time())
    with storing(tmp_path_factory.mktemp("storages"), lines(now)) as urls:
        yield urls, now


def reported(storages, folder, name, hosts=None):
    """The report that a storage gives."""
    urls, now = storages
    for cluster in ("east", "west"):
        records = {node: record(node, cluster=cluster, accelerators={"nvidia": {"H100": 4}}) for node in ("gpu1", "gpu2")}
        made = registry.merge(registry.empty(cluster), records, set(records), full_run=True)[0]
        (folder / f"{cluster}.json").write_text(registry.dump(made))
    nothing = str(folder / "none")
    params = {"clusters": [], "hosts": hosts, "state_dir": str(folder), "storage_url": urls[name], "rules_url": "http://127.0.0.1:1", "query_timeout": 30,
              "password_file": nothing, "ca_file": nothing, "interval": "120s", "fresh_intervals": 3, "recording_delay": 30, "views": load("views"),
              "monitoring_host": "mon01", "choices_dir": nothing}
    return fleet_report_info.collected(params, now)


def test_both_storages_give_the_same_report(storages, tmp_path):
    found, other = (reported(storages, tmp_path, name) for name in ("victoria-metrics", "prometheus"))
    assert found["devices"] == other["devices"] and len(found["devices"]) == 15
    assert found["errors"] == other["errors"] and found["faults"] == other["faults"]
    assert found["trends"]["times"] == other["trends"]["times"]
    for line, same in zip(found["trends"]["lines"], other["trends"]["lines"]):
        for name in load("views")["trends"]:
            # An average may differ in its last digits, which the fourth decimal then shows.
            assert None not in line[name] + same[name] and line[name] == pytest.approx(same[name], rel=1e-6, abs=1.1e-4), (line["cluster"], name)
    assert {name for device in found["devices"] for name, value in device.items() if value is None} == {"memory_temperature"}
    for line in found["trends"]["lines"]:
        assert line["energy_joules"] == pytest.approx(sum(line["power"]) * 900)
    assert [line["missing"][place] for line in found["trends"]["lines"] for place in (0, -1)] == [0, 0, 0, 1]
    assert [(error["code"], error["times"], error["count"]) for error in found["errors"]] == [("79", 6, 2)]
    assert [(fault["component"], fault["grade"], fault["count"]) for fault in found["faults"]] == [("recovery", "degraded", 2)]
    page = pages.page(found)
    assert "Xid 79" in page and page.count("<polyline") == 10


def test_of_some_nodes(storages, tmp_path):
    found = reported(storages, tmp_path, "victoria-metrics", hosts=["gpu2"])
    assert {device["node"] for device in found["devices"]} == {"gpu2"} and found["errors"] == [] and len(found["trends"]["lines"]) == 2


@pytest.mark.parametrize("page", vmui.pages())
def test_every_panel_of_vmui_has_data_and_few_lines(storages, page):
    """On VictoriaMetrics, which has vmui, and on Prometheus, as a second judge of the queries."""
    urls, now = storages
    start, end = (now - 7200) // 60 * 60, now // 60 * 60
    for row in vmui.pages()[page]["rows"]:
        for panel in row["panels"]:
            drawn, same = (query.range_query(url, panel["expr"][0], 30, start, end, 60) for url in urls.values())
            # Memory temperatures are not among the samples. Which of equally busy devices are drawn is not the same.
            assert len(drawn) == len(same) <= 10 and bool(drawn) == ("Temperature of the memory" not in panel["title"]), (panel, drawn, same)
