"""What a run costs that changes nothing. Simulated: the accelerators."""

import json

ENVIRONMENT = {"ANSIBLE_CALLBACKS_ENABLED": "count_results", "ANSIBLE_CALLBACK_PLUGINS": "tests/callback_plugins"}


def test_a_converged_run_changes_nothing_and_keeps_its_budget(fleet, tmp_path):
    counted = tmp_path / "results.json"
    run = fleet.site(env={**ENVIRONMENT, "COUNT_RESULTS_FILE": str(counted)})
    assert run.changed() == 0, run.output
    results = json.loads(counted.read_text())
    for host, roles in results["roles"].items():
        for role, count in roles.items():
            assert count <= 8, f"{role} costs {count} results on {host}"
    assert {"node_exporter", "textfile_collector"} <= set(results["roles"]["nvidia1"])
    for host in fleet.accelerators:
        assert results["hosts"][host] <= 25, f"{host} costs {results['hosts'][host]} results"


def test_a_converged_run_needs_no_network_beyond_the_hosts(fleet):
    for host in fleet.hosts:
        fleet.lab("offline", host)
    try:
        assert fleet.site().changed() == 0
    finally:
        for host in fleet.hosts:
            fleet.lab("online", host)
