# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the services of one host reach one another: each role runs one service, and reads from here where the others are.

Also those of hosts that have no scraper, which the scrapers of other hosts watch.
"""
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.targets import instance
from ansible_collections.accelmon.fleet.plugins.plugin_utils.addresses import is_loopback
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import access, hosts as fleet, listening
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import grafana, stack

# Where VictoriaMetrics is depends on other hosts: see storages.py.
SERVICES = tuple(service for backend in stack.BACKENDS.values() for service in backend.services if service != "victoriametrics")
NAMES = tuple(f"{service}_{word}" for service in SERVICES for word in ("listen", "port")) + (
    "node_exporter_port", "node_exporter_metrics_path", "node_exporter_managed", "accelmon_exporter_tls", "accelmon_grafana", "grafana_listen",
    "grafana_port", "grafana_root_url")
STACK = tuple(dict.fromkeys(role for backend in stack.BACKENDS for role in stack.services(backend, True)))
WATCHED = ("accelmon_backend", "accelmon_grafana", "accelmon_cluster", "grafana_root_url") + tuple(
    f"{role}_{word}" for role in STACK for word in ("state", "listen", "port"))


def neighbours(host_variables):
    """{service of a backend: its `stack.listener` with address and port, "node_exporter": {"target", "scheme", "path"},
    "grafana"?: its `grafana.listener`} of one host; Grafana only where the host runs it, and not VictoriaMetrics.

    host_variables: the entry of the host in `hostvars`. Raises Problem.
    """
    values = fleet.settings(host_variables, NAMES)
    found = {}
    for service in SERVICES:
        address, port = values[f"{service}_listen"], values[f"{service}_port"]
        found[service] = dict(stack.listener(address, port), address=address, port=port)
    tls = values["node_exporter_managed"] == "install" and values["accelmon_exporter_tls"] != "none"
    listen = listening.of_role(host_variables, "node_exporter") or "127.0.0.1"
    found["node_exporter"] = {"target": instance(listen, values["node_exporter_port"]), "scheme": "https" if tls else "http",
                              "path": values["node_exporter_metrics_path"]}
    if values["accelmon_grafana"]:
        found["grafana"] = grafana.listener(values["grafana_listen"], values["grafana_port"], values["grafana_root_url"])
    return found


def present(services, host_variables):
    """Those of {role: ...} whose role a host has."""
    states = fleet.settings(host_variables, [f"{role}_state" for role in services])
    return {role: service for role, service in services.items() if states[f"{role}_state"] != "absent"}


def is_watched(values):
    """Whether a monitoring host, by its values of WATCHED, has a scraper."""
    return values[f"{stack.BACKENDS[values['accelmon_backend']].scraper}_state"] != "absent"


def unwatched(values):
    """Roles of the services of a monitoring host that has no scraper, by its values of WATCHED; none if it has one."""
    if is_watched(values):
        return []
    return [role for role in stack.services(values["accelmon_backend"], values["accelmon_grafana"]) if values[f"{role}_state"] != "absent"]


def unreached(values, restricted):
    """[Problem] about services of a monitoring host, by its values of WATCHED, that others have to reach and cannot: to watch what has no scraper beside it,
    and to ask an evaluator that they have none of.

    restricted: roles that groups keep from some monitoring hosts
    """
    backend = stack.BACKENDS[values["accelmon_backend"]]
    needed = unwatched(values) + ["node_exporter"] * (not is_watched(values)) if backend.scraper in restricted else []
    needed += [backend.evaluator] if backend.evaluator in restricted and values[f"{backend.evaluator}_state"] != "absent" else []
    return [Problem("other monitoring hosts have to reach it, as groups keep some roles of the stack from some of them; set it to 0.0.0.0 or an address of "
                    "this host" + ", where it speaks TLS and asks for the password" * (name != "node_exporter_listen"), name, values[name])
            for name in dict.fromkeys(f"{role}_listen" for role in needed) if not is_reachable(values[name])]


def homeless(values, restricted):
    """[Problem] about settings of a monitoring host that need roles that groups keep from it. values, restricted: as `unreached` takes them"""
    backend, found = stack.BACKENDS[values["accelmon_backend"]], []
    lacking = [role for role in dict.fromkeys((backend.storage, backend.scraper)) if role in restricted and values[f"{role}_state"] == "absent"]
    for name, what, needed in (("accelmon_backup_directory", "a backup is of the storage", {backend.storage}),
                               ("accelmon_global_url", "a scraper reads roll-ups out of the storage beside it", {backend.storage, backend.scraper})):
        missing = [role for role in lacking if role in needed]
        if missing and values[name]:
            found.append(Problem(f"{what}, and groups keep {' and '.join(missing)} from this host; remove it here, or add the host to the group", name,
                                 values[name]))
    return found


def elsewhere(host, hostvars, monitoring):
    """[{"job", "cluster", "node", "target", "scheme", "server_name", "path"?, "series"?}] of what a scraper watches on hosts that have none: the services
    of the stack, and as `accelmon_fleet` the node_exporter, which publishes the registry and the silences of an Alertmanager.

    What listens on loopback alone is out of reach. Raises Problem.
    """
    found = []
    for name in monitoring if host in monitoring else ():
        values = fleet.settings(hostvars[name], WATCHED) if name != host else None
        if not values or is_watched(values):
            continue
        address = access.host_names(name, fleet.HostVariables(hostvars, name))["address"]
        whose = {"cluster": values["accelmon_cluster"], "node": name}
        found += [{"job": role, **whose, **page(role, address, values)} for role in unwatched(values) if is_reachable(values[f"{role}_listen"])]
        if is_reachable(listening.of_role(hostvars[name], "node_exporter")):
            port = fleet.setting(hostvars[name], "node_exporter_port")
            found.append({"job": "accelmon_fleet", **whose, **neighbours(hostvars[name])["node_exporter"], "target": instance(address, port),
                          "server_name": stack.NAME})
    return found


def is_reachable(listen):
    """Whether other hosts reach what listens at an address; "" is all, or one that they reach."""
    return not (listen and is_loopback(listen))


def page(role, address, values):
    """Where others read the series of a service of a host. address: of the host; values: as `is_watched` takes them"""
    (service,) = stack.reached("", {role: {"address": address, "port": values[f"{role}_port"]}})
    own = grafana.listener("", 0, values["grafana_root_url"]) if role == "grafana" else {}
    return {**{key: service[key] for key in ("target", "scheme", "server_name")}, **{key: own[key] for key in ("path", "series") if key in own}}
