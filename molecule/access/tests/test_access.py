"""What must be closed is closed, what must be open is open. Simulated: the accelerators."""

import ipaddress
import json
import time

from conftest import eventually

EXPORTERS = {"nvidia1": 9100, "six1": 9100, "mon1": 9100, "mon2": 9100}
PAIR = "--cert /etc/accelmon/tls/host.crt --key /etc/accelmon/tls/host.key"
CA = "--cacert /etc/accelmon/tls/ca.crt"


def address(fleet, host):
    """Where the fleet's targets say that a host is scraped."""
    up = f'up{{job="node_exporter",node="{host}"}}'
    found = [dict(labels)["instance"] for labels in eventually(lambda: fleet.query(up), f"{host} is a target")]
    assert len(found) == 1, found
    return found[0]


def reaches(fleet, client, url, options=""):
    """(curl's exit status, HTTP status or 000) of a request from a host."""
    said = fleet.shell(client, f"curl -g -s -o /dev/null --max-time 10 -w '%{{http_code}}' {options} '{url}'; echo \" $?\"")
    status, code = said.split()
    return int(code), status


def test_verify_passes(fleet):
    fleet.well()


def test_both_monitoring_hosts_see_the_whole_fleet(fleet):
    devices = {host: sum(vendors.values()) for host, vendors in fleet.accelerators.items()}
    for monitor in fleet.monitors:
        for expression, wanted in (('up{job="node_exporter"}', dict.fromkeys(fleet.hosts, 1)), ("count by (node) (accelerator_info)", devices)):
            eventually(lambda: fleet.values(expression, monitor=monitor) == wanted, f"{monitor}: {expression}")  # pylint: disable=cell-var-from-loop


def test_a_node_with_ipv6_alone_is_scraped_at_its_address_in_brackets(fleet):
    assert "inet " not in fleet.shell("six1", "ip -4 address show scope global")
    host, dummy, port = address(fleet, "six1").rpartition(":")
    assert host[0] == "[" and host[-1] == "]" and ipaddress.ip_address(host[1:-1]).version == 6 and port == "9100"


def test_exporters_answer_the_monitoring_hosts_alone(fleet):
    for host in fleet.hosts:
        place = address(fleet, host)
        for client in fleet.monitors:
            assert reaches(fleet, client, f"https://{place}/metrics", f"{PAIR} {CA}") == (0, "200"), (client, host)
            assert reaches(fleet, client, f"https://{place}/metrics", CA)[1] == "000", f"{host}: without a certificate"
            assert reaches(fleet, client, f"http://{place}/metrics")[1] in ("000", "400"), f"{host}: plain HTTP"


def test_the_certificate_of_a_node_opens_nothing(fleet):
    """Whoever takes over one node can read no other. nvidia1 has IPv4 alone, so it cannot reach six1 in the first place."""
    for host in ("mon1", "mon2"):
        assert reaches(fleet, "nvidia1", f"https://{address(fleet, host)}/metrics", f"{PAIR} {CA}")[1] == "000"
    for host in ("mon1", "mon2"):
        assert reaches(fleet, "six1", f"https://{host}:9100/metrics", f"-6 {PAIR} {CA}")[1] == "000"


def test_a_certificate_of_another_authority_opens_nothing(fleet):
    fleet.shell("mon1", "mkdir -p /tmp/other && cd /tmp/other && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=mon1 "
                        "-addext extendedKeyUsage=clientAuth -keyout key -out crt 2>/dev/null")
    try:
        assert reaches(fleet, "mon1", f"https://{address(fleet, 'nvidia1')}/metrics", f"--cert /tmp/other/crt --key /tmp/other/key {CA}")[1] == "000"
    finally:
        fleet.shell("mon1", "rm -r /tmp/other")


