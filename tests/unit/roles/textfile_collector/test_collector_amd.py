# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""AMD devices. Stubbed: sysfs, by a folder made from a fixture; amd-smi and rocm-smi, by scripts that print one."""

import errno
import json
import os
import time

import collector_support as support
import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import amd as detection
from ansible_collections.accelmon.fleet.plugins.module_utils.detect.accelerators import detect

BUSES = ("05", "26", "46", "65", "85", "a6", "c6", "e5")


def mi300x(node, **changes):
    for number, bus in enumerate(BUSES):
        support.amd_device(node.root, "0000:%s:00.0" % bus, "mi300x", unique_id="7eff74a0a1b2c3d%d" % number, **changes)


def test_eight_healthy_devices(node):
    mi300x(node)
    support.put(node.root, "sys/module/amdgpu/version", "6.8.5\n")
    metrics = node.collect("--vendors", "amd")
    assert [device["pci_address"] for device in metrics.devices()] == ["0000:%s:00.0" % bus for bus in BUSES]
    assert metrics.devices()[1] == {
        "gpu": "1", "uuid": "7eff74a0a1b2c3d1", "vendor": "amd", "model": "AMD Instinct MI300X", "pci_address": "0000:26:00.0",
        "driver_version": "6.8.5", "serial": "692350000119", "compute_partition": "SPX"}
    expected = {
        "node_gpu_utilization_percent": 97, "node_gpu_memory_used_bytes": 187904819200, "node_gpu_memory_total_bytes": 206141652992,
        "node_gpu_temperature_celsius": 71, "node_gpu_junction_temperature_celsius": 71, "node_gpu_memory_temperature_celsius": 58,
        "node_gpu_power_draw_watts": 542, "node_gpu_power_limit_watts": 750, "node_gpu_pcie_link_generation": 5,
        "node_gpu_pcie_link_generation_max": 5, "node_gpu_pcie_link_width": 16, "node_gpu_pcie_link_width_max": 16, "node_gpu_pcie_replays_total": 2,
    }
    for name, value in expected.items():
        assert metrics.one(name, gpu="1") == value, name
    assert metrics.one("node_gpu_clock_hertz", gpu="1", domain="core") == 2.1e9
    assert metrics.one("node_gpu_clock_hertz", gpu="1", domain="memory") == 1.3e9
    for kind, value in (("corrected", 6), ("uncorrected", 1), ("deferred", 1)):
        assert metrics.one("node_gpu_ecc_errors_total", gpu="1", type=kind, scope="volatile") == value
    assert len([labels for _name, labels in metrics.series if ("gpu", "1") in labels]) <= 40
    assert metrics.errors("amd") == {} and metrics.invalid("amd") == {}


def test_indexes_do_not_depend_on_the_order_of_the_folder(node):
    for bus in ("c6", "05", "85"):
        support.amd_device(node.root, "0000:%s:00.0" % bus, "mi300x")
    assert [device["pci_address"][5:7] for device in node.collect("--vendors", "amd").devices()] == ["05", "85", "c6"]


def test_a_partitioned_board_is_one_device_and_its_power_counts_once(node):
    support.amd_device(node.root, "0000:05:00.0", "mi300x", current_compute_partition="CPX")
    support.put(node.root, "sys/class/drm/card2/device/vendor", "0x1002\n")  # the other seven partitions are no PCI functions
    metrics = node.collect("--vendors", "amd")
    assert [device["compute_partition"] for device in metrics.devices()] == ["CPX"]
    assert list(metrics.find("node_gpu_power_draw_watts").values()) == [542]


def test_the_second_die_of_an_mi250_has_no_power_of_its_own(node):
    support.amd_device(node.root, "0000:c9:00.0", "mi250_second_die",
                       **{"hwmon/hwmon6/power1_average": "128000000", "hwmon/hwmon6/power1_cap": "560000000", "unique_id": "1"})
    support.amd_device(node.root, "0000:ce:00.0", "mi250_second_die")
    metrics = node.collect("--vendors", "amd")
    assert len(metrics.devices()) == 2
    assert metrics.one("node_gpu_power_draw_watts", gpu="0") == 128 and metrics.one("node_gpu_power_draw_watts", gpu="1") is None
    assert metrics.one("node_gpu_power_limit_watts", gpu="1") is None
    assert metrics.devices()[1]["uuid"] == "46bbec5de0d43ba7"
    assert metrics.invalid("amd") == {}


