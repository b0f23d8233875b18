# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a Slurm controller that drains nodes asks for verdicts: on a monitoring host that host's own storage; elsewhere those of all monitoring
hosts, over the network, as a user of its own who may ask queries and nothing else."""
from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.targets import instance
from ansible_collections.accelmon.fleet.plugins.plugin_utils.addresses import is_loopback
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import access, hosts as fleet, plan, storages as stores
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import stack
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import draining

ASKING = ("accelmon_drain", "accelmon_slurm_controller", "slurm_drain_state", "slurm_drain_storage_urls")
LIMITS = ("own_percent", "total_percent", "per_hour")
REHEARSED = ("accelmon_cluster", "accelmon_slurm_controller") + tuple(f"slurm_drain_{name}" for name in LIMITS)


def is_asked(hostvars, groups):
    """Whether some controller that is no monitoring host asks the storages of the fleet."""
    monitoring = set(groups.get("monitoring", ()))
    return any(plan.asks_for_verdicts(fleet.settings(hostvars[host], ASKING)) for host in controllers(hostvars, groups) if host not in monitoring)


def controllers(hostvars, groups):
    """Hosts that may be Slurm controllers, with accelmon_slurm_controller of whatever value. To read variables of all hosts would cost much more."""
    return [host for host in dict.fromkeys([*groups.get("accelerator_nodes", ()), *groups.get("monitoring", ())])
            if "accelmon_slurm_controller" in fleet.HostVariables(hostvars, str(host)).raw]


def rehearsed(hostvars, groups):
    """[{"cluster", "query", "silences", "own_percent", "total_percent", "per_hour"}] of the clusters with a Slurm controller.

    Raises Problem if there is none.
    """
    found = {}
    for host in controllers(hostvars, groups):
        values = fleet.settings(hostvars[host], REHEARSED)
        if values["accelmon_slurm_controller"]:
            cluster = values["accelmon_cluster"]
            found.setdefault(cluster, {"cluster": cluster, "query": draining.query(cluster), "silences": draining.SILENCES,
                                       **{name: values[f"slurm_drain_{name}"] for name in LIMITS}})
    if not found:
        raise Problem("inventory: no host has accelmon_slurm_controller = true; set it for the Slurm controller, whose limits are rehearsed")
    return list(found.values())


def storages(groups, hostvars, host):
    """{"urls", "user", "password_file", "ca", "needs"} of the storages that a controller asks. Raises Problem."""
    monitoring = [str(name) for name in groups.get("monitoring", ())]
    if not monitoring:
        value = fleet.setting(hostvars[host], "accelmon_drain")
        raise Problem("no host of the group monitoring can be asked; set slurm_drain_storage_urls", "accelmon_drain", value)
    own = stores.of_site(hostvars[host]) if host in monitoring else {}
    if own:
        return {"urls": [own["url"]], "user": own["user"], "password_file": own["password_file"], "ca": "", "needs": []}
    if host in monitoring:
        own = stores.read(host, hostvars, monitoring)
        return {"urls": [own["url"]], "user": stack.USER, "password_file": paths.STACK_PASSWORD, "ca": paths.CA if own["scheme"] == "https" else "",
                "needs": [paths.STACK_PASSWORD]}
    urls = []
    for name in monitoring:
        if fleet.setting(hostvars[name], "victoriametrics_state") == "absent" or stores.of_site(hostvars[name]):
            continue
        address = access.host_names(name, fleet.HostVariables(hostvars, name))["address"]
        urls.append(f"https://{instance(address, fleet.setting(hostvars[name], 'victoriametrics_port'))}")
    return {"urls": urls, "user": stack.DRAINER, "password_file": paths.DRAIN_PASSWORD, "ca": paths.CA, "needs": [paths.DRAIN_PASSWORD, paths.CA]}


def deaf(asking, asked):
    """{host: [Problem]} of controllers that cannot ask a monitoring host.

    asking: {controller: its accelmon_drain} of those that are no monitoring hosts; asked: {monitoring host: its values, of storages.READ among them}
    """
    found = {}
    alone = "" if stores.is_pair(asked) else "127.0.0.1"
    for host, value in asking.items():
        found[host] = []
        for store, values in asked.items():
            wrong, listen = None, values["victoriametrics_listen"] or alone
            if values["vmalert_storage_url"] and values["accelmon_backend"] == "victoriametrics":
                wrong = f"{store} asks a storage of the site's own, whose password is not on the controller; put the controller into the group monitoring"
            elif values["victoriametrics_state"] == "absent":
                continue
            elif values["accelmon_backend"] != "victoriametrics":
                wrong = f"the storage of {store} is Prometheus, which has no user that may only ask; put the controller into the group monitoring"
            elif is_loopback(listen):
                wrong = (f"the storage of {store} listens on {listen} alone; set victoriametrics_listen there to an address that "
                         "the controller reaches, or put the controller into the group monitoring")
            found[host] += [Problem(wrong + ", or set slurm_drain_storage_urls", "accelmon_drain", value)] if wrong else []
    return found
