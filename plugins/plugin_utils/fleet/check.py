# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variable check: every variable of every host, once, before anything is changed."""
import collections
import difflib
import fnmatch
import functools
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.access.certificates import VARIABLES
from ansible_collections.accelmon.fleet.plugins.module_utils.durations import seconds
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import HIDDEN, UNEVALUATED, Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import (
    alerting, draining, facts, hosts as fleet, neighbours, placement, plan, sites, storages, upgrades, variables, written)
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import bundle
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import stack
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import receivers
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import PORT_EXPORTERS
from ansible_collections.accelmon.fleet.plugins.plugin_utils.addresses import address_key, literal, means_itself

# The groups that a fleet cannot do without, and what to put there.
GROUPS = {
    "accelerator_nodes": "add the machines to monitor",
    "monitoring": "add the host that stores, scrapes and alerts",
}

# What exporters ask for, and who is scraped without it: a monitoring host has nothing to show unless it has the same.
ACCESS = ("accelmon_exporter_tls", "accelmon_exporter_auth")


DEFAULT_INTERVAL = variables.fleet_variables()["accelmon_scrape_interval"]["default"]

# What a name in the inventory must not hold: patterns of Ansible, shells and queries would take it for something else.
UNUSABLE = re.compile(r"""[\s,:;&!*?\[\]{}()'"\\/<>|$`~]""")

# The variables that name the images of roles, where the collection knows none.
IMAGES = {role: [f"{role}_image"] for role in ("node_exporter", "victoriametrics", "vmagent", "vmalert", "prometheus", "alertmanager", "grafana")}
IMAGES["victoriametrics"].append("victoriametrics_auth_image")

# A port that a service of a host listens on: the variable that sets it, that variable as a message shows it, and the address.
Listener = collections.namedtuple("Listener", "variable shown port address")


def fleet_check(groups, hostvars, sources=(), needed=tuple(GROUPS)):
    """{"fleet": [error that stops everything], "hosts": {host: its errors, a line each}}; nothing wrong is nothing in either.

    groups, hostvars: the variables of these names; sources: ansible_inventory_sources; needed: groups that must have a host
    """
    fleet_errors = written.findings(sources, set(variables.all_variables())) + check_groups(groups, needed)
    fleet_errors += upgrades.refusals(groups.get("monitoring", ()), hostvars)
    hosts = monitored(groups)
    checker = Checker(groups)
    errors = {}
    for host in hosts:
        try:
            errors[host] = checker.check(host, fleet.HostVariables(hostvars, host))
        except facts.Untrusted as error:
            errors[host] = [error.problem]
    fleet_errors += map(str, placement.problems(groups, checker.roles))
    names = {host: name_problems(host, groups) for host in hosts}
    monitoring = groups.get("monitoring", ())
    stray = {host: [str(problem) for problem in found] for host, found in alerting.strays(checker.fleet_wide, monitoring).items()}
    for found_by in (names, stray, checker.unknown_labels(), selves(checker.addresses, monitoring), clashes(checker.places),
                     shut_out(checker.access, monitoring), checker.deaf(monitoring), checker.apart()):
        for host, found in found_by.items():
            errors[host].extend(found)
    return arrange(fleet_errors, errors)


def argument_errors(hostvars, settings=()):
    """Errors about what a run was asked for, as the control node has it: names that nothing reads, and wrong values of arguments of one run
    and of those settings that the playbook reads itself."""
    told = fleet.HostVariables(hostvars, "localhost")
    checker = Checker()
    checker.ignored.update(name for name, spec in variables.all_variables().items()
                           if not spec.get("run") and name not in settings and name != "accelmon_foreign_variables")
    return list(checker.variables(told)[1].values())


def setting_errors(hostvars, hosts, names):
    """Errors about settings of hosts that a playbook reads without the variable check: values that cannot be used."""
    reader, errors = fleet.Reader({name: variables.declared(name) for name in names}), []
    for host in hosts:
        try:
            found = reader.read_all(fleet.HostVariables(hostvars, host))[1]
        except facts.Untrusted as problem:
            found = [problem]
        errors += [str(problem.of(host)) for problem in found]
    return errors


def check_groups(groups, needed):
    """Errors about groups that are missing or empty."""
    errors = []
    for group in needed:
        fix = GROUPS[group]
        if group not in groups:
            errors.append(f"inventory: {group} = (no such group): this group is required; {fix}")
        elif not groups[group]:
            errors.append(f"inventory: {group} = []: the group is empty; {fix}")
    return errors


