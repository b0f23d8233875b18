# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter amd_exporter_config."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import amd_exporter


def amd_exporter_config(devices, port, fields, labels, partition_fields=None, extra_fields=None, extra_labels=None, settings=None,
                        log_level="info", version=""):
    """See amd_exporter_config.yml."""
    try:
        return amd_exporter.config(port, fields, labels, devices or [], partition_fields or [], extra_fields or [], extra_labels or [],
                                   settings or {}, str(log_level), str(version or ""))
    except amd_exporter.AmdError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"amd_exporter_config": amd_exporter_config}
