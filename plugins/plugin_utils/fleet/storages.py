# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which storages the vmagent of a monitoring host writes to: its own, if it has one, and those of all other monitoring hosts with VictoriaMetrics.

So each storage has all samples, from several vmagents, and keeps one of each. With one monitoring host, everything stays on its loopback.

A vmalert evaluates on one storage, its host's own, and records there. Those on hosts that have none take turns at storages that have no vmalert beside them.
"""
import urllib.parse

from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import access, hosts as fleet
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import stack

READ = ("accelmon_backend", "victoriametrics_state", "victoriametrics_listen", "victoriametrics_port", "vmagent_state", "vmagent_remote_write_url",
        "vmagent_replication_factor", "vmalert_state", "vmalert_storage_url", "vmalert_port")
# Of a storage that is no host's of the fleet, which serves all that ask.
OF_SITE = ("accelmon_backend", "vmalert_storage_url", "vmalert_storage_user", "vmalert_storage_password_file")
PROMETHEUS = ("accelmon_backend", "prometheus_state", "prometheus_listen", "prometheus_port")


def is_pair(members):
    """Whether storages get the samples of several hosts, or of another one than their own.

    members: {monitoring host: its values of READ}
    """
    shared = any(stack.is_shared(values["victoriametrics_listen"]) for values in members.values() if is_store(values))
    return shared and len([values for values in members.values() if takes_part(values)]) > 1


def takes_part(values):
    """Whether a monitoring host with these values of READ has a storage, or a service that needs one."""
    return is_store(values) or is_writer(values) or is_evaluator(values)


def is_store(values):
    """Whether a monitoring host with these values of READ has a storage that others could write to."""
    return values["accelmon_backend"] == "victoriametrics" and values["victoriametrics_state"] != "absent"


def is_writer(values):
    """Whether a monitoring host with these values of READ has a vmagent that writes to storages of the fleet."""
    return values["accelmon_backend"] == "victoriametrics" and values["vmagent_state"] != "absent" and not values["vmagent_remote_write_url"]


def is_evaluator(values):
    """Whether a monitoring host with these values of READ has a vmalert that evaluates on a storage of the fleet."""
    return values["accelmon_backend"] == "victoriametrics" and values["vmalert_state"] != "absent" and not values["vmalert_storage_url"]


def readers(members):
    """{monitoring host with VictoriaMetrics: the host whose storage it asks, and on which its vmalert evaluates}, without those that reach none.

    members: as `is_pair` takes them, in the order of the inventory
    """
    shared = [host for host, values in members.items() if is_store(values) and stack.is_shared(values["victoriametrics_listen"])]
    alone = [host for host in shared if not is_evaluator(members[host])] or shared
    found, turns = {}, 0
    for host, values in members.items():
        if is_store(values):
            found[host] = host
        elif values["accelmon_backend"] == "victoriametrics" and shared:
            found[host] = alone[turns % len(alone)] if is_evaluator(values) else shared[0]
            turns += is_evaluator(values)
    return found


def evaluator(host, members):
    """The host whose vmalert is asked about the rules that are evaluated on the storage that a host asks; "" if there is none."""
    if members[host]["vmalert_state"] != "absent":
        return host
    storage_of = readers(members)
    having = [name for name in storage_of if members[name]["vmalert_state"] != "absent"]
    return next((name for name in having if storage_of[name] == storage_of.get(host)), having[0] if having else "")


def shard(host, members):
    """{"number", "members", "copies"}: which of several vmagents one is, and how many of them scrape each node; {} where all of them do."""
    writers, copies = [name for name, values in members.items() if is_writer(values)], members[host]["vmagent_replication_factor"]
    if host not in writers or not 0 < copies < len(writers):
        return {}
    return {"number": writers.index(host), "members": len(writers), "copies": copies}


def problems(members, restricted):
    """{host: [Problem]} about services of VictoriaMetrics that do not go together.

    members: as `is_pair` takes them; restricted: roles that groups keep from some monitoring hosts
    """
    found = sharing(members)
    storage_of, evaluating = readers(members), [host for host, values in members.items() if is_evaluator(values)]
    for host, values in members.items() if {"victoriametrics", "vmalert"} & restricted else ():
        wrong = None
        if takes_part(values) and host not in storage_of:
            wrong = ("its services reach no storage of another host, and it has none; let one listen beyond loopback, or add this host to the group "
                     "victoriametrics")
        elif is_store(values) and not any(storage_of.get(other) == host for other in evaluating):
            wrong = "no vmalert evaluates rules on its storage, which needs one for itself; add a host without a storage to the group vmalert, or this one"
        if wrong:
            found.setdefault(host, []).append(Problem(wrong))
    return found


def between_variables(values):
    """[line] about what does not go together with a storage of the site's own, in variables of one host."""
    url = values.get("vmalert_storage_url")
    if not url:
        return []
    found = []
    if "@" in urllib.parse.urlsplit(url).netloc:
        found.append(Problem("every user of the host would see its password in the list of processes; put it into a file on the host, and set "
                             "vmalert_storage_user and vmalert_storage_password_file", "vmalert_storage_url", url))
    if values.get("vmalert_storage_user") and not values.get("vmalert_storage_password_file"):
        found.append(Problem("required with vmalert_storage_user; set it to a file on the host that the group accelmon can read",
                             "vmalert_storage_password_file", ""))
    for name, why in (("accelmon_backup_directory", "a backup is of the storage of this host, which has none; remove it, and back up the site's own by its own "
                                                    "means"),
                      ("accelmon_global_url", "roll-ups are read out of the storage of this host, which has none; remove it")):
        if values.get(name) and values.get("victoriametrics_state") == "absent":
            found.append(Problem(f"not possible with vmalert_storage_url and victoriametrics_state = absent: {why}", name, values[name]))
    return [str(problem) for problem in found]