def monitored(groups):
    """All hosts that the collection looks after, in the order of the inventory: of its own groups and those of its roles."""
    names = tuple(GROUPS) + tuple(role for role in variables.roles() if role not in GROUPS)
    return list(dict.fromkeys(host for name in names if name in groups for host in groups[name]))


class Checker:
    """Checks one host after the other and remembers where each wants to be scraped.

    groups: those of the inventory
    places: {(address, port): [host, ...]}
    addresses: {host: (variable that its address is from, address)}
    access: {host: {variable of ACCESS: its value}}
    fleet_wide: {host: {variable of alerting.FLEET_WIDE that it has: its value}}
    asking: {host: its accelmon_drain} of Slurm controllers that ask the storages of the fleet
    monitors: {monitoring host: the values of all its variables}
    labels: names of labels that hosts have
    roles: those of the stack that monitoring hosts run, unless a group places them
    """

    def __init__(self, groups=None):
        self.groups = groups or {}
        self.names = set(self.groups).union(*self.groups.values())
        specs = variables.all_variables()
        self.reader = fleet.Reader(specs)
        self.prefixes = ("accelmon_",) + tuple(f"{role}_" for role in variables.roles())
        self.defaults = {name: spec.get("default") for name, spec in fleet.plan_specs().items()}
        self.places = collections.defaultdict(list)
        self.addresses = {}
        self.access = {}
        self.fleet_wide = {}
        self.asking = {}
        self.monitors = {}
        self.labels = set()
        self.roles = set()
        # Names met so far that are none of ours, or that are ours and no user's.
        self.ignored = set(variables.catalogue()["internal"])

    def check(self, host, variables_of_host):
        """Texts `variable = value: what is wrong; what to do` about one host."""
        values, wrong = self.variables(variables_of_host)
        errors = list(wrong.values())
        errors.extend(between_variables(values, wrong))
        errors.extend(image_errors(self.container_roles(host, values), values, wrong))
        errors.extend(self.strangers(values))
        self.fleet_wide[host] = {name: values[name] for name in alerting.FLEET_WIDE if name in values}
        self.labels.update(values.get("accelmon_labels") or ())
        self.access[host] = {name: values.get(name, self.defaults[name]) for name in ACCESS}
        self.note_draining(host, values)
        if self.is_monitoring(host):
            self.monitors[host] = self.meant(values, host)
            self.roles |= placement.roles(self.meant(values))
        errors.extend(self.place(host, variables_of_host, values))
        return errors

    def note_draining(self, host, values):
        """Note whether a host asks storages for verdicts."""
        asking = {name: values.get(name, self.reader.defaults[name]) for name in draining.ASKING}
        if plan.asks_for_verdicts(asking):
            self.asking[host] = asking["accelmon_drain"]

    def deaf(self, monitoring):
        """{host: [error]} about controllers that cannot ask a monitoring host."""
        asking = {host: value for host, value in self.asking.items() if host not in monitoring}
        found = draining.deaf(asking, {host: self.monitors[host] for host in monitoring if host in self.monitors})
        return {host: [str(problem) for problem in problems] for host, problems in found.items()}

    def apart(self):
        """{host: [error]} about services of monitoring hosts that would not find one another."""
        restricted = {role for role in self.roles if placement.is_restricted(role, self.groups)}
        found = storages.problems(self.monitors, restricted)
        for host, values in self.monitors.items():
            found.setdefault(host, []).extend(neighbours.unreached(values, restricted) + neighbours.homeless(values, restricted))
        return {host: [str(problem) for problem in problems] for host, problems in found.items()}

    def variables(self, variables_of_host):
        """({name: checked value} of what one host has, {name: text about what is wrong with it})."""
        values, errors, unknown = {}, {}, []
        for name in sorted(variables_of_host.raw.keys() - self.ignored):
            if not name.startswith(self.prefixes):
                self.ignored.add(name)
            elif name not in self.reader.specs:
                unknown.append(name)
            else:
                try:
                    values[name] = self.reader.answer(variables_of_host, name)
                except Problem as error:
                    errors[name] = str(error)
        values = {name: value for name, value in values.items() if value is not None}
        foreign = values.get("accelmon_foreign_variables", ())
        errors.update((name, unknown_variable(name, variables_of_host)) for name in unknown
                      if not any(fnmatch.fnmatchcase(name, pattern) for pattern in foreign))
        return values, errors

    def place(self, host, variables_of_host, values):
        """Note the host's targets as far as the inventory decides them. Returns what is wrong with them on the host itself."""
        chosen = {name: values.get(name, default) for name, default in self.defaults.items()}
        try:
            source, address = fleet.address_of(host, variables_of_host, chosen["accelmon_address"])
        except Problem as error:
            return [str(error)]
        self.addresses[host] = source, address
        fleet.follow_bundle(chosen, values)
        exporters = plan.exporters(chosen, plan.choose(chosen, None))
        for port in {exporter["port"] for exporter in exporters}:
            # Whoever else is at this host's name is at this host, wherever that is.
            for place in sorted({address_key(address), address_key(host)}):
                self.places[(place, port)].append(host)
        ours, others = exporter_listeners(exporters, values)
        return shared_ports(ours + self.stack_listeners(host, values) + others)

    def is_monitoring(self, host):
        """Whether a host is a monitoring host."""
        return host in self.groups.get("monitoring", ())

    def meant(self, values, host=None):
        """{variable: value} of all variables of a host that has `values`; with `host`, of roles that groups place elsewhere that it has none."""
        found = dict(self.reader.defaults, **values)
        if self.is_monitoring(host):
            placement.follow(found, host, self.groups)
        return found

    def stack_listeners(self, host, values):
        """The Listeners of the stack on a host."""
        value, found = self.meant(values, host), []
        for role in stack.services(value["accelmon_backend"], value["accelmon_grafana"]) if self.is_monitoring(host) else ():
            if value[f"{role}_state"] == "present":
                found.append(listener(f"{role}_port", value[f"{role}_port"], value[f"{role}_listen"]))
                if role == "alertmanager" and len(placement.hosts(role, self.groups)) > 1:
                    found.append(listener("alertmanager_gossip_port", value["alertmanager_gossip_port"], value["alertmanager_listen"]))
        return found

    def container_roles(self, host, values):
        """{role: variable that says so} of the roles of a host whose programs run in containers of images that only the inventory can name."""
        value, found = self.meant(values, host), {}
        for role in IMAGES:
            source, variable = fleet.source_of(role, value, values)
            # What is set for a role has to be right wherever it is; what is set for all only where the role runs.
            if source == "container" and (variable != "accelmon_source" or self.runs(role, host, value)):
                found[role] = variable
        return found

    def runs(self, role, host, value):
        """Whether a role of the collection runs on a host, as far as the inventory decides it. value: {variable: value} of all variables"""
        if value[f"{role}_state"] == "absent":
            return False
        if role in PORT_EXPORTERS:
            return value[f"{role}_managed"] == "install" and (value["accelmon_exporters"] == "auto" or role in value["accelmon_exporters"])
        return self.is_monitoring(host) and role in stack.services(value["accelmon_backend"], value["accelmon_grafana"])

    def unknown_labels(self):
        """{host: [error]} about labels for alerts that no host has."""
        found = {}
        for host, values in self.fleet_wide.items():
            found[host] = [str(problem) for problem in alerting.unknown_labels(values.get("accelmon_label_names", ()), self.labels)]
        return found

    def strangers(self, values):
        """Errors about hosts and groups that a variable names and the inventory does not have."""
        errors = []
        for name, value in values.items():
            for entry in value if self.reader.specs[name].get("inventory") else ():
                if entry not in self.names:
                    near = difflib.get_close_matches(entry, self.names, n=1)
                    errors.append(str(Problem(
                        f"{entry} is not in the inventory; {f'did you mean {near[0]}?' if near else 'use one of its hosts or groups'}", name, value)))
        return errors