def test_a_radeon(node):
    support.amd_device(node.root, "0000:03:00.0", "radeon")
    metrics = node.collect("--vendors", "amd")
    assert metrics.devices() == [{"gpu": "0", "uuid": "pci-0000:03:00.0", "vendor": "amd", "model": "AMD Radeon RX 7900 series", "pci_address": "0000:03:00.0"}]
    assert metrics.one("node_gpu_temperature_celsius", gpu="0") == 41 and metrics.one("node_gpu_junction_temperature_celsius", gpu="0") == 43
    assert metrics.one("node_gpu_fan_speed_rpm", gpu="0") == 812
    assert metrics.one("node_gpu_power_draw_watts", gpu="0") == 28
    assert metrics.one("node_gpu_pcie_link_generation", gpu="0") == 1 and metrics.one("node_gpu_pcie_link_generation_max", gpu="0") == 4
    assert not metrics.find("node_gpu_ecc_errors_total")


def test_a_sleeping_device_is_let_alone(node):
    support.amd_device(node.root, "0000:03:00.0", "radeon", **{
        "power/runtime_status": "suspended", "gpu_busy_percent": True, "hwmon/hwmon4/power1_average": True})
    metrics = node.collect("--vendors", "amd")
    assert metrics.one("node_gpu_memory_total_bytes", gpu="0") == 25753026560
    assert not metrics.find("node_gpu_utilization_percent") and not metrics.find("node_gpu_temperature_celsius")
    assert metrics.invalid("amd") == {} and node.calls() == []


def test_no_tool_wakes_a_sleeping_device(node):
    """Another one is awake and gives no utilisation: amd-smi is asked for that one alone, rocm-smi cannot be."""
    support.amd_device(node.root, "0000:03:00.0", "radeon", **{"power/runtime_status": "suspended"})
    support.amd_device(node.root, "0000:04:00.0", "radeon", gpu_busy_percent=None)
    support.replayed_amd_smi(node.folder, static="[]", metric="[]")
    tool = support.replayed_amd_smi(node.folder, "rocm-smi", default="{}")
    assert len(node.collect("--vendors", "amd").devices()) == 2
    assert [call.split()[0] for call in node.calls()] == ["static", "metric"]
    assert all(call.endswith(" --gpu 0000:04:00.0") for call in node.calls())
    assert len(node.collect("--vendors", "amd", "--amd-smi", tool).devices()) == 2 and len(node.calls()) == 2


@pytest.mark.parametrize("status", ["suspending", "resuming"])
def test_a_device_on_its_way_to_sleep_or_awake_is_not_lost(node, status):
    """Nothing that asks the device is read: each of these files would be an error."""
    support.amd_device(node.root, "0000:03:00.0", "radeon", **dict({name: True for name in (
        "gpu_busy_percent", "pcie_replay_count", "current_link_speed", "max_link_speed", "current_link_width", "max_link_width",
        "current_compute_partition", "hwmon/hwmon4/power1_average", "hwmon/hwmon4/temp1_input")}, **{"power/runtime_status": status}))
    metrics = node.collect("--vendors", "amd")
    assert [device["model"] for device in metrics.devices()] == ["AMD Radeon RX 7900 series"]
    assert metrics.errors("amd") == {} and metrics.invalid("amd") == {} and node.calls() == []


def test_a_device_that_falls_asleep_while_it_is_read_is_not_lost(node, monkeypatch, program):
    """Its status is stubbed: awake at first, on its way to sleep when its files give errors."""
    support.amd_device(node.root, "0000:03:00.0", "radeon", gpu_busy_percent=True, **{
        "hwmon/hwmon4/temp1_input": True, "hwmon/hwmon4/temp2_input": True, "hwmon/hwmon4/temp3_input": True, "hwmon/hwmon4/power1_average": True,
        "hwmon/hwmon4/freq1_input": True, "hwmon/hwmon4/freq2_input": True})
    answers = [False, True]
    monkeypatch.setattr(program, "asleep", lambda root, address: answers.pop(0))
    metrics = node.collect("--vendors", "amd")
    assert len(metrics.devices()) == 1 and metrics.errors("amd") == {} and metrics.invalid("amd") == {}
    assert not metrics.find("node_gpu_power_limit_watts") and metrics.one("node_gpu_memory_total_bytes", gpu="0") == 25753026560