def sharing(members):
    """{host: [Problem]} about vmagents that would leave nodes to nobody. members: as `is_pair` takes them"""
    found, name = {}, "vmagent_replication_factor"
    factors = {host: values[name] for host, values in members.items() if is_writer(values)}
    first = next(iter(factors), None)
    for host, copies in factors.items():
        if copies != factors[first]:
            wrong = f"{first} has {factors[first]}, so some nodes would be scraped by nobody; set the same for all monitoring hosts"
            found[host] = [Problem(wrong, name, copies)]
    for host, values in members.items():
        if is_store(values) and not stack.is_shared(values["victoriametrics_listen"]) and any(0 < copies < len(factors) for copies in factors.values()):
            wrong = f"only its own vmagent writes there, and with {name} that scrapes a part of the nodes; remove it, or {name}"
            found.setdefault(host, []).append(Problem(wrong, "victoriametrics_listen", values["victoriametrics_listen"]))
    return found


def not_replayed(hosts, hostvars):
    """Why rules cannot be evaluated over the past of these monitoring hosts, one line each: of whose vmalert has a storage of the site's own, or
    is in a container.
    """
    found = []
    for host in map(str, hosts):
        values = fleet.settings(hostvars[host], ("accelmon_backend", "vmalert_state", "vmalert_storage_url"))
        source, name = fleet.source_on(hostvars[host], "vmalert")
        if values["accelmon_backend"] != "victoriametrics" or values["vmalert_state"] == "absent":
            continue
        if values["vmalert_storage_url"]:
            # Its credentials are somewhere in vmalert_extra_args, and another storage than VictoriaMetrics need not take what was long ago.
            found.append(str(Problem("its vmalert records into that storage, and replay.yml knows the host's own alone; leave the host out with --limit, and "
                                     "run vmalert -replay.timeFrom against that storage", "vmalert_storage_url", values["vmalert_storage_url"], host)))
        elif source == "container":
            # What calls the program of the image gives it no network.
            found.append(str(Problem("replay.yml runs a second vmalert, and cannot where it is in a container; leave the host out with --limit", name, source,
                                     host)))
    return found


