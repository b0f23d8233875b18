# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter release_artifact."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils import bundle as bundles


def release_artifact(pinned, name, source, architecture, bundle=""):
    """See release_artifact.yml."""
    version = pinned.get("version") or ""
    if source == "bundle":
        if not bundle:
            raise AnsibleFilterError(f"{name}_source = bundle: there is no bundle; set accelmon_bundle to its directory on the control node")
        try:
            return bundles.bundle_artifact(bundle, name, architecture, version)
        except bundles.BundleError as error:
            raise AnsibleFilterError(str(error)) from error
    if not version:
        raise AnsibleFilterError(f"{name}_version = '': {name}_source is release; set the version to install")
    sha256 = (pinned.get("sha256") or {}).get(architecture)
    if not sha256:
        raise AnsibleFilterError(f"{name}_sha256 = {dict(pinned.get('sha256') or {})}: there is no checksum for {architecture}; "
                                 f"add the one of version {version}")
    url = pinned["url"].replace("{version}", version).replace("{architecture}", architecture)
    return {"version": version, "url": url, "sha256": sha256}


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"release_artifact": release_artifact}
