# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is recorded again after an outage. Stubbed: the storage's answers, the commands, and the waits between them."""
import re

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import replay
from ansible_collections.accelmon.fleet.plugins.modules import rules_replay
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.recording import recording_groups, replay_stages

PARAMS = {"storage_url": "https://127.0.0.1:8428", "query_timeout": 5, "hours": 1, "recordable": "node_gpu_info", "user": "accelmon-vmalert",
          "command": ["/usr/bin/vmalert", "-datasource.url=https://127.0.0.1:8428"]}


@pytest.mark.parametrize("lost, expected", [
    ([], []), ([60, 70], []), ([60, 70, 80], [(60, 80)]), ([60, 70, 80, 90, 200, 210, 220], [(60, 90), (200, 220)])])
def test_a_gap_is_where_something_was_scraped_and_nothing_recorded(lost, expected):
    scraped = list(range(0, 400, 10))
    assert replay.gaps(scraped, [moment for moment in scraped if moment not in lost], 10) == expected


def test_before_the_first_and_after_the_last_that_was_recorded_there_is_no_gap():
    scraped = list(range(0, 400, 10))
    assert replay.gaps(scraped, scraped[10:20], 10) == [] and replay.gaps(scraped, [], 10) == []


def test_where_nothing_was_scraped_either_nothing_can_be_recorded():
    assert replay.gaps([0, 10, 100, 110], [0, 110], 10) == []


def test_the_storage_is_asked_in_parts_that_it_can_answer(monkeypatch):
    asked = []

    def answer(url, expression, _timeout, start, end, step, _access):
        asked.append((expression, start, end))
        assert url == PARAMS["storage_url"] and (end - start) // step < 30000
        recorded = "accelerator_info" in expression
        return [({}, [(float(moment), 1.0) for moment in range(start, end + 1, step) if not recorded or not 5000 <= moment <= 5100])]
    monkeypatch.setattr(replay.query, "range_query", answer)
    monkeypatch.setattr(replay.time, "time", lambda: 80000.7)
    assert replay.search(dict(PARAMS, hours=22), None, 5) == [(5000, 5100)]
    assert len(asked) == 4 and asked[0][0] == "count(node_gpu_info)" and asked[2][0] == "count(last_over_time(accelerator_info[5s]))" and asked[1][2] == 79940
    assert asked[1][1] == asked[0][2] + 5


def test_vmalert_evaluates_stage_after_stage_as_its_own_user_and_knows_the_password_by_its_file(monkeypatch):
    ran, waited = [], []
    monkeypatch.setattr(replay.time, "sleep", waited.append)
    replay.replay(PARAMS, lambda argv: ran.append(argv) or (0, "", ""), ["/t/0.yml", "/t/1.yml"], [(1764433600, 1764433680), (1, 2)])
    assert [next(word for word in argv if word.startswith("-rule=")) for argv in ran] == ["-rule=/t/0.yml"] * 2 + ["-rule=/t/1.yml"] * 2
    assert len(waited) == 2, "what a file recorded can be read by the next"
    assert ran[0][0] == "systemd-run" and {"--property=User=accelmon-vmalert", "--property=SupplementaryGroups=accelmon"} < set(ran[0])
    assert {"-replay.timeFrom=2025-11-29T16:26:40Z", "-replay.timeTo=2025-11-29T16:28:00Z"} < set(ran[0]) and not any("notifier" in word for word in ran[0])


def test_a_replay_that_fails_says_why_and_goes_no_further(monkeypatch):
    monkeypatch.setattr(replay.time, "sleep", lambda seconds: pytest.fail("it goes on"))
    with pytest.raises(Failure, match=r"^vmalert could not replay 1970-01-01T00:00:00Z to 1970-01-01T00:00:09Z: fatal connection refused$"):
        replay.replay(PARAMS, lambda argv: (1, "info x\n", "fatal connection refused\n"), ["/t/0.yml", "/t/1.yml"], [(0, 9)])


def test_the_files_can_be_read_by_the_user_of_vmalert_and_written_by_nobody_else(tmp_path):
    paths = rules_replay.written(str(tmp_path), ["a", "b"])
    assert [open(path, encoding="utf-8").read() for path in paths] == ["a", "b"]
    assert tmp_path.stat().st_mode & 0o777 == 0o755 and (tmp_path / "0.yml").stat().st_mode & 0o777 == 0o644


def test_no_stage_reads_what_it_records_itself_or_a_later_one_does():
    stages = [[rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]] for text in replay_stages("15s")]
    assert sum(map(len, stages)) == sum(len(group["rules"]) for group in recording_groups("15s"))
    for number, rules in enumerate(stages):
        later = {rule["record"] for stage in stages[number:] for rule in stage}
        for rule in rules:
            assert not later & set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", rule["expr"])), (number, rule["record"])
