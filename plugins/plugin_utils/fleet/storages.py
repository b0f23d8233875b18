# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which storages the vmagent of a monitoring host writes to: its own, and those of all other monitoring hosts with VictoriaMetrics.

So each storage has all samples, twice, and keeps one of the two. With one monitoring host, everything stays on its loopback.
"""
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import access, hosts as fleet
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import stack

READ = ("accelmon_backend", "victoriametrics_state", "victoriametrics_listen", "victoriametrics_port")


def is_pair(stores):
    """Whether storages get the samples of several hosts.

    stores: {monitoring host: its values of READ}
    """
    found = [values["victoriametrics_listen"] for values in stores.values() if is_store(values)]
    return len(found) > 1 and any(map(stack.is_shared, found))


def is_store(values):
    """Whether a monitoring host with these values of READ has a storage that others could write to."""
    return values["accelmon_backend"] == "victoriametrics" and values["victoriametrics_state"] != "absent"


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
    """{"services", "own"} as `stack.storages` returns them, and "pair": whether storages get the samples of several hosts. Raises Problem.

    monitoring: the monitoring hosts, in the order of the inventory; a host that is none has its own storage alone
    unseen: whether nobody looked at the host in this run, so that the address by which the others reach it is taken for one of its own
    """
    found = {str(name): fleet.settings(hostvars[name], READ) for name in (monitoring if host in monitoring else [host])}
    stores = {name: values for name, values in found.items() if name == host or is_store(values)}
    pair = is_store(found[host]) and is_pair(stores)
    members = {}
    for name, values in stores.items() if pair else [(host, found[host])]:
        address = access.host_names(name, fleet.HostVariables(hostvars, name))["address"] if pair else ""
        members[name] = {"address": address, "port": values["victoriametrics_port"], "listen": values["victoriametrics_listen"]}
    facts = fleet.facts_of(fleet.HostVariables(hostvars, host))
    own = facts["addresses"] if facts else [members[host]["address"]] * unseen
    members[host]["listen"] = stack.places(members[host], own, pair)[0]
    return {**stack.storages(host, members), "pair": pair}