def listener(variable, port, address=""):
    """A Listener on a port that a variable of its own sets; the address "" is every address."""
    return Listener(variable, port, port, address)


def exporter_listeners(exporters, values):
    """(Listeners of our exporters, those of others), which may be at every address: only the host knows which are its own."""
    ours = [listener(f"{one['job']}_port", one["port"]) for one in exporters if one["job"] in PORT_EXPORTERS and not one.get("custom")]
    if any(one.variable == "amd_exporter_port" for one in ours):
        inner = "amd_exporter_inner_port"
        ours.append(listener(inner, values.get(inner, variables.all_variables()[inner]["default"]), "127.0.0.1"))
    return ours, [Listener("accelmon_custom_exporters", [f"{one['job']}:{one['port']}"], one["port"], "") for one in exporters if one.get("custom")]


def shared_ports(listeners):
    """Errors about ports that two services of a host would listen on. Two pages of one exporter of somebody else share a port rightly."""
    errors = []
    for number, one in enumerate(listeners):
        other = next((before for before in listeners[:number]
                      if before.port == one.port and before.variable != one.variable and overlap(before.address, one.address)), None)
        if other:
            errors.append(str(Problem(f"{other.variable} has the same port; change one of them", one.variable, one.shown)))
    return errors


def overlap(one, other):
    """Whether what listens at one address keeps another service from the same port at the other address."""
    return one in stack.EVERYWHERE or other in stack.EVERYWHERE or address_key(one) == address_key(other)


