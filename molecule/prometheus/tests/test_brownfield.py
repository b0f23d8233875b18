"""Exporters that were there before, with this backend. More on them is in the scenario brownfield. Simulated: the accelerators."""

from conftest import eventually

THEIRS = ("amd1", "ext1")
STATE = "systemctl show --property MainPID --property FragmentPath --property DropInPaths prometheus-node-exporter; cat /etc/default/prometheus-node-exporter"


def test_their_services_are_untouched_and_ours_are_not_there(fleet):
    before = {host: fleet.shell(host, STATE) for host in THEIRS}
    fleet.site()
    for host in THEIRS:
        assert fleet.shell(host, STATE) == before[host]
        assert "--no-collector.hwmon" in before[host] and "accelmon" not in before[host]
        assert "accelmon-node-exporter" not in fleet.shell(host, "systemctl list-unit-files")


def test_an_adopted_exporter_publishes_the_accelerators_beside_the_sites_own_files(fleet):
    owners = fleet.values("site_owner")
    assert {host: owners.get(host) for host in THEIRS} == {"amd1": 1, "ext1": 1}
    eventually(lambda: fleet.values('count by (node) (accelerator_info{node="amd1"})') == {"amd1": 4}, "the adopted host's accelerators")


def test_an_external_exporter_is_scraped_where_it_is(fleet):
    assert any(dict(labels)["instance"].endswith(":9200") for labels in fleet.query('up{job="node_exporter",node="ext1"} == 1'))
