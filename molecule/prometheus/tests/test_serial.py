"""A change that goes through the fleet in batches. Simulated: the accelerators."""

import json

import pytest
from conftest import eventually

UNIT = "/etc/systemd/system/accelmon-node-exporter.service"


@pytest.mark.costly
def test_the_first_unhealthy_batch_stops_the_change(fleet):
    ours = ["nvidia1", "plain1"]
    before = {host: fleet.shell(host, f"cat {UNIT}") for host in ours}
    change = {"accelmon_serial": "1", "node_exporter_extra_args": ["--no-such-flag"]}
    run = fleet.play("site.yml", "--limit", ",".join(ours), "-e", json.dumps(change))
    assert run.code != 0 and "no-such-flag" in run.output, run.output
    failed = [host for host in ours if run.recap[host]["failed"]]
    assert len(failed) == 1, run.output
    for host in ours:
        assert fleet.shell(host, f"cat {UNIT}") == before[host], f"{host} has its old unit"
        eventually(lambda: "node_uname_info" in fleet.shell(host, "curl -sf http://127.0.0.1:9100/metrics"),  # pylint: disable=cell-var-from-loop
                   f"{host} answers")
    other = next(host for host in ours if host not in failed)
    assert "no-such-flag" not in fleet.shell(other, "journalctl --no-pager -u accelmon-node-exporter"), f"{other} was never tried"
    assert fleet.site("--limit", ",".join(ours), "-e", "accelmon_serial=1").changed() == 0
