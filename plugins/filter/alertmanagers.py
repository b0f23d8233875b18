# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter alertmanagers: those of all monitoring hosts, as one of them sees them."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import access, hosts as fleet, variables
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import stack

READ = ("alertmanager_port", "alertmanager_gossip_port", "alertmanager_listen", "alertmanager_state")


def alertmanagers(hosts, hostvars, host):
    """See alertmanagers.yml."""
    declared = variables.role_variables("alertmanager")
    reader = fleet.Reader({name: declared[name] for name in READ})
    members = {}
    for name in map(str, hosts):
        of_host = variables_of(hostvars, name)
        values, errors = reader.read_all(of_host)
        if errors:
            raise AnsibleFilterError(f"{name}: {errors[0]}")
        if values["alertmanager_state"] == "absent":
            continue
        try:
            address = access.host_names(name, of_host)["address"]
        except fleet.FleetError as error:
            raise AnsibleFilterError(str(error)) from None
        members[name] = {"address": address, "port": values["alertmanager_port"], "gossip_port": values["alertmanager_gossip_port"],
                         "listen": values["alertmanager_listen"]}
    gossip = gossip_listen = ""
    if host in members:
        own = addresses_of(variables_of(hostvars, host))
        members[host]["listen"], gossip = stack.places(members[host], own, len(members) > 1)
        gossip_listen = stack.gossip_listener(gossip, members[host]["listen"], own)
    return {**stack.alertmanagers(host, members), "listen": members.get(host, {}).get("listen", "127.0.0.1"), "gossip": gossip,
            "gossip_listen": gossip_listen}


def variables_of(hostvars, host):
    """The variables of a host; an error where its facts stand for some."""
    try:
        return fleet.HostVariables(hostvars, host)
    except fleet.Untrusted as error:
        raise AnsibleFilterError(str(error)) from None


def addresses_of(variables_of_host):
    """The addresses that a host told."""
    try:
        facts = fleet.facts_of(variables_of_host)
    except fleet.Untrusted as error:
        raise AnsibleFilterError(str(error)) from None
    return facts["addresses"] if facts else []


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"alertmanagers": alertmanagers}
