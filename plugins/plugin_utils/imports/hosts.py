# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An inventory from targets: one entry for each host, whatever number of jobs scrape it, and a group for each job."""
import collections
import re

import yaml

from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.targets import instance
from ansible_collections.accelmon.fleet.plugins.plugin_utils.addresses import address_key, literal, means_itself
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.inventory.lists import host_address, host_name, shown, shown_path
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import labels as site_labels
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import STACK, cluster, label_value

# Labels by which sites give the name of a host, the clearest first.
NAMES = ("node", "nodename", "hostname", "host", "instance")
# How jobs of exporters are called, where the port says nothing. AMD's port is also that of container registries, so its job must say AMD as well.
JOBS = {
    "node_exporter": re.compile(r"node|(.*[_-])?node[_-]?exporter.*", re.I),
    "dcgm_exporter": re.compile(r".*dcgm.*", re.I),
    "amd_exporter": re.compile(r".*(\bamd|_amd|rocm|instinct|device[_-]metrics[_-]exporter).*", re.I),
    "all_smi": re.compile(r".*all[_-]?smi.*", re.I),
}
AMBIGUOUS = ("amd_exporter",)
# Services of a monitoring host by the ports that they have unless somebody changes them.
SERVICES = {9090: "Prometheus", 9091: "Pushgateway", 9093: "Alertmanager", 3000: "Grafana", 8428: "VictoriaMetrics", 8429: "vmagent", 8880: "vmalert"}
PROGRAMS = re.compile(rf"(prometheus|pushgateway|grafana|thanos.*|{'|'.join(STACK)})\Z", re.I)


class Host:
    """A host of the proposal.

    address: where it is reached, or "" where that is its name; exporters: {role: (port, path, whether it asks for more than a plain request)}
    """

    def __init__(self, name):
        self.name, self.address, self.variables, self.exporters, self.labels, self.jobs = name, "", {}, {}, {}, []

    def place(self, address, what):
        """Note an address. Raises Problem for a second one."""
        if address_key(address) == address_key(self.name):
            return
        if self.address and address_key(self.address) != address_key(address):
            raise Problem(f"{what}: {self.name} is at {self.address} as well; a host has one address, so list this one under a name of its own")
        self.address = address

    def own_exporter(self, role, target, what):
        """Note an exporter that the collection knows. Raises Problem for a second one."""
        told = (target.port, target.path, target.closed or target.scheme != "http")
        if self.exporters.setdefault(role, told) != told:
            raise Problem(f"{what}: a second {role} of this host; keep one of them")

    def custom_exporter(self, target, what):
        """Note an exporter that the collection only scrapes. Raises Problem."""
        if target.closed:
            raise Problem(f"{what}: it asks for credentials, which accelmon_custom_exporters cannot give; keep it in a Prometheus of your own")
        known = self.variables.get("accelmon_custom_exporters", [])
        entry = {"job": target.job, "port": target.port, "path": target.path, "scheme": target.scheme}
        entry = {key: value for key, value in entry.items() if (key, value) not in (("path", "/metrics"), ("scheme", "http"))}
        same = [one for one in known if (one["port"], one.get("path")) == (entry["port"], entry.get("path"))]
        if same and same[0] != entry:
            raise Problem(f"{what}: job {same[0]['job']} scrapes the same page; keep one of them")
        try:
            site_labels.custom_exporters([entry])
        except Problem as problem:
            raise Problem(f"{what}: {str(problem).partition(': ')[2]}") from None
        if not same:
            self.variables["accelmon_custom_exporters"] = known + [entry]

    def ports(self):
        """Ports of its exporters."""
        return [port for port, _path, _closed in self.exporters.values()] + [one["port"] for one in self.variables.get("accelmon_custom_exporters", ())]

    def settings(self):
        """{variable: value} by which the collection scrapes its exporters as they are."""
        found = {}
        for role, (port, path, closed) in self.exporters.items():
            if not closed:
                found[f"{role}_managed"] = "external"
            if port != ports()[role]:
                found[f"{role}_port"] = port
            if path != "/metrics" and not closed:
                found[f"{role}_metrics_path"] = path
        return found


def ports():
    """{role: its port} of the exporters that the catalogue knows."""
    return {"node_exporter": 9100, **{source["role"]: source["port"] for source in load("sources")["sources"].values()
                                      if source["role"] in JOBS}}


def exporter_of(target):
    """The role whose exporter a target is, "service" for a service of a monitoring host, or "" for another exporter."""
    by_port = next((role for role, port in ports().items() if port == target.port), "")
    by_name = next((role for role, name in JOBS.items() if name.fullmatch(target.job)), "")
    if by_port and (by_port not in AMBIGUOUS or by_name == by_port):
        return by_port
    if by_name:
        return by_name
    return "service" if target.port in SERVICES or PROGRAMS.match(target.job) else ""


