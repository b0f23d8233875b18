"""Processes on devices, in the real sandbox. Simulated: the accelerators, and what nvidia-smi says of processes."""

from conftest import eventually

SERVICE = "accelmon-textfile-collector.service"


def test_memory_is_known_by_the_unit_of_a_real_process(fleet):
    uuid = fleet.shell("nvidia1", "nvidia-smi --query-gpu=uuid --format=csv,noheader").split()[0]
    fleet.shell("nvidia1", f"echo \"{uuid}, $(systemctl show -P MainPID accelmon-node-exporter), 1024\" > /lab/nvidia-smi.processes")
    try:
        eventually(lambda: fleet.values('accelerator_process_memory_bytes{node="nvidia1",unit!="",unit!="other"}', "uuid") == {uuid: 2 ** 30},
                   "the memory of node_exporter's unit")
    finally:
        fleet.shell("nvidia1", "rm /lab/nvidia-smi.processes")


def test_the_collector_has_its_privilege_where_amds_devices_are_and_runs_with_it(fleet):
    assert fleet.shell("amd1", f"systemctl show -P AmbientCapabilities {SERVICE}").strip() == "cap_sys_ptrace"
    assert fleet.shell("nvidia1", f"systemctl show -P AmbientCapabilities {SERVICE}").strip() == ""
    # Without the privilege, or in a sandbox that does not let it be given up, one of these is wrong.
    eventually(lambda: fleet.values("count by (node) (accelerator_info)").get("amd1") == 4, "the devices are read")
    assert fleet.shell("amd1", f"systemctl show -P Result {SERVICE}").strip() == "success"
    page = fleet.shell("amd1", "cat /var/lib/prometheus/node-exporter/accelmon_accelerators.prom")
    assert "node_gpu_info" in page and "accelmon_collector_process_problem" not in page
