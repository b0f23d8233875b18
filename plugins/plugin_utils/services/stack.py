# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the services of the stack listen, and how they and their peers are reached: always with a password, with TLS beyond loopback."""

import collections
import json
import urllib.parse

from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.targets import instance
from ansible_collections.accelmon.fleet.plugins.plugin_utils.addresses import is_loopback, is_own

USER = "accelmon"
# Who may ask the storage queries and nothing else: a Slurm controller that drains nodes.
DRAINER = "accelmon-drain"
# Who may write samples and do nothing else: a site that sends its roll-ups to the global place. Which site it is, its password tells.
SITE = "accelmon-site"
# Where the storage listens in the network of its own that nothing else is in but what asks for the password before it.
STORAGE = "127.0.0.1:8428"
# A name that the certificates of monitoring hosts have, and those of nodes have not.
NAME = "localhost"
EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}

# services: roles of the services that a backend consists of, the one that evaluates last; scraper, storage, evaluator: who of them does what
Backend = collections.namedtuple("Backend", "services scraper storage evaluator")
BACKENDS = {
    "victoriametrics": Backend(("victoriametrics", "vmagent", "vmalert"), scraper="vmagent", storage="victoriametrics", evaluator="vmalert"),
    "prometheus": Backend(("prometheus",), scraper="prometheus", storage="prometheus", evaluator="prometheus"),
}

VM_CLIENTS = ("remoteWrite", "remoteRead", "datasource", "notifier")


def services(backend, grafana):
    """Roles of the services that a monitoring host with this backend runs; grafana: whether that is one of them."""
    return BACKENDS[backend].services + ("alertmanager",) + ("grafana",) * grafana


def listener(address, port, path="/-/ready"):
    """How a service listens on (address, port) and how others of its host reach it; path: a page that wants the password.

    {"listen": host:port, "target": host:port, "scheme", "url", "server_name" ("" without TLS),
     "web_config": file for exporter-toolkit, "vm_arguments": [arguments for VictoriaMetrics' programs],
     "password_arguments", "tls_arguments": those among them that ask for the password and speak TLS, "probe", "needs": as the role
      service takes them}
    """
    tls = not is_loopback(address)
    reach = EVERYWHERE.get(address, address)
    scheme = "https" if tls else "http"
    probe = {"path": path, "password_file": paths.STACK_PASSWORD}
    password_arguments = [f"-httpAuth.username={USER}", f"-httpAuth.password=file://{paths.STACK_PASSWORD}"]
    tls_arguments = ["-tls", f"-tlsCertFile={paths.CERTIFICATE}", f"-tlsKeyFile={paths.KEY}"] if tls else []
    if tls:
        probe.update(scheme="https", ca_file=paths.CA)
    return {
        "listen": instance(address, port), "target": instance(reach, port), "scheme": scheme, "url": f"{scheme}://{instance(reach, port)}",
        "server_name": NAME if tls else "", "web_config": paths.STACK_WEB_TLS if tls else paths.STACK_WEB,
        "vm_arguments": ["-enableTCP6", f"-httpListenAddr={instance(address, port)}"] + password_arguments + tls_arguments,
        "password_arguments": password_arguments, "tls_arguments": tls_arguments, "probe": probe,
        "needs": [paths.STACK_PASSWORD] + [paths.CERTIFICATE] * tls,
    }


def vmauth_config(password, drain_password="", site_password="", site_passwords=None):
    """The file by which vmauth lets in who has the password, and nobody else, whatever is asked for.

    drain_password: that of DRAINER, site_password: that sites have in common; "" if there is none
    site_passwords: {cluster: [passwords of its site alone]}; whatever is written with one of them, vmauth has the storage label with this cluster

    JSON, which is YAML too. vmauth fills in %{NAME} from its environment before it reads: no sign of percent stands as itself.
    """
    users = [{"username": USER, "password": password, "url_prefix": f"http://{STORAGE}"}]
    limited = [(DRAINER, drain_password, "/api/v1/query", ""), (SITE, site_password, "/api/v1/write", "")]
    limited += [(SITE, its_own, "/api/v1/write", f"?extra_label=cluster={cluster}")
                for cluster, several in (site_passwords or {}).items() for its_own in several]
    users += [{"username": user, "password": its_own, "url_map": [{"src_paths": [path], "url_prefix": f"http://{STORAGE}{label}"}]}
              for user, its_own, path, label in limited if its_own]
    return json.dumps({"users": users}, indent=2).replace("%", "\\u0025") + "\n"


def vm_log_level(level):
    """The argument of VictoriaMetrics' programs for `accelmon_log_level`: they have no debug."""
    return "-loggerLevel=" + ("info" if level == "debug" else level).upper()


def vm_client(kind, services, path=""):
    """Arguments by which a program of VictoriaMetrics reaches services with their password.

    kind: one of VM_CLIENTS, the beginning of its arguments; services: [{"url", "server_name"}], of another fleet what `abroad` returned
    path: what follows in the URL of a service of this one
    """
    arguments = [f"-{kind}.url={service['url']}{service.get('path', path)}" for service in services]
    if not services:
        return arguments
    own = {"user": USER, "password_file": paths.STACK_PASSWORD, "ca_file": paths.CA}
    tls = any(service["url"].startswith("https:") for service in services)
    named = [("basicAuth.username", "user"), ("basicAuth.passwordFile", "password_file")] + [("tlsCAFile", "ca_file")] * tls
    for argument, key in named:
        values = [service.get(key, own[key]) for service in services]
        # One alone is for all. Where none of them has one, there is nothing to say.
        arguments += [] if not any(values) else [f"-{kind}.{argument}={value}" for value in (values if len(set(values)) > 1 else values[:1])]
    # One for each URL, in their order.
    return arguments + [f"-{kind}.tlsServerName={service['server_name']}" for service in services if tls]


