"""What arrives in the storage. Simulated: the accelerators."""

import importlib.util
import json
import time

import pytest
from conftest import CHECKOUT, eventually

SPEC = importlib.util.spec_from_file_location("strangers", CHECKOUT / "plugins" / "module_utils" / "fleet" / "strangers.py")
strangers = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(strangers)


def test_every_host_has_its_real_host_metrics(fleet):
    def names():
        """{node: name that it gives itself}."""
        return {dict(labels)["node"]: dict(labels)["nodename"] for labels in fleet.query("node_uname_info")}
    eventually(lambda: names() == {host: host for host in fleet.hosts}, "every host, by its own name")


def test_every_device_has_the_vendor_neutral_series(fleet):
    devices = {host: sum(vendors.values()) for host, vendors in fleet.accelerators.items()}
    nvidia = {host: vendors["nvidia"] for host, vendors in fleet.accelerators.items() if "nvidia" in vendors}
    for metric, hosts in {
        "accelerator_info": devices,
        "accelerator_utilization_ratio": devices,
        "accelerator_memory_used_bytes": devices,
        "accelerator_memory_total_bytes": devices,
        'accelerator_temperature_celsius{sensor="core"}': devices,
        "accelerator_power_watts": devices,
        "accelerator_row_remap_state": nvidia,
    }.items():
        eventually(lambda: fleet.values(f"count by (node) ({metric})") == hosts, f"{metric} of {hosts}")  # pylint: disable=cell-var-from-loop


def test_values_are_those_of_the_vendors_tool_in_base_units(fleet):
    said = fleet.shell("nvidia1", "nvidia-smi --query-gpu=uuid,memory.total,power.limit --format=csv,noheader,nounits")
    rows = [line.split(", ") for line in said.strip().splitlines()]
    for metric, wanted in {
        "accelerator_memory_total_bytes": {uuid: float(memory) * 2 ** 20 for uuid, memory, dummy in rows},
        "accelerator_power_limit_watts": {uuid: float(limit) for uuid, dummy, limit in rows},
    }.items():
        eventually(lambda: fleet.values(metric + '{node="nvidia1"}', "uuid") == wanted, f"{metric} is {wanted}")  # pylint: disable=cell-var-from-loop


def test_links_are_expected_as_the_collector_counts_them(fleet):
    """Since the first run: a second one that learnt them would change something."""
    eventually(lambda: fleet.values('accelmon_expected_links{kind="nvlink"}') == {"nvidia1": 18}, "18 links of each device")
    eventually(lambda: set(fleet.values('accelerator_links{kind="nvlink",state="active"}', "index").items()) == {
        (str(index), 18) for index in range(fleet.accelerators["nvidia1"]["nvidia"])}, "that many are up")
    eventually(lambda: fleet.values('node_gpu_link_errors_total{node="nvidia1"}', "type") == {"crc": 0, "recovery": 0, "replay": 0}, "they have no errors")


def test_identity_is_complete_and_unique(fleet):
    devices = sum(sum(vendors.values()) for vendors in fleet.accelerators.values())

    def every_device():
        """The labels of all devices."""
        found = [dict(labels) for labels in fleet.query("accelerator_info")]
        return len({(labels["node"], labels["vendor"], labels["index"]) for labels in found}) == devices and found
    seen = eventually(every_device)
    assert len({labels["uuid"] for labels in seen}) == devices
    assert {labels["model"] for labels in seen if labels["node"] == "nvidia1"} == {"NVIDIA H100 80GB HBM3"}


def test_a_node_cannot_write_what_others_write_nor_choose_its_rack(fleet):
    """Forged series on a page of text files; what is the node's own arrives."""
    host = next(name for name in fleet.hosts if name not in fleet.monitors)
    names = ["node:accelerator_info:count", "rack:accelerator_power_watts:sum", "accelerator_info", "accelmon_expected_accelerators",
             "accelmon_fleet_generation", "accelmon_fleet_silence_seen_timestamp_seconds", "accelmon_anything", "ALERTS", "up",
             "scrape_samples_scraped", "vmalert_config_last_reload_successful"]
    labels = f'node="{fleet.monitors[0]}",cluster="forged",rack="forged",source="dcgm",forger="yes"'
    page = "".join(f"{name}{{{labels}}} 100000\n" for name in [*names, "test_of_its_own"])
    path = "/var/lib/accelmon/textfile/forged.prom"
    fleet.shell(host, f"cat > {path} <<'EOF'\n{page}EOF\nchmod 644 {path}")
    try:
        found = [dict(series) for series in eventually(lambda: fleet.query('{forger!=""}'), "its own series arrives")]
        assert [series["__name__"] for series in found] == ["test_of_its_own"], found
        assert found[0]["node"] == host and found[0]["exported_node"] == fleet.monitors[0] and found[0]["exported_rack"] == "forged"
        assert not fleet.query('{rack="forged"}') and not fleet.query('{cluster="forged"}') and "source" not in found[0]
    finally:
        fleet.shell(host, f"rm {path}")