def name_problems(host, groups):
    """Errors about a host's name in the inventory."""
    problem = None
    if host in groups or host in ("all", "ungrouped"):
        problem = "a group has the same name, and patterns match the group; rename the host"
    elif len(host) > 253 or (UNUSABLE.search(host) and literal(host) is None) or not host.isprintable():
        problem = "not usable as a host name; use letters, digits, dots, dashes and underscores, or an IP address"
    return [str(Problem(problem, "inventory_hostname", host))] if problem else []


def selves(addresses, monitoring):
    """{host: [error]} for hosts at an address where whoever scrapes them reaches itself.

    addresses: as Checker has it; monitoring: the hosts that scrape. One that scrapes the fleet alone may be its own target.
    """
    errors = collections.defaultdict(list)
    for host, (name, address) in addresses.items():
        others = [other for other in monitoring if other != host] if means_itself(address) else []
        if others:
            errors[host].append(str(Problem(
                f"on {others[0]} this address means {others[0]} itself; set accelmon_address to one at which {others[0]} reaches this host", name, address)))
    return errors


def unknown_variable(name, variables_of_host):
    """The error about a variable that nothing reads."""
    value = UNEVALUATED
    try:
        value = fleet.fetch(variables_of_host, name)
    except Problem:
        pass
    near = proposal(name)
    if near and variables.all_variables()[near].get("no_log"):
        value = HIDDEN  # it is meant for one that is a secret
    fix = f"did you mean {near}?" if near else "correct the name."
    return str(Problem(f"no such variable; {fix} If it belongs to another tool, add it to accelmon_foreign_variables", name, value))


@functools.lru_cache(maxsize=None)
def proposal(name):
    """The known variable whose name is nearest, or None."""
    # What all of ours begin with makes no two of them alike.
    common = "accelmon_" if name.startswith("accelmon_") else ""
    known = [other[len(common):] for other in variables.all_variables() if other.startswith(common)]
    near = difflib.get_close_matches(name[len(common):], known, n=1, cutoff=0.75)
    return common + near[0] if near else None


def between_variables(values, wrong=()):
    """Errors about variables that do not go together; wrong: names of those that have a value which is no good, and an error already."""
    def lacks(name, length=1):
        return name not in wrong and len(values.get(name) or "") < length

    errors = [] if "accelmon_bundle" in wrong else bundle_errors(values)
    if values.get("accelmon_exporter_tls") == "files":
        errors += [f"{name} = '': required with accelmon_exporter_tls = files; set it to the file's path on the host" for name in VARIABLES if lacks(name)]
    if not values.get("accelmon_rule_files"):  # whose alerts may have any name and label
        errors += map(str, receivers.unmatched(values.get("alertmanager_receivers", []), values.get("accelmon_label_names", ())))
    if values.get("accelmon_backup_directory") and lacks("accelmon_backup_recipient"):
        errors.append("accelmon_backup_recipient = '': required with accelmon_backup_directory; set it to the file of a certificate on the control node")
    if values.get("accelmon_backup_directory") and lacks("accelmon_backup_secret", 32):
        errors.append("accelmon_backup_secret: required with accelmon_backup_directory; set it to a random text of at least 32 characters, "
                      "for example from openssl rand -hex 32")
    errors += storages.between_variables(values)
    errors += bucket_errors(values, lacks)
    if values.get("accelmon_job_user") == "hash" and lacks("accelmon_job_user_key", 16):
        errors.append("accelmon_job_user_key: required with accelmon_job_user = hash; set it to a random text of at least 16 characters")
    if values.get("accelmon_kubernetes_secret") and values.get("accelmon_exporter_tls") != "files":
        errors.append(f"accelmon_kubernetes_secret = {values['accelmon_kubernetes_secret']}: the collection cannot bring its certificates into a Secret; "
                      "set accelmon_exporter_tls to files, which are yours, or remove it")
    return errors + sites.problems(values, lacks("accelmon_global_password")) + slurm_errors(values) + collector_errors(values)


def bucket_errors(values, lacks):
    """Errors about copies of backups in a bucket."""
    url = values.get("accelmon_backup_s3_url")
    if not url:
        return []
    errors = [f"{name} = '': required with accelmon_backup_s3_url; set it to what the service has given you" for name in (
        "accelmon_backup_s3_access_key", "accelmon_backup_s3_secret_key") if lacks(name)]
    if lacks("accelmon_backup_directory"):
        errors.append(f"accelmon_backup_s3_url = {url}: only a backup in accelmon_backup_directory is copied there; set that as well, or empty this")
    return errors