def blind_mi250(node):
    for bus, unique in (("c9", "1"), ("d1", "2")):
        support.amd_device(node.root, "0000:%s:00.0" % bus, "mi250_second_die", device="0x7408", unique_id=unique, gpu_busy_percent=None,
                           **{"hwmon/hwmon6/power1_average": None})


def test_a_whole_document_counts_whatever_the_status(node):
    blind_mi250(node)
    text = support.fixture("amd_smi/rocm_smi.json")[1].replace("0000:CE:00.0", "0000:D1:00.0")
    tool = support.replayed_amd_smi(node.folder, "rocm-smi", default=text, status=2)
    metrics = node.collect("--vendors", "amd", "--amd-smi", tool)
    assert [device["model"] for device in metrics.devices()] == ["AMD Instinct MI250X"] * 2
    assert metrics.one("node_gpu_utilization_percent", gpu="1") == 7 and metrics.one("node_gpu_power_draw_watts", gpu="0") == 128
    assert metrics.errors("amd") == {"tool_failed": 1} and metrics.one("accelmon_collector_success", vendor="amd") == 1
    assert metrics.one("accelmon_collector_tool_warning", vendor="amd", warning="exit_status", status="2") == 1
    assert metrics.one("accelmon_collector_tool_warning", vendor="amd", warning="low_power") == 1


def test_half_a_document_does_not(node):
    blind_mi250(node)
    tool = support.replayed_amd_smi(node.folder, "rocm-smi", default='{"card0": {"PCI Bus": "0000:C9:00.0", "GPU use (%)": "7"', status=2)
    metrics = node.collect("--vendors", "amd", "--amd-smi", tool)
    assert not metrics.find("node_gpu_utilization_percent") and metrics.errors("amd") == {"tool_failed": 1} and len(metrics.devices()) == 2


@pytest.mark.parametrize("before", ["", "WARNING: low-power state\n\n", "[WARNING] x\n", "[1234] starting\n", "{}\n", "  note\r\n", "[]\n[]\n", "{not json\n"])
@pytest.mark.parametrize("behind", ["", "\n", "\nWARNING: late\n", "\n[1]\n", " trailing", "\n{\n"])
def test_lines_around_the_document_do_no_harm(program, before, behind):
    document = [{"gpu": 0, "bus": {"bdf": "0000:05:00.0"}}, {"gpu": 1}]
    text = before + json.dumps(document, indent=1) + behind
    assert program.ids.document(text) == document


@pytest.mark.parametrize("indent", [None, 1, 4])
def test_a_part_of_a_document_is_none(program, indent):
    for document in ([{"gpu": 0, "bus": {"bdf": "0000:05:00.0"}}, {"gpu": 1, "x": [1, 2]}], {"gpu_data": [{"gpu": 0}, {"gpu": 1}]}):
        text = json.dumps(document, indent=indent)
        for cut in (1, 3, 8):
            assert program.ids.document("WARNING: x\n" + text[:-cut]) is None, text[:-cut]


def test_a_lost_device_is_told_by_its_address(node):
    support.amd_device(node.root, "0000:05:00.0", "mi300x", **SICK)
    metrics = node.collect("--vendors", "amd")
    assert metrics.one("accelmon_collector_lost_device", vendor="amd", pci_address="0000:05:00.0") == 1
    assert metrics.errors("amd") == {"device_lost": 1}


