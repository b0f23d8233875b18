# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter seconds."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.module_utils import durations


def seconds(duration):
    """See seconds.yml."""
    try:
        return durations.seconds(duration)
    except ValueError as error:
        raise AnsibleFilterError(f"seconds: {duration!r}: {error}") from None


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"seconds": seconds}
