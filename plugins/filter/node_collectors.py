# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter node_collectors."""

from ansible.errors import AnsibleFilterError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import node_collectors as collectors


def node_collectors(facts, source="package", version="", lean=True, chosen=None, extra=None, bundle="", lock_file=""):
    """See node_collectors.yml."""
    node = facts.get("accelmon_node") or {}
    summary = (facts.get("accelerators") or {}).get("summary") or {}
    try:
        told = collectors.program_version(str(source), str(version or ""), node, str(bundle or ""), str(lock_file or ""))
        return collectors.arguments(summary, told, boolean(lean), chosen or {}, extra or [])
    except collectors.CollectorError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"node_collectors": node_collectors}