def test_what_is_no_accelerator_of_ours_is_not_counted(node):
    support.amd_device(node.root, "0000:05:00.0", "mi300x")
    support.amd_device(node.root, "0000:06:00.0", "radeon", device="0x164e")  # a processor's graphics
    support.amd_device(node.root, "0000:07:00.0", "radeon", driver="vfio-pci")
    support.amd_device(node.root, "0000:08:00.0", "radeon", driver=None)
    support.amd_device(node.root, "0000:09:00.0", "radeon", **{"class": "0x040300"})
    support.amd_device(node.root, "0000:0a:00.0", "radeon", vendor="0x10de")
    support.amd_device(node.root, "0000:0b:00.0", "mi300x", device="0x74b5")
    os.symlink("../0000:05:00.0", str(node.root / "sys/bus/pci/devices/0000:0b:00.0/physfn"))
    assert [device["pci_address"] for device in node.collect("--vendors", "amd").devices()] == ["0000:05:00.0"]


def test_devices_are_told_apart_and_named_as_in_detection(node):
    """Every kind: a card, two that only their ids tell, an Instinct by its class, the processor's graphics that counts, one that does not."""
    for number, (device, code, known) in enumerate((("744c", "0300", True), ("6fdf", "0300", True), ("686c", "0380", True), ("75c1", "1200", True),
                                                    ("1586", "0380", True), ("164e", "0300", False), ("515e", "0300", False))):
        support.amd_device(node.root, "0000:0%d:00.0" % number, "radeon", device="0x" + device, **{"class": "0x%s00" % code})
        assert detection.is_gpu({"device": device, "class": code}) is known
    names = [device["model"] for device in node.collect("--vendors", "amd").devices()]
    assert names == [device["model"] for device in detect(str(node.root), sleep=lambda seconds: None)["devices"]] and len(names) == 5
    assert "AMD Strix Halo" in names and "AMD Instinct 1002:75c1" in names


@pytest.mark.parametrize("product, market, model", [
    ("AMD Radeon Graphics", "N/A", "AMD 1002:74ff"), ("", "AMD Radeon Graphics", "AMD 1002:74ff"), ("", "AMD Radeon PRO W9000X", "AMD Radeon PRO W9000X"),
    ("AMD Radeon PRO W9000X", "AMD Radeon Graphics", "AMD Radeon PRO W9000X"), ("0x0b0c", "Unknown", "AMD 1002:74ff")])
def test_a_kind_is_no_model(node, product, market, model):
    """An id that the table lacks, what the driver calls it, and what the tool does."""
    support.amd_device(node.root, "0000:03:00.0", "radeon", device="0x74ff", product_name=product)
    support.replayed_amd_smi(node.folder, static=json.dumps([{"gpu": 0, "bus": {"bdf": "0000:03:00.0"}, "asic": {"market_name": market}}]))
    assert node.collect("--vendors", "amd").devices()[0]["model"] == model


def test_sysfs_errors_are_counted_and_the_rest_is_reported(node, monkeypatch, program):
    """EBUSY cannot be provoked in a folder: open() of the program is replaced for these files."""
    support.amd_device(node.root, "0000:05:00.0", "mi300x")
    support.amd_device(node.root, "0000:26:00.0", "mi300x", unique_id="2")

    def busy(path, *args):
        if "0000:05" in str(path) and str(path).endswith(("gpu_busy_percent", "power1_input", "temp2_input")):
            raise OSError(errno.EBUSY, "Device or resource busy", path)
        if str(path).endswith("mem_info_vram_used"):
            raise OSError(errno.EOPNOTSUPP, "Operation not supported", path)
        return open(path, *args)

    monkeypatch.setattr(program, "open", busy, raising=False)
    metrics = node.collect("--vendors", "amd")
    assert len(metrics.devices()) == 2
    assert list(metrics.find("node_gpu_utilization_percent").values()) == [97]
    assert metrics.one("node_gpu_power_draw_watts", gpu="0") is None
    assert metrics.invalid("amd") == {"gpu_busy_percent": 1, "power_input": 1, "temp_input": 1}


SICK = {name: True for name in ("gpu_busy_percent", "pcie_replay_count", "hwmon/hwmon5/temp2_input", "hwmon/hwmon5/temp3_input",
                                "hwmon/hwmon5/power1_input", "hwmon/hwmon5/freq1_input", "hwmon/hwmon5/freq2_input")}


