# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all filters have in common: how they refuse a value, and how internal ones are named."""

import functools

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem


def as_filter(function):
    """The function as a filter: a Problem is an error that Ansible shows without a traceback. Any other exception is a fault of the collection."""
    @functools.wraps(function)
    def filtered(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except Problem as error:
            raise AnsibleFilterError(str(error)) from None
    return filtered


def as_answer(function):
    """The function as a filter of playbooks, which end with the line of a Problem themselves: {"found": what it returns, "problem": ""}.

    An error of a filter would come in the frame that Ansible puts around those of templates.
    """
    @functools.wraps(function)
    def answered(*args, **kwargs):
        try:
            return {"found": function(*args, **kwargs), "problem": ""}
        except Problem as error:
            return {"found": None, "problem": str(error)}
    return answered


def internal(*functions):
    """{name: filter} of functions that serve the roles and playbooks of this collection alone: their names begin with an underscore."""
    return {f"_{function.__name__}": function for function in functions}
