# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scrape targets from records. Nothing is stubbed; records are made up."""
import json
import random

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import targets
from ansible_collections.accelmon.fleet.tests.unit.plugins.fleet_samples import exporter, random_records, record


@pytest.mark.parametrize("address,expected", [
    ("10.0.0.1", "10.0.0.1:9100"), ("gpu7.example.com", "gpu7.example.com:9100"), ("2001:db8::7", "[2001:db8::7]:9100"),
    ("::ffff:10.0.0.1", "[::ffff:10.0.0.1]:9100"),
])
def test_instance(address, expected):
    assert targets.instance(address, 9100) == expected


def test_labels_of_a_plain_target():
    made = targets.scrape_targets([record("gpu7", address="10.0.0.7", labels={"rack": "r1", "room": "b"})])
    assert made == {"node_exporter": [{
        "targets": ["10.0.0.7:9100"],
        "labels": {"cluster": "c", "node": "gpu7", "rack": "r1", "room": "b"}}]}


def test_a_target_stays_the_same_whoever_is_in_charge():
    """Its series would end otherwise."""
    made = [targets.scrape_targets([record("a", exporters=[exporter(elected=elected, standby=standby, source="textfile")])])
            for elected, standby in ((["nvidia"], []), ([], ["nvidia"]), (["amd", "nvidia"], []))]
    assert made[0] == made[1] == made[2]


def test_custom_exporter_carries_its_job_scheme_and_path():
    custom = {"job": "ipmi", "port": 9290, "scheme": "https", "path": "/ipmi", "labels": {"bmc": "x"}, "elected": [], "custom": True}
    made = targets.scrape_targets([record("a", address="10.0.0.1", exporters=[custom])])
    assert made["ipmi"][0]["labels"] == {
        "cluster": "c", "node": "a", "rack": "r1", "bmc": "x", "job": "ipmi", "__scheme__": "https", "__metrics_path__": "/ipmi"}


def test_files_are_by_job_and_cluster_and_custom_ones_apart():
    custom = {"job": "ipmi", "port": 9290, "scheme": "http", "path": "/metrics", "elected": [], "custom": True}
    files = targets.target_files("c", [record("a"), record("b", exporters=[exporter(), custom])])
    assert sorted(files) == ["custom/ipmi.c.json", "node_exporter/c.json"]
    assert [entry["labels"]["node"] for entry in json.loads(files["node_exporter/c.json"])] == ["a", "b"]


def test_one_entry_per_line():
    text = targets.target_files("c", [record("a"), record("b")])["node_exporter/c.json"]
    assert len(text.splitlines()) == 4
    for line in text.splitlines()[1:-1]:
        assert json.loads(line.rstrip(","))["targets"]


@pytest.mark.parametrize("seed", range(20))
def test_order_of_records_does_not_matter(seed):
    made = list(random_records(seed).values())
    shuffled = made[:]
    random.Random(seed).shuffle(shuffled)
    assert targets.target_files("c", made) == targets.target_files("c", shuffled)


@pytest.mark.parametrize("seed", range(20))
def test_every_exporter_of_every_record_is_one_target(seed):
    made = list(random_records(seed).values())
    found = sorted((job, entry["labels"]["node"], entry["targets"][0]) for job, entries in targets.scrape_targets(made).items()
                   for entry in entries)
    assert found == sorted((one["job"], host["host"], "%s:%d" % (host["address"], one["port"])) for host in made
                           for one in host["exporters"])