def test_a_device_that_gives_nothing_but_errors_is_lost(node):
    """Reading a folder gives EISDIR, in place of what a device gives that fell off the bus."""
    support.amd_device(node.root, "0000:05:00.0", "mi300x", **SICK)
    support.amd_device(node.root, "0000:26:00.0", "mi300x", unique_id="2")
    metrics = node.collect("--vendors", "amd")
    assert [(device["gpu"], device["pci_address"]) for device in metrics.devices()] == [("1", "0000:26:00.0")]
    assert metrics.errors("amd") == {"device_lost": 1} and metrics.one("accelmon_collector_success", vendor="amd") == 1


def test_all_devices_lost(node):
    support.amd_device(node.root, "0000:05:00.0", "mi300x", **SICK)
    metrics = node.collect("--vendors", "amd")
    assert metrics.errors("amd") == {"device_lost": 1} and metrics.one("accelmon_collector_success", vendor="amd") == 0


def test_insane_sensors(node):
    support.amd_device(node.root, "0000:05:00.0", "mi300x", **{
        "gpu_busy_percent": "65535", "hwmon/hwmon5/temp2_input": "65535000", "hwmon/hwmon5/power1_input": "1000000000000000",
        "pcie_replay_count": "18446744073709551615", "mem_info_vram_used": "rubbish"})
    metrics = node.collect("--vendors", "amd")
    for name in ("utilization_percent", "temperature_celsius", "power_draw_watts", "pcie_replays_total", "memory_used_bytes"):
        assert not metrics.find("node_gpu_" + name), name
    assert metrics.invalid("amd") == {"utilization": 1, "junction_temperature": 1, "power_draw": 1, "pcie_replays": 1, "memory_used": 1}


def ras(node, umc):
    support.put(node.root, "sys/bus/pci/devices/0000:05:00.0/ras/umc_err_count", umc)


def test_memory_errors_are_polled_at_most_once_a_minute(node, monkeypatch, program):
    """The clock is stubbed."""
    now = [time.time()]
    monkeypatch.setattr(program.time, "time", lambda: now[0])
    support.amd_device(node.root, "0000:05:00.0", "mi300x")
    values = []
    for seconds in (0, 15, 30, 20):
        now[0] += seconds
        values.append(node.collect("--vendors", "amd").one("node_gpu_ecc_errors_total", type="corrected", scope="volatile"))
        ras(node, "ue: 0\nce: 50\n")
    assert values == [6, 6, 6, 52]
    ras(node, "ue: 0\nce: 60\n")
    now[0] -= 3600  # a clock that was set back must not freeze the values for an hour
    assert node.collect("--vendors", "amd").one("node_gpu_ecc_errors_total", type="corrected", scope="volatile") == 62


@pytest.mark.parametrize("block", ["Query currently inaccessible", "ue: 0", "ue: 0\nce: 4294967295", True])
def test_a_sum_without_one_block_is_not_published(node, block):
    support.amd_device(node.root, "0000:05:00.0", "mi300x", **{"ras/umc_err_count": block})
    metrics = node.collect("--vendors", "amd")
    assert not metrics.find("node_gpu_ecc_errors_total") and metrics.invalid("amd") == {"ras": 1}


@pytest.mark.parametrize("name", ["metric_list.json", "metric_gpu_data.json"])
def test_amd_smi_fills_what_sysfs_lacks(node, name):
    support.amd_device(node.root, "0000:03:00.0", "radeon", gpu_busy_percent=None, **{"hwmon/hwmon4/power1_average": None})
    support.replayed_amd_smi(node.folder, static=support.fixture("amd_smi/static.json")[1], metric=support.fixture("amd_smi/" + name)[1])
    metrics = node.collect("--vendors", "amd")
    assert metrics.devices()[0]["model"] == "AMD Radeon RX 7900 series" and "serial" not in metrics.devices()[0]
    assert metrics.one("node_gpu_utilization_percent", gpu="0") == 42
    assert metrics.one("node_gpu_power_draw_watts", gpu="0") == 214
    assert metrics.one("node_gpu_temperature_celsius", gpu="0") == 41  # sysfs has it
    node.collect("--vendors", "amd")
    assert [call.split()[0] for call in node.calls()] == ["static", "metric", "metric"]


