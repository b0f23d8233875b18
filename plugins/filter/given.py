# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter given."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.formats import read
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import Problem


def given(value, name):
    """See given.yml."""
    try:
        return read(name, value)
    except Problem as problem:
        raise AnsibleFilterError(f"{name}: {problem}") from None


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"given": given}
