# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a converged run costs the control node: CPU time and task results per node.

Runs the real site.yml with real `ansible-playbook` processes. Only the nodes are simulated: a connection plugin takes each
module as it would be sent to a host and answers what a converged host answers, at no cost. So templating, argument
specs, packing modules, forks and callbacks cost what they cost in a real run; ssh, sudo and the hosts' own work are left out.

The run is limited to the nodes, as `--limit accelerator_nodes` does it. CPU time is user and system of all processes.
The cost of a node is the difference between the larger and the smaller fleet, divided by the number of nodes between them.
Other work on the machine makes CPU time dearer, never cheaper, so of several runs the cheapest counts.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

from fleet import ROOT, measure

MOST_RESULTS = 8

CONNECTION = '''
from __future__ import annotations
import json
import re
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: bench_canned
short_description: Answers as a converged host does
description: [Answers as a converged host does.]
author: none
extends_documentation_fragment: [connection_pipelining]
"""

ANSWERS = json.loads(%r)
MODULE = re.compile(rb"plugins[.]modules[.](\\w+)")


class Connection(ConnectionBase):
    transport = "bench_canned"
    has_pipelining = True
    become_methods = ["sudo"]

    def _connect(self):
        self._connected = True
        return self

    def exec_command(self, cmd, in_data=None, sudoable=True):
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        if not in_data:
            return 0, b"", b""
        module = MODULE.search(in_data)
        if not module or module[1].decode() not in ANSWERS:
            return 1, b"", b"the benchmark has no answer for " + (module[1] if module else in_data[:2000])
        return 0, json.dumps(ANSWERS[module[1].decode()]).encode(), b""

    def put_file(self, in_path, out_path):
        raise NotImplementedError("a converged run transfers nothing")

    def fetch_file(self, in_path, out_path):
        raise NotImplementedError("a converged run transfers nothing")

    def close(self):
        self._connected = False
'''


def facts():
    """The answer of accelerator_facts: a host with eight NVIDIA devices."""
    devices = [
        {"vendor": "nvidia", "model": "NVIDIA H100 SXM5 80GB", "product": "NVIDIA H100 80GB HBM3", "pci_id": "10de:2330",
         "pci_address": f"0000:{16 * index + 1:02x}:00.0", "kind": "gpu", "index": index, "uuid": f"GPU-{index:08x}-0000-0000-0000-000000000000",
         "driver": "nvidia", "driver_version": "550.90.07", "memory_bytes": 85520809984, "numa_node": index // 4, "state": "ready"}
        for index in range(8)]
    summary = {"nvidia": {"count": 8, "models": {"NVIDIA H100 SXM5 80GB": 8}, "states": {"ready": 8}, "driver_version": "550.90.07"}}
    return {"accelerators": {"devices": devices, "summary": summary},
            "accelmon_node": {"architecture": "amd64", "distribution": "debian", "distribution_version": "12", "python_version": "3.11.2",
                              "addresses": ["192.168.0.1"], "systemd": True, "exporters": ["node_exporter", "textfile_collector"]}}


# What each module answers on a converged host.
ANSWERS = {
    "accelerator_facts": {"changed": False, "ansible_facts": facts()},
    "fleet_registry": {"changed": False, "warnings": []},
    "service_unit": {"changed": False, "actions": [], "diff": [], "package": "", "refresh": False, "generation": "0" * 16},
}


def inventory(nodes):
    """JSON inventory of so many nodes and a monitoring host."""
    hosts = {f"gpu{number:05d}": {"ansible_host": f"10.0.{number // 256}.{number % 256}"} for number in range(nodes)}
    return {"all": {"vars": {
        "ansible_connection": "bench_canned", "ansible_python_interpreter": "/usr/bin/python3", "ansible_become_method": "sudo",
        "accelmon_cluster": "bench", "accelmon_accelerator_source": "textfile",
    }}, "accelerator_nodes": {"hosts": hosts}, "monitoring": {"hosts": {"mon1": {}}}}


def run(directory, ansible_playbook, nodes):
    """(CPU seconds, {role or "": task results of the dearest node}) of a converged run."""
    source, counted = os.path.join(directory, f"{nodes}.json"), os.path.join(directory, "results.json")
    with open(source, "w", encoding="utf-8") as handle:
        json.dump(inventory(nodes), handle)
    environment = dict(
        os.environ, ANSIBLE_CONFIG=os.path.join(ROOT, "ansible.cfg"), ANSIBLE_COLLECTIONS_PATH=os.path.join(ROOT, ".collections"),
        ANSIBLE_CONNECTION_PLUGINS=directory, ANSIBLE_CALLBACK_PLUGINS=os.path.join(ROOT, "tests", "callback_plugins"),
        ANSIBLE_CALLBACKS_ENABLED="count_results", COUNT_RESULTS_FILE=counted, ANSIBLE_LOCALHOST_WARNING="False", ANSIBLE_PIPELINING="True")
    cpu, _size, text = measure([ansible_playbook, "-i", source, "--limit", "accelerator_nodes", os.path.join(ROOT, "playbooks", "site.yml")], environment)
    if "changed=0" not in text or any(f"changed={digit}" in text for digit in "123456789"):
        raise RuntimeError(f"the run changed something:\n{text[-3000:]}")
    with open(counted, encoding="utf-8") as handle:
        results = json.load(handle)
    # Not the first node: what is done once for all is done there.
    node = f"gpu{nodes - 1:05d}"
    roles = results["roles"][node]
    return cpu, dict(roles, **{"": results["hosts"][node]})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ansible-playbook", default="ansible-playbook", help="which ansible-playbook to measure")
    parser.add_argument("--nodes", type=int, nargs="+", default=[50, 400], help="sizes of the fleet, the smallest first")
    parser.add_argument("--repeat", type=int, default=3, help="runs per figure, of which the cheapest counts")
    arguments = parser.parse_args()
    version = subprocess.run([arguments.ansible_playbook, "--version"], stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()[0]
    print(f"{version}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, best of {arguments.repeat}")
    print(f"{'nodes':>6} {'CPU s':>8} {'ms/node':>8} {'results/node':>13}")
    before = None
    with tempfile.TemporaryDirectory(prefix="accelmon-bench-") as directory:
        with open(os.path.join(directory, "bench_canned.py"), "w", encoding="utf-8") as handle:
            handle.write(CONNECTION % json.dumps(ANSWERS))
        for nodes in arguments.nodes:
            runs = [run(directory, arguments.ansible_playbook, nodes) for _turn in range(arguments.repeat)]
            cpu, results = min(one[0] for one in runs), runs[0][1]
            cost = f"{(cpu - before[1]) / (nodes - before[0]) * 1000:.1f}" if before else ""
            split = ", ".join(f"{role} {count}" for role, count in sorted(results.items()) if role)
            print(f"{nodes:>6} {cpu:>8.2f} {cost:>8} {results['']:>13}  ({split})", flush=True)
            before = (nodes, cpu)
    if results[""] > MOST_RESULTS:
        print(f"over budget: a converged node costs {results['']} results, more than {MOST_RESULTS}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
