# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each described machine in machines/ gives exactly the facts written beside it.

Stubbed: what kind of system the kernel says it is, whether the user may use a device node (the tests often run as root, who always may), and the wait before a
silent device is looked at again.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import accelerators, apple, files, ids
from ansible_collections.accelmon.fleet.tests.unit.plugins.module_utils.detect import trees


def refuse(*args, **kwargs):
    raise AssertionError("detection started a process")


ONE_OF_EACH = ("gaudi3_pcie_malfunction", "arc_permission_denied", "tpu_v2_v3_by_subsystem", "tenstorrent_n300_2", "rebellions_vf_guest",
               "furiosa_rngd_2", "inferentia2_no_driver", "asahi_linux", "jetson_agx_orin", "l4_permission_denied", "mi300x_permission_denied")


class TreeCase(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="accelmon-tree-")
        self.addCleanup(shutil.rmtree, self.root)

    def look(self, tree):
        return trees.look(tree, self.root)


class TestTrees(TreeCase):
    """Filled below: one test per tree."""


def _one(name):
    def test(self):
        tree = trees.load(name)
        self.assertEqual(self.look(tree), trees.expected(tree))
    return test


for _name in trees.names():
    setattr(TestTrees, "test_" + _name, _one(_name))


class TestAroundTrees(TreeCase):
    def test_every_tree_says_where_it_comes_from(self):
        for name in trees.names():
            tree = trees.load(name)
            self.assertIn(tree["origin"], trees.ORIGINS, name)
            self.assertTrue(tree["source"], name)

    def test_no_process_is_started(self):
        for name in trees.names():
            with mock.patch.object(subprocess, "Popen", refuse), mock.patch.object(os, "system", refuse), \
                    mock.patch.object(os, "fork", refuse):
                self.assertIn("devices", trees.look(trees.load(name), os.path.join(self.root, name)))

    def test_no_machine_breaks_when_no_file_can_be_read(self):
        # EBUSY, EPERM, EIO and files that vanish between listing and reading all look like this.
        for name in trees.names():
            root = os.path.join(self.root, name)
            trees.build(trees.load(name), root)
            with trees.user_of(trees.load(name), root), mock.patch.object(files.os, "open", side_effect=OSError(16, "busy")):
                facts = accelerators.detect(root, sleep=lambda seconds: None)
            self.assertFalse([one for one in facts["devices"] if one.get("pci_id")], name)

    def test_no_machine_breaks_when_reads_fail_or_are_cut_off(self):
        # Each file of a machine in turn is unreadable, binary, cut off in the middle, or endless.
        for name in ONE_OF_EACH:
            tree = trees.load(name)
            root = os.path.join(self.root, name)
            trees.build(tree, root)
            real = files.raw
            read = set()
            with trees.user_of(tree, root), mock.patch.object(files, "raw", lambda path, limit=files.LIMIT: (read.add(path), real(path, limit))[1]):
                accelerators.detect(root, sleep=lambda seconds: None)
            for broken in sorted(read):
                for instead in (None, b"", b"\xff\xfe\x00\x80" * 8, b"\x00" * 64, b"0x", b"9" * 5000, (real(broken) or b"")[:-3]):
                    with trees.user_of(tree, root), mock.patch.object(
                            files, "raw", lambda path, limit=files.LIMIT, broken=broken, instead=instead: (
                                instead if path == broken else real(path, limit))):
                        facts = accelerators.detect(root, sleep=lambda seconds: None)
                    for device in facts["devices"]:
                        self.assertEqual([key for key, value in device.items() if value is None or value == ""], [], (name, broken, device))

    def test_no_vendor_breaks_when_folders_vanish(self):
        first = []
        for name in trees.names():
            root = os.path.join(self.root, name)
            trees.build(trees.load(name), root)
            del first[:]
            first.append(files.names(os.path.join(root, "sys/bus/pci/devices")))
            with trees.user_of(trees.load(name), root), mock.patch.object(files, "names", lambda path: first.pop() if first else []):
                accelerators.detect(root, sleep=lambda seconds: None)

    def test_an_empty_root_is_an_empty_machine(self):
        self.assertEqual(accelerators.detect(self.root), {"devices": [], "summary": {}})

    def test_a_device_in_reset_is_looked_at_again(self):
        tree = trees.load("mi300x_lost")
        trees.build(tree, self.root)
        waited = []

        def come_back(seconds):
            waited.append(seconds)
            trees.put(self.root, "sys/bus/pci/devices/0000:26:00.0/config", "hex:0210a174")

        facts = accelerators.detect(self.root, sleep=come_back)
        self.assertEqual([one["state"] for one in facts["devices"]], ["ready", "ready"])
        self.assertEqual(waited, [accelerators.SETTLE])

    def test_no_wait_where_all_devices_answer(self):
        trees.build(trees.load("h100_8_nvswitch"), self.root)
        accelerators.detect(self.root, sleep=refuse)

    def test_a_function_that_vanishes_while_read_is_left_out(self):
        trees.build(trees.load("a100_mig"), self.root)
        gone = os.path.join(self.root, "sys/bus/pci/devices/0000:0f:00.0/vendor")
        real = files.raw

        def vanish(path, limit=files.LIMIT):
            value = real(path, limit)
            if path == gone:
                shutil.rmtree(os.path.dirname(path))
                shutil.rmtree(os.path.join(self.root, "proc/driver/nvidia/gpus/0000:0f:00.0"))
            return value

        with mock.patch.object(files, "raw", vanish):
            facts = accelerators.detect(self.root)
        self.assertEqual([one["pci_address"] for one in facts["devices"]], ["0000:07:00.0"])

    def test_a_fifo_does_not_block(self):
        trees.build(trees.load("l4_no_driver"), self.root)
        path = os.path.join(self.root, "sys/bus/pci/devices/0000:00:04.0/config")
        os.mkfifo(path)
        self.assertEqual(len(accelerators.detect(self.root)["devices"]), 1)

    def test_huge_files_are_read_in_part(self):
        path = os.path.join(self.root, "huge")
        with open(path, "wb") as stream:
            stream.truncate(1 << 40)
        self.assertEqual(len(files.raw(path)), files.LIMIT)
        self.assertIsNone(files.line(path))
        self.assertIsNone(files.number(path))

    @unittest.skipIf(os.geteuid() == 0, "root may use every node")
    def test_usable_asks_the_kernel(self):
        path = os.path.join(self.root, "node")
        with open(path, "w"):
            os.chmod(path, 0)
        self.assertFalse(files.usable(path))

    def test_every_vendor_has_the_same_face(self):
        for vendor in accelerators.VENDORS:
            for name in ("VENDOR", "PCI_VENDORS", "DRIVER", "COMMANDS", "find"):
                self.assertTrue(hasattr(vendor, name), (vendor, name))
            self.assertTrue(hasattr(vendor, "parse") or not vendor.COMMANDS, vendor)
            self.assertTrue(all(len(one) == 4 and one == one.lower() for one in getattr(vendor, "MODELS", ())) or vendor is apple, vendor)

    def test_a_value_that_the_kernel_has_not_is_none(self):
        self.assertIsNone(apple.sysctl("hw.optional.arm64"))  # Linux has no sysctlbyname
        with mock.patch.object(apple, "ctypes", None):
            self.assertIsNone(apple.sysctl("hw.optional.arm64"))
        self.assertEqual(apple.system()["silicon"], False)

    def test_models_are_named_once(self):
        # 'NVIDIA ' is put before each name: a table entry that carries it would show it twice.
        for vendor, prefix in ids.PREFIXES.items():
            names = list(ids.OURS[vendor].values()) + [row[5:] for row in ids.table(vendor).splitlines()]
            self.assertFalse([one for one in names if one.startswith(prefix)])


if __name__ == "__main__":
    sys.exit(unittest.main())
