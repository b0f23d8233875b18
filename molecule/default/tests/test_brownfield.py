"""A node_exporter that somebody else installed. Simulated: the accelerators of the other hosts."""

from conftest import eventually


def test_somebody_elses_node_exporter_is_refused_or_scraped_as_it_is(fleet, tmp_path):
    fleet.site("--limit", "plain1", "-e", "node_exporter_state=absent")
    assert fleet.shell("plain1", "ls /usr/bin/prometheus-node-exporter", check=False).startswith("ls: cannot access"), "the package was ours"
    fleet.shell("plain1", "apt-get install --yes --no-install-recommends prometheus-node-exporter && systemctl is-active prometheus-node-exporter")
    theirs = fleet.shell("plain1", "systemctl show --property MainPID --property FragmentPath prometheus-node-exporter")
    try:
        refused = fleet.play("site.yml", "--limit", "plain1")
        assert refused.code != 0
        assert "prometheus-node-exporter.service" in refused.output and "node_exporter_managed: external" in refused.output, refused.output

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
