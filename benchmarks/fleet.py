# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the control node spends on variable check, records, registry and targets for large fleets.

Runs real `ansible-playbook` processes over generated JSON inventories and measures their CPU time (user and system,
with all children) and the memory of the largest process. Every figure is the difference to the same play with a task
that does nothing, over the same inventory with the same facts. Other work on the machine makes CPU time dearer, never
cheaper, so of several runs the cheapest counts.

How hosts come to have facts: a callback plugin, loaded in every run including the one that does nothing, hands each
host's facts to the variable manager when the play starts. That is the call that Ansible itself makes for the result of
a module with facts, so `hostvars` costs what it costs after a real detection. The facts are made up: eight NVIDIA
devices on seven hosts of eight, four AMD devices on the others.

The monitoring host is this machine, with a local connection, so the plays with a registry contain the work of the module
fleet_registry, which in a real fleet is done by the monitoring host. It is measured on its own as well, and taken off for
the line "of that, the control node". The line "reading each host once" is what Ansible itself takes to hand over the
variables and facts of every host, without which nothing can be rendered.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

LIMIT_MS = 0.4
AIM_MS = 0.8
LIMIT_MB = 300

CALLBACK = '''
from __future__ import annotations
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: bench_facts
type: aggregate
short_description: Gives every host the facts of a detection
description: [Gives every host the facts of a detection.]
"""


def facts(number):
    vendor, count, model, pci = ("amd", 4, "Instinct MI300X", "1002:74a1") if number % 8 == 7 else ("nvidia", 8, "H100 SXM", "10de:2330")
    devices = [
        {"vendor": vendor, "model": model, "product": model, "pci_id": pci, "pci_address": "0000:%02x:00.0" % (16 * index + 1),
         "kind": "gpu", "index": index, "uuid": "GPU-%08x-%04x" % (number, index), "driver": vendor, "driver_version": "550.54.15",
         "memory_bytes": 85899345920, "numa_node": index // 4, "state": "ready"}
        for index in range(count)]
    summary = {vendor: {"count": count, "models": {model: count}, "states": {"ready": count}, "driver_version": "550.54.15"}}
    address = "10.%d.%d.%d" % (number // 65536, number // 256 % 256, number % 256)
    return {
        "accelerators": {"devices": devices, "summary": summary},
        "accelmon_node": {"architecture": "amd64", "distribution": "debian", "distribution_version": "12",
                          "python_version": "3.11.2", "addresses": [address, "192.168.0.1"], "systemd": True}}


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "bench_facts"

    def v2_playbook_on_play_start(self, play):
        manager = play.get_variable_manager()
        for name in manager._inventory.get_groups_dict()["accelerator_nodes"]:
            manager.set_host_facts(name, facts(int(name[3:])))
'''

FILTER = '''
def read_each(hosts, hostvars):
    return sum(len(hostvars.raw_get(host)) for host in hosts)


class FilterModule:
    def filters(self):
        return {"read_each": read_each}
'''

READ = """
    - ansible.builtin.assert:
        that: ansible_play_hosts_all | read_each(hostvars) > 100
        quiet: true
      run_once: true
"""
CHECK = """
    - ansible.builtin.assert:
        that: "(groups | accelmon.fleet._fleet_check(hostvars)) == {'fleet': [], 'hosts': {}}"
        quiet: true
      run_once: true
"""
RECORDS = """
    - ansible.builtin.assert:
        that: ansible_play_hosts_all | accelmon.fleet.fleet_records(hostvars, answered=ansible_play_hosts) | length > 100
        quiet: true
      run_once: true
"""
REGISTRY = """
    - accelmon.fleet.fleet_registry:
        records: "{{ ansible_play_hosts_all | accelmon.fleet.fleet_records(hostvars, answered=ansible_play_hosts) }}"
        inventory_hosts: "{{ groups['all'] }}"
        full_run: true
        state_dir: STATE/registry
        targets_dir: STATE/targets
        series_dir: STATE/textfile
      run_once: true
      delegate_to: mon1
"""
NOTHING = """
    - ansible.builtin.assert:
        that: true
        quiet: true
      run_once: true
"""
PLAYS = {
    "nothing": NOTHING,
    "reading each host once": READ,
    "variable check": CHECK,
    "records alone": RECORDS,
    "records, registry, targets": REGISTRY,
    "whole": CHECK + REGISTRY,
}


