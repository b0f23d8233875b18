# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts that Ansible never logs in to: what the inventory says of them stands for what they would have told."""
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import hosts as fleet

VARIABLE = "accelmon_scrape_only"
NAMES = (VARIABLE, "accelmon_scrape_only_devices", "accelmon_expected")
# The inventory gives no models; one word for all keeps counts comparable from run to run.
MODEL = "unknown"


def told(host_variables):
    """The facts of a host with accelmon_scrape_only in the shape of accelerator_facts; None for every other host. Raises Problem.

    host_variables: its entry in `hostvars`
    """
    values = fleet.settings(host_variables, NAMES)
    return {"accelerators": {"devices": [], "summary": summary(values)}, "accelmon_node": {}} if values[VARIABLE] else None


def of_task(task, task_vars):
    """The same for the host of a task, whose connection must not be used then; None where another host does the task in its place."""
    if task.delegate_to or VARIABLE not in task_vars:
        return None
    return told(task_vars["hostvars"][task_vars["inventory_hostname"]])


def is_scrape_only(host_variables):
    """Whether Ansible never logs in to a host, as far as its variables can be read."""
    try:
        return fleet.setting(host_variables, VARIABLE)
    except Problem:
        return False  # told where the host is checked


def summary(values):
    """{vendor: {"count", "models", "states"}}. Models are given where the number is known, as they alone are recorded as seen."""
    devices, expected, found = values["accelmon_scrape_only_devices"], values["accelmon_expected"], {}
    for vendor in sorted(set(devices) | {vendor for vendor, count in expected.items() if count}):
        known = devices.get(vendor, 0)
        found[vendor] = {"count": known or expected.get(vendor) or 1, "models": {MODEL: known} if known else {}, "states": {}}
    return found


def check(values, roles):
    """Raises Problem if something would have to be done on such a host. roles: what the plan would run there"""
    if values[VARIABLE] and roles:
        raise Problem(f"Ansible would have to log in for {' and '.join(roles)}; remove what asks for that, or set it to false", VARIABLE, "true")
