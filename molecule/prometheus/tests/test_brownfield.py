"""Exporters that were there before, with this backend. More on them is in the scenario brownfield. Simulated: the accelerators."""

import pytest
from conftest import eventually

THEIRS = ("amd1", "ext1")
STATE = "systemctl show --property MainPID --property FragmentPath --property DropInPaths prometheus-node-exporter; cat /etc/default/prometheus-node-exporter"


def test_their_services_are_untouched_and_ours_are_not_there(fleet):
    before = {host: fleet.shell(host, STATE) for host in THEIRS}
    fleet.site("--limit", ",".join(THEIRS))
    for host in THEIRS:
        assert fleet.shell(host, STATE) == before[host]
        assert "--no-collector.hwmon" in before[host] and "accelmon" not in before[host]
        assert "accelmon-node-exporter" not in fleet.shell(host, "systemctl list-unit-files")


def test_an_adopted_exporter_publishes_the_accelerators_beside_the_sites_own_files(fleet):
    eventually(lambda: {"amd1": 1, "ext1": 1}.items() <= fleet.values("site_owner").items(), "the sites' own files")
    eventually(lambda: fleet.values('count by (node) (accelerator_info{node="amd1"})') == {"amd1": 4}, "the adopted host's accelerators")


def test_an_external_exporter_is_scraped_where_it_is(fleet):
    eventually(lambda: any(dict(labels)["instance"].endswith(":9200") for labels in fleet.query('up{job="node_exporter",node="ext1"} == 1')), "port 9200")


def test_a_prometheus_that_was_there_stays_disabled(fleet):
    assert fleet.shell("mon2", "systemctl is-enabled prometheus", check=False).strip() == "disabled"
    assert fleet.shell("mon2", "systemctl cat prometheus").count("/usr/local/bin/prometheus") == 1


@pytest.mark.costly
def test_somebody_elses_node_exporter_is_refused_or_scraped_as_it_is(fleet, tmp_path):
    fleet.site("--limit", "plain1", "-e", "node_exporter_state=absent")
    assert fleet.shell("plain1", "ls /usr/bin/prometheus-node-exporter", check=False).startswith("ls: cannot access"), "the package was ours"
    fleet.shell("plain1", "apt-get install --yes --no-install-recommends prometheus-node-exporter && systemctl is-active prometheus-node-exporter")
    theirs = fleet.shell("plain1", "systemctl show --property MainPID --property FragmentPath prometheus-node-exporter")
    try:
        refused = fleet.play("site.yml", "--limit", "plain1")
        assert refused.code != 0
        assert "prometheus-node-exporter.service" in refused.output and "set node_exporter_managed to adopt or external" in refused.output, refused.output

        external = fleet.inventory_of(tmp_path / "external.json", variables={"plain1": {"node_exporter_managed": "external"}})
        assert fleet.site("--limit", "plain1", inventory=external).recap["plain1"]["failed"] == 0
        eventually(lambda: fleet.values('up{job="node_exporter"}').get("plain1") == 1, "it is scraped")
        fleet.well(inventory=external)
        assert fleet.shell("plain1", "systemctl show --property MainPID --property FragmentPath prometheus-node-exporter") == theirs
        assert fleet.shell("plain1", "ls /etc/systemd/system/accelmon-node-exporter.service", check=False).startswith("ls: cannot access")
    finally:
        fleet.shell("plain1", "apt-get purge --yes prometheus-node-exporter")
        fleet.site("--limit", "plain1")
    fleet.well()
