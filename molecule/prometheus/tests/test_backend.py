"""What runs with the chosen backend. How a fleet changes it is in test_alerting.py. Simulated: the accelerators."""

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
