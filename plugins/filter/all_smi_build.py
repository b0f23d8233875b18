# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter all_smi_build."""

from ansible.errors import AnsibleFilterError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.accelmon.fleet.plugins.filter.release_artifact import release_artifact
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import all_smi
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.exporters import is_closed


def all_smi_build(pinned, source, facts, bundle="", lock_file="", url_prefix="", accept_open=False, tls="none", auth="none", path="/metrics"):
    """See all_smi_build.yml."""
    node = facts.get("accelmon_node") or {}
    vendors = sorted(vendor for vendor, told in ((facts.get("accelerators") or {}).get("summary") or {}).items() if told.get("count"))
    if path != "/metrics":
        raise AnsibleFilterError(f"all_smi_metrics_path = {path}: all-smi has its page at /metrics alone; leave that out, or set all_smi_managed")
    try:
        made, version = "", ""
        if source != "package":
            vendors = all_smi.readable(node.get("libc") or {}, vendors)
            made = all_smi.variant(node.get("libc") or {}, vendors)
            version = release_artifact(dict(pinned, variant=made), "all_smi", source, node.get("architecture") or "", bundle, lock_file, url_prefix)["version"]
        accepted = boolean(accept_open)
        listens_itself = all_smi.is_open(version, accepted, is_closed(tls, auth))
        all_smi.check(version, vendors, accepted)
        return {
            "artifact": dict(pinned, variant=made),
            "version": version,
            "programs": all_smi.programs(version, made, vendors),
            "libraries": all_smi.libraries(version, made, vendors, node.get("distribution")),
            "floor": all_smi.floor(vendors)[0],
            "open": listens_itself,
        }
    except all_smi.BuildError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"all_smi_build": all_smi_build}
