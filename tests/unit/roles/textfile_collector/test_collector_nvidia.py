# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""NVIDIA devices. Stubbed: nvidia-smi, by a script that replays a fixture; sysfs and /proc, by an empty folder."""

import os
import time

import collector_support as support
import pytest


def collect(node, name, *more):
    support.replayed_nvidia_smi(node.folder, name)
    return node.collect("--vendors", "nvidia", *more)


def gone(node, pids):
    """Whether these processes end within a few seconds (whoever inherited them reaps them when it likes)."""
    for _attempt in range(50):
        if not any(node.program.process_start(int(pid)) for pid in pids.split()):
            return True
        time.sleep(0.1)
    return False


def test_eight_healthy_devices(node):
    metrics = collect(node, "h100_8.csv")
    devices = metrics.devices()
    assert [device["gpu"] for device in devices] == list("01234567")
    assert devices[1] == {"gpu": "1", "uuid": "GPU-00000000-0000-4000-8000-000000000001", "vendor": "nvidia", "model": "NVIDIA H100 80GB HBM3",
                          "pci_address": "0000:43:00.0", "driver_version": "590.48.01", "serial": "1650123000001"}
    expected = {
        "node_gpu_utilization_percent": 100, "node_gpu_memory_used_bytes": 19818 * 2 ** 20, "node_gpu_memory_total_bytes": 81559 * 2 ** 20,
        "node_gpu_temperature_celsius": 60, "node_gpu_memory_temperature_celsius": 63, "node_gpu_temperature_margin_celsius": 28,
        "node_gpu_power_draw_watts": 630.11, "node_gpu_power_limit_watts": 700, "node_gpu_persistence_mode": 1, "node_gpu_mig_mode": 0,
        "node_gpu_ecc_mode": 1, "node_gpu_row_remap_pending": 0, "node_gpu_row_remap_failed": 0, "node_gpu_pcie_link_generation": 5,
        "node_gpu_pcie_link_generation_max": 5, "node_gpu_pcie_link_width": 16, "node_gpu_pcie_link_width_max": 16, "node_gpu_recovery_action": 0,
        "node_gpu_fabric_state": 3,
    }
    for name, value in expected.items():
        assert metrics.one(name, gpu="1") == value, name
    assert metrics.one("node_gpu_clock_hertz", gpu="1", domain="core") == 1755e6
    assert metrics.one("node_gpu_clock_hertz", gpu="1", domain="memory") == 2619e6
    assert metrics.one("node_gpu_ecc_errors_total", gpu="5", type="corrected", scope="aggregate") == 177
    assert metrics.one("node_gpu_ecc_errors_total", gpu="5", type="corrected", scope="volatile") == 3
    assert metrics.one("node_gpu_ecc_errors_total", gpu="5", type="uncorrected", scope="volatile") == 0
    assert metrics.one("node_gpu_remapped_rows_total", gpu="5", cause="correctable") == 1
    assert metrics.one("node_gpu_row_remap_pending", gpu="5") == 1
    assert metrics.one("node_gpu_throttle_active", gpu="1", reason="sw_power_cap") == 1
    assert metrics.one("node_gpu_throttle_active", gpu="1", reason="hw_thermal_slowdown") == 0
    assert metrics.one("node_gpu_throttle_seconds_total", gpu="1", reason="sw_power_cap") == 8.123456
    assert metrics.one("accelmon_collector_success", vendor="nvidia") == 1
    assert abs(metrics.one("accelmon_collector_last_run_timestamp_seconds", vendor="nvidia") - time.time()) < 60
    assert metrics.one("accelmon_collector_last_success_timestamp_seconds", vendor="nvidia") > time.time() - 60
    assert metrics.errors("nvidia") == {} and metrics.invalid("nvidia") == {}
    assert len(node.calls()) == 1


def test_every_row_of_a_device_has_the_same_identity_and_there_are_at_most_forty(node):
    metrics = collect(node, "h100_8.csv")
    rows = [labels for name, labels in metrics.series if name.startswith("node_gpu_") and ("gpu", "0") in labels
            and not name.startswith("node_gpu_error")]
    identity = {(key, value) for key, value in rows[0] if key in ("gpu", "uuid", "vendor", "model")}
    assert len(identity) == 4 and all(identity <= labels for labels in rows)
    assert 25 <= len(rows) <= 40


