"""The real all-smi under the role, and what becomes of its series.

Real: all-smi 0.28.1 as built from its crate, its front, its watch, VictoriaMetrics and vmagent. Simulated: Gaudi, by an hl-smi of the lab;
on mock1 all devices, by upstream's mock server, which is scraped as an exporter that somebody else runs. No program here has met AMD.
"""

import re

import pytest

from conftest import eventually

SOCKET = "/run/accelmon/all_smi/api.sock"
INNER = f"curl -s --max-time 10 --unix-socket {SOCKET} http://localhost"
PAIR = "--cacert /etc/accelmon/tls/ca.crt --cert /etc/accelmon/tls/host.crt --key /etc/accelmon/tls/host.key"
# Vendors of the mock server's devices, by the word that their model begins with.
VENDORS = {"NVIDIA": "nvidia", "AMD": "amd", "Intel Gaudi": "intel_gaudi", "Intel Arc": "intel_gpu", "Tenstorrent": "tenstorrent", "RBLN": "rebellions",
           "Furiosa": "furiosa", "AWS": "aws_neuron"}


def process(fleet, host):
    """The process of all-smi on a host."""
    return fleet.shell(host, "systemctl show -P MainPID accelmon-all-smi").strip()


def rows(fleet, host, metric):
    """[labels] of a metric on the page that all-smi answers with on its socket, or mock1 on its port."""
    page = fleet.shell(host, "curl -s --max-time 10 http://127.0.0.1:9401/metrics" if host == "mock1" else f"{INNER}/metrics")
    return [dict(re.findall(r'(\w+)="([^"]*)"', line)) for line in page.splitlines() if line.startswith(metric + "{")]


def stored(fleet, selector):
    """[labels] of the series in the storage."""
    return [dict(labels) for labels in fleet.query(selector)]


@pytest.mark.parametrize("host", ["plain1", "gaudi1"])
def test_the_program_is_that_of_the_bundle_and_runs_as_nobody_else(fleet, host):
    pid = process(fleet, host)
    assert fleet.shell(host, f"readlink /proc/{pid}/exe").startswith("/opt/accelmon/all_smi/0.28.1-")
    assert fleet.shell(host, f"stat -c %U /proc/{pid}").strip() == "accelmon-all-smi"
    # Of the groups that open device nodes those that the host has, and no other.
    groups = set(fleet.shell(host, f"for g in $(sed -n 's/^Groups://p' /proc/{pid}/status); do getent group $g | cut -d: -f1; done").split())
    assert {"video", "render"} <= groups <= {"video", "render", "accelmon-all-smi"}


@pytest.mark.parametrize("host", ["plain1", "gaudi1"])
def test_systemd_alone_listens(fleet, host):
    assert "all-smi" not in fleet.shell(host, "ss -Hltnp"), "it would listen on every address"
    assert "systemd" in fleet.shell(host, "ss -Hltnp 'sport = :9401'")
    assert fleet.shell(host, "systemctl is-active accelmon-all-smi-front.socket").strip() == "active"
    assert fleet.shell(host, f"{INNER}/-/ready -o /dev/null -w '%{{http_code}}'").strip() == "200"
    # Nobody else of the host reaches the socket, by which it would say more.
    assert fleet.shell(host, f"su -s /bin/sh nobody -c '{INNER}/metrics -o /dev/null'; echo $?").strip() == "7"


def test_a_run_that_has_nothing_to_do_costs_little(fleet, tmp_path):
    counted = fleet.counted("site.yml", tmp_path)
    for host in ("plain1", "gaudi1"):
        assert counted["roles"][host]["all_smi"] <= 8 and counted["hosts"][host] <= 25, counted


def test_the_plain_front_passes_on_and_the_closed_one_asks_for_a_certificate(fleet):
    for host, scheme in (("gaudi1", "http"), ("plain1", "https")):
        (address,) = [labels["instance"] for labels in stored(fleet, f'up{{job="all_smi",node="{host}"}}')]
        pair = PAIR if scheme == "https" else ""
        assert "all_smi_up" in fleet.shell("mon1", f"curl -sg --max-time 10 {pair} {scheme}://{address}/metrics")
    (address,) = [labels["instance"] for labels in stored(fleet, 'up{job="all_smi",node="plain1"}')]
    assert fleet.shell("mon1", f"curl -skg --max-time 10 -o /dev/null https://{address}/metrics; echo $?").strip() != "0", "without a certificate"
    assert fleet.shell("mon1", f"curl -sg --max-time 10 -o /dev/null http://{address}/metrics; echo $?").strip() != "0", "plain HTTP"
    assert fleet.shell("mon1", f"curl -sg --max-time 10 -o /dev/null -w '%{{http_code}}' {PAIR} https://{address}/snapshot", check=False).strip() == "404"


def test_every_target_is_up(fleet):
    hosts = {"plain1": 1, "gaudi1": 1, "mock1": 1}
    eventually(lambda: fleet.values('up{job="all_smi"}') == hosts, "all_smi is scraped")
    fleet.well()


