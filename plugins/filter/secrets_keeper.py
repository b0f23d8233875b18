# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter secrets_keeper: the host that makes and keeps the fleet's secrets."""
from __future__ import annotations

from ansible.errors import AnsibleFilterError


def secrets_keeper(groups):
    """See secrets_keeper.yml."""
    hosts = groups.get("monitoring")
    if not hosts:
        raise AnsibleFilterError("inventory: monitoring = []: the role access keeps the fleet's passwords and its certificate authority on the first host "
                                 "of this group; put the host there that shall have them")
    return str(hosts[0])


class FilterModule:
    """Announces the filter."""

    def filters(self):
        """{name: function}."""
        return {"secrets_keeper": secrets_keeper}
