# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The catalogue: data about sources, series and alerts, as files beside the plugins."""

import difflib
import functools
import os

import yaml
from ansible.module_utils.common.yaml import yaml_load

DIRECTORY = os.path.dirname(os.path.abspath(__file__))


@functools.lru_cache(maxsize=None)
def load(name):
    """The part of the catalogue called name (sources, series, alerts) as plain data; shared, so not to be changed.

    A part that is a folder is the union of its files: lists are joined in the order of the files' names.
    """
    path = os.path.join(DIRECTORY, name)
    if not os.path.isdir(path):
        return _read(f"{path}.yml")
    whole = {}
    for file in sorted(os.listdir(path)):
        for key, value in _read(os.path.join(path, file)).items():
            whole[key] = whole[key] + value if isinstance(value, list) and key in whole else value
    return whole


def _read(path):
    with open(path, encoding="utf-8") as handle:
        return yaml_load(handle)


def closest(name, names):
    """The end of an error about an unknown name: the nearest known one, else all of them."""
    near = difflib.get_close_matches(str(name), list(names), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(names))}"


def plain(value):
    """The same data in built-in types only: Ansible hands over strings and containers of its own, which YAML cannot write."""
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    return str.__str__(value) if isinstance(value, str) else str(value)


class _Dumper(yaml.SafeDumper):
    """YAML as people write it: several lines of text as a block."""

    def ignore_aliases(self, data):
        return True


def _text(dumper, value):
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def dump(data):
    """YAML text with a first line that says whose file it is; the order of data is kept."""
    return "# Managed by accelmon.fleet.\n" + yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=4096, allow_unicode=True)