def test_a_consumer_card_lacks_what_it_does_not_have(node):
    metrics = collect(node, "geforce.csv")
    assert metrics.one("node_gpu_persistence_mode", gpu="0") == 0
    assert metrics.one("node_gpu_retired_pages_total", gpu="0", cause="double_bit") == 0
    assert metrics.one("node_gpu_fan_speed_percent", gpu="0") == 0
    for name in ("node_gpu_ecc_errors_total", "node_gpu_ecc_mode", "node_gpu_mig_mode", "node_gpu_memory_temperature_celsius",
                 "node_gpu_remapped_rows_total", "node_gpu_temperature_margin_celsius"):
        assert not metrics.find(name), name
    assert "serial" not in metrics.devices()[0]
    assert metrics.errors("nvidia") == {} and metrics.invalid("nvidia") == {}


def test_a_divided_device_is_one_device_without_utilization(node):
    metrics = collect(node, "h100_mig.csv")
    assert len(metrics.devices()) == 1
    assert metrics.one("node_gpu_mig_mode", gpu="0") == 1
    assert metrics.one("node_gpu_power_draw_watts", gpu="0") == 71.15
    assert not metrics.find("node_gpu_utilization_percent")
    assert metrics.invalid("nvidia") == {}


def test_a_device_that_gives_nothing_but_errors_is_lost(node):
    metrics = collect(node, "err_after_xid79.csv")
    assert [device["gpu"] for device in metrics.devices()] == list("0124567")
    assert not [labels for _name, labels in metrics.series if ("gpu", "3") in labels]
    assert metrics.errors("nvidia") == {"device_lost": 1}
    invalid = metrics.invalid("nvidia")
    assert invalid["temperature"] == 1 and invalid["ecc_errors"] == 4 and invalid["driver_version"] == 1
    assert metrics.one("accelmon_collector_success", vendor="nvidia") == 1


def test_a_device_that_must_be_reset(node):
    metrics = collect(node, "reset_required.csv")
    assert metrics.one("node_gpu_recovery_action", gpu="0") == 1
    assert metrics.one("node_gpu_temperature_celsius", gpu="0") is None
    assert metrics.one("node_gpu_memory_total_bytes", gpu="0") == 81559 * 2 ** 20
    assert metrics.invalid("nvidia")["temperature"] == 1


def test_unknown_errors_are_not_zeros(node):
    metrics = collect(node, "unknown_error.csv")
    assert metrics.one("node_gpu_utilization_percent", gpu="2") is None
    assert metrics.invalid("nvidia") == {"utilization": 1, "power_draw": 1, "fan_speed_percent": 1}


def test_one_lost_device_does_not_hide_the_others(node):
    metrics = collect(node, "lost_device.csv")
    assert [device["gpu"] for device in metrics.devices()] == list("0234567")
    assert metrics.errors("nvidia") == {"device_lost": 1}
    assert metrics.one("accelmon_collector_success", vendor="nvidia") == 1


@pytest.mark.parametrize("name, reason", [
    ("no_devices.txt", "no_devices"), ("version_mismatch.txt", "version_mismatch"), ("driver_not_loaded.txt", "driver_not_loaded")])
def test_no_device_at_all(node, name, reason):
    before = collect(node, "h100_8.csv")
    metrics = collect(node, name)
    assert metrics.devices() == [] and not [key for key in metrics.series if key[0].startswith("node_gpu_")]
    assert metrics.errors("nvidia") == {reason: 1}
    assert metrics.one("accelmon_collector_success", vendor="nvidia") == 0
    success = "accelmon_collector_last_success_timestamp_seconds"
    assert metrics.one(success, vendor="nvidia") == before.one(success, vendor="nvidia")
    assert collect(node, name).errors("nvidia") == {reason: 2}


def test_the_exit_status_speaks_when_the_text_does_not(node):
    for status, reason in ((18, "version_mismatch"), (9, "driver_not_loaded"), (3, "tool_failed")):
        support.replayed_nvidia_smi(node.folder, text="?\n", status=status)
        metrics = node.collect("--vendors", "nvidia")
        assert metrics.error("nvidia", reason) == 1


def test_a_missing_tool(node):
    metrics = node.collect("--vendors", "nvidia")
    assert metrics.errors("nvidia") == {"tool_missing": 1}
    assert metrics.one("accelmon_collector_last_success_timestamp_seconds", vendor="nvidia") == 0


