# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which storages the vmagent of a monitoring host writes to: its own, if it has one, and those of all other monitoring hosts with VictoriaMetrics.

So each storage has all samples, from several vmagents, and keeps one of each. With one monitoring host, everything stays on its loopback.
"""
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import access, hosts as fleet
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import stack

READ = ("accelmon_backend", "victoriametrics_state", "victoriametrics_listen", "victoriametrics_port", "vmagent_state", "vmagent_remote_write_url",
        "vmagent_replication_factor")


def is_pair(members):
    """Whether storages get the samples of several hosts, or of another one than their own.

    members: {monitoring host: its values of READ}
    """
    shared = any(stack.is_shared(values["victoriametrics_listen"]) for values in members.values() if is_store(values))
    return shared and len([values for values in members.values() if is_store(values) or is_writer(values)]) > 1


def is_store(values):
    """Whether a monitoring host with these values of READ has a storage that others could write to."""
    return values["accelmon_backend"] == "victoriametrics" and values["victoriametrics_state"] != "absent"


def is_writer(values):
    """Whether a monitoring host with these values of READ has a vmagent that writes to storages of the fleet."""
    return values["accelmon_backend"] == "victoriametrics" and values["vmagent_state"] != "absent" and not values["vmagent_remote_write_url"]


def shard(host, members):
    """{"number", "members", "copies"}: which of several vmagents one is, and how many of them scrape each node; {} where all of them do."""
    writers, copies = [name for name, values in members.items() if is_writer(values)], members[host]["vmagent_replication_factor"]
    if host not in writers or not 0 < copies < len(writers):
        return {}
    return {"number": writers.index(host), "members": len(writers), "copies": copies}


def problems(members):
    """{host: [Problem]} about vmagents that do not go together. members: as `is_pair` takes them"""
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
        values = fleet.settings(hostvars[host], ("accelmon_backend", "vmalert_storage_url"))
        source, name = fleet.source_on(hostvars[host], "vmalert")
        if values["accelmon_backend"] != "victoriametrics":
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
    """{"services", "own"} as `stack.storages` returns them, "pair": whether storages get the samples of several hosts, and `shard`. Raises Problem.

    monitoring: the monitoring hosts, in the order of the inventory; a host that is none has its own storage alone
    unseen: whether nobody looked at the host in this run, so that the address by which the others reach it is taken for one of its own
    """
    found = {str(name): fleet.settings(hostvars[name], READ) for name in (monitoring if host in monitoring else [host])}
    pair = (is_store(found[host]) or is_writer(found[host])) and is_pair(found)
    members = {}
    for name, values in found.items() if pair else [(host, found[host])]:
        if name == host or is_store(values):
            address = access.host_names(name, fleet.HostVariables(hostvars, name))["address"] if pair else ""
            members[name] = {"address": address, "port": values["victoriametrics_port"], "listen": values["victoriametrics_listen"]}
    facts = fleet.facts_of(fleet.HostVariables(hostvars, host))
    own = facts["addresses"] if facts else [members[host]["address"]] * unseen
    members[host]["listen"] = stack.places(members[host], own, pair)[0]
    stored = is_store(found[host]) or not pair
    return {**stack.storages(host, members, stored), "pair": pair, "shard": shard(host, found)}
