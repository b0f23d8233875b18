# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What changed since the branch left the main one, and which tests that may concern. For `make check`; `make test` trusts none of it."""

import ast
import os
import re
import subprocess

PACKAGE = "ansible_collections.accelmon.fleet."
# Folders that hold modules which others import by their bare name.
BARE = ("lab", "tools", "tests", os.path.join("tests", "rules"))


def changed(root):
    """Return the paths that differ from where the branch left the main one, with those that git does not know yet; removed ones too."""
    def git(*arguments):
        done = subprocess.run(["git", *arguments], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        return done.stdout.decode().split("\0") if done.returncode == 0 else []

    base = next((found[0].strip() for found in (git("merge-base", "HEAD", name) for name in ("origin/main", "main")) if found), "HEAD")
    return sorted(set(git("diff", "--name-only", "--no-renames", "-z", base) + git("ls-files", "--others", "--exclude-standard", "-z")) - {""})


def text_of(root, path):
    """Return the text of a file, "" if it is gone."""
    try:
        with open(os.path.join(root, path), encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def imports(root, path):
    """Return the paths of this repository's files that a Python file may import; some of them need not exist."""
    found = set()
    for node in ast.walk(ast.parse(text_of(root, path), path)):
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module] + ["%s.%s" % (node.module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith(PACKAGE):
                module = name[len(PACKAGE):].replace(".", "/")
                found |= {module + ".py", module + "/__init__.py"}
            elif "." not in name:
                found |= {os.path.join(folder, name + ".py") for folder in (os.path.dirname(path),) + BARE}
    return found


def closure(root, path, known):
    """Return a Python file with all that it imports, directly or not. known: {path: imports}, filled as files are read."""
    found, waiting = set(), [path]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        if path not in known:
            known[path] = imports(root, path)
        waiting.extend(known[path])
    return found


def concerned(root, programs, paths):
    """Return those of the programs that a change of these paths may concern.

    A file that is no Python counts as a change of the Python beside it, which reads it. What is neither imported nor beside such
    a file concerns the programs that have the name of its folder in their text.
    """
    touched, folders = set(paths), set()
    for path in paths:
        folder = os.path.dirname(path)
        beside = sorted(name for name in os.listdir(os.path.join(root, folder)) if name.endswith(".py")) if os.path.isdir(os.path.join(root, folder)) else []
        if path.startswith("plugins/") and not path.endswith(".py"):
            touched |= {os.path.join(folder, name) for name in beside}
        elif not path.startswith(("plugins/", "tests/unit/")):
            folders.add(re.sub("^tests/", "", path).partition("/")[0])
    mentioned = re.compile(r"\b(?:%s)\b" % "|".join(map(re.escape, folders))) if folders else None
    above = [os.path.dirname(path) + os.sep for path in paths if os.path.basename(path) == "conftest.py"]
    known = {}
    return [program for program in programs
            if program.startswith(tuple(above)) or closure(root, program, known) & touched or (mentioned and mentioned.search(text_of(root, program)))]