def inventory(number_of_hosts):
    """JSON inventory: sites and racks of 32 as groups, 6 variables per host, 40 on the group of all nodes."""
    hosts = {
        f"gpu{number:05d}": {
            "ansible_host": f"10.{number // 65536}.{number // 256 % 256}.{number % 256}", "ansible_user": "admin",
            "slot": number % 32, "serial_number": f"S{number:08d}", "bmc_address": f"172.16.{number // 256 % 256}.{number % 256}",
            "asset": f"A-{number}"}
        for number in range(number_of_hosts)}
    common = {f"site_setting_{number}": f"value {number}" for number in range(34)}
    common.update(accelmon_cluster="bench", accelmon_scrape_interval="15s", accelmon_source="package", node_exporter_port=9100,
                  accelmon_driver_missing="fail", accelmon_prune="false")
    groups = {"accelerator_nodes": {"hosts": hosts, "vars": common}, "monitoring": {"hosts": {"mon1": {
        "ansible_connection": "local", "ansible_python_interpreter": sys.executable, "accelmon_cluster": "bench"}}}}
    names = list(hosts)
    for site in range(4):
        groups[f"site{site}"] = {"hosts": dict.fromkeys(names[site::4], {}), "vars": {"accelmon_labels": {"site": f"s{site}"}}}
    for rack in range(0, number_of_hosts, 32):
        groups[f"rack{rack // 32}"] = {"hosts": dict.fromkeys(names[rack:rack + 32], {}), "vars": {"accelmon_rack": f"r{rack // 32}"}}
    return groups


