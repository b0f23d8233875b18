# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The committed dashboards, read by Grafana's own models and by a parser of PromQL. Nothing is stubbed.

Skipped where those are not installed, as with other releases of ansible-core than the one of tests/requirements.txt.
"""

import json
import re

import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.recording import recording_groups
from ansible_collections.accelmon.fleet.tests.unit.dashboards.committed import COMMITTED, asked, module

sdk = pytest.importorskip("grafana_foundation_sdk.models.dashboard")
promql_parser = pytest.importorskip("promql_parser")

# pylint: disable=wrong-import-position,wrong-import-order
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins

register_default_plugins()


def lost(one, other, path=""):
    """What of a structure is not in another."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [found for key in one for found in (lost(one[key], other[key], f"{path}/{key}") if key in other else [f"{path}/{key}"])]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [found for place, (first, second) in enumerate(zip(one, other)) for found in lost(first, second, f"{path}/{place}")]
    return [] if one == other else [f"{path}: {one!r}, then {other!r}"]


def through_models(board):
    """A dashboard as Grafana's models write it after reading it: what they do not know is gone."""
    return json.loads(json.dumps(sdk.Dashboard.from_json(json.loads(json.dumps(board))), cls=JSONEncoder))


@pytest.mark.parametrize("name", sorted(COMMITTED))
def test_the_models_know_every_key(name):
    assert lost(COMMITTED[name], through_models(COMMITTED[name])) == []


@pytest.mark.parametrize("path", [
    ("panels", 1, "discription"), ("panels", 1, "fieldConfig", "defaults", "unitt"), ("panels", 1, "targets", 0, "exprr"),
    ("panels", 1, "options", "colourMode"), ("templating", "list", 1, "multii")])
def test_a_misspelt_key_is_lost(path):
    board = json.loads(json.dumps(COMMITTED["fleet"]))
    place = board
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = "x"
    assert lost(board, through_models(board)) == ["/" + "/".join(map(str, path))]


def names_in(node):
    """Names of the series that an expression reads."""
    if isinstance(node, promql_parser.VectorSelector):
        return {node.name} if node.name else {one.value for one in node.matchers.matchers if one.name == "__name__"}
    if isinstance(node, promql_parser.MatrixSelector):
        return names_in(node.vector_selector)
    if isinstance(node, promql_parser.BinaryExpr):
        return names_in(node.lhs) | names_in(node.rhs)
    if isinstance(node, promql_parser.Call):
        return set().union(*map(names_in, node.args))
    if isinstance(node, (promql_parser.NumberLiteral, promql_parser.StringLiteral)):
        return set()
    return names_in(node.expr)


def catalogue():
    """Names of all series that are recorded, read or published."""
    sources = load("sources")
    found = {rule["record"] for group in recording_groups("15s") for rule in group["rules"]}
    found |= {*sources["registry"], *sources["stack"], *sources["node"]}
    for spec in sources["sources"].values():
        found |= set(spec["metrics"])
    for spec in sources["published"].values():
        found |= set(spec["series"])
    return found


def shown():
    """Names of the series that only dashboards show."""
    module("accelmon_dashboards_generate", "dashboards", "generate.py")
    import boards  # pylint: disable=import-outside-toplevel,import-error
    return set(boards.SHOWN)


@pytest.mark.parametrize("name", sorted(COMMITTED))
def test_expressions_are_promql_over_series_that_exist(name):
    known = catalogue() | shown()
    for who, expression in asked.expressions(COMMITTED[name]):
        for values in ({}, {variable: ["a.b", "c"] for variable in asked.variables(COMMITTED[name])}):
            filled = asked.filled(expression, values)
            assert not re.search(r"[$]|\{\"", filled), who
            assert names_in(promql_parser.parse(filled)) <= known, who


def test_every_series_that_only_dashboards_show_is_shown():
    read = {name for board in COMMITTED.values() for _who, expression in asked.expressions(board)
            for name in names_in(promql_parser.parse(asked.filled(expression, {})))}
    assert shown() - read == set() and shown() & catalogue() == set()


@pytest.mark.parametrize("broken", ["sum(accelerator_info", "topk_max(3, accelerator_info)", "accelerator_info{"])
def test_what_is_no_promql_is_refused(broken):
    with pytest.raises(ValueError):
        promql_parser.parse(broken)
