# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all filters have in common: how they refuse a value, and how internal ones are named."""

import functools

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.hosts import BadValue, FleetError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs.all_smi import BuildError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs.amd_exporter import AmdError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs.bundle import BundleError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs.dcgm import DcgmError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs.node_collectors import CollectorError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs.releases import ReleaseError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.service_parts import PartsError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.units import UnitError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.routes import RouteError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.rules import RuleError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.scrape import ScrapeError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import Problem

# Errors about what a user gave, each one line. Any other exception is a fault of the collection and keeps its traceback.
REFUSALS = (Problem, FleetError, BadValue, BuildError, AmdError, BundleError, DcgmError, CollectorError, ReleaseError, PartsError, UnitError,
            RouteError, RuleError, ScrapeError)


def as_filter(function):
    """The function as a filter: what it refuses is an error that Ansible shows without a traceback."""
    @functools.wraps(function)
    def filtered(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except REFUSALS as error:
            raise AnsibleFilterError(str(error)) from None
    return filtered


def internal(*functions):
    """{name: filter} of functions that serve the roles and playbooks of this collection alone: their names begin with an underscore."""
    return {f"_{function.__name__}": function for function in functions}