def test_a_tool_that_hangs_is_killed_with_its_children(node):
    support.script(node.folder / "nvidia-smi", """\
        import os, subprocess, sys, time
        child = subprocess.Popen(["sleep", "300"])
        with open(%r, "w") as stream:
            stream.write("%%d %%d" %% (os.getpid(), child.pid))
        print("0, half a")
        sys.stdout.flush()
        time.sleep(300)
        """ % str(node.folder / "pids"))
    started = time.monotonic()
    metrics = node.collect("--vendors", "nvidia", "--timeout", "1")
    assert 0.9 < time.monotonic() - started < 4
    assert metrics.errors("nvidia") == {"timeout": 1} and metrics.devices() == []
    assert gone(node, (node.folder / "pids").read_text())


def test_a_child_left_behind_does_not_hold_the_run_up(node):
    tool = support.replayed_nvidia_smi(node.folder, "geforce.csv")
    os.rename(tool, tool + "-real")
    support.script(node.folder / "nvidia-smi", """\
        sleep 60 &
        echo $! > %s
        exec %s "$@"
        """ % (node.folder / "pid", tool + "-real"), interpreter="/bin/sh")
    started = time.monotonic()
    metrics = node.collect("--vendors", "nvidia", "--timeout", "20")
    assert time.monotonic() - started < 8
    assert len(metrics.devices()) == 1
    assert gone(node, (node.folder / "pid").read_text())


def test_a_process_that_cannot_be_killed_is_not_joined_by_another(node):
    """Nothing here can be unkillable, so the memory of such a process is made by hand: this test's own."""
    support.replayed_nvidia_smi(node.folder, "geforce.csv")
    state = node.program.fresh_state()
    state["stuck"]["nvidia"] = {"pid": os.getpid(), "start": node.program.process_start(os.getpid())}
    node.state.write_text(node.program.json.dumps(state))
    metrics = node.collect("--vendors", "nvidia")
    assert metrics.errors("nvidia") == {"stuck": 1} and node.calls() == []
    state["stuck"]["nvidia"]["start"] = "1"  # the number now belongs to a process of another time
    node.state.write_text(node.program.json.dumps(state))
    assert len(node.collect("--vendors", "nvidia").devices()) == 1


def test_endless_output_is_cut_off(node):
    support.script(node.folder / "nvidia-smi", "exec yes 0,", interpreter="/bin/sh")
    metrics = node.collect("--vendors", "nvidia", "--timeout", "30")
    assert metrics.errors("nvidia") == {"output_too_large": 1}


def test_garbage(node):
    support.script(node.folder / "nvidia-smi", "exec head -c 20000 /dev/urandom", interpreter="/bin/sh")
    metrics = node.collect("--vendors", "nvidia")
    assert metrics.devices() == [] and metrics.one("accelmon_collector_success", vendor="nvidia") == 0
    assert sum(metrics.errors("nvidia").values()) == 1


def test_a_truncated_last_line_is_not_believed(node):
    status, text = support.fixture("nvidia_smi/h100_8.csv")
    for cut in (1, 4, 200):
        support.replayed_nvidia_smi(node.folder, text=text[:-cut], status=status)
        metrics = node.collect("--vendors", "nvidia")
        assert [device["gpu"] for device in metrics.devices()] == list("0123456"), cut
        assert metrics.one("accelmon_collector_success", vendor="nvidia") == 1
    assert metrics.errors("nvidia") == {"bad_output": 3}


def test_repeated_devices_do_not_make_series_twice(node):
    _status, text = support.fixture("nvidia_smi/geforce.csv")
    head, row = text.rstrip("\n").split("\n")
    support.replayed_nvidia_smi(node.folder, text="\n".join([head, row, row, "1" + row[1:]]) + "\n")
    metrics = node.collect("--vendors", "nvidia")
    assert len(metrics.devices()) == 1 and metrics.errors("nvidia") == {"bad_output": 2}


def test_values_that_cannot_be_true_are_left_out(node):
    metrics = collect(node, "insane_values.csv")
    assert sorted(metrics.invalid("nvidia")) == sorted([
        "temperature", "power_draw", "utilization", "memory_used", "clock_core", "ecc_errors", "pcie_width", "memory_temperature",
        "power_limit", "fan_speed_percent", "throttle", "recovery_action"])
    for name in ("temperature_celsius", "power_draw_watts", "utilization_percent", "memory_used_bytes", "pcie_link_width", "throttle_active",
                 "power_limit_watts", "fan_speed_percent", "recovery_action", "memory_temperature_celsius"):
        assert not metrics.find("node_gpu_" + name), name
    assert metrics.one("node_gpu_clock_hertz", domain="core") is None
    assert len(metrics.find("node_gpu_ecc_errors_total")) == 3


