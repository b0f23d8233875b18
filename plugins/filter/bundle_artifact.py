# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter bundle_artifact."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils import bundle as bundles


def bundle_artifact(bundle, name, architecture, version=None, system="linux"):
    """See bundle_artifact.yml."""
    try:
        return bundles.bundle_artifact(bundle, name, architecture, version, system)
    except bundles.BundleError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"bundle_artifact": bundle_artifact}
