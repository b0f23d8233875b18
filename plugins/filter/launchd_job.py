# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter launchd_job."""

import plistlib

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import plain
from ansible_collections.accelmon.fleet.plugins.plugin_utils.oneline import fault_in


def launchd_job(job):
    """See launchd_job.yml."""
    problem = fault_in(job)
    if problem:
        raise AnsibleFilterError(f"launchd job: {problem}")
    return plistlib.dumps(plain(job), sort_keys=False).decode("utf-8")


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"launchd_job": launchd_job}