def test_names_are_escaped_and_bounded(node):
    models = [device["model"] for device in collect(node, "odd_names.csv").devices()]
    assert models == ['NVIDIA "Quoted" A100, 40GB', "NVIDIA back\\slash", "NVIDIA T\u00e9sla \u2603", "two  spaces", "x" * 128, "tab?here"]


def test_an_older_driver_is_asked_for_less_and_only_the_first_time(node):
    metrics = collect(node, "old_driver.csv")
    assert metrics.one("node_gpu_power_draw_watts", gpu="0") == 30.37
    assert metrics.one("node_gpu_throttle_active", gpu="0", reason="hw_slowdown") == 0
    supported = {dict(labels)["group"]: value for labels, value in metrics.find("accelmon_collector_group_supported").items()}
    assert supported == {"core": 1, "memory_temperature": 1, "mig": 1, "throttle": 1,
                         "remapped_rows": 0, "throttle_time": 0, "temperature_margin": 0, "recovery_action": 0, "fabric": 0}
    first = len(node.calls())
    assert first == 8  # seven groups or spellings rejected, and the answer
    assert metrics.errors("nvidia") == {}
    collect(node, "old_driver.csv")
    assert len(node.calls()) == first + 1
    support.put(node.root, "proc/sys/kernel/random/boot_id", "boot-2\n")
    collect(node, "old_driver.csv")
    assert len(node.calls()) == first + 1 + first


def test_a_new_driver_is_asked_for_everything_again(node):
    support.put(node.root, "sys/module/nvidia/version", "465.27\n")
    collect(node, "old_driver.csv")
    support.put(node.root, "sys/module/nvidia/version", "590.48.01\n")
    metrics = collect(node, "h100_8.csv")
    assert metrics.one("accelmon_collector_group_supported", group="remapped_rows") == 1
    assert len(metrics.find("node_gpu_remapped_rows_total")) == 16


def test_a_tool_that_rejects_everything_fails_and_is_asked_again(node):
    support.script(node.folder / "nvidia-smi", "echo 'Field \"index\" is not a valid field to query.'; exit 2", interpreter="/bin/sh")
    assert node.collect("--vendors", "nvidia").errors("nvidia") == {"tool_failed": 1}
    assert len(collect(node, "geforce.csv").devices()) == 1


