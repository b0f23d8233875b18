# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter amd_exporter_build."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import amd_exporter
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import bundle as bundles


def amd_exporter_build(wanted, source, node, bundle=""):
    """See amd_exporter_build.yml."""
    try:
        told = amd_exporter.build(str(wanted.get("version") or ""), str(source), node, str(bundle or ""), str(wanted.get("image") or ""))
        base = str(wanted.get("repository") or "")
        if base and source == "package":
            told["repository"] = amd_exporter.repository(base, told["version"], node, str(wanted.get("repository_key") or ""))
        return told
    except (amd_exporter.AmdError, bundles.BundleError) as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"amd_exporter_build": amd_exporter_build}