def seen(host, hostvars, monitoring, unseen=False):
    """{"services", "own"} as `stack.storages` returns them, "read": the one of these services that it asks, and on which its vmalert evaluates,
    "pair": whether storages get the samples of several hosts, and `shard`. Raises Problem.

    monitoring: the monitoring hosts, in the order of the inventory; a host that is none has its own storage alone
    unseen: whether nobody looked at the host in this run, so that the address by which the others reach it is taken for one of its own
    """
    found = members_of(host, hostvars, monitoring, READ)
    pair = takes_part(found[host]) and is_pair(found)
    members = {}
    for name, values in found.items() if pair else [(host, found[host])]:
        if name == host or is_store(values):
            address = access.host_names(name, fleet.HostVariables(hostvars, name))["address"] if pair else ""
            members[name] = {"address": address, "port": values["victoriametrics_port"], "listen": values["victoriametrics_listen"]}
    facts = fleet.facts_of(fleet.HostVariables(hostvars, host))
    own = facts["addresses"] if facts else [members[host]["address"]] * unseen
    members[host]["listen"] = stack.places(members[host], own, pair)[0]
    made = stack.storages(host, members, is_store(found[host]) or not pair)
    name = readers(found).get(host, host)
    chosen = next((service for service in made["services"] if service["host"] == name), made["services"][0])
    return {**made, "read": chosen, "pair": pair, "shard": shard(host, found)}


def members_of(host, hostvars, monitoring, names):
    """{monitoring host: its values of names}; of a host that is none, itself alone."""
    return {str(name): fleet.settings(hostvars[name], names) for name in (monitoring if host in monitoring else [host])}


def of_site(host_variables):
    """The storage of the site's own on which a monitoring host evaluates, and which everything asks there; see `stack.of_site`. {} if there is none."""
    values = fleet.settings(host_variables, OF_SITE)
    if values["accelmon_backend"] != "victoriametrics" or not values["vmalert_storage_url"]:
        return {}
    return stack.of_site(*(values[name] for name in OF_SITE[1:]))


def asked(host, hostvars, monitoring):
    """{"storage", "storage_access", "rules"}: URLs at which a monitoring host asks for series and for rules; "rules" is missing where these are its own.

    storage_access: {"user", "password_file"} of a storage of the site's own, {} of one of the fleet, which takes the stack's password. Raises Problem.
    """
    own = of_site(hostvars[host])
    storage = {"storage": (own or read(host, hostvars, monitoring, unseen=True))["url"],
               "storage_access": {name: own[name] for name in ("user", "password_file")} if own else {}}
    if fleet.setting(hostvars[host], "accelmon_backend") == "prometheus":
        return {**storage, "rules": storage["storage"]}
    found = members_of(host, hostvars, monitoring, READ)
    evaluating = evaluator(host, found)
    rules = {} if evaluating in ("", host) else {"rules": reached(evaluating, hostvars, found[evaluating]["vmalert_port"])["url"]}
    return {**storage, **rules}


def read(host, hostvars, monitoring, unseen=False):
    """The storage that a monitoring host asks, as `stack.reached` returns it: its own, if it has one. Raises Problem. unseen: as `seen` takes it"""
    if fleet.setting(hostvars[host], "accelmon_backend") == "victoriametrics":
        return seen(host, hostvars, monitoring, unseen)["read"]
    found = members_of(host, hostvars, monitoring, PROMETHEUS)
    having = [name for name, values in found.items() if values["accelmon_backend"] == "prometheus" and values["prometheus_state"] != "absent"]
    if host in having or not having:
        return stack.listener(found[host]["prometheus_listen"], found[host]["prometheus_port"])
    return reached(having[0], hostvars, found[having[0]]["prometheus_port"])


def reached(host, hostvars, port):
    """A service of a host as other hosts reach it; see `stack.reached`. Raises Problem."""
    address = access.host_names(host, fleet.HostVariables(hostvars, host))["address"]
    return stack.reached("", {host: {"address": address, "port": port}})[0]