def image_errors(roles, values, wrong=()):
    """Errors about programs in containers. roles: {role: variable that says that its program is in one}; wrong: as in `between_variables`"""
    errors = []
    for role, variable in roles.items():
        for name in IMAGES[role]:
            if name not in wrong and not values.get(name):
                errors.append(f"{name} = '': required with {variable} = container; set it to NAME@sha256:DIGEST")
    if values.get("accelmon_backup_test") == "monthly" and {"victoriametrics", "prometheus"} & roles.keys():
        errors.append("accelmon_backup_test = monthly: a storage in a container cannot be started for the test; set it to none")
    return errors


def bundle_errors(values):
    """Errors about programs from a bundle."""
    sources = {name: value for name, value in values.items() if name.endswith("_source")}
    if not values.get("accelmon_bundle"):
        return [f"{name} = bundle: accelmon_bundle is empty; set it to the directory of the bundle" for name, value in sources.items() if value == "bundle"]
    try:
        # A bundle may have the images of containers, too.
        if {"bundle", "container"} & {value for value in sources.values() if isinstance(value, str)}:
            bundle.read_lock(values["accelmon_bundle"], values.get("accelmon_bundle_public_key"))
    except Problem as error:
        return [str(error)]
    return []


def collector_errors(values):
    """Errors about how often and how long the collector reads."""
    interval, timeout = values.get("textfile_collector_interval"), values.get("textfile_collector_timeout")
    if timeout is None:
        return []
    interval = interval or seconds(values.get("accelmon_scrape_interval") or DEFAULT_INTERVAL)
    fix = f"not less than the interval of {interval} s; use at most {interval - 1}"
    return [f"textfile_collector_timeout = {timeout}: {fix}"] if timeout >= interval > 1 else []


def slurm_errors(values):
    """Errors about a Slurm controller."""
    errors = []
    listed = values.get("accelmon_exporters", "auto")
    missing = values.get("node_exporter_state") == "absent" or listed != "auto" and "node_exporter" not in listed
    if values.get("accelmon_slurm_controller") and missing:
        errors.append(str(Problem("node_exporter publishes what its collector reads; keep node_exporter on this host", "accelmon_slurm_controller", True)))
    chosen = [values.get(name, variables.declared(name)["default"]) for name in ("slurm_collector_interval", "slurm_collector_timeout")]
    if 2 * chosen[1] > chosen[0]:
        name = "slurm_collector_timeout" if "slurm_collector_timeout" in values else "slurm_collector_interval"
        fix = f"use at most {chosen[0] // 2}" if name == "slurm_collector_timeout" else f"use at least {2 * chosen[1]}, or shorten the timeout"
        errors.append(str(Problem(f"two timeouts ({chosen[1]} s each) do not fit into the interval ({chosen[0]} s); {fix}", name, values[name])))
    return errors


def clashes(places):
    """{host: [error]} for hosts that would be scraped at the same address and port."""
    errors = collections.defaultdict(list)
    for (address, port), hosts in places.items():
        if len(hosts) < 2:
            continue
        for host in hosts:
            others = [other for other in hosts if other != host]
            named = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
            errors[host].append(
                f"accelmon_address = {address}: port {port} there is also a target of {named}; "
                "give each host its own accelmon_address, or change the port of one exporter")
    return errors


def shut_out(access, monitoring):
    """{host: [error]} for hosts whose exporters would ask monitoring hosts for what these do not have.

    access: as Checker has it; monitoring: the hosts that scrape
    """
    errors = collections.defaultdict(list)
    for name in ACCESS:
        open_ones = [host for host in monitoring if host in access and access[host][name] == "none"]
        for host, asked in access.items():
            if open_ones and asked[name] != "none":
                errors[host].append(f"{name} = {asked[name]}: {', '.join(open_ones)} cannot scrape it with {name} = none; "
                                    "set it for the monitoring hosts too")
    return errors


def arrange(fleet_errors, errors):
    """What `fleet_check` returns; an error that all of several hosts have is told once, for the fleet."""
    counted = collections.Counter(text for found in errors.values() for text in set(found))
    shared = [text for text, count in counted.items() if count == len(errors) > 1]
    hosts = {}
    for host, found in errors.items():
        own = [f"{host}: {text}" for text in found if text not in shared]
        if own:
            hosts[host] = "\n".join(own)
    return {"fleet": fleet_errors + [f"all hosts: {text}" for text in shared], "hosts": hosts}
