"""From one backend to the other and back, on a monitoring host that has a packaged VictoriaMetrics. Simulated: the accelerators."""

import time
import urllib.parse

from conftest import eventually

UNITS = {
    "prometheus": ["accelmon-prometheus"],
    "victoriametrics": ["accelmon-victoriametrics", "accelmon-vmagent", "accelmon-vmalert"],
}


def active(fleet, host="mon1"):
    """Our units that run on a monitoring host, without those that every backend has."""
    listed = fleet.shell(host, "systemctl list-units --plain --no-legend --state=active 'accelmon-*.service'").split("\n")
    return sorted(line.split(".service")[0] for line in listed if line.split(".service")[0] in sum(UNITS.values(), []))


def test_the_chosen_backend_runs_alone(fleet):
    for host in fleet.monitors:
        assert active(fleet, host) == UNITS["prometheus"]


def test_a_page_of_the_storage_needs_the_password(fleet):
    for host in fleet.monitors:
        said = fleet.shell(host, "curl -s -o /dev/null -w '%{http_code}' 'http://127.0.0.1:9090/api/v1/query?query=up'")
        assert said == "401"


def test_every_monitoring_host_sees_the_same_fleet(fleet):
    devices = {host: sum(vendors.values()) for host, vendors in fleet.accelerators.items()}
    for monitor in fleet.monitors:
        eventually(lambda: fleet.values("count by (node) (accelerator_info)", monitor=monitor) == devices,  # pylint: disable=cell-var-from-loop
                   f"{monitor} sees {devices}")


def test_a_running_fleet_changes_its_backend_and_comes_back(fleet, tmp_path):
    begin = time.time()
    other = fleet.inventory_of(tmp_path / "victoriametrics.json", variables={"mon1": {"accelmon_backend": "victoriametrics"}})
    run = fleet.site("--limit", "mon1", inventory=other)
    try:
        assert active(fleet) == sorted(UNITS["victoriametrics"])
        assert active(fleet, "mon2") == UNITS["prometheus"], "the other monitoring host is not touched"
        fleet.well(inventory=other)
        # Were the run to fail halfway, Prometheus would have to start with these.
        assert "eval_offset" not in fleet.shell("mon1", "cat /etc/accelmon/rules/*.yml")
        assert "eval_offset" in fleet.shell("mon1", "cat /etc/accelmon/rules/*.vmalert")
        devices = sum(sum(vendors.values()) for vendors in fleet.accelerators.values())
        eventually(lambda: list(fleet.query("count(accelerator_info)", backend="victoriametrics").values()) == [devices], f"{devices} devices")
        assert fleet.site("--limit", "mon1", inventory=other).changed() == 0
    finally:
        run = fleet.site("--limit", "mon1")
    assert active(fleet) == UNITS["prometheus"], run.output
    fleet.well()
    # What the first backend had stored is still there.
    arguments = urllib.parse.urlencode({"query": 'up{job="node_exporter",node="nvidia1"}', "start": begin - 30, "end": begin, "step": 5})
    eventually(lambda: fleet.fetch(fleet.storage("/api/v1/query_range?" + arguments))["data"]["result"], "the data from before the change")
