# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which part of the Python code may import which: see docs/architecture.md, "Wings"."""
import ast
import pathlib

PLUGINS = pathlib.Path(__file__).resolve().parents[3] / "plugins"
PACKAGE = "ansible_collections.accelmon.fleet.plugins."

# A wing imports itself and those named here. Files beside the wings are the base.
MAY_IMPORT = {
    "plugin_utils": {
        "catalogue": set(), "base": {"catalogue"}, "inventory": {"base", "catalogue"}, "programs": {"base", "catalogue"},
        "services": {"base", "catalogue", "programs"}, "signals": {"base", "catalogue", "programs", "services"},
        "fleet": {"base", "catalogue", "programs", "services", "signals"},
        "imports": {"base", "catalogue", "inventory", "programs", "services", "signals"},
        "internal_filters": {"base", "catalogue", "programs", "services", "signals", "fleet"},
    },
    "module_utils": {
        "base": set(), "access": {"base"}, "programs": {"base"}, "detect": {"base"}, "host": {"base", "detect"}, "fleet": {"base"},
    },
}


def imports():
    """{module: {modules it imports}} of the collection's own, by their dotted names below `plugins`."""
    names = {".".join(path.relative_to(PLUGINS).with_suffix("").parts): path for path in PLUGINS.glob("**/*.py")}
    found = {}
    for name, path in names.items():
        wanted = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
                module = node.module[len(PACKAGE):]
                wanted.update(f"{module}.{alias.name}" if f"{module}.{alias.name}" in names else module for alias in node.names)
        found[name] = wanted
    return found


def wing(name):
    """("plugin_utils", "fleet") of plugin_utils.fleet.plan; ("plugin_utils", "base") of plugin_utils.values."""
    parts = name.split(".")
    return parts[0], parts[1] if len(parts) > 2 else "base"


def test_a_wing_imports_what_is_below_it_alone():
    wrong = []
    for name, wanted in imports().items():
        side, own = wing(name)
        if side not in MAY_IMPORT:
            continue
        for other in wanted:
            where, others = wing(other)
            if where == side and others not in MAY_IMPORT[side][own] | {own}:
                wrong.append(f"{name} imports {other}")
    assert not wrong


def test_what_runs_on_nodes_knows_nothing_of_the_control_node():
    assert not [(name, other) for name, wanted in imports().items() if name.startswith(("module_utils.", "modules."))
                for other in wanted if not other.startswith("module_utils.")]


def test_no_library_imports_a_plugin():
    assert not [(name, other) for name, wanted in imports().items() if name.startswith(("module_utils.", "plugin_utils."))
                for other in wanted if not other.startswith(("module_utils.", "plugin_utils."))]


def test_nothing_imports_itself_in_a_circle():
    graph, done = imports(), set()

    def visit(name, way):
        assert name not in way, " -> ".join(way[way.index(name):] + (name,))
        if name not in done:
            for other in sorted(graph.get(name, ())):
                visit(other, way + (name,))
            done.add(name)
    for name in graph:
        visit(name, ())
