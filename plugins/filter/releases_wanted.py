# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter releases_wanted."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import releases


def releases_wanted(versions, architectures, url_prefix="", names=None):
    """See releases_wanted.yml."""
    try:
        return releases.wanted(versions, architectures, url_prefix, names)
    except releases.ReleaseError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"releases_wanted": releases_wanted}
