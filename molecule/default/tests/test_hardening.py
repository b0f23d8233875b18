"""How much systemd confines our services, and that they work all the same. Simulated: the accelerators."""

import re

import yaml
from conftest import CHECKOUT

CATALOGUE = yaml.safe_load((CHECKOUT / "plugins" / "plugin_utils" / "catalogue" / "hardening.yml").read_text())
COLLECTOR = "accelmon-textfile-collector"
PAGE = "/var/lib/accelmon/textfile/accelmon_accelerators.prom"


def units(fleet, host):
    """Our service units on a host."""
    listed = fleet.shell(host, "systemctl list-unit-files --no-legend --no-pager 'accelmon-*.service'")
    return [line.split()[0][:-len(".service")] for line in listed.splitlines()]


def exposure(fleet, host, unit):
    """What systemd-analyze says of a unit, from 0 to 10."""
    told = fleet.shell(host, f"systemd-analyze security --no-pager {unit}.service")
    return float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", told).group(1))


def collect(fleet, host):
    """Run the collector once; how many devices its page has."""
    # Its timer may have started it under the settings of before.
    fleet.shell(host, f"systemctl restart {COLLECTOR}.service", check=False)
    return fleet.shell(host, f"grep -c ^node_gpu_info {PAGE} || true")


def test_no_unit_is_less_confined_than_recorded(fleet):
    limits = {f"accelmon-{name.replace('_', '-')}": service["exposure"] for name, service in CATALOGUE["services"].items()}
    seen = set()
    for host in fleet.hosts:
        for unit in units(fleet, host):
            assert unit in limits, f"{host}: {unit}: not in plugins/plugin_utils/catalogue/hardening.yml"
            found = exposure(fleet, host, unit)
            assert found <= limits[unit], f"{host}: {unit}: exposure {found}, recorded {limits[unit]}"
            assert found >= limits[unit] - 0.3, f"{host}: {unit}: exposure {found}: lower what is recorded"
            seen.add(unit)
    assert {"accelmon-node-exporter", COLLECTOR} <= seen


def test_a_confined_collector_reads_its_devices(fleet):
    for host, vendors in fleet.accelerators.items():
        assert int(collect(fleet, host)) == sum(vendors.values()), host


def test_without_its_device_nodes_the_collector_reads_nothing(fleet):
    """That the test above can fail. AMD's values come from sysfs, so this is NVIDIA's alone."""
    host = next(host for host, vendors in fleet.accelerators.items() if set(vendors) == {"nvidia"})
    folder = f"/run/systemd/system/{COLLECTOR}.service.d"
    try:
        fleet.shell(host, f"mkdir -p {folder}; printf '[Service]\\nPrivateDevices=yes\\nDeviceAllow=\\n' > {folder}/test.conf; systemctl daemon-reload")
        assert int(collect(fleet, host)) == 0
    finally:
        fleet.shell(host, f"rm -r {folder}; systemctl daemon-reload")
    assert int(collect(fleet, host)) == fleet.accelerators[host]["nvidia"]


def test_node_exporter_tells_what_its_exceptions_are_for(fleet):
    for host in fleet.hosts:
        page = fleet.shell(host, "curl -sf http://$(ss -Hltn 'sport = :9100' | awk '{print $4; exit}' | sed 's/^\\*/127.0.0.1/')/metrics")
        for collector in ("timex", "netclass", "filesystem", "stat"):
            assert f'node_scrape_collector_success{{collector="{collector}"}} 1' in page, f"{host}: {collector}"
