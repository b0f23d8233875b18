# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builds the /sys, /proc and /dev of a described machine below a folder.

machines/<name>.json holds:
  origin    recorded | derived from documentation | guessed
  source    where the facts come from
  pci       {address: "vendor:device class driver|- name=content ..."}: one function each
  nvidia    {address: "minor product"}: an entry in the NVIDIA driver's own list
  files     {path: content}; null makes a folder, "-> x" a link to x, "hex:00ff" those bytes
  system    {name, silicon, chip}: what apple.system() answers; Linux without it
  denied    paths that the user may not use (the test stubs the check: tests often run as root)
  expected  {common: {...}, devices: [{...}], summary: {...}, uncounted: [{...}]}: the facts; `common` goes into each device, a null
            takes a key out again
"""
import contextlib
import json
import os
from unittest import mock

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import accelerators, apple, files

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "machines")
ORIGINS = ("recorded", "derived from documentation", "guessed")

INFORMATION = """Model: \t\t %(product)s
IRQ:   \t\t 10
GPU UUID: \t %(uuid)s
Video BIOS: \t 96.00.99.00.01
Bus Type: \t PCIe
DMA Size: \t 52 bits
DMA Mask: \t 0xfffffffffffff
Bus Location: \t %(address)s
Device Minor: \t %(minor)s
GPU Firmware: \t 550.90.07
GPU Excluded:\t No
"""


def names():
    """The names of all described machines."""
    return sorted(name[:-len(".json")] for name in os.listdir(FOLDER) if name.endswith(".json"))


def load(name):
    """One description, as it is in its file."""
    with open(os.path.join(FOLDER, name + ".json"), encoding="utf-8") as stream:
        return json.load(stream)


def system(tree):
    """What a machine's kernel says of itself."""
    return tree.get("system", {"name": "Linux", "silicon": False, "chip": None})


@contextlib.contextmanager
def user_of(tree, root):
    """While it lasts, the user may use no node that the description denies, and the kernel is the described one's."""
    denied = [os.path.join(root, path) for path in tree.get("denied", [])]
    with mock.patch.object(files, "usable", lambda path: path not in denied), mock.patch.object(apple, "system", lambda: system(tree)):
        yield


def look(tree, root):
    """Build the tree below root and return what detection finds there, without waiting for silent devices."""
    build(tree, root)
    with user_of(tree, root):
        return accelerators.detect(root, sleep=lambda seconds: None)


def uuid(minor):
    """The UUID that build() gives the NVIDIA GPU with this minor number."""
    return "GPU-00000000-0000-4000-8000-%012d" % int(minor)


def expected(tree):
    """The facts that a description says must be found."""
    wanted = tree["expected"]
    devices = [dict(wanted.get("common", {}), **one) for one in wanted["devices"]]
    return dict({"devices": [dict((key, value) for key, value in one.items() if value is not None) for one in devices],
                 "summary": wanted["summary"]}, **({"uncounted": wanted["uncounted"]} if "uncounted" in wanted else {}))


def put(root, path, content):
    """Make one file, folder or link below root."""
    full = os.path.join(root, path)
    if content is None:
        os.makedirs(full, exist_ok=True)
        return
    os.makedirs(os.path.dirname(full), exist_ok=True)
    if content.startswith("-> "):
        os.symlink(content[3:], full)
        return
    data = bytes.fromhex(content[4:]) if content.startswith("hex:") else content.encode("utf-8")
    with open(full, "wb") as stream:
        stream.write(data)


def build(tree, root):
    """Make the whole tree below root."""
    for address, words in tree.get("pci", {}).items():
        words = words.split()
        folder = "sys/bus/pci/devices/%s/" % address
        vendor, device = words[0].split(":")
        put(root, folder + "vendor", "0x%s\n" % vendor)
        put(root, folder + "device", "0x%s\n" % device)
        put(root, folder + "class", "0x%s00\n" % words[1])
        if words[2] != "-":
            put(root, folder + "driver", "-> ../../../bus/pci/drivers/" + words[2])
        for extra in words[3:]:
            name, dummy, content = extra.partition("=")
            put(root, folder + name, "-> ../" + content if name == "physfn" else content if ":" in content else content + "\n")
    for address, words in tree.get("nvidia", {}).items():
        minor, product = words.split(None, 1)
        put(root, "proc/driver/nvidia/gpus/%s/information" % address,
            INFORMATION % {"product": product, "uuid": uuid(minor), "address": address, "minor": minor})
        put(root, "dev/nvidia" + minor, "")
        put(root, "dev/nvidiactl", "")
    for path, content in tree.get("files", {}).items():
        put(root, path, content)
