# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the vendors' tools print, and what becomes of a tool that is missing, hangs or fails.

Outputs: nvidia-smi's are derived from documentation (detection of "[N/A]" and the like from its manual page), amd-smi's
and rocm-smi's from the examples in their manuals. The running of the tools is stubbed here; test_command.py
runs real processes.
"""
import json

import pytest

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import accelerators, amd, nvidia

A = "0000:1b:00.0"
B = "0000:43:00.0"
ROW = "0, GPU-9221d5d1-b60b-a624-bf14-0a1819cfda3b, 00000000:1B:00.0, NVIDIA H100 80GB HBM3, 550.90.07, 81559, 1654422004321, Disabled, Enabled, 96.00.99.00.01"


def test_nvidia_row():
    assert nvidia.parse("nvidia-smi", ROW + "\n") == {A: {
        "index": 0, "uuid": "GPU-9221d5d1-b60b-a624-bf14-0a1819cfda3b", "product": "NVIDIA H100 80GB HBM3",
        "driver_version": "550.90.07", "memory_bytes": 81559 * 1024 * 1024, "serial": "1654422004321", "mig_mode": "disabled",
        "ecc_mode": "enabled", "vbios": "96.00.99.00.01"}}


@pytest.mark.parametrize("cell", ["[N/A]", "[Not Supported]", "[Unknown Error]", "[GPU requires reset]", "ERR!", "N/A", "", "[Insufficient Permissions]"])
def test_nvidia_cells_without_a_value_are_left_out(cell):
    row = ["0", cell, "00000000:1B:00.0", cell, cell, cell, cell, cell, cell, cell]
    assert nvidia.parse("nvidia-smi", ", ".join(row)) == {A: {"index": 0}}


def test_nvidia_memory_of_a_unified_device_is_unknown():
    assert "memory_bytes" not in nvidia.parse("nvidia-smi", ROW.replace("81559", "[N/A]"))[A]
    assert "memory_bytes" not in nvidia.parse("nvidia-smi", ROW.replace("81559", "0"))[A]


@pytest.mark.parametrize("text", [
    "", "\n\n", "No devices were found\n", "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n",
    "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.90\n", "\x00\xff,,,,,,,,,\n", "x" * 200000 + "\n",
    "Unable to determine the device handle for GPU0000:43:00.0: GPU is lost.  Reboot the system to recover this GPU\n",
    'a "quoted, b\n' * 5, "0, GPU-1, 00000000:1B:00.0\n"])
def test_nvidia_messages_are_no_devices(text):
    assert nvidia.parse("nvidia-smi", text) == {}


def test_nvidia_rows_among_warnings():
    text = "WARNING: infoROM is corrupted at gpu 0000:43:00.0\n" + ROW + "\n" + ROW.replace("1B:", "43:").replace("0, ", "1, ", 1) + "\n"
    assert sorted((address, one["index"]) for address, one in nvidia.parse("nvidia-smi", text).items()) == [(A, 0), (B, 1)]


AMD_GPU = {"gpu": 3, "asic": {"market_name": "AMD Instinct MI300X", "asic_serial": "0x6F1F0A2B3C4D5E6F"}, "bus": {"bdf": "0000:1B:00.0"},
           "board": {"product_serial": "N/A"}, "vbios": {"version": "022.040.003.041"}, "driver": {"name": "amdgpu", "version": "6.10.5"},
           "vram": {"type": "HBM3", "size": {"value": 196592, "unit": "MB"}}}
AMD_FACTS = {"index": 3, "product": "AMD Instinct MI300X", "uuid": "6f1f0a2b3c4d5e6f", "vbios": "022.040.003.041",
             "driver_version": "6.10.5", "memory_bytes": 196592 * 1024 * 1024}


@pytest.mark.parametrize("text", [
    json.dumps([AMD_GPU]), json.dumps({"gpu_data": [AMD_GPU]}, indent=4),
    "WARNING: User is missing the following required groups: render\n" + json.dumps([AMD_GPU]),
    "[WARNING] group render\n" + json.dumps({"gpu_data": [AMD_GPU]}, indent=4),
    json.dumps([dict(AMD_GPU, ifwi=AMD_GPU["vbios"], vbios="N/A")]),
    json.dumps([dict(AMD_GPU, driver={"driver_name": "amdgpu", "driver_version": "6.10.5"})]),
    json.dumps([AMD_GPU]) + "\ntrailing words"])
def test_amd_smi_forms(text):
    assert amd.parse("amd-smi", text) == {A: AMD_FACTS}


@pytest.mark.parametrize("text", ["", "no json", "[", "{}", "[]", "[1, null, \"x\"]", json.dumps([{"bus": {"bdf": "N/A"}}]), json.dumps([{"bus": "N/A"}]),
                                  json.dumps({"gpu_data": "N/A"}), "{\"gpu_data\": [{\"bus\": ", "[WARNING] only this"])
def test_amd_smi_without_devices(text):
    assert amd.parse("amd-smi", text) == {}


def test_amd_smi_unknown_values_are_left_out():
    text = json.dumps([{"gpu": "N/A", "bus": {"bdf": "0000:1b:00.0"}, "asic": {"market_name": "N/A", "asic_serial": "0x0"},
                        "vram": {"size": "N/A"}, "vbios": "N/A", "driver": "N/A", "board": {"product_serial": ""}}])
    assert amd.parse("amd-smi", text) == {A: {}}


@pytest.mark.parametrize("odd", [{}, [], [[]], None, True, 5, "MB "])
def test_a_unit_that_is_none_gives_no_size(odd):
    text = json.dumps([{"gpu": 0, "bus": {"bdf": A}, "vram": {"size": {"value": 196592, "unit": odd}}}])
    assert amd.parse("amd-smi", text) == {A: {"index": 0}}


def test_rocm_smi():
    text = "WARNING: AMD GPU device(s) is/are in a low-power state.\n\n" + json.dumps({
        "card1": {"PCI Bus": "0000:1B:00.0", "Card Series": "AMD Instinct MI250", "Unique ID": "0x2150e7d042a1124", "Serial Number": "N/A",
                  "VBIOS version": "113-D65209", "VRAM Total Memory (B)": "68702699520", "VRAM Total Used Memory (B)": "1"},
        "card2": {"PCI Bus": "unknown"}, "card3": "N/A", "system": {"Driver version": "6.3.6"}})
    assert amd.parse("rocm-smi", text) == {A: {
        "index": 1, "product": "AMD Instinct MI250", "uuid": "02150e7d042a1124", "vbios": "113-D65209", "driver_version": "6.3.6",
        "memory_bytes": 68702699520}}


def facts():
    return {"summary": {}, "devices": [
        {"vendor": "nvidia", "pci_address": A, "driver": "nvidia", "uuid": "GPU-kept"},
        {"vendor": "nvidia", "pci_address": B, "driver": "vfio-pci"}]}


def ask(result, found, installed=("nvidia-smi",)):
    """ask_details() with a stubbed tool; returns (details, argument lists that were run)."""
    calls = []

    def run(argv, timeout):
        calls.append((argv, timeout))
        if isinstance(result, Exception):
            raise result
        return result

    return accelerators.ask_details(found, 7, run, lambda name: "/opt/" + name if name in installed else None), calls


def test_details_are_added_and_what_was_found_is_kept():
    found = facts()
    details, calls = ask((0, ROW + "\n" + ROW.replace("1B:", "43:"), ""), found)
    assert details == {"nvidia": {"status": "ok"}}
    assert found["devices"][0]["uuid"] == "GPU-kept" and found["devices"][0]["serial"] == "1654422004321"
    assert "serial" not in found["devices"][1]  # it belongs to a virtual machine
    assert [(argv[0], timeout) for argv, timeout in calls] == [("/opt/nvidia-smi", 7)]


@pytest.mark.parametrize("result, installed, status, words", [
    ((0, ROW, ""), (), "missing", "nvidia-smi is not installed"),
    ((None, "", ""), ("nvidia-smi",), "hung", "within 7 s"),
    ((9, "NVIDIA-SMI has failed", ""), ("nvidia-smi",), "failed", "status 9: NVIDIA-SMI has failed"),
    ((0, "No devices were found", ""), ("nvidia-smi",), "failed", "No devices were found"),
    ((0, "", ""), ("nvidia-smi",), "failed", "no output"),
    ((1, "x" * 5000, ""), ("nvidia-smi",), "failed", "status 1"),
    (PermissionError(13, "Permission denied"), ("nvidia-smi",), "failed", "Permission denied")])
def test_a_tool_that_does_not_answer(result, installed, status, words):
    details = ask(result, facts(), installed)[0]
    assert details["nvidia"]["status"] == status
    assert words in details["nvidia"]["message"] and len(details["nvidia"]["message"]) <= 300


def test_rows_before_a_failure_count():
    found = facts()
    assert ask((15, ROW + "\nGPU is lost", ""), found)[0]["nvidia"]["status"] == "failed"
    assert found["devices"][0]["index"] == 0


def test_amd_smi_goes_before_rocm_smi():
    def found():
        return {"devices": [{"vendor": "amd", "pci_address": A, "driver": "amdgpu"}]}

    answer = (0, json.dumps([AMD_GPU]), "")
    assert [argv[0] for argv, dummy in ask(answer, found(), ("amd-smi", "rocm-smi"))[1]] == ["/opt/amd-smi"]
    assert [argv[0] for argv, dummy in ask((0, "{}", ""), found(), ("rocm-smi",))[1]] == ["/opt/rocm-smi"]
    assert ask(answer, found(), ())[0]["amd"]["message"] == "amd-smi or rocm-smi is not installed"


def test_no_tool_is_asked_where_no_driver_holds_a_device():
    found = {"devices": [{"vendor": "nvidia", "pci_address": A, "state": "driver_missing"}]}
    assert ask((0, ROW, ""), found) == ({}, [])
    assert accelerators.skip_details(found) == {}


def test_check_mode_says_what_was_not_asked():
    assert accelerators.skip_details(facts())["nvidia"]["status"] == "skipped"
