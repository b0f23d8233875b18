# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads files of strangers, YAML and JSON, into plain data that knows its lines. Every text stays as it is written."""
import json

import yaml

from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.inventory.lists import read_list, shown, shown_path

# A YAML file of 20,000 targets has 1 MB, and takes seconds to read. JSON is read a hundred times faster.
MAX_YAML = 4 * 1024 * 1024
# Values in a document once every alias is written out, and how deep they are nested.
MAX_VALUES, MAX_DEPTH = 1000000, 50
NULL, MERGE = "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"


class Mapping(dict):
    """A dictionary with `line`, where it begins, and `lines`, where each of its keys is."""

    line, lines = 0, {}


class Sequence(list):
    """A list with `line`, where it begins, and `spans`, (first line, line behind the last) of each entry."""

    line, spans = 0, ()


def place(path, line=0):
    """A file, and a line where it is known, as the front of a message."""
    return f"{shown_path(path)}:{line}" if line else shown_path(path)


def line_of(container, key=None):
    """The line of a container, or of one of its keys; 0 where nobody knows."""
    return getattr(container, "lines", {}).get(key) or getattr(container, "line", 0)


def read(path):
    """The data of a file: None, texts, Mapping and Sequence. Raises Problem, which names file and line."""
    return parse(read_list(path), path)


def parse(text, path):
    """The data of a text, which came from path: JSON where it is called so, else YAML. Raises Problem."""
    try:
        return _json(text) if path.endswith(".json") else _yaml(text)
    except json.JSONDecodeError as error:
        raise Problem(f"{place(path, error.lineno)}: not JSON ({shown(error.msg)}); correct the file") from None
    except yaml.YAMLError as error:
        mark, said = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        line = mark.line + 1 if mark else text[:getattr(error, "position", None) or 0].count("\n") + 1
        raise Problem(f"{place(path, line)}: not YAML ({shown(said or 'a character that YAML does not allow')}); correct the file") from None
    except RecursionError:
        raise Problem(f"{place(path)}: nested too deeply; correct the file") from None
    except Problem as problem:
        raise Problem(f"{shown_path(path)}{problem}") from None


def _json(text):
    def unique(pairs):
        found = Mapping(pairs)
        if len(found) != len(pairs):
            raise Problem(": a key occurs twice in one object; remove one of them")
        return found
    return _texts(json.loads(text, object_pairs_hook=unique, parse_int=str, parse_float=str, parse_constant=str))


def _texts(value):
    """JSON with the same types as YAML gives."""
    if isinstance(value, Mapping):
        for key in value:
            value[key] = _texts(value[key])
        return value
    if isinstance(value, list):
        return Sequence(_texts(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else value


def _yaml(text):
    if len(text) > MAX_YAML:
        raise Problem(f": larger than {MAX_YAML // 2 ** 20} MiB; write it as JSON, or split it")
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    return None if node is None else _Builder().build(node, 0)


class _Builder:
    """Makes data of nodes. An alias is written out each time it is used, so the number of values is limited."""

    def __init__(self):
        self.left = MAX_VALUES

    def build(self, node, depth):
        """The data of a node."""
        self.left -= 1
        if self.left < 0 or depth > MAX_DEPTH:
            # An alias within itself is nested without end.
            raise Problem(f":{node.start_mark.line + 1}: {'too many values' if self.left < 0 else 'nested too deeply'}, perhaps by its aliases; "
                          "write it without them")
        if isinstance(node, yaml.ScalarNode):
            return None if node.tag == NULL else node.value
        if isinstance(node, yaml.SequenceNode):
            found = Sequence(self.build(item, depth + 1) for item in node.value)
            found.spans = [(item.start_mark.line + 1, item.end_mark.line + 1) for item in node.value]
        else:
            found = self.mapping(node, depth)
        found.line = node.start_mark.line + 1
        return found

    def mapping(self, node, depth):
        """A Mapping; what it merges counts where it has no key of its own."""
        found, merged, lines = Mapping(), [], {}
        for key, item in node.value:
            line = key.start_mark.line + 1
            if key.tag == MERGE:
                value = self.build(item, depth + 1)
                merged += value if isinstance(value, list) else [value]
                continue
            if not isinstance(key, yaml.ScalarNode):
                raise Problem(f":{line}: a key that is no text; correct the file")
            if key.value in found:
                raise Problem(f":{line}: the key {shown(key.value)} occurs twice; remove one of them")
            found[key.value], lines[key.value] = self.build(item, depth + 1), line
        for other in merged:
            if not isinstance(other, Mapping):
                raise Problem(f":{node.start_mark.line + 1}: << merges what is no mapping; correct the file")
            for key, value in other.items():
                found.setdefault(key, value)
        found.lines = lines
        return found


def mapping(value, path, line=0, what="this"):
    """The value if it is a mapping; {} for nothing. Raises Problem."""
    if value is None:
        return Mapping()
    if not isinstance(value, Mapping):
        raise Problem(f"{place(path, line)}: {what} is not a mapping; correct it")
    return value


def entries(container, key, path, of=Mapping):
    """The list under a key, whose entries are all of one type; [] for nothing. Raises Problem."""
    value = container.get(key)
    if value is None:
        return Sequence()
    line = line_of(container, key)
    if not isinstance(value, Sequence) or not all(isinstance(item, of) for item in value):
        raise Problem(f"{place(path, line)}: {shown(key)} is not a list of {'mappings' if of is Mapping else 'texts'}; correct it")
    return value


def text(container, key, path, default=""):
    """The text under a key. Raises Problem."""
    value = container.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        raise Problem(f"{place(path, line_of(container, key))}: {shown(key)} is not a text; correct it")
    return value
