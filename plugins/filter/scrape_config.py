# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter scrape_config."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.formats import read
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.scrape import ScrapeError, scrape_file
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import Problem


def scrape_config(options):
    """See scrape_config.yml."""
    try:
        # In AWX it may be text, as every variable of the fleet.
        return scrape_file({**options, "limits": read("accelmon_scrape_limits", options["limits"])} if "limits" in options else options)
    except (ScrapeError, Problem) as error:
        raise AnsibleFilterError(f"scrape_config: {error}") from error


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"scrape_config": scrape_config}