def measure(command, environment):
    """(CPU seconds, MB of the largest process, stdout) of a command with its children. Raises RuntimeError if it fails."""
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        out.seek(0)
        text = out.read()
    if status:
        raise RuntimeError(f"{' '.join(command)} failed:\n{text[-3000:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text


class Bench:
    """Inventories, plays and their environment in a temporary directory."""

    def __init__(self, directory, ansible_playbook, inject):
        self.directory = directory
        self.ansible_playbook = ansible_playbook
        os.mkdir(os.path.join(directory, "callbacks"))
        self.write("callbacks/bench_facts.py", CALLBACK)
        os.mkdir(os.path.join(directory, "filters"))
        self.write("filters/bench_filter.py", FILTER)
        self.environment = dict(
            os.environ, ANSIBLE_CONFIG=os.path.join(ROOT, "ansible.cfg"), ANSIBLE_COLLECTIONS_PATH=os.path.join(ROOT, ".collections"),
            ANSIBLE_CALLBACK_PLUGINS=os.path.join(directory, "callbacks"), ANSIBLE_CALLBACKS_ENABLED="bench_facts",
            ANSIBLE_FILTER_PLUGINS=os.path.join(directory, "filters"),
            ANSIBLE_INJECT_FACT_VARS=str(inject), ANSIBLE_LOCALHOST_WARNING="False")

    def write(self, name, text):
        """Write a file below the directory; returns its path."""
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as handle:
            handle.write(text)
        return path

    def run(self, hosts, play):
        """(CPU seconds, MB) of a play over so many hosts."""
        source = self.write(f"{hosts}.json", json.dumps(inventory(hosts)))
        playbook = self.write("play.yml", "- hosts: accelerator_nodes:monitoring\n  gather_facts: false\n  tasks:"
                              + PLAYS[play].replace("STATE", self.state(hosts)))
        return measure([self.ansible_playbook, "-i", source, playbook], self.environment)[:2]

    def state(self, hosts):
        """Directory for the registry of so many hosts."""
        return os.path.join(self.directory, f"state{hosts}")


def module_alone(bench, hosts):
    """CPU seconds of the module fleet_registry by itself, unchanged registry, as a process with its arguments on stdin."""
    state = bench.state(hosts)
    with open(os.path.join(state, "registry", "bench.json"), encoding="utf-8") as handle:
        registry = json.load(handle)
    records = [
        dict({key: entry[key] for key in ("address", "labels", "state", "expected", "exporters")}, host=host, cluster="bench",
             answered=entry["reached"], accelerators=entry["seen"])
        for host, entry in registry["hosts"].items()]
    text = " " + json.dumps({"version": 1, "records": records}, separators=(",", ":"))
    arguments = {"records": text, "inventory_hosts": sorted(registry["hosts"]),
                 "full_run": True, "state_dir": f"{state}/registry", "targets_dir": f"{state}/targets", "series_dir": f"{state}/textfile"}
    path = bench.write("arguments.json", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
    environment = dict(bench.environment, PYTHONPATH=os.path.join(ROOT, ".collections"))
    python = os.path.join(os.path.dirname(bench.ansible_playbook), "python")
    module = os.path.join(ROOT, "plugins", "modules", "fleet_registry.py")
    cpu, size, answer = measure([python, module, path], environment)
    answer = json.loads(answer)
    if answer["changed"]:
        raise RuntimeError(f"the second run changed something: {str(answer)[:1000]}")
    return cpu, size, len(text)


def row(hosts, what, cpu, cost, size, more=""):
    """Print one line of the table."""
    print(f"{hosts:>6}  {what:<28} {cpu:>7.2f} {cost:>8.3f} {size:>5.0f}{more}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ansible-playbook", default="ansible-playbook", help="which ansible-playbook to measure")
    parser.add_argument("--hosts", type=int, nargs="+", default=[1000, 5000, 10000])
    parser.add_argument("--repeat", type=int, default=3, help="runs per figure, of which the cheapest counts")
    parser.add_argument("--inject-facts", action="store_true", help="with inject_facts_as_vars on, as outside of this checkout")
    arguments = parser.parse_args()
    version = subprocess.run([arguments.ansible_playbook, "--version"], stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()[0]
    started = time.process_time()
    sum(range(10 ** 7))
    speed = time.process_time() - started
    print(f"{version}, {os.cpu_count()} cores, "
          f"load {os.getloadavg()[0]:.1f}, best of {arguments.repeat}, inject_facts_as_vars={arguments.inject_facts}, "
          f"sum(range(10**7)) takes {speed:.2f} s")
    print(f"{'hosts':>6}  {'what':<28} {'CPU s':>7} {'ms/host':>8} {'MB':>5}")
    failed = []
    with tempfile.TemporaryDirectory(prefix="accelmon-bench-") as directory:
        bench = Bench(directory, arguments.ansible_playbook, arguments.inject_facts)
        for hosts in arguments.hosts:
            first, size = bench.run(hosts, "records, registry, targets")
            results = {play: [] for play in PLAYS}
            # In turns, so that other load on the machine falls on all of them alike.
            for _turn in range(arguments.repeat):
                for play, measured in results.items():
                    measured.append(bench.run(hosts, play))
            base = min(cpu for cpu, _size in results["nothing"])
            row(hosts, "first registry run", first, (first - base) / hosts * 1000, size)
            module, module_size, length = module_alone(bench, hosts)
            for play, measured in results.items():
                cpu, size = min(cpu for cpu, _size in measured), max(size for _cpu, size in measured)
                cost = (cpu - base) / hosts * 1000
                row(hosts, play, cpu, cost, size)
                if size > LIMIT_MB:
                    failed.append(f"{play} at {hosts} hosts takes {size:.0f} MB, more than {LIMIT_MB}")
                limit = {"records, registry, targets": LIMIT_MS, "whole": AIM_MS}.get(play)
                if limit:
                    cost = (cpu - base - module) / hosts * 1000
                    row(hosts, "  of that, the control node", cpu - base - module, cost, size)
                    if hosts == max(arguments.hosts) and cost > limit:
                        failed.append(f"{play} at {hosts} hosts takes {cost:.3f} ms per host on the control node, more than {limit}")
            row(hosts, "the module alone", module, module / hosts * 1000, module_size, f"  ({length / 1e6:.1f} MB of records)")
    for line in failed:
        print(f"over budget: {line}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
