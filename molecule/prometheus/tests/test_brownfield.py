"""Exporters that were there before: adopted and external ones. Simulated: the accelerators."""

import json

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
    eventually(lambda: fleet.values('count by (node) (accelerator_info{node="amd1"})') == {"amd1": 4}, what="the adopted host's accelerators")


def test_an_external_exporter_is_scraped_where_it_is(fleet):
    assert any(dict(labels)["instance"].endswith(":9200") for labels in fleet.query('up{job="node_exporter",node="ext1"} == 1'))


def test_a_lost_accelerator_of_an_adopted_host_is_noticed(fleet):
    fleet.lab("device", "remove", "amd1", "1")
    try:
        eventually(lambda: fleet.firing("AcceleratorMissing", node="amd1"), what="AcceleratorMissing fires")
    finally:
        fleet.lab("device", "restore", "amd1", "1")
    eventually(lambda: not fleet.firing("AcceleratorMissing"), what="AcceleratorMissing ends")


def test_an_adopted_exporter_that_does_not_read_our_directory_is_an_error(fleet, tmp_path):
    inventory = fleet.inventory_of(tmp_path / "elsewhere.json", variables={"amd1": {"accelmon_textfile_directory": "/var/lib/accelmon/textfile"}})
    run = fleet.play("site.yml", "--limit", "amd1", inventory=inventory)
    assert run.code != 0 and "accelmon_textfile_directory" in run.output, run.output
    fleet.site("--limit", "amd1")


def test_what_absent_removes_is_ours_alone(fleet):
    before = fleet.shell("amd1", STATE)
    fleet.site("--limit", "amd1", "-e", json.dumps({"node_exporter_state": "absent", "textfile_collector_state": "absent"}))
    try:
        assert fleet.shell("amd1", STATE) == before
        files = fleet.shell("amd1", "ls /var/lib/prometheus/node-exporter").split()
        assert "site.prom" in files and not [name for name in files if name.startswith("accelmon_")], files
    finally:
        fleet.site("--limit", "amd1")
    assert fleet.verify("-e", "accelmon_verify_wait=60").code == 0