def test_the_stack_listens_on_loopback_alone(fleet):
    listening = [entry.rpartition(":") for entry in fleet.shell("mon1", "ss -Hltn").split()]
    stack = {port: address for address, dummy, port in listening if port in ("8428", "8429", "8880", "9090", "9093")}
    assert set(stack) - {"9093"} == {"victoriametrics": {"8428", "8429", "8880"}, "prometheus": {"9090"}}[fleet.backend]
    if len(fleet.monitors) > 1:
        # Every monitoring host sends its alerts to all alertmanagers of the pair, so theirs is open to the others, with TLS.
        stack.pop("9093")
    assert set(stack.values()) == {"127.0.0.1"}


def answers(fleet, monitor, place, attempts):
    """{(method, path): status} of requests with a series to a listener of a monitoring host, without the password."""
    script = "".join(f"curl -sk --path-as-is -m 30 -o /dev/null -w '%{{http_code}}\\n' -X {method} --data 'accelmon_forged 1' '{place}{path}' || true\n"
                     for path, method in attempts)
    said = fleet.shell(monitor, script).split()
    assert len(said) == len(attempts), said
    return {(method, path): status for (path, method), status in zip(attempts, said)}


def test_nobody_gets_anything_into_a_listener_of_the_stack_without_the_password(fleet):
    attempts = strangers.attempts() + [(path, "POST") for path in (
        "//api/v1/import/prometheus/reload", "/api/v1/import/prometheus/metrics/job/x/config", "/snapshot/../api/v1/import/prometheus",
        "/api/v1/import/prometheus?x=/config", "/api/v1/write/config", "/api/v1/import/csv/config", "/write/config", "/-/quit")]
    wanted = {"victoriametrics": {"8428", "8429", "8880", "9093"}, "prometheus": {"9090", "9093"}}[fleet.backend]
    for monitor in fleet.monitors:
        listening = [line.split()[3] for line in fleet.shell(monitor, "ss -Hltn").splitlines()]
        # All but ssh, the host's own exporter and the gossip, which have tests of their own or are not ours.
        places = {place for place in listening if not place.endswith((":22", ":9100", ":9094"))}
        assert {place.rpartition(":")[2] for place in places} == wanted, (monitor, places)
        for place in places:
            url = ("http://" if place.startswith("127.") else "https://") + place.replace("*", "127.0.0.1")
            said = answers(fleet, monitor, url, attempts)
            assert said["GET", "/metrics"] == said["POST", "/api/v1/import/prometheus"] == "401", (monitor, place, said)
            assert min(said.values()) >= "400", (monitor, place, said)
            # vmagent and vmalert tell everybody that they are alive, and answer for themselves what is no path of theirs.
            if not place.endswith((":8429", ":8880")):
                more = answers(fleet, monitor, url, [("/health", "GET"), ("/ping", "POST"), ("/-/ready", "GET")])
                assert {*said.values(), *more.values()} == {"401"}, (monitor, place, said, more)
    # A sample that was taken later can be asked for by now.
    begin = time.time()
    eventually(lambda: max(fleet.query("max(timestamp(up))").values()) > begin, "samples from after it")
    assert fleet.query("accelmon_forged") == {}


def test_the_storage_is_in_a_network_that_nobody_else_is_in(fleet):
    if fleet.backend != "victoriametrics":
        pytest.skip("Prometheus asks for the password by itself")
    unit = "accelmon-victoriametrics"
    show = f"for u in {unit} {unit}-agent {unit}-front; do readlink /proc/$(systemctl show -P MainPID $u)/ns/net; done; readlink /proc/1/ns/net"
    storage, agent, front, host = fleet.shell("mon1", show).split()
    assert storage == agent == front != host
    assert fleet.shell("mon1", "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8427/ http://127.0.0.1:8426/metrics || true").strip("0") == ""
    fleet.shell("mon1", f"systemctl restart {unit}")
    eventually(lambda: fleet.query("count(up)"), "the storage answers after a restart")
    fleet.shell("mon1", f"systemctl kill --signal=KILL {unit}-agent")
    eventually(lambda: fleet.query("count(up)"), "the storage answers when what asks for the password was killed")


