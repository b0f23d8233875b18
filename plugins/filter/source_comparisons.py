# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter source_comparisons."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.compare import comparisons


def source_comparisons(only):
    """See source_comparisons.yml."""
    asked = comparisons()
    unknown = sorted(set(only) - set(asked["jobs"]))
    if unknown:
        raise AnsibleFilterError(f"source_comparisons: accelmon_compare_sources = {unknown[0]}: no such source; use some of {', '.join(sorted(asked['jobs']))}")
    if only:
        for part in [asked["present"], asked["jobs"]] + [item["from"] for item in asked["series"]]:
            for source in set(part) - set(only):
                del part[source]
        asked["series"] = [item for item in asked["series"] if len(item["from"]) > 1]
    return asked


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"source_comparisons": source_comparisons}
