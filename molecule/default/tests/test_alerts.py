"""Faults of hosts and devices, and what is said of them. Simulated: the accelerators and their loss."""

import pytest
from conftest import eventually


@pytest.fixture(scope="class")
def down(fleet):
    """plain1 has stopped, and its alert fires. Afterwards it is back."""
    # The targets are known before the exporters are installed.
    eventually(lambda: not fleet.firing("HostDown"), "the alerts of the first run end")
    fleet.lab("stop", "plain1")
    try:
        eventually(lambda: fleet.firing("HostDown", node="plain1"), "HostDown fires")
        yield
    finally:
        fleet.lab("start", "plain1")
    eventually(lambda: not fleet.firing("HostDown"), "HostDown ends")


@pytest.mark.usefixtures("down")
class TestDown:
    """A node that does not answer any more."""

    def test_it_is_reported_as_down(self, fleet):
        status = fleet.play("playbooks/status.yml").output
        assert any("plain1" in line and "down" in line and "HostDown" in line for line in status.splitlines()), status
        failed = fleet.verify()
        assert failed.code != 0 and any("plain1: " in line for line in failed.output.splitlines()), failed.output
        assert not fleet.firing("ExporterDown", node="plain1")

    def test_maintenance_mutes_it(self, fleet, tmp_path):
        inventory = fleet.inventory_of(tmp_path / "maintenance.json", variables={"plain1": {"accelmon_state": "maintenance"}})
        fleet.play("site.yml", "--limit", "plain1,mon1", inventory=inventory)
        eventually(lambda: not fleet.firing("HostDown", node="plain1"), "maintenance mutes it")
        eventually(lambda: fleet.values('up{job="node_exporter"}').get("plain1") == 0, "the node is seen as down")
        eventually(lambda: fleet.values("accelmon_fleet_node_info").get("plain1") == 1, "it is still a target")
        assert "maintenance" in fleet.play("playbooks/status.yml").output
        fleet.lab("start", "plain1")
        fleet.site("--limit", "plain1")
        assert "maintenance" not in fleet.play("playbooks/status.yml").output


def test_a_lost_device_is_not_forgiven_until_somebody_accepts_it(fleet, tmp_path):
    fleet.lab("device", "remove", "nvidia1", "3")
    try:
        eventually(lambda: fleet.firing("AcceleratorMissing", node="nvidia1", vendor="nvidia"), "AcceleratorMissing fires")
        fleet.site()
        fleet.site("--limit", "nvidia1")
        back = fleet.reboot("nvidia1", "node_exporter")
        fires = 'ALERTS{alertname="AcceleratorMissing",alertstate="firing",node="nvidia1"}'
        eventually(lambda: fleet.values(f"timestamp({fires})").get("nvidia1", 0) > back, "AcceleratorMissing fires after two runs and a reboot")

        def verified():
            """verify.yml fails and names the loss."""
            run = fleet.verify()
            return run.code != 0 and any("nvidia1: " in line and "8" in line and "7" in line for line in run.output.splitlines())
        eventually(verified)

        def reported():
            """The report says what is wrong, and shows a gap among the devices."""
            page = tmp_path / "fleet.html"
            run = fleet.play("playbooks/report.yml", "-e", f"accelmon_report_file={page}")
            assert run.code == 0, run.output
            text = page.read_text()
            return "accelerators is missing" in text and "AcceleratorMissing" in text and 'class="gone"' in text
        eventually(reported)

        accepted = fleet.play("playbooks/accept_devices.yml", "--limit", "nvidia1")
        assert accepted.code == 0, accepted.output
        eventually(lambda: not fleet.firing("AcceleratorMissing"), "AcceleratorMissing ends after acceptance")
        fleet.well()
    finally:
        fleet.lab("device", "restore", "nvidia1", "3")
    eventually(lambda: fleet.values('count by (node) (accelerator_info{node="nvidia1"})') == {"nvidia1": 8}, "the device is back")
    fleet.site("--limit", "nvidia1")
    eventually(lambda: fleet.values("accelmon_expected_accelerators").get("nvidia1") == 8, "it is expected again")


def test_a_hung_vendor_tool_disturbs_no_scrape(fleet):
    fleet.shell("nvidia1", "echo hang > /lab/nvidia-smi.behaviour")
    try:
        eventually(lambda: fleet.values("accelmon_collector_success", "vendor").get("nvidia") == 0, "the collector reports the failure")
        # Ends of series are written apart from the samples of their scrape.
        eventually(lambda: fleet.values('node_gpu_info{node="nvidia1"}') == {}, "no stale values of a tool that does not answer")
        eventually(lambda: fleet.firing("AcceleratorCollectorStale", node="nvidia1"), "AcceleratorCollectorStale fires")
        # A busy machine may miss a scrape as well.
        eventually(lambda: fleet.values('min_over_time(up{job="node_exporter",node="nvidia1"}[30s])') == {"nvidia1": 1}, "scrapes succeed all the time")
        eventually(lambda: fleet.values('scrape_duration_seconds{job="node_exporter",node="nvidia1"} < 2'), "scrapes do not wait for the tool")
    finally:
        fleet.shell("nvidia1", "rm /lab/nvidia-smi.behaviour")
    eventually(lambda: not fleet.firing("AcceleratorCollectorStale"), "AcceleratorCollectorStale ends")
    eventually(lambda: not fleet.firing("AcceleratorMissing"), "AcceleratorMissing ends")


def test_a_scraper_that_stops_is_told_by_what_still_runs_and_by_the_end_of_watchdog(fleet):
    eventually(lambda: fleet.firing("Watchdog") and not fleet.firing("ScrapingStopped"), "the fleet is scraped")
    fleet.shell("mon1", "systemctl stop accelmon-vmagent")
    try:
        eventually(lambda: fleet.firing("ScrapingStopped") and not fleet.firing("Watchdog"), "what still runs says so")
    finally:
        fleet.shell("mon1", "systemctl start accelmon-vmagent")
    eventually(lambda: fleet.firing("Watchdog") and not fleet.firing("ScrapingStopped"), "it is scraped again")
