# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated AMD accelerators: PCI functions with amdgpu's attributes, the compute topology, and device nodes.

Derived from documentation, not recorded from hardware. The values stand still: only the vendor's driver would move them.
"""

from . import pci

DRIVER = "amdgpu"
DRIVER_VERSION = "6.8.5"

MODELS = {
    "mi300x": {
        "ids": "1002:74a1", "subsystem": "1002:74a1", "class": "120000", "name": "AMD Instinct MI300X OAM", "number": "102-G30211-0C",
        "memory_bytes": 206141652992, "power_limit": 750000000, "gfx": "gfx942", "gfx_target_version": 90402, "simd_count": 1216, "num_xcc": 8,
    },
}

BUSES = ("05", "26", "46", "65", "85", "a6", "c6", "e5")


def devices(host, model, count, driver=DRIVER):
    """Return ``count`` accelerators of one model. ``driver`` is the bound driver, or None when no driver is installed."""
    facts = MODELS[model]
    found = []
    for number in range(count):
        address = "0000:%s:00.0" % BUSES[number]
        numa = 0 if number < 4 else 1
        files = pci.function(address, facts["ids"], facts["class"], driver, numa, facts["subsystem"])
        roots = ["pci/" + address]
        if driver == DRIVER:
            unique = pci.digits("amd", host, address, length=16)
            files.update({"pci/%s/%s" % (address, name): text for name, text in attributes(facts, host, address, number, unique).items()})
            shown = class_files(facts, address, number, unique)
            files.update(shown)
            roots += sorted({"/".join(path.split("/")[:4 if "/drm/" in path else 7]) for path in shown if path.startswith("lab/class/")})
            roots += [path for path in shown if path.startswith("lab/dev/")]
        found.append(pci.Device(address, "amd", model, files, roots))
    return found


def host_files(driver=DRIVER):
    """Return what the loaded driver shows whether or not it found a device."""
    if driver != DRIVER:
        return {}
    node = "lab/class/kfd/kfd/topology/nodes/0/"
    return {
        "module/amdgpu/version": DRIVER_VERSION + "\n",
        "module/amdgpu/initstate": "live\n",
        "lab/class/kfd/kfd/topology/generation_id": "2\n",
        "lab/class/kfd/kfd/topology/system_properties": "platform_oem 2314885531\nplatform_id 0\nplatform_rev 1\n",
        node + "gpu_id": "0\n",
        node + "name": "\n",
        node + "properties": "cpu_cores_count 96\nsimd_count 0\nvendor_id 0\ndevice_id 0\nlocation_id 0\ndomain 0\ndrm_render_minor 0\nunique_id 0\n",
        "lab/dev/kfd": "0660 render\n",
    }


def attributes(facts, host, address, number, unique):
    """Return the driver's files in the PCI function's folder."""
    used = 301989888 + number * 1048576
    files = {
        "gpu_busy_percent": "%d\n" % (7 * number),
        "mem_busy_percent": "%d\n" % (3 * number),
        "mem_info_vram_total": "%d\n" % facts["memory_bytes"],
        "mem_info_vram_used": "%d\n" % used,
        "mem_info_gtt_total": "540909015040\n",
        "mem_info_gtt_used": "24199168\n",
        "current_compute_partition": "SPX\n",
        "current_memory_partition": "NPS1\n",
        "unique_id": unique + "\n",
        "serial_number": "692%09d\n" % (int(pci.digits("serial", host, address), 16) % 10 ** 9),
        "product_name": facts["name"] + "\n",
        "product_number": facts["number"] + "\n",
        "pcie_replay_count": "0\n",
        "vbios_version": "113-MI3SRIOV-001\n",
        "drm/card%d/dev" % (number + 1): "226:%d\n" % (number + 1),
        "drm/renderD%d/dev" % (number + 128): "226:%d\n" % (number + 128),
    }
    monitor = {
        "name": "amdgpu\n",
        "temp2_label": "junction\n", "temp2_input": "%d\n" % (41000 + 1000 * number), "temp2_crit": "100000\n", "temp2_emergency": "105000\n",
        "temp3_label": "mem\n", "temp3_input": "%d\n" % (36000 + 1000 * number), "temp3_crit": "105000\n", "temp3_emergency": "110000\n",
        "power1_label": "PPT\n", "power1_input": "%d\n" % (138000000 + 1000000 * number), "power1_cap": "%d\n" % facts["power_limit"],
        "power1_cap_max": "%d\n" % facts["power_limit"], "power1_cap_default": "%d\n" % facts["power_limit"], "power1_cap_min": "0\n",
        "freq1_label": "sclk\n", "freq1_input": "132000000\n", "freq2_label": "mclk\n", "freq2_input": "900000000\n",
    }
    files.update({"hwmon/hwmon%d/%s" % (number + 3, name): text for name, text in monitor.items()})
    for block in ("umc", "sdma", "gfx", "mmhub", "pcie_bif", "hdp", "xgmi_wafl"):
        files["ras/%s_err_count" % block] = "ue: 0\nce: 0\n" + ("de: 0\n" if block == "umc" else "")
    files["ras/features"] = "feature mask: 0x7fff\n"
    return files


def class_files(facts, address, number, unique):
    """Return the device's entries in /sys/class, and its device nodes."""
    bus, slot = address.split(":")[1], address.split(":")[2].split(".")
    location = int(bus, 16) * 256 + int(slot[0], 16) * 8 + int(slot[1])
    properties = [
        ("cpu_cores_count", 0), ("simd_count", facts["simd_count"]), ("mem_banks_count", 1), ("gfx_target_version", facts["gfx_target_version"]),
        ("vendor_id", int(facts["ids"][:4], 16)), ("device_id", int(facts["ids"][5:], 16)), ("location_id", location), ("domain", 0),
        ("drm_render_minor", 128 + number), ("unique_id", int(unique, 16)), ("num_xcc", facts["num_xcc"]),
    ]
    node = "lab/class/kfd/kfd/topology/nodes/%d/" % (number + 1)
    files = {
        node + "gpu_id": "%d\n" % (int(pci.digits("gpu_id", address), 16) % 65535 + 1),
        node + "name": "ip discovery\n",
        node + "properties": "".join("%s %d\n" % pair for pair in properties),
        "lab/dev/dri/card%d" % (number + 1): "0660 video\n",
        "lab/dev/dri/renderD%d" % (number + 128): "0660 render\n",
    }
    for name, minor in (("card%d" % (number + 1), number + 1), ("renderD%d" % (number + 128), number + 128)):
        files["lab/class/drm/%s/dev" % name] = "226:%d\n" % minor
        files["lab/class/drm/%s/device" % name] = pci.Link("../../../bus/pci/devices/" + address)
    return files
