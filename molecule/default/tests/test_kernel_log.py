"""Errors in the kernel log. Simulated: the accelerators, and the records, which journald reads from a pipe in place of /dev/kmsg."""

import email
import email.policy
import json
import time

import pytest
from conftest import CHECKOUT, eventually
from lab_fleet import Seen

# Where the receivers listen on the monitoring host, and what they keep.
WEB, MAIL, LOG = 18079, 18025, "/tmp/accelmon-sinks"


def told(fleet):
    """{sink: [text]} of the notifications so far: of Slack's shape what is shown, of a mail its subject and text, of a webhook everything."""
    found = {}
    for kept in map(json.loads, fleet.shell("mon1", f"cat {LOG} 2>/dev/null || true").splitlines()):
        text = kept["body"]
        if kept["path"] == "/slack":
            text = "\n".join(part["title"] + "\n" + part["text"] for part in json.loads(text)["attachments"])
        elif kept["path"] == "mail":
            mail = email.message_from_string(text, policy=email.policy.default)
            text = f"{mail['Subject']}\n{mail.get_body(('plain', 'html')).get_content()}"
        found.setdefault(kept["path"], []).append(text)
    return found


@pytest.fixture(name="sinks")
def receivers(fleet, tmp_path):
    """Receivers of three types on the monitoring host, nvidia1 in a rack, and a job that has two of its devices. Stubbed: what would deliver the messages."""
    settings = {"alertmanager_group_wait": "3s", "alertmanager_group_interval": "5s", "alertmanager_receivers": [
        {"name": "tickets", "type": "webhook", "url": f"http://mon1:{WEB}/hook"},
        {"name": "ops", "type": "slack", "api_url": f"http://mon1:{WEB}/slack"},
        {"name": "oncall", "type": "email", "to": "oncall@example.org", "from": "accelmon@example.org", "smarthost": f"mon1:{MAIL}", "require_tls": False}]}
    program = (CHECKOUT / "molecule/shared/tests/sinks.py").read_text(encoding="utf-8")
    fleet.shell("mon1", f"cat > /root/sinks.py <<'END'\n{program}\nEND\nrm -f {LOG}; "
                        f"systemd-run --unit lab-sinks --collect python3 /root/sinks.py {WEB} {MAIL} {LOG}")
    fleet.shell("nvidia1", "mkdir -p /run/accelmon/jobs && cd /run/accelmon/jobs && printf '%s\\n' devices=2,5 user=ada > .lab-79 && mv .lab-79 lab-79")
    try:
        fleet.site("--limit", "monitoring,nvidia1", inventory=fleet.inventory_of(
            tmp_path / "told.json", settings=settings, variables={"nvidia1": {"accelmon_rack": "r79"}}))
        yield
    finally:
        fleet.shell("nvidia1", "rm -f /run/accelmon/jobs/lab-79; systemctl start accelmon-node-exporter")
        fleet.shell("mon1", f"systemctl stop lab-sinks; rm -f {LOG} /root/sinks.py", check=False)
        fleet.site("--limit", "monitoring,nvidia1")


@pytest.mark.costly
@pytest.mark.usefixtures("sinks")
def test_an_xid_of_two_devices_is_one_message_with_all_that_who_is_told_needs(fleet):
    """From the kernel's record to each receiver; a node that is down then mutes it."""
    job = eventually(lambda: fleet.values('accelerator_job_info{node="nvidia1",job_id="lab-79",user="ada"}', "uuid"), "the job has its devices")
    known = eventually(lambda: fleet.values('accelerator_info{node="nvidia1",rack="r79",uuid=~"%s"}' % "|".join(job), "pci_bus_id"), "they are in the rack")
    assert len(job) == len(known) == 2
    with fleet.kernel_log("nvidia1") as write:
        for address in known:
            write(f"NVRM: Xid (PCI:{address[:-2]}): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.")

        def complete():
            """Each receiver has one message about both devices, whole."""
            wanted = [*known, "nvidia1", "r79", "GPU has fallen off the bus", "Job lab-79 of ada had it", "Drain the node and reboot it",
                      "accelmon_explain=xid-79", "#acceleratorerrorfatal"]
            found = told(fleet)
            Seen.text = json.dumps(found)
            return all(any(all(word in text for word in wanted) for text in found.get(sink, [])) for sink in ("/hook", "/slack", "mail"))
        eventually(complete)
        fleet.shell("nvidia1", "systemctl stop accelmon-node-exporter")

        def muted():
            """The errors go on, and nobody is told of them while their node is down."""
            alerts = fleet.fetch("http://127.0.0.1:9093/api/v2/alerts")
            Seen.text = json.dumps([[alert["labels"], alert["status"]] for alert in alerts])
            states = {alert["status"]["state"] for alert in alerts
                      if alert["labels"]["alertname"] == "AcceleratorErrorFatal" and alert["labels"].get("pci_bus_id") in known}
            return states == {"suppressed"}
        eventually(muted)
        fleet.shell("nvidia1", "systemctl start accelmon-node-exporter")


def test_an_xid_is_counted_once_and_reaches_the_storage(fleet):
    devices = eventually(lambda: list(fleet.query('node_gpu_info{node="nvidia1"}')), "its devices are known")
    device = dict(devices[0])
    address = device["pci_address"]
    of_device = f'{{node="nvidia1",kind="xid",code="79",pci_bus_id="{address}"}}'
    eventually(lambda: list(fleet.query("node_gpu_errors_total" + of_device).values()) == [0], "a fatal code starts at 0")
    with fleet.kernel_log("nvidia1") as write:
        write(f"NVRM: Xid (PCI:{address[:-2]}): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.")
        write(f"NVRM: GPU {address}: GPU has fallen off the bus.")
        found = eventually(lambda: [labels for labels, value in fleet.query("node_gpu_errors_total" + of_device).items() if value], "it is counted")
        labels = dict(found[0])
        assert {name: labels[name] for name in ("vendor", "index", "uuid")} == {name: device[name] for name in ("vendor", "index", "uuid")}
        fleet.shell("nvidia1", "systemctl restart systemd-journald && systemctl start accelmon-textfile-collector")
        page = fleet.shell("nvidia1", "cat /var/lib/accelmon/textfile/accelmon_accelerators.prom")
        assert [line.split()[-1] for line in page.splitlines() if "errors_total" in line and address in line and 'code="79"' in line] == ["1"], page
        ages = eventually(lambda: [time.time() - at for at in fleet.query("node_gpu_error_last_timestamp_seconds" + of_device).values()], "its time")
        assert 0 <= ages[0] < 600
    eventually(lambda: list(fleet.query("node_gpu_errors_total" + of_device).values()) == [0], "nothing is left of it")