def test_partitions_in_amd_smi_do_not_count_twice(node):
    support.amd_device(node.root, "0000:05:00.0", "mi300x", gpu_busy_percent=None, current_compute_partition="DPX")
    support.replayed_amd_smi(node.folder, static=support.fixture("amd_smi/static.json")[1], metric=support.fixture("amd_smi/metric_list.json")[1])
    metrics = node.collect("--vendors", "amd")
    assert list(metrics.find("node_gpu_utilization_percent").values()) == [87]
    assert list(metrics.find("node_gpu_power_draw_watts").values()) == [542]


def test_rocm_smi_serves_where_amd_smi_is_not(node):
    for bus, unique in (("c9", "1"), ("ce", "2")):
        support.amd_device(node.root, "0000:%s:00.0" % bus, "mi250_second_die", unique_id=unique, gpu_busy_percent=None,
                           **{"hwmon/hwmon6/power1_average": None})
    tool = support.replayed_amd_smi(node.folder, "rocm-smi", default=support.fixture("amd_smi/rocm_smi.json")[1])
    metrics = node.collect("--vendors", "amd", "--amd-smi", tool)
    assert [device["model"] for device in metrics.devices()] == ["AMD Instinct MI250/MI250X"] * 2
    assert metrics.one("node_gpu_utilization_percent", gpu="1") == 7
    assert metrics.one("node_gpu_power_draw_watts", gpu="0") == 128 and metrics.one("node_gpu_power_draw_watts", gpu="1") is None
    assert metrics.invalid("amd") == {}


@pytest.mark.parametrize("answer", ["", "no json", "[", "{\"gpu_data\": 5}", "[1, 2, null]", "\x00\x01", "{\"a\": " * 2000])
def test_a_tool_that_answers_nonsense_costs_only_what_it_would_have_given(node, answer):
    support.amd_device(node.root, "0000:03:00.0", "radeon", gpu_busy_percent=None)
    support.replayed_amd_smi(node.folder, default=answer)
    metrics = node.collect("--vendors", "amd")
    assert metrics.one("node_gpu_power_draw_watts", gpu="0") == 28
    assert metrics.one("accelmon_collector_success", vendor="amd") == 1


def test_names_are_not_asked_for_in_every_run(node):
    support.amd_device(node.root, "0000:03:00.0", "radeon", device="0x74ff")
    support.replayed_amd_smi(node.folder, default="nothing")
    for _run in range(3):
        metrics = node.collect("--vendors", "amd")
    assert len(node.calls()) == 1 and metrics.errors("amd") == {"bad_output": 1}


def test_names_are_asked_for_again_after_ten_minutes(node, monkeypatch, program):
    """The clock is stubbed. The device gives no utilisation, so that amd-smi is asked in every run, and cannot be found in its answers without names."""
    now = [time.time()]
    monkeypatch.setattr(program.time, "time", lambda: now[0])
    support.amd_device(node.root, "0000:03:00.0", "radeon", device="0x74ff", gpu_busy_percent=None)
    support.replayed_amd_smi(node.folder, default="nothing")
    node.collect("--vendors", "amd")
    support.replayed_amd_smi(node.folder, static=support.fixture("amd_smi/static.json")[1], metric=support.fixture("amd_smi/metric_list.json")[1])
    values = []
    for seconds in (30, 500, 100):
        now[0] += seconds
        values.append(node.collect("--vendors", "amd").one("node_gpu_utilization_percent", gpu="0"))
    assert values == [None, None, 42]


def test_a_driver_that_hangs_costs_the_timeout(node):
    """A fifo that nobody writes to stands for a sysfs file of a sick driver."""
    support.amd_device(node.root, "0000:05:00.0", "mi300x", gpu_busy_percent=None)
    os.mkfifo(str(node.root / "sys/bus/pci/devices/0000:05:00.0/gpu_busy_percent"))
    started = time.monotonic()
    metrics = node.collect("--vendors", "amd", "--timeout", "0.5")
    assert time.monotonic() - started < 3
    assert metrics.errors("amd") == {"timeout": 1} and metrics.devices() == []


def test_no_devices(node):
    metrics = node.collect("--vendors", "amd")
    assert metrics.errors("amd") == {"no_devices": 1} and metrics.one("accelmon_collector_success", vendor="amd") == 0
