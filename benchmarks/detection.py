# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What detection costs: CPU time in the process itself, and of the whole module as a node runs it.

Usage: python3 benchmarks/detection.py [--runs N]. Needs ansible-core in the Python that runs it, and no accelerator: the devices
are a described machine of the unit tests among 200 other PCI functions. Files on a disk stand in for sysfs and procfs,
so the kernel's and the driver's own work for each read is not in the figures.
"""
import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, ".collections"))

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import accelerators, node  # noqa: E402
from ansible_collections.accelmon.fleet.tests.unit.plugins.module_utils.detect import trees  # noqa: E402

MODULE = "import sys; from ansible_collections.accelmon.fleet.plugins.modules import accelerator_facts; accelerator_facts.main()"
NOTHING = ("from ansible.module_utils.basic import AnsibleModule; "
           "AnsibleModule(argument_spec=dict(gather_details=dict(), details_timeout=dict())).exit_json()")


def machine(root, name):
    """A described machine, made as wide as a large server."""
    trees.build(trees.load(name), root)
    for number in range(200):
        folder = "sys/bus/pci/devices/0001:%02x:%02x.0/" % (number // 32, number % 32)
        # Most of a server's functions are its processor's own.
        for name, content in (("vendor", "0x8086\n"), ("device", "0x3258\n"), ("class", "0x088000\n"), ("numa_node", "0\n")):
            trees.put(root, folder + name, content)


def cpu(action, runs):
    """Median and worst CPU milliseconds of an action."""
    spent = []
    for dummy in range(runs):
        before = time.process_time()
        action()
        spent.append((time.process_time() - before) * 1000)
    return statistics.median(spent), max(spent)


def child_cpu(code, runs):
    """Median and worst CPU milliseconds of a Python program that reads module parameters."""
    parameters = json.dumps({"ANSIBLE_MODULE_ARGS": {}})
    start = "import ansible.module_utils.basic as basic; basic._ANSIBLE_ARGS = %r; basic._ANSIBLE_PROFILE = 'legacy'; " % parameters.encode()

    def used():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (usage.ru_utime + usage.ru_stime) * 1000

    spent = []
    for dummy in range(runs):
        before = used()
        subprocess.run([sys.executable, "-c", start + code], stdout=subprocess.DEVNULL, check=True,
                       env=dict(os.environ, PYTHONPATH=os.path.join(ROOT, ".collections")))
        spent.append(used() - before)
    return statistics.median(spent), max(spent)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    folder = tempfile.mkdtemp(prefix="accelmon-benchmark-")
    try:
        rows = []
        for name in ("h100_8_nvswitch", "mi300x_4", "gaudi2_8", "intel_max1550_6", "furiosa_rngd_2", "tenstorrent_n300_2", "tpu_v5e_4_vfio",
                     "mixed_vendors", "empty_vm"):
            root = os.path.join(folder, name)
            machine(root, name)
            devices = len(accelerators.detect(root)["devices"])
            rows.append(("detect(), %s: %d devices, 200 other functions" % (name, devices), cpu(lambda root=root: accelerators.detect(root), runs)))
        rows.append(("describe() of this host", cpu(node.describe, runs)))
        rows.append(("a module that does nothing, whole process", child_cpu(NOTHING, runs)))
        rows.append(("accelerator_facts on this host, whole process", child_cpu(MODULE, runs)))
    finally:
        shutil.rmtree(folder)
    print("%-62s %10s %10s" % ("CPU ms, %d runs, Python %d.%d" % ((runs,) + sys.version_info[:2]), "median", "worst"))
    for name, (median, worst) in rows:
        print("%-62s %10.1f %10.1f" % (name, median, worst))


if __name__ == "__main__":
    main()
