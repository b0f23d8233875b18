# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Internal filters about services: their units, what stands beside them, and how the services of the stack reach each other."""
from __future__ import annotations

import plistlib

from ansible.errors import AnsibleFilterError
from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.accelmon.fleet.plugins.module_utils import durations
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.targets import instance
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import plain
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.filters import as_filter, internal
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import (
    access, hosts as fleet, neighbours as nearby, placement, sites, storages as stores, variables)
from ansible_collections.accelmon.fleet.plugins.plugin_utils.oneline import fault_in
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import grafana, removal, slurm, stack, units

ALERTMANAGER = ("alertmanager_port", "alertmanager_gossip_port", "alertmanager_listen", "alertmanager_state")


def seconds(duration):
    """Whole seconds of a duration such as `1m30s`."""
    try:
        return durations.seconds(duration)
    except ValueError as error:
        raise AnsibleFilterError(f"seconds: {duration!r}: {error}") from None


def host_port(address, port):
    """ADDRESS:PORT, with the brackets that an IPv6 address needs."""
    return instance(str(address), port)


def systemd_unit(declaration, overrides=None, daemon=True):
    """Text of a systemd unit.

    declaration: {section: {directive: value}}. null takes a default away, a list repeats the directive (for Exec…= it is the command line)
    overrides: the same; wins
    daemon: whether the service runs all the time; false for a timer and for what a timer starts
    """
    try:
        return units.unit_text(declaration, overrides, daemon)
    except Problem as error:
        raise AnsibleFilterError(f"unit: {error}") from None


def unit_word(value):
    """A text, such as a path, that systemd takes for one word and expands nothing in. Command lines do not need it."""
    return units.word(value)


def launchd_job(job):
    """Text of a launchd job."""
    problem = fault_in(job)
    if problem:
        raise AnsibleFilterError(f"launchd job: {problem}")
    return plistlib.dumps(plain(job), sort_keys=False).decode("utf-8")


def stack_listener(address, port, path="/-/ready"):
    """How a service of the stack listens and how it is reached. It always wants a password; beyond loopback it speaks TLS too.

    path: a page that is there once the service is healthy, and that wants the password
    """
    return stack.listener(str(address), int(port), str(path))


def vm_client(services, kind, path=""):
    """Arguments by which a program of VictoriaMetrics reaches services with their password, which it reads from its file.

    kind: what the arguments begin with
    path: what follows the address in each URL
    """
    if kind not in stack.VM_CLIENTS:
        raise AnsibleFilterError(f"vm_client: {kind}: no such kind of client; use one of {', '.join(stack.VM_CLIENTS)}")
    return stack.vm_client(str(kind), list(services), str(path))


def storage_of_site(url, user, password_file):
    """[a storage of the site's own], as the filter `vm_client` takes it; [] without a URL."""
    return [stack.of_site(str(url), str(user), str(password_file))] if url else []


def vm_authorities(services):
    """Files of the authority by which a program of VictoriaMetrics knows services; a restart makes it read them again."""
    return stack.authorities(list(services))


def gossip_arguments(seen, port, tls_file):
    """Arguments of Alertmanager about gossip, from what `alertmanagers` returned."""
    listen, advertised = (instance(str(seen[name]), port) for name in ("gossip_listen", "gossip"))
    return stack.gossip_arguments(seen["pair"], listen, advertised, seen["peers"], str(tls_file))


def vmauth_config(password, drain_password="", site_password="", site_passwords=None):
    """Text of the file by which vmauth asks for the stack's password, for that of a Slurm controller that drains nodes, who may only ask queries, or
    for that of sites, which may only write samples."""
    return stack.vmauth_config(str(password), str(drain_password), str(site_password), plain(site_passwords or {}))


@as_filter
def global_place(host_variables):
    """[where the host's site sends its roll-ups], as the filter `vm_client` takes it, from the host's `hostvars` entry; [] if it sends none."""
    return sites.place(host_variables)


@as_filter
def grafana_files(options):
    """Grafana's files but those with the stack's secrets: `files`, `secrets` and `restart`, as the role service takes them.

    options: what the role's variables say
    """
    return grafana.files(dict(options, port=int(options["port"]), tls=boolean(options["tls"]), settings=plain(options["settings"])))


