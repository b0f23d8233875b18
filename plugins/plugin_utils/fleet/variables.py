# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The declared variables: their names, types, defaults and choices, from the one file each that declares them."""
import functools
import os

from ansible.module_utils.common.yaml import yaml_load

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))

# Roles for other roles: `accelmon` has the defaults of the fleet-wide variables and no tasks; `service` gets its variables from the roles that
# import it, under names that mean something only there.
INTERNAL_ROLES = ("accelmon", "service")


def _read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as handle:
        return yaml_load(handle)


@functools.lru_cache(maxsize=None)
def catalogue():
    """The content of plugins/plugin_utils/catalogue/variables.yml; shared, so not to be changed."""
    return _read("plugins", "plugin_utils", "catalogue", "variables.yml")


@functools.lru_cache(maxsize=None)
def fleet_variables():
    """{name: spec} of the fleet-wide variables; shared, so not to be changed.

    A spec has type, default and description, and may have choices, format, at_least, at_most and run.
    """
    return catalogue()["variables"]


@functools.lru_cache(maxsize=None)
def role_variables(role):
    """{name: spec} of one role's variables, those of all its entry points; shared, so not to be changed."""
    options = {}
    for entry_point in _read("roles", role, "meta", "argument_specs.yml")["argument_specs"].values():
        options.update({name: dict(spec, **_more(name)) for name, spec in (entry_point.get("options") or {}).items()})
    return options


@functools.lru_cache(maxsize=None)
def names_of(role):
    """Names of all variables of a role: those that users may set, and those that are its own."""
    names = set(role_variables(role)) if role in roles() else set()
    for part in ("defaults", "vars"):
        if os.path.exists(os.path.join(ROOT, "roles", role, part, "main.yml")):
            names.update(_read("roles", role, part, "main.yml") or ())
    return frozenset(names)


def _more(name):
    """What the catalogue says of a role's variable: under its name, or under the longest end of it."""
    formats = catalogue()["formats"]
    ends = [end for end in formats if end.startswith("*") and name.endswith(end[1:])]
    return formats.get(name) or formats.get(max(ends, key=len, default=""), {})


@functools.lru_cache(maxsize=None)
def roles():
    """Names of the roles that have variables for users, sorted."""
    parent = os.path.join(ROOT, "roles")
    return tuple(sorted(
        name for name in os.listdir(parent)
        if name not in INTERNAL_ROLES and os.path.exists(os.path.join(parent, name, "meta", "argument_specs.yml"))))


def declared(name):
    """The spec of a variable that a user may set; reads no more than the file that declares it."""
    if name.startswith("accelmon_"):
        return fleet_variables()[name]
    return role_variables(max((role for role in roles() if name.startswith(role + "_")), key=len))[name]


@functools.lru_cache(maxsize=None)
def all_variables():
    """{name: spec} of every variable a user may set. What the catalogue says of a name wins."""
    known = {}
    for role in roles():
        known.update(role_variables(role))
    known.update(fleet_variables())
    return known
