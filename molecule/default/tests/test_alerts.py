"""Faults of hosts and devices, and what is said of them. Simulated: the accelerators and their loss."""

from conftest import eventually


def test_a_node_that_stops_is_reported_as_down(fleet):
    fleet.lab("stop", "plain1")
    try:
        eventually(lambda: fleet.firing("HostDown", node="plain1"), what="HostDown fires")
        status = fleet.play("playbooks/status.yml").output
        assert any("plain1" in line and "down" in line and "HostDown" in line for line in status.splitlines()), status
        failed = fleet.verify()
        assert failed.code != 0 and any("plain1: " in line for line in failed.output.splitlines()), failed.output
        assert not fleet.firing("ExporterDown", node="plain1")
    finally:
        fleet.lab("start", "plain1")
    eventually(lambda: not fleet.firing("HostDown"), what="HostDown ends")


def test_a_lost_device_is_not_forgiven_until_somebody_accepts_it(fleet):
    fleet.lab("device", "remove", "nvidia1", "3")
    try:
        eventually(lambda: fleet.firing("AcceleratorMissing", node="nvidia1", vendor="nvidia"), what="AcceleratorMissing fires")
        for dummy in range(2):
            fleet.site()
        fleet.lab("reboot", "nvidia1")
        eventually(lambda: fleet.values('up{job="node_exporter"}').get("nvidia1") == 1, what="the node is back")
        eventually(lambda: fleet.firing("AcceleratorMissing", node="nvidia1"), what="AcceleratorMissing fires after two runs and a reboot")
        failed = fleet.verify()
        assert failed.code != 0 and any("nvidia1: " in line and "8" in line and "7" in line for line in failed.output.splitlines()), failed.output

        accepted = fleet.play("playbooks/accept_devices.yml", "--limit", "nvidia1")
        assert accepted.code == 0, accepted.output
        eventually(lambda: not fleet.firing("AcceleratorMissing"), what="AcceleratorMissing ends after acceptance")
        assert fleet.verify("-e", "accelmon_verify_wait=60").code == 0
    finally:
        fleet.lab("device", "restore", "nvidia1", "3")
    eventually(lambda: fleet.values('count by (node) (accelerator_info{node="nvidia1"})') == {"nvidia1": 8}, what="the device is back")
    fleet.site("--limit", "nvidia1")
    eventually(lambda: fleet.values("accelmon_expected_accelerators").get("nvidia1") == 8, what="it is expected again")


def test_maintenance_mutes_a_node_that_is_down_already(fleet, tmp_path):
    inventory = fleet.inventory_of(tmp_path / "maintenance.json", variables={"plain1": {"accelmon_state": "maintenance"}})
    fleet.lab("stop", "plain1")
    try:
        eventually(lambda: fleet.firing("HostDown", node="plain1"), what="HostDown fires")
        fleet.play("site.yml", "--limit", "plain1,mon1", inventory=inventory)
        eventually(lambda: not fleet.firing("HostDown", node="plain1"), what="maintenance mutes it")
        eventually(lambda: fleet.values('up{job="node_exporter"}').get("plain1") == 0, what="the node is seen as down")
        eventually(lambda: fleet.values("accelmon_fleet_node_info").get("plain1") == 1, 5, "it is still a target")
        assert "maintenance" in fleet.play("playbooks/status.yml").output
    finally:
        fleet.lab("start", "plain1")
    fleet.site("--limit", "plain1")
    assert "maintenance" not in fleet.play("playbooks/status.yml").output


def test_a_hung_vendor_tool_disturbs_no_scrape(fleet):
    fleet.shell("nvidia1", "echo hang > /lab/nvidia-smi.behaviour")
    try:
        eventually(lambda: fleet.values("accelmon_collector_success", "vendor").get("nvidia") == 0, what="the collector reports the failure")
        assert fleet.values('up{job="node_exporter"}')["nvidia1"] == 1
        assert fleet.values("scrape_duration_seconds{job='node_exporter'}".replace("'", '"'))["nvidia1"] < 2
        assert fleet.values('node_gpu_info{node="nvidia1"}') == {}, "no stale values of a tool that does not answer"
        eventually(lambda: fleet.firing("AcceleratorCollectorStale", node="nvidia1"), 120, "AcceleratorCollectorStale fires")
    finally:
        fleet.shell("nvidia1", "rm /lab/nvidia-smi.behaviour")
    eventually(lambda: not fleet.firing("AcceleratorCollectorStale"), what="AcceleratorCollectorStale ends")
    eventually(lambda: not fleet.firing("AcceleratorMissing"), what="AcceleratorMissing ends")