def grafana_sub_path(root_url):
    """The path below which Grafana is reached, "" or /grafana."""
    return grafana.sub_path(str(root_url))


@as_filter
def grafana_sources(password, host, hostvars, monitoring):
    """Text of the file of Grafana's data sources on a monitoring host: its own storage, those of the others, and its own Alertmanager, else the first."""
    names, others = [str(name) for name in monitoring], []
    own = stores.of_site(hostvars[host]) or stores.read(str(host), hostvars, names, unseen=True)
    if "user" not in own and fleet.setting(hostvars[host], "accelmon_backend") == "victoriametrics":
        others = [service for service in stores.seen(str(host), hostvars, names, unseen=True)["services"] if service != own]
    seen = alertmanagers(monitoring, hostvars, str(host), unseen=True)
    receiver = seen["own"].get("alertmanager") or next(iter(seen["services"]), {})
    return grafana.data_sources(str(password), own, receiver, fleet.setting(hostvars[host], "accelmon_scrape_interval"), others)


@as_filter
def storages(hosts, hostvars, host):
    """The storages that the vmagent of a monitoring host writes to, its own first: `services`, `own` and `pair`; see `fleet/storages.py`.

    Several listen at the address by which the others reach them, with TLS.
    """
    return stores.seen(str(host), hostvars, [str(name) for name in hosts])


@as_filter
def alertmanagers(hosts, hostvars, host, unseen=False):
    """The Alertmanagers of all monitoring hosts, as one of them sees them.

    Where there is one monitoring host, it listens on loopback. Elsewhere they listen at the address by which the others reach them, with TLS.
    Several gossip.

    unseen: whether nobody looked at the host in this run, so that the address by which the others reach it is taken for one of its own
    """
    declared = variables.role_variables("alertmanager")
    reader = fleet.Reader({name: declared[name] for name in ALERTMANAGER})
    members = {}
    for name in map(str, hosts):
        of_host = fleet.HostVariables(hostvars, name)
        values, errors = reader.read_all(of_host)
        if errors:
            raise AnsibleFilterError(f"{name}: {errors[0]}")
        if values["alertmanager_state"] == "absent":
            continue
        members[name] = {"address": access.host_names(name, of_host)["address"], "port": values["alertmanager_port"],
                         "gossip_port": values["alertmanager_gossip_port"], "listen": values["alertmanager_listen"]}
    gossip = gossip_listen = ""
    if host in members:
        facts = fleet.facts_of(fleet.HostVariables(hostvars, host))
        own = facts["addresses"] if facts else [members[host]["address"]] * unseen
        members[host]["listen"], gossip = stack.places(members[host], own, len(hosts) > 1)
        gossip_listen = stack.gossip_listener(gossip, members[host]["listen"], own)
    return {**stack.alertmanagers(host, members), "listen": members.get(host, {}).get("listen", "127.0.0.1"), "gossip": gossip,
            "gossip_listen": gossip_listen}


@as_filter
def stack_urls(host, hostvars, monitoring):
    """{"storage", "storage_access", "rules", "alertmanagers", "listeners"}: where a monitoring host's services are asked from that host, and those of
    others that it has none of.

    With Prometheus, storage and rules are the same. listeners: of the host's own services; storage_access: see `storages.asked`
    """
    names = ["accelmon_backend", "accelmon_grafana", "grafana_listen", "grafana_port", "grafana_root_url"]
    names += [f"{service}_{name}" for backend in stack.BACKENDS.values() for service in backend.services for name in ("state", "listen", "port")]
    specs = {name: variables.declared(name) for name in names}
    # The variable check reports a bad value; what can be asked is asked all the same.
    values = fleet.Reader(specs).read_all(fleet.HostVariables(hostvars, str(host)))[0]
    backend = stack.BACKENDS[values["accelmon_backend"]]
    urls = {service: stack.listener(values[f"{service}_listen"] or "127.0.0.1", values[f"{service}_port"])["url"] for service in backend.services}
    asked = {"storage": urls[backend.storage], "storage_access": {}, "rules": urls[backend.evaluator]}
    try:
        if backend.storage == "victoriametrics":
            urls["victoriametrics"] = stores.seen(str(host), hostvars, [str(name) for name in monitoring], unseen=True)["own"]["url"]
        asked.update(stores.asked(str(host), hostvars, [str(name) for name in monitoring]))
    except Problem:
        pass
    try:
        receivers = alertmanagers(monitoring, hostvars, str(host), unseen=True)
    except AnsibleFilterError:
        receivers = {"services": [], "own": {}}
    own = {name: service["url"] for name, service in receivers["own"].items()}
    if values["accelmon_grafana"]:
        own["grafana"] = grafana.listener(values["grafana_listen"], values["grafana_port"], values["grafana_root_url"])["url"]
    own.update((service, url) for service, url in urls.items() if values[f"{service}_state"] != "absent")
    return {**asked, "alertmanagers": [service["url"] for service in receivers["services"]], "listeners": own}


