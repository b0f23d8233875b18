# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Words that no text for users has, because no SRE writes them: pages, playbooks, roles, catalogue, plugin documentation and messages."""
import ast
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORDS = re.compile(r"\b(?:shall|told|anew|of ours|mend(?:s|ed|ing)?)\b", re.IGNORECASE)

PAGES = ("*.md", "docs/**/*.md", "roles/*/README.md", "playbooks/**/*.yml", "roles/*/*/*.yml", "inventories/**/*.yml",
         "changelogs/fragments/*.yml", "plugins/plugin_utils/catalogue/**/*.yml")
PROGRAMS = ("plugins/**/*.py", "roles/*/files/*.py")


def files(patterns):
    return sorted({path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file() and not path.is_symlink()})


def texts(path):
    """[(line, text)] of the literals of a program that are sentences; docstrings are for developers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {id(node.body[0].value) for node in ast.walk(tree)
                  if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and node.body and isinstance(node.body[0], ast.Expr)}
    return [(node.lineno, node.value) for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value and id(node) not in docstrings]


def test_no_text_for_users_has_them():
    found = [f"{path.relative_to(ROOT)}:{number}: {line.strip()}" for path in files(PAGES)
             for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if WORDS.search(line)]
    found += [f"{path.relative_to(ROOT)}:{number}: {WORDS.search(text).group()}: {text.strip()[:120]}" for path in files(PROGRAMS)
              for number, text in texts(path) if WORDS.search(text)]
    assert not found, "\n".join(found)
