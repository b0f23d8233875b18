# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter recording_rules."""
from __future__ import annotations

DOCUMENTATION = r"""
name: recording_rules
short_description: Write the rule file of the recording layer
version_added: 0.1.0
author: accelmon.fleet contributors (@accelmon)
description:
  - Rules that turn the exporters' series into C(accelerator_*) series and roll-ups by node, rack and cluster.
  - The rules are the same for Prometheus and vmalert. For vmalert a group also sets when within the interval it is evaluated.
positional: backend, sites
options:
  _input:
    description: How often the rules are evaluated.
    type: str
    required: true
  backend:
    description: The value of C(accelmon_backend).
    type: str
    choices: [victoriametrics, prometheus]
    required: true
  sites:
    description: The value of C(accelmon_sites).
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
rules: "{{ '15s' | accelmon.fleet.recording_rules('prometheus') }}"
"""

RETURN = r"""
_value:
  description: Text of the rule file, YAML.
  type: str
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.recording import recording_file


def recording_rules(interval, backend, sites=()):
    """Text of the rule file of the recording layer."""
    try:
        return recording_file(interval, backend, sites)
    except Problem as error:
        raise AnsibleFilterError(f"recording_rules: {error}") from None


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"recording_rules": recording_rules}
