# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter scrape_config."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.scrape import ScrapeError, scrape_file


def scrape_config(options):
    """See scrape_config.yml."""
    try:
        return scrape_file(options)
    except ScrapeError as error:
        raise AnsibleFilterError(f"scrape_config: {error}") from error


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"scrape_config": scrape_config}