def test_the_tool_gets_a_plain_environment(node, monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setenv("SECRET", "x")
    support.script(node.folder / "nvidia-smi", "env > %s" % (node.folder / "env"), interpreter="/bin/sh")
    node.collect("--vendors", "nvidia")
    environment = (node.folder / "env").read_text().splitlines()
    assert "LC_ALL=C" in environment and not [line for line in environment if line.startswith(("SECRET", "LD_"))]


@pytest.mark.parametrize("text, address", [
    ("00000000:1B:00.0", "0000:1b:00.0"), ("0000:1B:00.0", "0000:1b:00.0"),
    ("00010000:02:00.0", "10000:02:00.0"), ("00000004:02:1F.7", "0004:02:1f.7")])
def test_addresses_are_spelt_as_in_sysfs(program, text, address):
    assert program.pci_address(text) == address


def cells(**changes):
    """A text as nvidia-smi gives it: one line for each of `rows`, all cells [N/A] but those of the row."""
    _status, text = support.fixture("nvidia_smi/h100_8.csv")
    head = text.partition("\n")[0].split(", ")
    return "".join([", ".join(head) + "\n"] + [
        row if isinstance(row, str) else ", ".join(row.get(field.replace(".", "_"), "[N/A]") for field in head) + "\n" for row in changes["rows"]])


def row(number, address, **more):
    return dict({"index": str(number), "uuid": "GPU-00000000-0000-4000-8000-%012d" % number, "pci_bus_id": "00000000:" + address,
                 "driver_version": "575.57.08", "name": "NVIDIA RTX 4000 Ada Generation"}, **more)


def bound(node, *addresses, **files):
    for address in addresses:
        folder = "sys/bus/pci/devices/" + address
        support.put(node.root, folder + "/vendor", "0x10de\n")
        support.put(node.root, folder + "/device", files.get("device", "0x27b2") + "\n")
        support.put(node.root, folder + "/class", "0x030000\n")
        support.put(node.root, folder + "/power/runtime_status", files.get("status", "active") + "\n")
        os.symlink("../../../../bus/pci/drivers/nvidia", str(node.root / folder / "driver"))


def collect_rows(node, *rows, status=0):
    support.replayed_nvidia_smi(node.folder, text=cells(rows=rows), status=status)
    return node.collect("--vendors", "nvidia")


def test_a_warning_is_told_with_its_device(node):
    metrics = collect_rows(node, row(0, "3B:00.0", temperature_gpu="33"), row(1, "B3:00.0", temperature_gpu="35"),
                           "WARNING: infoROM is corrupted at gpu 0000:B3:00.0\n", status=14)
    assert len(metrics.devices()) == 2 and metrics.one("accelmon_collector_success", vendor="nvidia") == 1
    assert metrics.one("accelmon_collector_tool_warning", vendor="nvidia", warning="inforom_corrupted", gpu="1", pci_address="0000:b3:00.0",
                       uuid="GPU-00000000-0000-4000-8000-000000000001") == 1
    assert len(metrics.find("accelmon_collector_tool_warning")) == 1 and metrics.errors("nvidia") == {"tool_failed": 1}


@pytest.mark.parametrize("line, labels", [
    ("WARNING: infoROM is corrupted at gpu 00000000:3B:00.0", {"warning": "inforom_corrupted", "gpu": "0", "pci_address": "0000:3b:00.0"}),
    ("Warning: InfoROM corrupted on GPU 0", {"warning": "inforom_corrupted", "gpu": "0", "pci_address": "0000:3b:00.0"}),
    ("WARNING: infoROM is corrupted at gpu 0000:C1:00.0", {"warning": "inforom_corrupted", "pci_address": "0000:c1:00.0"}),
    ("WARNING: GPU #7: something", {"warning": "other", "gpu": "7"}),
    ("WARNING: You should always run with libnvidia-ml.so", {"warning": "other"}),
])
def test_whatever_a_warning_names(node, line, labels):
    metrics = collect_rows(node, row(0, "3B:00.0", temperature_gpu="33"), line + "\n")
    (found,) = [dict(one) for one in metrics.find("accelmon_collector_tool_warning")]
    assert {key: value for key, value in found.items() if key not in ("vendor", "uuid")} == labels
    assert [device["gpu"] for device in metrics.devices()] == ["0"]


def test_a_device_of_a_virtual_machine_on_a_part_of_another(node):
    """Nearly every cell is [N/A]: a device that has no such values, and none that is lost."""
    metrics = collect_rows(node, row(0, "00:05.0", name="NVIDIA H100L-2-24C", memory_used="130", memory_total="24576", ecc_mode_current="Enabled",
                                     mig_mode_current="Enabled"))
    assert [device["model"] for device in metrics.devices()] == ["NVIDIA H100L-2-24C"]
    assert metrics.one("node_gpu_memory_total_bytes", gpu="0") == 24576 * 2 ** 20 and metrics.one("node_gpu_mig_mode", gpu="0") == 1
    assert metrics.errors("nvidia") == {} and metrics.invalid("nvidia") == {}


def test_a_device_with_no_value_at_all_is_there(node):
    metrics = collect_rows(node, row(0, "00:05.0"))
    assert len(metrics.devices()) == 1 and metrics.errors("nvidia") == {} and not metrics.find("accelmon_collector_lost_device")


def test_every_row_counts_for_itself(node):
    """One healthy, one with an unknown value, one whose cells are all errors, one that does not even tell its number."""
    lost = {key: "ERR!" for key in ("temperature_gpu", "power_draw", "memory_used", "memory_total", "utilization_gpu")}
    nameless = {key: "[Unknown Error]" for key in ("index", "uuid", "name", "temperature_gpu")}
    metrics = collect_rows(node, row(13, "C9:00.0", temperature_gpu="33", fan_speed="30"),
                           row(14, "CC:00.0", temperature_gpu="68", fan_speed="[Unknown Error]"), row(15, "CF:00.0", **lost),
                           dict(row(16, "D0:00.0"), **nameless),
                           "Unable to determine the device handle for GPU 0000:BA:00.0: Unknown Error\n", status=15)
    assert [device["gpu"] for device in metrics.devices()] == ["13", "14"]
    assert metrics.one("node_gpu_fan_speed_percent", gpu="13") == 30 and metrics.one("node_gpu_fan_speed_percent", gpu="14") is None
    assert sorted(dict(labels)["pci_address"] for labels in metrics.find("accelmon_collector_lost_device")) == [
        "0000:ba:00.0", "0000:cf:00.0", "0000:d0:00.0"]
    assert metrics.errors("nvidia") == {"device_lost": 3} and metrics.invalid("nvidia")["fan_speed_percent"] == 1


@pytest.mark.parametrize("line", ["Unable to determine the device handle for GPU 0000:BA:80.0: Unknown Error",
                                  "Unable to determine the device handle for GPU1: 0000:BA:80.0: GPU is lost.  Reboot the system to recover this GPU"])
def test_no_row_and_a_lost_device(node, line):
    support.replayed_nvidia_smi(node.folder, text=line + "\n", status=255)
    metrics = node.collect("--vendors", "nvidia")
    assert metrics.devices() == [] and metrics.errors("nvidia") == {"device_lost": 1}
    assert metrics.one("accelmon_collector_lost_device", vendor="nvidia", pci_address="0000:ba:80.0") == 1
    assert metrics.one("accelmon_collector_success", vendor="nvidia") == 0


def test_a_kind_is_no_model(node):
    bound(node, "0000:01:00.0", device="0x2b85")
    metrics = collect_rows(node, row(0, "01:00.0", name="NVIDIA Graphics Device", temperature_gpu="33"))
    assert [device["model"] for device in metrics.devices()] == ["NVIDIA GeForce RTX 5090"]


def test_a_sleeping_device_is_neither_lost_nor_woken(node):
    bound(node, "0000:01:00.0", status="suspended")
    support.put(node.root, "proc/driver/nvidia/gpus/0000:01:00.0/information",
                "Model: \t\t NVIDIA RTX 4000 Ada Generation\nGPU UUID: \t GPU-00000000-0000-4000-8000-000000000000\n")
    metrics = collect_rows(node, row(0, "01:00.0", temperature_gpu="33"))
    assert node.calls() == [] and metrics.one("accelmon_collector_success", vendor="nvidia") == 1 and metrics.errors("nvidia") == {}
    assert metrics.devices() == [{"gpu": "0", "uuid": "GPU-00000000-0000-4000-8000-000000000000", "vendor": "nvidia",
                                  "model": "NVIDIA RTX 4000 Ada Generation", "pci_address": "0000:01:00.0"}]
    bound(node, "0000:02:00.0")
    metrics = collect_rows(node, row(0, "01:00.0", temperature_gpu="33"), row(1, "02:00.0", temperature_gpu="40"))
    assert node.calls()[0].split()[-1] == "--id=0000:02:00.0" and len(node.calls()) == 1
    assert [device["gpu"] for device in metrics.devices()] == ["0", "1"] and metrics.one("node_gpu_temperature_celsius", gpu="0") is None
    os.remove(str(node.folder / "nvidia-smi"))
    support.replayed_nvidia_smi(node.folder, text="Unable to determine the device handle for GPU 0000:02:00.0: GPU is lost\n", status=15)
    metrics = node.collect("--vendors", "nvidia")
    assert [device["gpu"] for device in metrics.devices()] == ["0"] and metrics.errors("nvidia") == {"device_lost": 1}


@pytest.mark.parametrize("device, driver, found", [("0x27b2", None, True), ("0x0a65", None, False), ("0x0a65", "nouveau", False), ("0x102d", "nvidia", True),
                                                   ("0x0240", "nouveau", False), ("0x102d", "nouveau", False)])
def test_whom_nobody_serves_is_not_asked_for(node, program, device, driver, found):
    folder = "sys/bus/pci/devices/0000:01:00.0"
    for name, text in (("vendor", "0x10de"), ("device", device), ("class", "0x030000")):
        support.put(node.root, "%s/%s" % (folder, name), text + "\n")
    if driver:
        os.symlink("../../../../bus/pci/drivers/" + driver, str(node.root / folder / "driver"))
    assert program.vendors_here(str(node.root)) == (["nvidia"] if found else [])
