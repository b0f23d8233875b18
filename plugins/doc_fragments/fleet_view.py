# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules share that ask about the fleet."""
from __future__ import annotations


class ModuleDocFragment:
    """Options of module_utils/fleet/view.py."""

    # What every module has that asks a service of the stack.
    ACCESS = r"""
options:
  query_timeout:
    description: Seconds that one request may take.
    type: int
    default: 15
  password_file:
    description: File on this host with the stack's password for the user C(accelmon). Ignored if it does not exist.
    type: path
    default: /etc/accelmon/secrets/stack_password
  ca_file:
    description: File on this host with the CAs that servers' certificates are checked against. Ignored if it does not exist.
    type: path
    default: /etc/accelmon/tls/ca.crt
"""

    # What every module has that asks the storage.
    STORAGE = r"""
attributes:
  check_mode:
    support: full
    description: Reads only; does the same as without check mode.
  diff_mode:
    support: none
    description: Changes nothing.
options:
  clusters:
    description: Clusters to check; empty means all.
    type: list
    elements: str
    default: []
  hosts:
    description:
      - Names of the nodes to check. If unset, all nodes are checked.
      - M(accelmon.fleet.fleet_verify_info) always verifies what concerns the monitoring host itself.
    type: list
    elements: str
  storage_url:
    description: Base URL of the storage, VictoriaMetrics or Prometheus, on this host.
    type: str
    default: http://127.0.0.1:8428
  storage_access:
    description: C(user) and C(password_file), both maybe empty, of a storage of the site's own. Without them it is one of the stack, with its password.
    type: dict
    default: {}
"""

    # What those have besides that judge the fleet.
    DOCUMENTATION = r"""
options:
  state_dir:
    description: Directory of the registry files.
    type: path
    default: /var/lib/accelmon/registry
  rules_url:
    description: Base URL of the rule evaluator, vmalert or Prometheus, on this host.
    type: str
    default: http://127.0.0.1:8880
  interval:
    description: Scrape interval, as seconds or with a unit, such as V(15s) or V(1m).
    type: str
    default: 15s
  fresh_intervals:
    description: Number of intervals that a sample may be old.
    type: int
    default: 3
  recording_delay:
    description: Seconds that recorded series may be older than scraped ones; vmalert evaluates 30 s late by default.
    type: int
    default: 30
"""
