# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter release_artifact."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import bundle as bundles
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import releases


def release_artifact(pinned, name, source, architecture, bundle="", lock_file="", url_prefix=""):
    """See release_artifact.yml."""
    try:
        if source != "bundle":
            return releases.release_artifact(pinned, name, architecture, lock_file, url_prefix)
        if not bundle:
            raise AnsibleFilterError(f"{name}_source = bundle: there is no bundle; set accelmon_bundle to its directory on the control node")
        variant = pinned.get("variant") or ""
        return bundles.bundle_artifact(bundle, f"{name}_{variant}" if variant else name, architecture, pinned.get("version") or "")
    except (bundles.BundleError, releases.ReleaseError) as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"release_artifact": release_artifact}
