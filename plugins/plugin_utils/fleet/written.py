# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How numbers are written in the files of an inventory, where that is more than their value: 012 is 10 in YAML, and 1:20 is 80.

A value that Ansible hands over no longer tells how it was written; only the file does.
"""
import ast
import os
import re

import yaml

from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import SECRET
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.variables import all_variables
from ansible_collections.accelmon.fleet.plugins.plugin_utils.oneline import shown

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What might be meant for a text, or be a name that is none to YAML: files without it, nearly all, are not read any closer.
SUSPECT = re.compile(
    r"""(?<![\w.:/"'-])([-+]?(0[0-7xXbB_]\w*|[0-9]+_[0-9_]*|[0-9]+(:[0-5]?[0-9])+)|[+][0-9]+|-0)(?![\w.:/"'-])"""
    r"""|(^|[{,])\s*([-+]?[0-9.][\w.:-]*|~|(?i:yes|no|on|off|true|false|null))\s*:""", re.MULTILINE)
IN_INI = re.compile(r"""(?<![\w.])(\w+)\s*=\s*([-+]?[0-9][\w]*)(?=\s|$)""")
LARGEST = 32 * 1024 * 1024
FOLDERS = ("group_vars", "host_vars")
ENDS = ("", ".yml", ".yaml", ".json", ".ini")
INTEGER = "tag:yaml.org,2002:int"
NAMES = {"hosts": "the host", "children": "the group"}


def files(sources):
    """Paths of the files of an inventory: its sources, and the folders of variables beside them."""
    for source in sources:
        parent = source if os.path.isdir(source) else os.path.dirname(source)
        if os.path.isfile(source):
            yield source
        for folder, _folders, names in os.walk(parent) if os.path.isdir(source) else ():
            if not set(os.path.relpath(folder, parent).split(os.sep)) & set(FOLDERS):
                yield from (os.path.join(folder, name) for name in sorted(names))
        for name in FOLDERS:
            for folder, _folders, names in os.walk(os.path.join(parent, name)):
                yield from (os.path.join(folder, one) for one in sorted(names))


def findings(sources, variables):
    """Errors about numbers that are written otherwise than they read, a line each; variables: the names that matter."""
    found = []
    for path in dict.fromkeys(files([str(source) for source in sources])):
        if os.path.splitext(path)[1] not in ENDS or os.path.basename(path).startswith("."):
            continue
        try:
            if os.path.getsize(path) > LARGEST:
                continue
            with open(path, encoding="utf-8") as stream:
                text = stream.read()
        except (OSError, ValueError):
            continue  # whoever parses it says so
        found += [f"{path}, line {number}: {problem}" for number, problem in of_text(text, variables)]
    return found


def of_text(text, variables):
    """[(line, problem)] of one file."""
    if text.startswith("#!") or not SUSPECT.search(text):
        return []
    try:
        nodes = list(yaml.compose_all(text, Loader=LOADER))
    except (yaml.YAMLError, ValueError):
        nodes = []
    if any(isinstance(node, yaml.MappingNode) for node in nodes):
        return sorted(set(problem for node in nodes for problem in of_node(node, variables, "", True, set())))
    return [problem for number, line in enumerate(text.splitlines(), 1) for problem in of_line(number, line, variables)]


def of_node(node, variables, name, named, seen):
    """[(line, problem)] of a node and what is in it.

    name: the variable that it belongs to and where in it, or ""; named: whether hosts and groups are named there; seen: nodes that were looked at
    """
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            word = key.value if isinstance(key, yaml.ScalarNode) else ""
            if named:
                yield from of_names(value, word)
            place = place_of(word, name, variables)
            yield from of_node(value, variables, place, named and not place and word != "vars", seen)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from of_node(item, variables, name, False, seen)
    elif name and not node.style and node.tag == INTEGER:
        value = number_of(node)
        if value is not None and str(value) != node.value:
            yield node.start_mark.line + 1, misread(name, node.value, "YAML", value, f'put it in quotes, as "{node.value}"')


def place_of(word, name, variables):
    """The variable that a key belongs to and where in it; "" for none. name: the same of what the key is in"""
    if name:
        return f"{name}.{word}"
    return word if word in variables else ""


def misread(name, text, reader, value, fix):
    """The problem of a number that is read otherwise than it is written."""
    if SECRET.search(name) or all_variables().get(name.partition(".")[0], {}).get("no_log"):
        return f"{name} = (not shown): {reader} reads it as a number, and not as it is written; put it in quotes"
    return f"{name} = {text}: {reader} reads it as the number {value}; {fix}, or as {value}"


def of_names(node, word):
    """[(line, problem)] of names of hosts or groups that are none to YAML, so that Ansible stops reading there. word: the key that they stand below"""
    if word not in NAMES or not isinstance(node, yaml.MappingNode):
        return
    for key, _value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
            name = shown(key.value)
            yield key.start_mark.line + 1, f'{NAMES[word]} {name}: YAML does not read this name as a string; put it in quotes, as "{name}"'


def number_of(node):
    """The number that YAML reads, or None."""
    try:
        return yaml.safe_load(f"[{node.value}]")[0]
    except (yaml.YAMLError, ValueError, TypeError):
        return None


def of_line(number, line, variables):
    """[(line, problem)] of a line in an INI inventory, whose values are read as Python reads them."""
    if line.lstrip()[:1] in ("#", ";"):
        return
    for name, word in IN_INI.findall(line):
        if name in variables:
            try:
                value = ast.literal_eval(word)
            except (ValueError, SyntaxError):
                continue
            if str(value) != word:
                yield number, misread(name, word, "Ansible", value, f"write it as '\"{word}\"'")
