# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The GPU of Apple Silicon: under macOS, which has no /sys to read, and under Linux, where it tells nothing of its work."""
import os
import re

try:
    import ctypes
except ImportError:  # a Python built without it; only macOS needs it here
    ctypes = None

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import files, states

VENDOR = "apple"
PCI_VENDORS = ()
DRIVER = "asahi"
COMMANDS = ()

# By the name that Linux has for the system on a chip.
MODELS = {"t8103": "M1", "t6000": "M1 Pro", "t6001": "M1 Max", "t6002": "M1 Ultra", "t8112": "M2", "t6020": "M2 Pro", "t6021": "M2 Max",
          "t6022": "M2 Ultra"}


def sysctl(name):
    """The bytes of a kernel value of macOS; None when there is none. It starts no process."""
    if ctypes is None:
        return None
    try:
        ask = ctypes.CDLL(None).sysctlbyname
        size = ctypes.c_size_t(256)
        data = ctypes.create_string_buffer(256)
        if ask(name.encode("ascii"), data, ctypes.byref(size), None, ctypes.c_size_t(0)) != 0:
            return None
        return data.raw[:size.value]
    except (AttributeError, OSError, ValueError):
        return None


def system():
    """What the kernel says of itself: {name, silicon, chip}; silicon also for a Python that runs as on an Intel machine."""
    name = os.uname().sysname
    if name != "Darwin":
        return {"name": name, "silicon": False, "chip": None}
    chip = (sysctl("machdep.cpu.brand_string") or b"").decode("utf-8", "replace").strip("\0 ")
    silicon = os.uname().machine == "arm64" or (sysctl("hw.optional.arm64") or b"").strip(b"\0") == b"\x01"
    return {"name": name, "silicon": silicon, "chip": chip}


def on_macos(about):
    """The device of a Mac; None on an Intel one, whose graphics is not Apple's."""
    if about["name"] != "Darwin" or not about["silicon"]:
        return None
    chip = about["chip"] or ""
    # In a virtual machine the chip is called 'Apple processor'.
    model = chip if re.match(r"Apple M\d", chip) and chip.isprintable() else "Apple Silicon"
    return {"vendor": VENDOR, "model": model, "kind": "gpu", "state": states.READY}


def on_linux(root):
    """The device of a Mac that runs Linux; None on every other machine."""
    words = (files.text(os.path.join(root, "proc/device-tree/compatible"), 4096) or "").split("\0")
    chips = [word[len("apple,"):] for word in words if re.match(r"apple,t\d{4}$", word)]
    if not chips:
        return None
    nodes = ["dev/dri/" + name for name in files.names(os.path.join(root, "dev/dri")) if re.match(r"renderD\d+$", name)]
    loaded = os.path.isdir(os.path.join(root, "sys/module", DRIVER))
    device = {"vendor": VENDOR, "model": "Apple " + MODELS.get(chips[0], chips[0]), "kind": "gpu",
              "state": states.by_nodes(root, nodes) if loaded and nodes else states.NO_DEVICE_NODES}
    device.update(states.known(driver=DRIVER if loaded else None, product=files.line(os.path.join(root, "proc/device-tree/model"))))
    return device


def find(root, dummy_functions):
    """The GPU of a Mac: {devices, loaded, note?}."""
    device = on_macos(system())
    if device:
        return {"devices": [device], "loaded": False}
    device = on_linux(root)
    if device:
        return {"devices": [device], "loaded": False, "note": "Linux has no telemetry for this GPU"}
    return {"devices": [], "loaded": False}
