# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter source_questions: what to ask a host about the programs that could read its devices."""
from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import hosts as fleet, plan


def source_questions(host_variables):
    """See source_questions.yml."""
    host = str(host_variables["inventory_hostname"])
    try:
        return plan.questions(fleet.Reader(fleet.plan_specs()).read_all(fleet.HostVariables({host: host_variables}, host))[0])
    except fleet.FleetError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """Announces the filter."""

    def filters(self):
        """{name: function}."""
        return {"source_questions": source_questions}