def placed_hosts(groups, role):
    """The monitoring hosts that run a role of the stack, as far as groups say so."""
    return placement.hosts(str(role), groups)


def placed(groups, role):
    """The pattern of hosts for a play about a role of the stack that every backend has: all monitoring hosts, or those of the group that places it."""
    return placement.pattern(str(role), groups)


@as_filter
def neighbours(host_variables):
    """Where a role reaches the services of its own host that other roles run, from the host's `hostvars` entry.

    For each service of the backends what `stack_listener` returns, with its `address` and `port`, but for VictoriaMetrics, which `storages` knows;
    for `node_exporter` its `target`, `scheme` and `path`; `grafana` where the host runs it.
    """
    return nearby.neighbours(host_variables)


@as_filter
def present(services, host_variables):
    """Those of {role: ...} whose role a host has, from the host's `hostvars` entry: groups may place some elsewhere."""
    return nearby.present(services, host_variables)


@as_filter
def has_part(host_variables, part):
    """Whether a monitoring host has a part of its backend, from its `hostvars` entry: groups may place it elsewhere.

    part: scraper, storage or evaluator
    """
    role = getattr(stack.BACKENDS[fleet.setting(host_variables, "accelmon_backend")], part)
    return fleet.setting(host_variables, f"{role}_state") != "absent"


@as_filter
def watched_elsewhere(hosts, hostvars, host):
    """The option `elsewhere` of the filter `scrape_config`: services of monitoring hosts that have no scraper, for that of one which has."""
    return nearby.elsewhere(str(host), hostvars, [str(name) for name in hosts])


@as_filter
def unwanted_services(host_variables):
    """The services that a monitoring host does not run, in the order in which they stop: Grafana, what evaluates, the storage last."""
    chosen = fleet.settings(host_variables, ("accelmon_backend", "accelmon_grafana", "accelmon_backup_directory", *placement.ABSENT))
    return ["grafana"] * (not chosen["accelmon_grafana"]) + ["backup"] * (not chosen["accelmon_backup_directory"]) + [
        service for name, backend in stack.BACKENDS.items() for service in reversed(backend.services)
        if name != chosen["accelmon_backend"] or chosen.get(f"{service}_state") == "absent"] + ["alertmanager"] * (chosen["alertmanager_state"] == "absent")


def slurm_advice(text, prolog, epilog):
    """What slurm.conf still needs for hooks at these paths, from the output of `scontrol show config`."""
    return slurm.advice(plain(text), plain(prolog), plain(epilog))


def slurm_named(text, prolog, epilog):
    """Lines of slurm.conf that name hooks at these paths, from the output of `scontrol show config`."""
    return slurm.named(plain(text), plain(prolog), plain(epilog))


def removable(names, alerting=False):
    """Roles to run with `state: absent` where these names were found, in this order; with `alerting` those that send alerts."""
    return removal.installed(plain(names), removal.ALERTING if alerting else ())


def kept_data(everything):
    """Names in the state directory that an uninstallation leaves; none if everything has to go."""
    return [] if everything else list(removal.DATA)


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return internal(seconds, host_port, systemd_unit, unit_word, launchd_job, stack_listener, stack.vm_log_level, vm_client, storage_of_site,
                        vm_authorities,
                        gossip_arguments, vmauth_config, global_place, grafana_files, grafana_sub_path, grafana_sources, storages, alertmanagers,
                        stack_urls, placed_hosts, placed, neighbours, present, has_part, watched_elsewhere, slurm_advice, slurm_named, unwanted_services,
                        removable, kept_data)
