"""The registry loses and forgives nothing. Simulated: the accelerators."""

import json

import pytest
from conftest import eventually

REGISTRY = "/var/lib/accelmon/registry/default.json"


def registry(fleet, cluster="default"):
    return json.loads(fleet.shell("mon1", f"cat /var/lib/accelmon/registry/{cluster}.json"))


def targets(fleet, cluster="default"):
    return {entry["labels"]["node"] for entry in json.loads(fleet.shell("mon1", f"cat /var/lib/accelmon/targets/node_exporter/{cluster}.json"))}


def test_one_node_is_recorded_without_naming_the_monitoring_host(fleet, tmp_path):
    fleet.site("--limit", "amd1", inventory=fleet.inventory_of(tmp_path / "rack.json", variables={
        "amd1": {"accelmon_rack": "r42"}, "nvidia1": {"accelmon_rack": "r7"}}))
    hosts = registry(fleet)["hosts"]
    assert hosts["amd1"]["labels"] == {"rack": "r42"}
    assert hosts["nvidia1"]["labels"] == {}, "nothing changes about a host outside of the limit"
    eventually(lambda: fleet.values('up{node="amd1",job="node_exporter"}', "rack") == {"r42": 1}, "the new label is scraped")
    # The next test ends with a run for all hosts, which takes the label away.


def test_a_host_that_leaves_the_inventory_is_retired_and_pruned_only_on_demand(fleet, tmp_path):
    half = fleet.inventory_of(tmp_path / "half.json", hosts=("mon1", "nvidia1"))
    fleet.site(inventory=half)
    hosts = registry(fleet)["hosts"]
    assert (hosts["amd1"]["status"], hosts["plain1"]["status"]) == ("retired", "retired")
    assert targets(fleet) == {"mon1", "nvidia1", "amd1", "plain1"}, "a retired host is still a target"
    assert "retired" in fleet.play("playbooks/status.yml", inventory=half).output

    fleet.play("playbooks/prune.yml", inventory=half)
    assert targets(fleet) == {"mon1", "nvidia1"}
    fleet.site()
    assert targets(fleet) == {"mon1", "nvidia1", "amd1", "plain1"}
    assert registry(fleet)["hosts"]["amd1"]["labels"] == {}


@pytest.mark.costly
def test_two_clusters_live_side_by_side_and_a_machine_is_in_one_of_them(fleet, tmp_path):
    before = registry(fleet)["hosts"]
    assert {host["status"] for host in before.values()} == {"active"}
    other = fleet.inventory_of(tmp_path / "other.json", hosts=("mon1", "plain1"), variables={"plain1": {"accelmon_cluster": "other"}})
    try:
        fleet.site(inventory=other)
        assert set(registry(fleet, "other")["hosts"]) == {"plain1"}
        assert {name: host["highest"] for name, host in registry(fleet)["hosts"].items()} == {
            name: host["highest"] for name, host in before.items()}
        assert {name: host["status"] for name, host in registry(fleet)["hosts"].items() if host["status"] != "retired"} == {
            "mon1": "active", "plain1": "replaced"}
        assert targets(fleet) == {"mon1", "nvidia1", "amd1"}
        eventually(lambda: fleet.values('up{node="plain1",job="node_exporter"}', "cluster") == {"other": 1}, "it is scraped once")
    finally:
        fleet.shell("mon1", "cd /var/lib/accelmon && rm -f registry/other.* targets/*/other.json textfile/accelmon_fleet_other.prom")
        fleet.site()
    assert {host["status"] for host in registry(fleet)["hosts"].values()} == {"active"}, "who was retired comes back"


@pytest.mark.costly
def test_two_runs_at_once_lose_neither_record(fleet, tmp_path):
    inventory = fleet.inventory_of(tmp_path / "racks.json", variables={host: {"accelmon_rack": f"{host}-rack"} for host in ("nvidia1", "amd1")})
    runs = [fleet.start("site.yml", "--limit", host, inventory=inventory) for host in ("nvidia1", "amd1")]
    ended = [fleet.ended(run) for run in runs]
    assert [run.code for run in ended] == [0, 0], "\n".join(run.output for run in ended)
    hosts = registry(fleet)["hosts"]
    assert (hosts["nvidia1"]["labels"]["rack"], hosts["amd1"]["labels"]["rack"]) == ("nvidia1-rack", "amd1-rack")
    # The next test builds the registry again, without these labels.


@pytest.mark.costly
def test_a_registry_that_is_gone_is_rebuilt_by_a_full_run_and_by_no_other(fleet):
    fleet.shell("mon1", f"rm {REGISTRY}")
    refused = fleet.play("site.yml", "--limit", "amd1")
    assert refused.code != 0 and REGISTRY in refused.output and "--limit" in refused.output, refused.output
    assert targets(fleet) == {"mon1", "nvidia1", "amd1", "plain1"}, "the targets in use stay"
    fleet.site()
    assert set(registry(fleet)["hosts"]) == {"mon1", "nvidia1", "amd1", "plain1"}
    fleet.well()


def test_an_inventory_without_a_monitoring_host_is_refused(fleet, tmp_path):
    nodes = fleet.inventory_of(tmp_path / "nodes.json", groups={"accelerator_nodes": ["nvidia1", "amd1"]}, hosts=("nvidia1", "amd1"))
    run = fleet.play("site.yml", inventory=nodes)
    assert run.code != 0 and "monitoring" in run.output, run.output
    assert run.recap.get("nvidia1", {}).get("changed", 0) == 0