def test_every_listener_of_the_stack_wants_the_password(fleet):
    for monitor in fleet.monitors:
        listening = [line.split()[3] for line in fleet.shell(monitor, "ss -Hltn").splitlines()]
        # All but ssh, the host's own exporter and the gossip, which have tests of their own or are not ours.
        ours = {place for place in listening if not place.endswith((":22", ":9100", ":9094"))}
        assert {place.rpartition(":")[2] for place in ours} == {"8428", "8429", "8880", "9093"}
        for place in ours:
            scheme = "http" if place.startswith("127.0.0.1") else "https"
            place = place.replace("*", "127.0.0.1")
            for path in ("/metrics", "/api/v1/query?query=up", "/api/v2/alerts", "/debug/pprof/cmdline", "/flags", "/-/reload"):
                said = reaches(fleet, monitor, f"{scheme}://{place}{path}", "-k")
                assert said[1] in ("401", "404", "000"), (monitor, place, path, said)
                wrong = reaches(fleet, monitor, f"{scheme}://{place}{path}", "-k -u accelmon:wrong")
                assert wrong[1] in ("401", "404", "000"), (monitor, place, path, wrong)


def test_the_pair_of_alertmanagers_is_one_cluster_that_nobody_else_can_join(fleet):
    def cluster(monitor):
        """What one of them says of the cluster."""
        page = fleet.get(f"https://{monitor}:9093/api/v2/status", "--cacert", "/etc/accelmon/tls/ca.crt", monitor=monitor)
        return json.loads(page)["cluster"]
    for monitor in fleet.monitors:
        eventually(lambda: cluster(monitor)["status"] == "ready" and len(cluster(monitor)["peers"]) == 2, "two peers")  # pylint: disable=cell-var-from-loop
        gossip = [line.split()[3] for line in fleet.shell(monitor, "ss -Hltn").splitlines() if line.split()[3].endswith(":9094")]
        assert gossip and not any(place.startswith("127.") for place in gossip)
        place = gossip[0].replace("*", "127.0.0.1")
        assert reaches(fleet, "mon1", f"https://{monitor}:9094/", CA)[1] == "000", place


RECEIVER = """
import http.server, json
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with open("/run/receiver.log", "a") as log:
            log.write(json.dumps(sorted(([alert["labels"], alert["status"], alert["startsAt"]] for alert in body["alerts"]), key=json.dumps)) + "\\n")
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("", 9999), Handler).serve_forever()
"""


# An alert of this test's own: what fired while the fleet was set up is told as resolved for a quarter of an hour, by each engine at its
# own time, so that a group of such an alert is news again and again.
OWN_RULE = """
groups:
  - name: test
    rules: [{alert: SixIsGone, expr: 'max by (node) (up{job="node_exporter", node="six1"}) == 0'}]
"""


def test_an_alert_arrives_once_though_two_hosts_watch(fleet, tmp_path):
    fleet.shell("mon1", f"cat > /run/receiver.py <<'END'\n{RECEIVER}\nEND\nrm -f /run/receiver.log\n"
                        "systemd-run --unit=receiver python3 /run/receiver.py")
    (tmp_path / "own.yml").write_text(OWN_RULE)
    inventory = fleet.inventory_of(tmp_path / "webhook.json", settings={
        "accelmon_rule_files": [str(tmp_path / "own.yml")],
        "alertmanager_webhook_urls": ["http://mon1:9999/"], "alertmanager_group_wait": "2s", "alertmanager_group_interval": "5s"})

    def received():
        """[[(node, status)]] of the notifications about our alert, as they arrived."""
        lines = fleet.shell("mon1", "cat /run/receiver.log 2>/dev/null", check=False).splitlines()
        return [[(labels.get("node"), status) for labels, status, dummy in alerts]
                for alerts in map(json.loads, lines) if alerts[0][0]["alertname"] == "SixIsGone"]
    try:
        fleet.site("--limit", "monitoring", inventory=inventory)
        fleet.lab("stop", "six1")
        eventually(lambda: fleet.firing("SixIsGone", monitor="mon1") and fleet.firing("SixIsGone", monitor="mon2"), "both fire")
        eventually(received, "the receiver has it")
        # The second of a pair waits 15 seconds for the first before it tells what it was not heard to tell.
        time.sleep(25)
        assert received() == [[("six1", "firing")]]
    finally:
        fleet.lab("start", "six1")
        fleet.shell("mon1", "systemctl stop receiver")
        fleet.site("--limit", "monitoring")
