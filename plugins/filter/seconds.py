# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter seconds."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue import milliseconds


def seconds(duration):
    """See seconds.yml."""
    try:
        length = milliseconds(duration)
    except ValueError:
        raise AnsibleFilterError(f"seconds: {duration!r} is not a duration; write for instance 15s or 1m30s") from None
    return max(1, -(-length // 1000))


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"seconds": seconds}
