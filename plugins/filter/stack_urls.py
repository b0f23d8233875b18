# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter stack_urls: where a monitoring host's storage, rules and alert receivers are asked."""
from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.accelmon.fleet.plugins.filter.alertmanagers import alertmanagers
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import hosts as fleet, variables
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import stack



def stack_urls(host, hostvars, monitoring):
    """See stack_urls.yml."""
    specs = {"accelmon_backend": variables.fleet_variables()["accelmon_backend"]}
    for backend in stack.BACKENDS.values():
        for service in backend.services:
            declared = variables.role_variables(service)
            specs.update({f"{service}_{name}": declared[f"{service}_{name}"] for name in ("listen", "port")})
    # A bad value is the preflight check's to tell; what can be asked all the same is asked.
    try:
        values = fleet.Reader(specs).read_all(fleet.HostVariables(hostvars, str(host)))[0]
    except fleet.Untrusted as error:
        raise AnsibleFilterError(str(error)) from None
    backend = stack.BACKENDS[values["accelmon_backend"]]
    urls = {service: stack.listener(values[f"{service}_listen"], values[f"{service}_port"])["url"] for service in backend.services}
    try:
        receivers = alertmanagers(monitoring, hostvars, str(host))
    except AnsibleFilterError:
        receivers = {"services": [], "own": {}}
    own = {name: service["url"] for name, service in receivers["own"].items()}
    return {"storage": urls[backend.storage], "rules": urls[backend.evaluator], "alertmanagers": [service["url"] for service in receivers["services"]],
            "listeners": {**urls, **own}}


class FilterModule:
    """Announces the filter."""

    def filters(self):
        """{name: function}."""
        return {"stack_urls": stack_urls}
