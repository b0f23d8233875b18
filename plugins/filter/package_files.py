# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter package_files."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import bundle as bundles
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import dcgm


def package_files(bundle, names, versions, architecture, distribution):
    """See package_files.yml."""
    try:
        return dcgm.package_files(bundle, list(names), str(architecture), dict(versions), str(distribution))
    except bundles.BundleError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"package_files": package_files}