class Proposal:
    """Hosts and groups of targets. found: a scrape_jobs.Findings, which gets what is left out and what to look at

    hosts: {name: Host}, in the order of the targets
    jobs: {job: {"exporter", "targets", "hosts"}}
    """

    def __init__(self, found):
        self.found, self.hosts, self.jobs = found, {}, {}
        self.names = self._names()
        for target in found.targets:
            try:
                self._add(target)
            except Problem as problem:
                found.leave(target.where, str(problem))
        for host in self.hosts.values():
            if not host.exporters:
                found.note("", f"{host.name} has none of the collection's exporters; remove it if Ansible cannot log in to it")

    def _names(self):
        """{key of an address: name of the host}: a label names a host if all its targets have one address, or that and the name itself."""
        addresses = collections.defaultdict(dict)
        for target in self.found.targets:
            for label in NAMES:
                name = re.sub(r":\d+\Z", "", target.labels.get(label, ""))
                if name and literal(name) is None and _is_name(name):
                    addresses[address_key(name)][address_key(target.host)] = name
        named = {}
        for key, places in addresses.items():
            others = [place for place in places if place != key]
            for place in places if len(others) <= 1 else ():
                named.setdefault(place, places[place])
        return named

    def _add(self, target):
        """Take a target over. Raises Problem, which says why it cannot be."""
        what = f"job {shown(target.job)}: {shown(target.host)}:{target.port}"
        role = exporter_of(target)
        if role == "service":
            raise Problem(f"{what}: {SERVICES.get(target.port, 'a service of a monitoring host')}; the collection scrapes its own")
        if means_itself(target.host):
            raise Problem(f"{what}: it means the Prometheus host itself; add that host by its name")
        address = host_address(target.host)
        name = host_name(self.names.get(address_key(address)) or address.replace(":", "-").strip("-"))
        if name in ("monitoring", "accelerator_nodes") or name.startswith("job_"):
            raise Problem(f"{what}: the name of a group; rename the host")
        host = self.hosts.get(address_key(name)) or Host(name)
        host.place(address, what)
        if role:
            host.own_exporter(role, target, what)
            if host.exporters[role][2]:
                self.found.note(target.where, f"{what}: it asks for TLS or credentials, so the proposal has the collection install its own {role}; "
                                              "stop yours before")
        else:
            host.custom_exporter(target, what)
        self.hosts[address_key(name)] = host
        self._labels(host, target)
        job = self.jobs.setdefault(target.job, {"exporter": role, "targets": 0, "hosts": {}})
        job["targets"] += 1
        job["hosts"][host.name] = host
        if target.job not in host.jobs:
            host.jobs.append(target.job)

    def _labels(self, host, target):
        """Give a host the labels of a target."""
        for label, value in target.labels.items():
            try:
                variable, name = _place_of(label, value, host)
            except Problem as problem:
                self.found.leave(target.where, f"label {shown(label)}: {str(problem).removeprefix(f'{label}: ')}")
                continue
            if not variable:
                continue
            into = host.labels if variable == "accelmon_labels" else host.variables
            key = name if variable == "accelmon_labels" else variable
            if into.setdefault(key, value) != value:
                self.found.leave(target.where, f"{host.name}: label {shown(label)}: {shown(value)}, but {shown(into[key])} in another job; keep one")
            if name not in (label, ""):
                self.found.note("", f"the label {shown(label)} is used by the collection's series; it is proposed as {name}")

    def label_names(self):
        """Names of the labels of all hosts."""
        return {label for host in self.hosts.values() for label in host.labels}

    def instances(self):
        """{name of a host: values of the label instance of its targets}."""
        return {host.name: {instance(host.address or host.name, port) for port in host.ports()} for host in self.hosts.values()}

    def document(self):
        """The inventory as data. What all hosts of a job have alike is said once, of its group."""
        shared = {job: _shared(told["exporter"], told["hosts"].values()) for job, told in self.jobs.items()}
        hosts, groups = {}, {}
        for host in self.hosts.values():
            variables = {"ansible_host": host.address} if host.address else {}
            variables.update(host.variables)
            if host.labels:
                variables["accelmon_labels"] = host.labels
            of_groups = {key for job in host.jobs for key in shared[job]}
            variables.update({key: value for key, value in host.settings().items() if key not in of_groups})
            hosts[host.name] = variables
        for job, told in self.jobs.items():
            group = {"hosts": {name: {} for name in told["hosts"]}}
            groups[_group(job, groups)] = {**group, "vars": shared[job]} if shared[job] else group
        return {"all": {"hosts": hosts, "children": {"accelerator_nodes": {"children": groups}}}}

    def text(self, source):
        """The inventory as a file. source: the file that it is made of"""
        return (f"# Proposed from {shown_path(source)}.\n"
                "# Read it, change what is wrong, and add what is missing: a group monitoring, with the host that is to store, scrape and alert.\n"
                "# What runs on the hosts is scraped and otherwise left alone (external); see docs/brownfield.md for adopt and install.\n" +
                yaml.dump(self.document(), Dumper=_Dumper, sort_keys=False, width=4096, allow_unicode=True))


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True


def _is_name(text):
    try:
        return bool(host_name(text))
    except Problem:
        return False


def _group(job, taken):
    """A group for a job."""
    name = "job_" + re.sub(r"[^a-zA-Z0-9]+", "_", job).strip("_").lower()
    number, found = 2, name
    while found in taken:
        number, found = number + 1, f"{name}_{number}"
    return found


def _shared(role, hosts):
    """Settings of an exporter that all of some hosts have alike."""
    first, *others = [host.settings() for host in hosts]
    return {key: value for key, value in first.items() if role and key.startswith(f"{role}_") and all(one.get(key) == value for one in others)}


def _place_of(label, value, host):
    """(variable, name of the label) where a label of a target belongs; ("", "") if it says nothing more. Raises Problem."""
    if label in NAMES and address_key(re.sub(r":\d+\Z", "", value).strip("[]")) in {address_key(host.name), address_key(host.address)} - {""}:
        return "", ""
    if label == "cluster":
        cluster(label_value(value))
        return "accelmon_cluster", ""
    if label == "rack":
        label_value(value)
        return "accelmon_rack", ""
    name = label if label not in site_labels.reserved() else f"site_{label.lower()}"
    site_labels.labels({name: value})
    return "accelmon_labels", name
