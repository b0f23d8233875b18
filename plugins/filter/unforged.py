# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter unforged: a value that no fact of the host may have decided."""
from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import facts


def unforged(value, told):
    """See unforged.yml."""
    try:
        facts.refuse_forged(told)
    except facts.Misfit as problem:
        raise AnsibleFilterError(str(problem)) from None
    return value


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"unforged": unforged}
