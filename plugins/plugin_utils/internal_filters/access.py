# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Internal filters about access: who keeps secrets, who is called what, what may not be decided by a fact."""
from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.accelmon.fleet.plugins.plugin_utils.filters import as_filter, internal
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import access, draining, facts
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.formats import read
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.hosts import HostVariables, setting
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import exporters


def secrets_keeper(groups):
    """The host that makes and keeps the fleet's secrets: the first of the group `monitoring`."""
    hosts = groups.get("monitoring")
    if not hosts:
        raise AnsibleFilterError("inventory: monitoring = []: the role access keeps the fleet's passwords and CA on the first host "
                                 "of this group; put the host there that should have them")
    return str(hosts[0])


@as_filter
def fleet_passwords(groups, hostvars):
    """{name: password as the inventory has it, "" to be generated} of the fleet, from the first of its monitoring hosts.

    Grafana has two where one of them runs it: the administrator's, and the one by which it encrypts what its database keeps. A Slurm controller that
    drains nodes has one to ask the storages.
    """
    keeper = hostvars[secrets_keeper(groups)]
    names = ["stack", "exporter"] + ["grafana"] * any(setting(hostvars[host], "accelmon_grafana") for host in groups["monitoring"])
    found = {name: setting(keeper, f"accelmon_{name}_password") for name in names}
    if draining.is_asked(hostvars, groups):
        found["drain"] = ""
    return {**found, **({"grafana_key": ""} if "grafana" in found else {})}


@as_filter
def host_names(host_variables):
    """{"address", "names", "client"}: by which names a host's certificate is asked for, from the host's `hostvars` entry."""
    host = str(host_variables["inventory_hostname"])
    return access.host_names(host, HostVariables({host: host_variables}, host))


@as_filter
def certificate_requests(hosts, hostvars, register):
    """Entries for certificate_signing: of each host whose registered result holds a request, with its names and purpose from the inventory."""
    return access.certificate_requests([str(host) for host in hosts], hostvars, register)


@as_filter
def unforged(value, told):
    """The value, unless a fact of the host has the name of a variable of this collection or of Ansible.

    With `inject_facts_as_vars`, Ansible's default, such a fact replaces the variable, and every module that runs on a host may
    return one. So this stands wherever a host's variables decide which secret or file of the control node it gets.
    """
    facts.refuse_forged(told)
    return value


@as_filter
def exporter_access(tls, auth="none", client_auth=True, path="/metrics"):
    """How an exporter with exporter-toolkit is secured: its arguments, files that it needs, directives of its unit, and how it is probed."""
    for name, value, known in (("accelmon_exporter_tls", tls, ("none", "managed", "files")), ("accelmon_exporter_auth", auth, ("none", "basic"))):
        if value not in known:
            raise AnsibleFilterError(f"{name} = {value}: not a choice; use {' or '.join(known)}")
    return exporters.access(str(tls), str(auth), read("accelmon_tls_client_auth", client_auth), str(path))


def secret_files(contents):
    """The entries of config_set for files with secrets, which our services may read. contents: {path: text}"""
    return [{"path": str(path), "secret": True, "group": "accelmon"} for path in contents]


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return internal(secrets_keeper, fleet_passwords, host_names, certificate_requests, unforged, exporter_access, secret_files)
