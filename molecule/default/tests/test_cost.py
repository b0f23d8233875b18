"""What a run costs that changes nothing. Simulated: the accelerators."""

import pytest


@pytest.fixture(scope="module")
def results(fleet, tmp_path_factory):
    """The results of the run after the first one, with no way out of the hosts' own network. It changes nothing, or this fails."""
    for host in fleet.hosts:
        fleet.lab("offline", host)
    try:
        return fleet.counted("site.yml", tmp_path_factory.mktemp("cost"))
    finally:
        for host in fleet.hosts:
            fleet.lab("online", host)


def test_a_converged_run_changes_nothing_and_keeps_its_budget(fleet, results):
    for host, roles in results["roles"].items():
        for role, count in roles.items():
            assert count <= 6, f"{role} costs {count} results on {host}"
    # The one call, and the steps that are not needed.
    assert all(results["roles"]["nvidia1"][role] <= 2 for role in ("node_exporter", "textfile_collector"))
    for host in fleet.accelerators:
        # What is done once for all hosts is counted on one of them.
        most = 10 + results["roles"][host].get("access", 0)
        assert results["hosts"][host] <= most, f"{host} costs {results['hosts'][host]} results"


def test_a_converged_run_needs_no_network_beyond_the_hosts(fleet, results):
    assert set(results["hosts"]) == set(fleet.hosts)
