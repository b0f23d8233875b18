# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands that messages, alerts, comments and pages print are run as they stand: Ansible reads their options, and what they set is right.

Nothing is stubbed and nothing is run; Ansible's own parsers read the command lines.
"""
import ast
import functools
import json
import pathlib
import re
import shlex

import pytest
from ansible.cli.playbook import PlaybookCLI
from ansible.parsing.splitter import parse_kv
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import formats, variables

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLAYBOOKS = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
PAGES = ("*.md", "docs/*.md", "roles/*/README.md", "playbooks/**/*.yml", "roles/*/*/*.yml", "plugins/plugin_utils/catalogue/**/*.yml", "dashboards/*.json")
PROGRAMS = ("plugins/**/*.py", "roles/*/files/*.py", "dashboards/*.py")

# Words of a shell, of which quotes are a part.
COMMAND = re.compile(r"(?:(?<!-m )\baccelmon\.fleet\.(\w+)|(?:\bplaybooks/|(?<![\w/.-]))(\w+)\.yml)((?: +(?:[^\s\"'`|;&]|\"[^\"`]*\"|'[^'`]*')+)+)")
# What stands for something else in a printed command, and what may be there: a code, a name.
TEMPLATE = re.compile(r"\{\{.*?\}\}")
PLACEHOLDER = re.compile(r"%s|\{X\}|…|<|\$|^[A-Z_]+$|^/")


def literals(path):
    """[(line, text)] of a program's texts but docstrings; what an f-string fills in is {X}."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    left_out = {id(node.body[0].value) for node in ast.walk(tree)
                if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and node.body and isinstance(node.body[0], ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            left_out.update(id(part) for part in ast.walk(node) if isinstance(part, ast.Constant))
            yield node.lineno, "".join(str(part.value) if isinstance(part, ast.Constant) else "{X}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left_out:
            yield node.lineno, node.value


def texts(path):
    """[(line, text)] of what a file says to users."""
    if path.suffix == ".py":
        return literals(path)
    return enumerate(path.read_text(encoding="utf-8").replace("\\\n", "  ").replace('\\"', '"').splitlines(), 1)


@functools.lru_cache(maxsize=None)
def options():
    """{option of ansible-playbook: whether it takes a value}."""
    cli = PlaybookCLI(["ansible-playbook"])
    cli.init_parser()
    return {name: action.nargs != 0 for action in cli.parser._actions for name in action.option_strings}


def commands(text):
    """[(playbook, [(option, value or None)])] of the command lines in a text that have options."""
    for called, file, rest in COMMAND.findall(TEMPLATE.sub(lambda found: "xid" if "kind" in found.group() else "2", text)):
        words, found = re.findall(r"(?:[^\s\"']|\"[^\"]*\"|'[^']*')+", rest.replace("[-", "-")), []
        while words and re.match(r"--?[a-z]", words[0]):
            option = words.pop(0).rstrip(".,:)]")
            value = words.pop(0) if options().get(option) and words else None
            found.append((option, value and shlex.split(value.rstrip(".,:)]"))[0]))
        if found:
            yield called or file, found


def printed():
    for path in sorted({path for pattern in PAGES + PROGRAMS for path in ROOT.glob(pattern) if path.is_file() and not path.is_symlink()}):
        for line, text in texts(path):
            for name, found in commands(text):
                yield pytest.param(name, found, id=f"{path.relative_to(ROOT)}:{line} {name}")


@functools.lru_cache(maxsize=None)
def source(path):
    """The text of a playbook with the files of plays and tasks that it brings in."""
    text = path.read_text(encoding="utf-8")
    return text + "".join(source(below) for below in {(path.parent / name).resolve() for name in re.findall(r": ([\w./-]+\.yml)\b", text)}
                          if below.exists() and below != path and "playbooks" in below.parts)


def given(value):
    """{variable: value} of one -e."""
    if value.startswith("@"):
        return {}
    return json.loads(value) if value.startswith("{") and value != "{X}" else parse_kv(value)


@pytest.mark.parametrize("playbook,found", list(printed()))
def test_what_is_printed_can_be_run(playbook, found):
    assert playbook in PLAYBOOKS
    read = source(ROOT / "playbooks" / f"{playbook}.yml")
    for option, value in found:
        assert option in options(), option
        assert value is not None or not options()[option], f"{option} has no value"
        if option in ("-t", "--tags", "--skip-tags"):
            assert re.search(rf"tags: .*\b{value}\b", read), value
        for name, one in given(value).items() if option in ("-e", "--extra-vars") else ():
            spec = variables.all_variables().get(name)
            assert spec, f"{name} is no variable; a value with a blank needs quotes within the quotes"
            assert not spec.get("run") or name in read, f"{name} means nothing to {playbook}.yml"
            try:
                if not PLACEHOLDER.search(str(one)):
                    formats.normalise(name, spec, one)
            except Problem as problem:
                raise AssertionError(f"{name} = {one}: {problem}") from None


def test_enough_is_found():
    """The patterns above see commands in each kind of file."""
    found = [param.id.partition(":")[0].rpartition(".")[2] for param in printed()]
    assert {kind: found.count(kind) > 4 for kind in ("md", "py", "yml")} == {"md": True, "py": True, "yml": True}, found


@pytest.mark.parametrize("text,found", [
    ("`explain.yml -e accelmon_explain=\"recovery {{ $value }}\"` has", [("explain", [("-e", "accelmon_explain=recovery 2")])]),
    ("run verify.yml --limit {node} for the reason", [("verify", [("--limit", "{node}")])]),
    ("ansible-playbook -i hosts accelmon.fleet.rotate -e accelmon_rotate=ca, then", [("rotate", [("-e", "accelmon_rotate=ca")])]),
    ("run site.yml", []),
])
def test_how_a_text_is_read(text, found):
    assert list(commands(text)) == found