def abroad(url, user, ca_file):
    """A storage that is not of this fleet, as `vm_client` takes it; ca_file: of its authority, "" for those that the host trusts."""
    return {"url": url, "path": "", "server_name": urllib.parse.urlsplit(url).hostname, "user": user, "password_file": paths.GLOBAL_PASSWORD,
            "ca_file": ca_file, "gets": "global"}


def of_site(url, user, password_file):
    """A storage of the site's own, as `vm_client` takes it; user, password_file: "" for none. It is known by what the host trusts."""
    return {"host": "", "url": url, "path": "", "server_name": urllib.parse.urlsplit(url).hostname or "", "user": user, "password_file": password_file,
            "ca_file": ""}


def authorities(services):
    """Files of the authorities by which a program knows these services, [{"url", "ca_file"?}].

    VictoriaMetrics' programs read them once, when they start.
    """
    found = [service.get("ca_file", paths.CA) for service in services if service["url"].startswith("https:")]
    return list(dict.fromkeys(path for path in found if path))


def gossip_arguments(pair, listen, advertised, peers, tls_file):
    """Arguments of Alertmanager about gossip. Who is alone opens no port for it.

    pair: whether there are others; listen, advertised: ADDRESS:PORT; peers: those of the others
    """
    if not pair:
        return ["--cluster.listen-address="]
    return [f"--cluster.listen-address={listen}", f"--cluster.advertise-address={advertised}", f"--cluster.tls-config={tls_file}",
            # The second one notifies too unless it hears within 15 s that the first one did. The usual minute is too long to make good for lost gossip.
            "--cluster.pushpull-interval=5s",
            *(f"--cluster.peer={peer}" for peer in peers)]


def places(member, own, pair):
    """(address to listen on, address to gossip at) of a host's Alertmanager; own: the addresses of its interfaces.

    A name, or an address that is translated on its way, is none to listen on; then it is every address. Gossip needs one that
    others can answer to: what the host listens on if that is one address, else its first.
    """
    listen = member["listen"]
    if not pair:
        return listen or "127.0.0.1", ""
    if not listen and is_own(member["address"], own):
        listen = member["address"]
    first = own[0] if own else ""
    return listen, first if listen in EVERYWHERE else listen


def gossip_listener(gossip, listen, own):
    """The address to listen on for gossip, one for which no other host has to know which of two families its name resolves to.

    gossip, listen: as `places` gives them
    """
    if listen not in EVERYWHERE:
        return gossip
    return "::" if listen != "0.0.0.0" and any(":" in address for address in own) else "0.0.0.0"


def reached(host, members):
    """[{"host", "url", "target", "scheme", "server_name"}]: how a host reaches the same service of several hosts, itself by its own listener.

    members: {host: {"address": at which others reach it, "port", "listen": "" or its own choice}}; host may be missing
    """
    services = []
    for name, member in members.items():
        if name == host:
            local = listener(member["listen"], member["port"])
            services.append({"host": name, **{key: local[key] for key in ("url", "target", "scheme", "server_name")}})
        else:
            target = instance(member["address"], member["port"])
            services.append({"host": name, "url": f"https://{target}", "target": target, "scheme": "https", "server_name": member["address"]})
    return services


def alertmanagers(host, members):
    """What there is of Alertmanager, as one monitoring host sees it.

    members: as `reached` takes them, with "gossip_port"
    -> {"services": what `reached` returns, of all, "pair": bool,
        "peers": [host:port of the gossip of the others], "own": {"alertmanager": this host's service} or {}}
    One alone listens on loopback. Several reach one another at their addresses, with TLS.
    """
    services = reached(host, members)
    peers = [instance(member["address"], member["gossip_port"]) for name, member in members.items() if name != host]
    own = {"alertmanager": service for service in services if service["host"] == host}
    return {"services": services, "pair": len(members) > 1, "peers": peers, "own": own}


def is_shared(listen):
    """Whether other monitoring hosts can write to a storage with this `victoriametrics_listen`; "" is where they can."""
    return not (listen and is_loopback(listen))


def storages(host, members, stored=True):
    """What there is of VictoriaMetrics, as one monitoring host sees it.

    members: as `reached` takes them, with the host; stored: whether that has a storage itself
    -> {"services": those that it writes to, as `reached` returns them, "own": its own `listener`, with "address" and "port"}

    Its own comes first, the others in the order of the inventory: what waits for a storage on vmagent's disk belongs to a place in this list.
    """
    member = members[host]
    others = {name: other for name, other in members.items() if name != host and is_shared(other["listen"])}
    return {"services": reached(host, {**({host: member} if stored else {}), **others}),
            "own": dict(listener(member["listen"], member["port"]), address=member["listen"], port=member["port"])}
