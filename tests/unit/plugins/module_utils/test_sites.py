# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a global place says about sites, asked of a real VictoriaMetrics that has samples as sites send them.

Without victoria-metrics in the directory ACCELMON_PROGRAMS or on PATH, the tests that ask it are skipped. Stubbed: the sites; their samples are made up.
"""
import os
import shutil
import subprocess
import time
import urllib.request

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import query, sites
from ansible_collections.accelmon.fleet.plugins.modules import fleet_status_info
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.fleet import answer
from ansible_collections.accelmon.fleet.tests.unit.plugins.live_programs import eventually, free_port

PROGRAM = shutil.which("victoria-metrics", path=os.environ.get("ACCELMON_PROGRAMS"))
needs_storage = pytest.mark.skipif(not PROGRAM, reason="victoria-metrics is not in ACCELMON_PROGRAMS or on PATH")

# Series of a site, as it sends them; ago: seconds before now of the newest sample.
SERIES = """accelmon_fleet_node_info{cluster="%(site)s",node="mon",state="active"} 1
accelmon_fleet_node_info{cluster="%(site)s",node="n1",rack="r1",state="maintenance"} 1
accelmon_expected_accelerators{cluster="%(site)s",node="n1",vendor="nvidia"} 8
accelmon_expected_accelerators{cluster="%(site)s",node="n2",vendor="nvidia"} 8
node:accelerator_info:count{cluster="%(site)s",node="n1",rack="r1",vendor="nvidia"} 7
node:accelerator_info:count{cluster="%(site)s",node="n2",vendor="nvidia"} 8
ALERTS{cluster="%(site)s",node="n1",alertname="AcceleratorMissing",alertstate="firing"} 1
ALERTS{cluster="%(site)s",node="n2",alertname="HostDown",alertstate="pending"} 1
ALERTS{cluster="%(site)s",alertname="Watchdog",alertstate="firing"} 1
"""


@pytest.fixture(scope="module", name="storage")
def _storage(tmp_path_factory):
    """URL of a storage with a site that sends, and with one that stopped sending 20 minutes ago."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen([PROGRAM, f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={tmp_path_factory.mktemp('storage')}"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            text, now = "", time.time()
            for site, newest in (("east", 5), ("west", 1200)):
                for ago in range(newest, newest + 600, 15):
                    text += "".join(f"{line} {(now - ago) * 1000:.0f}\n" for line in (SERIES % {"site": site}).splitlines())
            eventually(lambda: urllib.request.urlopen(f"{url}/api/v1/import/prometheus", text.encode(), timeout=5).status == 204)
            urllib.request.urlopen(f"{url}/internal/force_flush", timeout=60).close()
            yield url
        finally:
            process.kill()


@needs_storage
def test_a_site_that_sends_is_shown_and_of_one_that_does_not_nothing_is_known(storage):
    found = sites.rows(lambda expression: query.instant_query(storage, expression, 30), ["north", "west", "east"])
    ages = [row.pop("age") for row in found]
    assert 0 <= ages[0] < 120 and ages[1] is None and 1190 <= ages[2] < 1400
    assert found == [
        {"cluster": "east", "silent": False, "nodes": 2, "accelerators": {"nvidia": {"seen": 15, "expected": 16}}, "alerts": {"AcceleratorMissing": 1}},
        {"cluster": "north", "silent": True, "nodes": None, "accelerators": {}, "alerts": {}},
        {"cluster": "west", "silent": True, "nodes": None, "accelerators": {}, "alerts": {}}]


def test_the_table_says_what_is_unknown():
    row = {"cluster": "east", "age": 12, "silent": False, "nodes": 2, "accelerators": {"nvidia": {"seen": 15, "expected": 16}},
           "alerts": {"HostDown": 2, "AcceleratorMissing": 1}}
    nothing = {"silent": True, "nodes": None, "accelerators": {}, "alerts": {}}
    found = sites.table([row, dict(nothing, cluster="north", age=None), dict(nothing, cluster="west", age=1215)])
    assert [line.split("  ")[0] for line in found.split("\n")] == ["SITE", "east", "north", "west"]
    assert [part.strip() for line in found.split("\n") for part in line.split("  ") if part.strip()][5:] == [
        "east", "2", "nvidia 15/16", "up to date", "AcceleratorMissing 1, HostDown 2",
        "north", "?", "?", "cut off, no roll-up within a day", "?", "west", "?", "?", "cut off, last roll-up 20 min ago", "?"]
    assert sites.table([]) == ""


def test_status_without_a_storage_says_so_and_without_sites_says_nothing_of_them(tmp_path, monkeypatch):
    """Stubbed: the fleet itself, of which nothing is known, and the storage, which does not answer."""
    monkeypatch.setattr(fleet_status_info.view, "status", lambda params: ({}, {"firing": []}, [], [], []))

    def refused(*_args):
        raise Failure("cannot reach the storage")
    monkeypatch.setattr(fleet_status_info.view, "asking", lambda params: (refused, refused))
    params = {"findings": False, "only_problems": False, "sort": "worst", "hosts": None, "sites": [], "choices_dir": str(tmp_path)}
    without = fleet_status_info.status(params)
    assert (without["sites"], without["site_table"], without["problems"]) == ([], "", [])
    found = fleet_status_info.status(dict(params, sites=["east"]))
    assert (found["sites"], found["problems"]) == ([], ["cannot reach the storage"])
    shown = answer(dict(found, item="mon1", table="NODE", site_table="SITE\neast"), "text")
    assert shown[:3] == ["NODE", "SITE", "east"] and shown[-1] == "mon1: cannot reach the storage"


def test_a_site_is_cut_off_as_soon_as_the_alert_says_so():
    alert = next(one for one in load("alerts")["alerts"] if one["alert"] == "SiteSilent")
    assert f"last_over_time(accelmon_fleet_node_info[{sites.SILENT // 60}m])" in alert["expr"]
