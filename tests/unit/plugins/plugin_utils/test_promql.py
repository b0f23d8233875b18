# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which series and labels expressions name. Nothing is stubbed."""
import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import promql
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.alerts import alert_groups
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.recording import recording_groups


@pytest.mark.parametrize("expression,names,labels", [
    ('sum by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[5m] offset 1h)) > 0.5', ["node_cpu_seconds_total"], {"instance", "mode"}),
    ('a * on (x, y) group_left (z) b unless c', ["a", "b", "c"], {"x", "y", "z"}),
    ('a * ignoring(x) group_right b', ["a", "b"], {"x"}),
    ('topk(5, {__name__=~"foo|bar", x="y"})', ["foo", "bar"], {"x"}),
    ('{__name__=~"foo.*"}', [""], set()),
    ('{"my.metric", a="b"} + vector(1)', ["my.metric"], {"a"}),
    ('avg_over_time(job:foo:rate5m[30m:1m]) # up and down', ["job:foo:rate5m"], set()),
    ('max without (x) (foo @ start() offset -5m) > bool 3', ["foo"], {"x"}),
    ('count_values("v", build) / 1e3 + 0x1f - Inf', ["build"], set()),
    ('SUM(foo) BY (by)', ["foo"], {"by"}),
    ('foo{a="}", b=\'{\', c=`)`} or bar', ["foo", "bar"], {"a", "b", "c"}),
    ('foo{a="1" or b="2"}', ["foo", "foo"], {"a", "b"}),
    ('1h30m + m', ["m"], set()),
    ('"up" == 1', [], set()),
])
def test_names_and_labels(expression, names, labels):
    selectors, found = promql.read(expression)
    assert [one.name for one in selectors] == names and found == labels


@pytest.mark.parametrize("expression", ["foo{", "foo)", "(foo", "foo[5m)", "foo == $x", 'foo{a="b}', "a\x00b", "{{ a }", "[" * 10000])
def test_what_is_no_expression_is_refused(expression):
    with pytest.raises(Problem, match="; correct the expression"):
        promql.read(expression)


def test_every_expression_of_the_collection_is_understood():
    rules = [rule for group in recording_groups("15s") + alert_groups() for rule in group["rules"]]
    assert len(rules) > 100
    assert not [rule["expr"] for rule in rules if "%" not in rule["expr"] and not promql.read(rule["expr"])[0] and "vector" not in rule["expr"]]
