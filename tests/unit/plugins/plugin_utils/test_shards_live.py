# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Three real vmagents that share nodes, with our scrape configuration: which of them scrapes what.

Needs vmagent in the directory ACCELMON_PROGRAMS, or on PATH; without it the test is skipped. Stubbed: the nodes, at whose addresses nobody listens; the
registry's files, written here; the storage, which does not answer.
"""
import collections
import json
import os
import shutil
import subprocess
import urllib.request

import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import scrape
from ansible_collections.accelmon.fleet.tests.unit.plugins.live_programs import eventually, free_port

VMAGENT = shutil.which("vmagent", path=os.environ.get("ACCELMON_PROGRAMS"))
pytestmark = pytest.mark.skipif(not VMAGENT, reason="not found in ACCELMON_PROGRAMS or on PATH: vmagent")

NODES = [f"gpu{number:02d}" for number in range(40)]
MEMBERS, COPIES = 3, 2


@pytest.fixture(name="scraped", scope="module")
def _scraped(tmp_path_factory):
    """[{(job, node) of an active target}] of each vmagent."""
    folder = tmp_path_factory.mktemp("shards")
    for job, port in (("node_exporter", 1), ("dcgm_exporter", 2)):
        (folder / "targets" / job).mkdir(parents=True)
        (folder / "targets" / job / "c1.json").write_text(json.dumps([
            {"targets": [f"127.0.0.1:{port}"], "labels": {"cluster": "c1", "node": node, **({"rack": "r1"} if number % 2 else {})}}
            for number, node in enumerate(NODES)]))
    running, found = [], []
    try:
        for number in range(MEMBERS):
            port = free_port()
            (folder / f"{number}.yml").write_text(scrape.scrape_file({
                "node_exporter": "127.0.0.1:3", "cluster": "c1", "node": f"mon{number}", "targets_dir": str(folder / "targets"), "pair": True,
                "stack": {"vmagent": f"127.0.0.1:{port}"}, "shard": {"number": number, "members": MEMBERS, "copies": COPIES}}))
            running.append(subprocess.Popen(
                [VMAGENT, f"-httpListenAddr=127.0.0.1:{port}", f"-promscrape.config={folder}/{number}.yml", "-promscrape.config.strictParse",
                 "-remoteWrite.url=http://127.0.0.1:1/api/v1/write", f"-remoteWrite.tmpDataPath={folder}/{number}", f"-promscrape.cluster.name=mon{number}"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            found.append(eventually(lambda port=port: active(port)))
    finally:
        for program in running:
            program.kill()
            program.wait()
    return found


def active(port):
    """[(job, node)] of the active targets of a vmagent, once it has read all of its files."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/targets?state=active", timeout=5) as answer:
        targets = json.load(answer)["data"]["activeTargets"]
    found = [(target["labels"]["job"], target["labels"].get("node", "")) for target in targets]
    assert not [label for target in targets for label in target["labels"] if label.startswith("__tmp")]
    return found if {"node_exporter", "dcgm_exporter", "vmagent", "accelmon_fleet"} <= {job for job, dummy in found} else None


def test_each_node_is_scraped_by_two_of_three_with_all_of_its_exporters(scraped):
    for job in ("node_exporter", "dcgm_exporter"):
        assert collections.Counter(node for one in scraped for name, node in one if name == job) == dict.fromkeys(NODES, COPIES)
    for one in scraped:
        assert {node for job, node in one if job == "node_exporter"} == {node for job, node in one if job == "dcgm_exporter"}
        # None of them has nothing, or all.
        assert 0 < len({node for job, node in one if job == "node_exporter"}) < len(NODES)


def test_each_watches_the_services_of_its_own_host(scraped):
    assert [[node for job, node in one if job == "vmagent"] for one in scraped] == [[f"mon{number}"] for number in range(MEMBERS)]
    assert all(len([node for job, node in one if job == "accelmon_fleet"]) == 1 for one in scraped)