def test_gaudi_devices_carry_our_labels(fleet):
    page = rows(fleet, "gaudi1", "all_smi_gpu_utilization")
    assert len(page) == 2
    wanted = {(labels["gpu_index"], labels["gpu_uuid"], "intel_gaudi") for labels in page}
    found = eventually(lambda: stored(fleet, 'all_smi_gpu_utilization{node="gaudi1"}'))
    assert {(labels["index"], labels["uuid"], labels["vendor"]) for labels in found} == wanted
    assert all(labels["source"] == "all_smi" and "Gaudi 2" in labels["model"] for labels in found)
    eventually(lambda: len(fleet.query('accelerator_utilization_ratio{node="gaudi1"}')) == 2, "recorded")


def test_the_mock_servers_devices_carry_our_labels(fleet):
    page = rows(fleet, "mock1", "all_smi_gpu_utilization")
    assert len(page) == 8 * len(VENDORS)
    wanted = {(labels["gpu_index"], labels["gpu_uuid"], next(vendor for word, vendor in VENDORS.items() if labels["gpu"].startswith(word))) for labels in page}
    found = eventually(lambda: stored(fleet, 'all_smi_gpu_utilization{node="mock1"}'))
    assert {(labels["index"], labels["uuid"], labels["vendor"]) for labels in found} == wanted
    # Rows of one vendor name their device by npu_uuid.
    assert {labels["gpu"] for labels in page} == {labels["model"] for labels in found}


def test_errors_in_the_kernel_log_are_counted_beside_it(fleet):
    """By the textfile collector, which reads no devices there and is no source. The record is made up."""
    counted = 'node_gpu_errors_total{node="gaudi1",vendor="intel_gaudi",pci_bus_id="0000:ff:00.0",kind="kernel",code="init_failed"}'
    with fleet.kernel_log("gaudi1") as write:
        write("habanalabs 0000:ff:00.0: Failed to initialize hl9. Device is NOT usable !")
        eventually(lambda: list(fleet.query(counted).values()) == [1], "it is counted")
    eventually(lambda: set(fleet.values('accelmon_source_elected{node="gaudi1"}', "source")) == {"all_smi"}, "it is the one source")
    eventually(lambda: not fleet.query(counted), "nothing is left of it")


def test_no_command_line_reaches_the_storage(fleet):
    assert rows(fleet, "mock1", "all_smi_process_memory_used_bytes")[0]["command"], "the page has some"
    assert not fleet.fetch(fleet.storage("/api/v1/label/command/values"))["data"]
    assert "train.py" not in fleet.get(fleet.storage("/api/v1/export?match[]=%7Bnode%3D%22mock1%22%7D"))
    # The real program was not asked for processes at all.
    assert "--processes=false" in fleet.shell("gaudi1", f"tr '\\0' ' ' < /proc/{process(fleet, 'gaudi1')}/cmdline")


def test_a_device_that_went_is_gone_and_comes_back(fleet):
    fleet.lab("device", "remove", "gaudi1", "1")
    try:
        eventually(lambda: len(fleet.query('all_smi_gpu_utilization{node="gaudi1"}')) == 1, "one device")
    finally:
        fleet.lab("device", "restore", "gaudi1", "1")
    eventually(lambda: len(fleet.query('all_smi_gpu_utilization{node="gaudi1"}')) == 2, "two devices")


def test_a_hung_process_is_restarted_and_counted(fleet):
    before = process(fleet, "gaudi1")
    count = 'accelmon_exporter_restarts_total{node="gaudi1",exporter="all_smi"}'
    restarts = sum(eventually(lambda: fleet.query(count), "the count of restarts").values())
    fleet.shell("gaudi1", "systemctl kill --signal=STOP accelmon-all-smi")
    # The watch asks every 30 seconds, has 10 for an answer, and wants three failures, none in the first minute.
    eventually(lambda: process(fleet, "gaudi1") not in ("0", before), "another process")
    eventually(lambda: sum(fleet.query(count).values()) == restarts + 1, "it is counted")
    eventually(lambda: len(fleet.query('all_smi_gpu_utilization{node="gaudi1"}')) == 2, "devices")


def test_what_somebody_stopped_stays_stopped(fleet):
    fleet.shell("gaudi1", "systemctl stop accelmon-all-smi && systemctl start accelmon-all-smi-watch.service")
    try:
        assert fleet.shell("gaudi1", "systemctl is-active accelmon-all-smi", check=False).strip() == "inactive"
    finally:
        fleet.shell("gaudi1", "systemctl start accelmon-all-smi")


def test_a_reboot_changes_nothing(fleet):
    fleet.reboot("gaudi1", "all_smi")
    assert fleet.site("--limit", "gaudi1").changed() == 0


def test_absent_leaves_nothing_and_present_comes_back(fleet):
    fleet.site("--limit", "plain1", "-e", "all_smi_state=absent")
    left = fleet.shell("plain1", "ls -d /opt/accelmon/all_smi* /etc/systemd/system/*all-smi* /etc/systemd/system/*/*all-smi* /run/accelmon/all_smi "
                                 "/var/lib/accelmon/textfile/*all_smi* 2>/dev/null", check=False)
    assert not left.strip()
    assert not fleet.shell("plain1", "ss -Hltn 'sport = :9401'").strip()
    fleet.site("--limit", "plain1")
    eventually(lambda: fleet.values('up{job="all_smi",node="plain1"}') == {"plain1": 1})
    assert fleet.site().changed() == 0
