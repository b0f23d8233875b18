"""The way of an alert from a node to whoever is told, through a pair of Alertmanagers, with each backend.

Simulated: the receiver, a program that keeps what it gets. The pair runs two releases of Alertmanager.
"""

import json
import time
import urllib.parse

import pytest

from conftest import eventually
from test_backend import UNITS, active

PORT = 18099
LOG = "/tmp/accelmon-notifications"
RECEIVER = "accelmon-test-receiver"


class Receiver:
    """The receiver on the first monitoring host."""

    def __init__(self, fleet):
        self.fleet, self.host, self.gone = fleet, fleet.monitors[0], False

    def start(self):
        """Start it, with nothing received."""
        with open(__file__.replace("test_alerting.py", "../../shared/tests/webhook_receiver.py"), encoding="utf-8") as stream:
            program = stream.read()
        self.fleet.shell(self.host, f"cat > /root/receiver.py <<'END'\n{program}\nEND\nrm -f {LOG}; "
                                    f"systemd-run --unit {RECEIVER} --collect python3 /root/receiver.py {PORT} {LOG}")

    def stop(self):
        """Stop it."""
        self.fleet.shell(self.host, f"systemctl stop {RECEIVER}; rm -f {LOG} /root/receiver.py", check=False)

    def leave(self):
        """Stop it for good, with the fleet as the scenario wants it."""
        if not self.gone:
            self.stop()
            self.fleet.site("--limit", "monitoring")
            self.gone = True

    def told(self, path, alert, status, **labels):
        """Notifications at a path that have an alert with this name, status and labels."""
        lines = self.fleet.shell(self.host, f"cat {LOG} 2>/dev/null || true").splitlines()
        wanted = {"alertname": alert, **labels}
        return [note for note in map(json.loads, lines) if note["path"] == path and any(
            found["status"] == status and wanted.items() <= found["labels"].items() for found in note["alerts"])]


def settings(backend):
    """Variables of a run with a backend: notifications within seconds, to our receiver."""
    return {"accelmon_backend": backend, "alertmanager_group_wait": "3s", "alertmanager_group_interval": "5s",
            "alertmanager_webhook_urls": [f"http://mon1:{PORT}/all"], "alertmanager_watchdog_urls": [f"http://mon1:{PORT}/watchdog"]}


@pytest.fixture(scope="module")
def receiver(fleet):
    """The receiver, running; afterwards the fleet is as the scenario wants it."""
    made = Receiver(fleet)
    made.start()
    yield made
    made.leave()


@pytest.fixture(scope="module", params=["prometheus", "victoriametrics"])
def change(request, fleet, receiver, tmp_path_factory):
    """(backend of the first monitoring host, inventory, time before the run that made it so). The second keeps Prometheus: its Debian has too
    old a VictoriaMetrics."""
    folder = tmp_path_factory.mktemp("alerting")
    (folder / "own.yml").write_text(OWN_RULE % own_alert(request.param))
    inventory = fleet.inventory_of(folder / "inventory.json", settings={**settings("prometheus"), "accelmon_rule_files": [str(folder / "own.yml")]},
                                   variables={"mon1": {"accelmon_backend": request.param}})
    begin = time.time()
    fleet.site("--limit", "monitoring", inventory=inventory)
    return request.param, inventory, begin


@pytest.fixture(scope="module")
def backend(change):
    """The backend on the first monitoring host."""
    return change[0]


# An alert that never fired before: an engine goes on telling for a quarter of an hour that an alert has ended, and a group of such
# alerts is news again and again.
OWN_RULE = """
groups:
  - name: test
    rules: [{alert: %s, expr: 'max by (node) (up{job="node_exporter", node="plain1"}) == 0'}]
"""


def own_alert(backend):
    """Name of the alert that is this backend's alone."""
    return f"PlainIsGoneWith{backend.capitalize()}"


def stop_a_node(fleet):
    fleet.shell("plain1", "systemctl stop accelmon-node-exporter")


def start_it(fleet):
    fleet.shell("plain1", "systemctl start accelmon-node-exporter")


def test_an_alert_is_told_once_and_so_is_its_end(fleet, receiver, backend):
    def told(status):
        return [note["at"] for note in receiver.told("/all", own_alert(backend), status, node="plain1")]
    stop_a_node(fleet)
    try:
        eventually(lambda: told("firing"), "the alert is told")
    finally:
        start_it(fleet)
    eventually(lambda: told("resolved"), "its end is told")
    assert len(told("firing")) == 1, f"{backend}: both engines notify both Alertmanagers, and one notification goes out: {told('firing')}"


def test_watchdog_goes_to_who_waits_for_it_and_to_nobody_else(receiver, backend):
    eventually(lambda: receiver.told("/watchdog", "Watchdog", "firing"), "Watchdog is told")
    assert not receiver.told("/all", "Watchdog", "firing"), backend