def test_verify_and_status_agree_that_all_is_well(fleet, tmp_path):
    report = tmp_path / "report.json"
    fleet.well("-e", f"accelmon_report_file={report}")
    assert json.loads(report.read_text())["ok"] is True

    def agrees():
        """The status shows every device. A scrape that a busy machine missed is in the status of that moment, and in no other."""
        status = fleet.play("playbooks/status.yml")
        assert status.code == 0, status.output
        for vendors in fleet.accelerators.values():
            for vendor, count in vendors.items():
                assert f"{vendor} {count}/{count}" in status.output, status.output
        return True
    eventually(agrees)


def test_the_report_shows_every_device_and_stays_on_the_monitoring_host(fleet, tmp_path):
    file = tmp_path / "fleet.json"
    count = sum(count for vendors in fleet.accelerators.values() for count in vendors.values())

    def shows():
        """As for the status: a scrape that was missed is in the report of that moment, and in the page that it leaves on a monitoring host."""
        run = fleet.play("playbooks/report.yml", "-e", f"accelmon_report_file={file}", "-e", "accelmon_output=json")
        assert run.code == 0, run.output
        report = json.loads(file.read_text())
        assert report["problems"] == [] and report["totals"]["present"] == report["totals"]["expected"] == len(report["devices"]) == count, report
        assert all(device["temperature"] is not None for device in report["devices"]), report["devices"]
        for monitor in fleet.monitors:
            page = fleet.shell(monitor, "cat /var/lib/accelmon/report/report.html")
            assert "Is everything all right?" in page and f"<b>{count} / {count}</b>" in page, f"{monitor}: not {count} / {count} in its page"
        return True
    eventually(shows)
    for monitor in fleet.monitors:
        rights = fleet.shell(monitor, "stat -c '%a %U' /var/lib/accelmon/report /var/lib/accelmon/report/report.html")
        assert rights.split() == ["700", "root", "600", "root"]


def test_a_job_has_a_report(fleet, tmp_path):
    """The owner file is that of any scheduler. What is known of the job's device is so after a minute, at the moments that are looked at."""
    fleet.shell("nvidia1", "mkdir -p /run/accelmon/jobs && echo devices=0,1 > /run/accelmon/jobs/.lab-1 && cd /run/accelmon/jobs && mv .lab-1 lab-1")
    file = tmp_path / "job.json"

    def shows():
        """Both devices have readings."""
        run = fleet.play("playbooks/job_report.yml", "-e", "accelmon_job=lab-1", "-e", f"accelmon_report_file={file}", "-e", "accelmon_output=json")
        assert run.code == 0, run.output
        report = json.loads(file.read_text())
        assert report["problems"] == [] and [(row["node"], row["index"]) for row in report["devices"]] == [("nvidia1", "0"), ("nvidia1", "1")], report
        assert all(row["temperature"] is not None and row["power"] is not None for row in report["devices"]), report
        return True
    try:
        eventually(shows)
    finally:
        fleet.shell("nvidia1", "rm -f /run/accelmon/jobs/lab-1")


def test_a_device_costs_at_most_twelve_recorded_series_and_two_of_its_health(fleet):
    """Beside them are series of what is wrong, findings of the health score and errors, and two of a device's links.

    Tests before these gave hosts other racks: series with the old label stay as long as the health score looks back, so this one comes last.
    """
    found, beside = "accelerator_.+", "accelerator_health_.+|accelerator_error.*|accelerator_links"
    for selector, most in ((f'{{__name__=~"{found}", __name__!~"{beside}", index!=""}}', 12),
                           ('{__name__=~"accelerator_health_(score|known_ratio)"}', 2)):
        def of_every_device():
            """{device: number of its series} of all devices."""
            return fleet.query(f"count by (node, vendor, index) ({selector})")  # pylint: disable=cell-var-from-loop
        eventually(lambda: len(of_every_device()) == 12 and max(of_every_device().values()) <= most,  # pylint: disable=cell-var-from-loop
                   f"at most {most} series of every device", 420)
