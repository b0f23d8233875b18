# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts task results (skipped ones too: they cost as well), per host and per role, into the JSON file $COUNT_RESULTS_FILE."""

import collections
import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: count_results
type: aggregate
short_description: Count task results per host and role
description: For the tests of what a converged run costs.
"""


class CallbackModule(CallbackBase):
    """{"hosts": {host: results}, "roles": {host: {role: results}}}"""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "count_results"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self.hosts = collections.Counter()
        self.roles = collections.defaultdict(collections.Counter)

    def count(self, result):
        """Note one result under the role that the play names, not under one that this role imports."""
        task, host = result._task, result._host.get_name()
        self.hosts[host] += 1
        chain = task.get_dep_chain() or []
        role = chain[0] if chain else task._role
        if role:
            self.roles[host][role.get_name().rpartition(".")[2]] += 1

    def v2_runner_on_ok(self, result):
        """Counted."""
        self.count(result)

    def v2_runner_on_skipped(self, result):
        """Counted."""
        self.count(result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        """Counted."""
        self.count(result)

    def v2_runner_on_unreachable(self, result):
        """Counted."""
        self.count(result)

    def v2_playbook_on_stats(self, stats):
        """The run is over."""
        with open(os.environ["COUNT_RESULTS_FILE"], "w") as stream:
            json.dump({"hosts": self.hosts, "roles": self.roles}, stream)
