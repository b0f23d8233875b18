# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write what roles share: the defaults and constants of the role accelmon, which all roles depend on, and the generated parts of each role's
meta/argument_specs.yml and vars/main.yml. Also what a program of a role reads of the catalogue.

Variables come from plugins/plugin_utils/catalogue/variables.yml; a role's part lists those that its own YAML reads. Constants come from
Python. A test fails when the files differ from what this script would write.

A role reads a variable NAME as _NAME, which this script writes: the value in its type. What the inventory or a survey says may be text, or
an empty answer, and extra variables win over everything, so that nothing can put it right under its own name.
"""
import functools
import json
import os
import re
import sys
import textwrap

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, ".collections"))

# pylint: disable=wrong-import-position
from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.variables import INTERNAL_ROLES, fleet_variables, role_variables, roles
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs.packages import APT, DNF
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.errors import fatal

BEGIN = "      # --- written by tools/roles.py: begin"
END = "      # --- written by tools/roles.py: end"
VALUES_BEGIN = """
# Variables in their type: text read as what is meant, and the default for an empty answer. Written by tools/roles.py, as _NAME for each NAME
# that the role reads.
"""
HEAD = """---
# Defaults of the fleet-wide variables that roles read. Written by tools/roles.py from
# plugins/plugin_utils/catalogue/variables.yml; change them there.
"""
CONSTANTS = """---
# What no inventory changes. Written by tools/roles.py from module_utils/paths.py and plugin_utils/programs/packages.py; change it there.
"""
# Keywords whose values are expressions without braces.
EXPRESSIONS = ("when", "that", "until", "changed_when", "failed_when")
WIDTH = 150


def documents(role):
    """{path below the role: content} of the YAML by which a role reads variables."""
    found = {}
    for folder in ("defaults", "tasks", "vars"):
        parent = os.path.join(ROOT, "roles", role, folder)
        for name in sorted(os.listdir(parent)) if os.path.isdir(parent) else []:
            with open(os.path.join(parent, name), encoding="utf-8") as handle:
                found[f"{folder}/{name}"] = yaml.safe_load(handle)
    return found


def expressions(data, bare=False):
    """The Jinja expressions in YAML data; bare: whether its texts are expressions as they stand."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from expressions(value, key in EXPRESSIONS)
    elif isinstance(data, list):
        for value in data:
            yield from expressions(value, bare)
    elif isinstance(data, str):
        yield from [data] if bare else re.findall(r"\{[{%](.*?)[%}]\}", data, re.DOTALL)


def read_by(role):
    """Names of the fleet-wide variables that a role reads under their own names, in the order of the catalogue."""
    words = read_in(role)
    return [name for name in fleet_variables() if name in words]


@functools.lru_cache(maxsize=None)
def read_in(role):
    """Names of all variables that a role's YAML reads in their type."""
    text = "\n".join(part for data in documents(role).values() for part in expressions(data))
    # Of another host, or by a filter, a variable is read elsewhere: as an attribute or as a text.
    return frozenset(re.findall(r"(?<![.\w'])_([a-z]\w+)", text))


def value(name, default):
    """The line that gives a variable in its type; default: what the role has for it."""
    given = name
    found = re.fullmatch(r"\{\{ (.*) \}\}", default, re.DOTALL) if isinstance(default, str) else None
    if found:
        expression = found.group(1)
        given = f"({name} | string | trim or {expression if expression.isidentifier() else f'({expression})'})"
    begin, end = f"_{name}: \"{{{{ {given}", f"| accelmon.fleet._given('{name}') }}}}\"\n"
    return begin + (" " if len(begin + end) <= WIDTH else "\n  ") + end


def role_values(role, text):
    """The text of a role's vars/main.yml with its generated part as it has to be: at its end."""
    defaults_of_role = documents(role).get("defaults/main.yml") or {}
    lines = "".join(value(name, defaults_of_role[name]) for name in role_variables(role) if name in defaults_of_role and name in read_in(role))
    return text.partition(VALUES_BEGIN)[0] + (VALUES_BEGIN + lines if lines else "")


def defaults():
    """Text of the role accelmon's defaults."""
    return HEAD + "".join(f"{name}: {literal(spec['default'])}\n" for name, spec in fleet_variables().items() if name in read_anywhere())


def read_anywhere():
    """Names of the fleet-wide variables that some role reads."""
    return {name for role in roles() + INTERNAL_ROLES for name in read_by(role)}


def constants():
    """Text of the role accelmon's vars: the paths on a host, and the distributions with apt and with dnf."""
    names = [name for name in vars(paths) if name.isupper()]
    text = "".join(f"  {name.lower()}: {literal(getattr(paths, name))}\n" for name in names)
    values = "".join(value(name, spec["default"]) for name, spec in fleet_variables().items() if name in read_anywhere())
    return CONSTANTS + f"accelmon_paths:\n{text}accelmon_apt: [{', '.join(APT)}]\naccelmon_dnf: [{', '.join(DNF)}]\n{VALUES_BEGIN}{values}"


def literal(value):
    """A default as YAML in one line."""
    plain = isinstance(value, str) and re.fullmatch(r"[a-z/][\w/.-]*|\d+[a-z]+", value) and isinstance(yaml.safe_load(value), str)
    return value if plain else json.dumps(value)


def option(name, spec):
    """A fleet-wide variable as an option of a role's argument specification.

    An empty answer of a survey, or text in place of a list or dictionary, has to get through: what reads it takes it for what was meant.
    """
    lines = [f"{name}:"]
    text = " ".join(spec["description"].split())
    short = f"  description: {text}"
    if len(short) + 6 <= WIDTH and ": " not in text and " #" not in text and text[0].isalnum():
        lines.append(short)
    else:
        lines += ["  description: >-"] + textwrap.wrap(text, WIDTH - 6, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
    lines.append(f"  type: {'str' if spec['type'] == 'str' else 'raw'}")
    if "choices" in spec:
        lines.append("  choices: [" + ", ".join(spec["choices"] + ['""']) + "]")
    lines.append(f"  default: {literal(spec['default'])}")
    return [f"      {line}" for line in lines]


def specification(role, text):
    """The text of a role's argument_specs.yml with its generated part as it has to be: at the end of the entry point main, which is the last."""
    own = text.partition(BEGIN)[0].rstrip("\n")
    names = [name for name in read_by(role) if not fleet_variables()[name].get("no_log")]
    lines = [line for name in names for line in option(name, fleet_variables()[name])]
    return "\n".join([own] + ([BEGIN] + lines + [END] if lines else [])) + "\n"


def pages():
    """{path below the root: text} of all that this script writes."""
    found = {"roles/accelmon/defaults/main.yml": defaults(), "roles/accelmon/vars/main.yml": constants()}
    for role in roles():
        path = f"roles/{role}/meta/argument_specs.yml"
        with open(os.path.join(ROOT, path), encoding="utf-8") as handle:
            found[path] = specification(role, handle.read())
        path = f"roles/{role}/vars/main.yml"
        with open(os.path.join(ROOT, path), encoding="utf-8") as handle:
            found[path] = role_values(role, handle.read())
    found["roles/textfile_collector/files/fatal_codes.json"] = json.dumps(fatal(), indent=1) + "\n"
    return found


def main():
    """Writes them."""
    for path, text in pages().items():
        with open(os.path.join(ROOT, path), "w", encoding="utf-8") as handle:
            handle.write(text)


if __name__ == "__main__":
    main()
