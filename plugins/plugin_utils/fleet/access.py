# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What certificates are made for: the names a host is called by, from the inventory alone."""
from ansible.utils.display import Display

from ansible_collections.accelmon.fleet.plugins.module_utils.access import pki
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import facts, hosts as fleet, variables

# Under which the programs of a monitoring host call one another.
OWN_NAMES = ("localhost", "127.0.0.1", "::1")
READ = ("accelmon_address", "accelmon_tls_names")


def host_names(host, variables_of_host):
    """{"address", "names", "client"} of a host. Raises Problem for a bad value.

    address: what the monitoring hosts call it by; names: that and all others a certificate shall hold, sorted;
    client: whether it scrapes others
    """
    specs = {name: spec for name, spec in variables.fleet_variables().items() if name in READ}
    values, errors = fleet.Reader(specs).read_all(variables_of_host)
    try:
        address = fleet.host_address(host, variables_of_host, values["accelmon_address"])
    except Problem as error:
        errors.append(error)
    if errors:
        raise errors[0].of(host)
    client = "monitoring" in variables_of_host.raw.get("group_names", ())
    names = {address, *values["accelmon_tls_names"], *(OWN_NAMES if client else ())}
    # A name that only the inventory knows need not be one of a host; nobody calls it by that then.
    if pki.HOST_NAME.match(host) or pki.is_address(host):
        names.add(host)
    return {"address": address, "names": sorted(names), "client": client}


def certificate_requests(hosts, hostvars, register):
    """[{"host", "csr", "names", "client"}] of the hosts that asked for a certificate in this run, without those whose facts stand for variables.

    register: name of the variable that holds each host's request
    """
    found = []
    for host in hosts:
        try:
            all_variables = fleet.HostVariables(hostvars, host)
        except facts.Untrusted as error:
            Display().warning(f"{error}; it gets no certificate")
            continue
        csr = (all_variables.raw.get(register) or {}).get("csr")
        if csr:
            named = host_names(host, all_variables)
            found.append({"host": host, "csr": str(csr), "names": named["names"], "client": named["client"]})
    return found
