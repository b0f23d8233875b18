# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter fleet_records: the records of all hosts as one JSON text."""
from __future__ import annotations

import json

from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display

from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.hosts import FleetError, HostVariables, Reader, Untrusted, plan_specs
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.plan import STAGES
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.records import make_record


def fleet_records(hosts, hostvars, answered=(), stage="first"):
    """JSON text {"version": 1, "records": [...]} of `hosts`, sorted by name; each host's variables are read once.

    It begins with a blank: up to core 2.18 a text that begins like a dictionary would be evaluated as one.
    A host whose facts are not to be trusted is recorded as one that did not answer. One whose facts hide what the inventory says
    of it is left out: the registry keeps what it knows.
    """
    if stage not in STAGES:
        raise AnsibleFilterError(f"fleet_records: stage = {stage}: no such stage; use one of {', '.join(STAGES)}")
    reader = Reader(plan_specs())
    answered = frozenset(answered)
    records = []
    for host in sorted(set(hosts)):
        if host not in hostvars:
            raise AnsibleFilterError(f"{host}: fleet_records: not in the inventory; give hosts of the inventory only")
        try:
            record = _record(host, hostvars, reader, host in answered, stage)
        except FleetError as error:
            raise AnsibleFilterError(str(error)) from None
        if record is not None:
            records.append(record)
    return " " + json.dumps({"version": 1, "records": records}, separators=(",", ":"))


def _record(host, hostvars, reader, answered, stage):
    try:
        of_host = HostVariables(hostvars, host)
    except Untrusted as error:
        Display().warning(f"{error}; what is recorded of the host stays as it was")
        return None
    try:
        return make_record(host, of_host, reader, answered, stage)
    except Untrusted as error:
        Display().warning(f"{error}; it is recorded as a host that did not answer")
        return make_record(host, of_host, reader, False, stage)


class FilterModule:
    """Announces the filter."""

    def filters(self):
        """{name: function}."""
        return {"fleet_records": fleet_records}