@pytest.mark.parametrize("change", ["prometheus", pytest.param("victoriametrics", marks=pytest.mark.costly)], indirect=True)
@pytest.mark.parametrize("stopped", ["mon1", "mon2"])
def test_one_of_the_pair_is_enough(fleet, receiver, backend, stopped):
    def is_over():
        """HostDown has ended, and so says the last notification of it: until then, firing again would be no news."""
        at = {status: max((note["at"] for note in receiver.told("/all", "HostDown", status, node="plain1")), default=0) for status in ("firing", "resolved")}
        return at["resolved"] >= at["firing"] and not fleet.firing("HostDown", monitor="mon2", node="plain1")
    eventually(is_over)
    before = len(receiver.told("/all", "HostDown", "firing", node="plain1"))
    fleet.shell(stopped, "systemctl stop accelmon-alertmanager")
    try:
        stop_a_node(fleet)
        eventually(lambda: len(receiver.told("/all", "HostDown", "firing", node="plain1")) > before,
                   what=f"with {backend}: told without the Alertmanager of {stopped}")
    finally:
        start_it(fleet)
        fleet.shell(stopped, "systemctl start accelmon-alertmanager")
    eventually(is_over)


def test_two_hundred_devices_of_a_rack_are_one_notification(fleet, receiver, backend):
    name = f"RackFailsWith{backend.capitalize()}"
    alerts = [{"labels": {"alertname": name, "severity": "critical", "cluster": "lab", "rack": "r1", "node": f"gpu{number // 8}", "index": str(number % 8)}}
              for number in range(200)]
    fleet.shell("mon1", f"cat > /root/rack.json <<'END'\n{json.dumps(alerts)}\nEND")
    fleet.get("https://mon1:9093/api/v2/alerts", "--cacert", "/etc/accelmon/tls/ca.crt", "-H", "Content-Type: application/json", "-d", "@/root/rack.json",
              monitor="mon1")
    eventually(lambda: receiver.told("/all", name, "firing"), f"with {backend}: the rack is told")
    assert [len(note["alerts"]) for note in receiver.told("/all", name, "firing")] == [200]


def test_the_addresses_of_receivers_are_for_the_service_alone(fleet, backend):
    folder = "/etc/accelmon/alertmanager"
    for host in fleet.monitors:
        assert fleet.shell(host, f"stat -c '%a %U:%G' {folder}/alertmanager.yml").strip() == "640 root:accelmon", backend
    # Debian 13's Alertmanager reads a webhook's address from a file, Debian 12's does not.
    assert fleet.shell("mon1", f"stat -c '%a %U:%G' {folder}/secret-webhook-1-url").strip() == "640 root:accelmon", backend
    count = f"grep -c mon1:{PORT} {folder}/alertmanager.yml"
    assert fleet.shell("mon1", count, check=False).strip() == "0" and fleet.shell("mon2", count).strip() != "0", backend


# It asks the Alertmanagers alone, so one backend is enough.
@pytest.mark.parametrize("change", ["prometheus"], indirect=True)
def test_a_test_says_what_became_of_it(fleet, receiver, backend, tmp_path):
    inventory = fleet.inventory_of(tmp_path / "inventory.json", settings=settings(backend))
    run = fleet.play("playbooks/test_notification.yml", inventory=inventory)
    assert run.code == 0 and all(f"{host}: webhook-1 (webhook): delivered" in run.output for host in fleet.monitors), run.output
    receiver.stop()
    try:
        run = fleet.play("playbooks/test_notification.yml", inventory=inventory)
    finally:
        receiver.start()
    assert run.code == 2 and all(f"{host}: webhook-1 (webhook): not delivered: " in run.output for host in fleet.monitors), run.output
    assert "connection refused" in run.output, run.output


def test_gossip_wants_the_certificate_of_a_monitoring_host(fleet, backend):
    """Neither without a certificate nor with that of a node; the handshake is refused once the server has seen what came."""
    ask = "openssl s_client -connect mon1:9094 -CAfile /etc/accelmon/tls/ca.crt {} </dev/null 2>&1; true"
    assert "Verify return code: 0" in fleet.shell("mon2", ask.format("-cert /etc/accelmon/tls/host.crt -key /etc/accelmon/tls/host.key")), backend

    def refused():
        """The server ends a handshake without a certificate. On a busy machine that may take longer than the client stays."""
        said = fleet.shell("mon2", "(sleep 1) | " + ask.format("").replace(" </dev/null", ""))
        assert "alert" in said and "certificate" in said, said
        return True
    eventually(refused)


# The last test: it gives the fleet back.
def test_a_running_fleet_changes_its_backend_and_comes_back(fleet, receiver, change):
    chosen, inventory, begin = change
    assert active(fleet) == sorted(UNITS[chosen])
    assert active(fleet, "mon2") == UNITS["prometheus"], "the other monitoring host is not touched"
    if chosen == "prometheus":
        return  # the one that the scenario has
    fleet.well(inventory=inventory)
    # Were the run to fail halfway, Prometheus would have to start with these.
    assert "eval_offset" not in fleet.shell("mon1", "cat /etc/accelmon/rules/*.yml")
    assert "eval_offset" in fleet.shell("mon1", "cat /etc/accelmon/rules/*.vmalert")
    devices = sum(sum(vendors.values()) for vendors in fleet.accelerators.values())
    eventually(lambda: list(fleet.query("count(accelerator_info)", backend="victoriametrics").values()) == [devices], f"{devices} devices")
    assert fleet.site("--limit", "mon1", inventory=inventory).changed() == 0
    receiver.leave()
    assert active(fleet) == UNITS["prometheus"]
    fleet.well()
    # What the first backend had stored is still there.
    arguments = urllib.parse.urlencode({"query": 'up{job="node_exporter",node="nvidia1"}', "start": begin - 30, "end": begin, "step": fleet.interval})
    eventually(lambda: fleet.fetch(fleet.storage("/api/v1/query_range?" + arguments))["data"]["result"], "the data from before the change")
