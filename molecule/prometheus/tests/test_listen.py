"""Where an exporter listens. Simulated: the accelerators."""

import pytest
from conftest import eventually


@pytest.mark.costly
def test_an_exporter_listens_on_the_nodes_own_address_alone(fleet, tmp_path):
    own = fleet.shell("plain1", "ip -o -4 address show dev eth0").split()[3].partition("/")[0]
    fleet.site("--limit", "plain1", inventory=fleet.inventory_of(tmp_path / "own.json", variables={"plain1": {"accelmon_address": own}}))
    try:
        assert f"{own}:9100" in fleet.shell("plain1", "ss -Hltn").split()
        eventually(lambda: fleet.values('up{job="node_exporter",node="plain1"}', "instance").get(f"{own}:9100") == 1, "it is scraped there")
    finally:
        fleet.site("--limit", "plain1")
    assert "*:9100" in fleet.shell("plain1", "ss -Hltn").split()
