# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What playbooks show of what a monitoring host answered."""

from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.fleet import answer, answers_by_host, verify_answers


def test_tables_then_what_else_is_to_be_said():
    assert answer({"item": "mon1", "table": "A\nB", "summary": "2 nodes", "fleet_alerts": ["X", "Y"], "notes": ["n"], "problems": ["p"]}, "text") == [
        "A", "B", "2 nodes", "other alerts: X, Y", "note: n", "mon1: p"]
    assert answer({"item": "mon1", "table": "A", "exporter_table": "E", "problems": []}, "text") == ["A", "E"]


def test_nothing_to_show_is_no_line():
    assert answer({"item": "mon1", "table": "", "exporter_table": "", "summary": "", "fleet_alerts": [], "notes": [], "problems": []}, "text") == []


def test_only_ends_of_lines_part_lines():
    """A name that a stranger chose may hold other characters that Python takes for ends of lines."""
    assert answer({"item": "mon1", "table": "gpu\x0b1\ngpu\u20282", "problems": []}, "text") == ["gpu\x0b1", "gpu\u20282"]


def test_as_json_it_is_the_data_alone_and_whose_it_is():
    data = {"rows": [{"node": "gpu1"}], "sites": [{"cluster": "east"}], "notes": [], "problems": ["p"]}
    told = {"item": "mon1", "changed": False, "table": "A", "site_table": "B", **data}
    assert answers_by_host([told]) == {"mon1": data}
    assert answer(told, "json") == {"monitoring_host": "mon1", **data}


SILENT = {"item": "mon1", "unanswered": {"what": "ssh", "value": "no answer", "fix": "check that it is running"}}


def test_a_host_that_does_not_answer_is_one_line():
    assert answer(SILENT, "text") == ["mon1: ssh: no answer; check that it is running"]
    assert answer(SILENT, "json") == {"monitoring_host": "mon1", "problems": ["ssh: no answer; check that it is running"]}
    assert answers_by_host([SILENT]) == {"mon1": {"problems": ["ssh: no answer; check that it is running"]}}


def test_a_host_that_does_not_answer_is_a_failure_and_takes_no_other_answer_away():
    told = {"item": "mon2", "ok": True, "failures": [], "counts": {"nodes": 3}, "report": "fine"}
    silent, other = verify_answers([SILENT, told])
    assert other == told and not silent["ok"] and silent["counts"] == {}
    assert [failure["line"] for failure in silent["failures"]] == [silent["report"]] == ["mon1: ssh: no answer; check that it is running"]
