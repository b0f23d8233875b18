# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What fleet_backup says. Stubbed: systemctl and journalctl, by what they would answer; the module, where it is the action's turn. Backups themselves
are in roles/backup/test_backup_live.py."""
import json
import os
import types

import pytest
from ansible_collections.accelmon.fleet.plugins.action import fleet_backup as action
from ansible_collections.accelmon.fleet.plugins.module_utils import backup, command
from ansible_collections.accelmon.fleet.plugins.modules import fleet_backup

TESTED = {"path": "/mnt/mon1/20260101T030000Z", "bytes": 1234567, "files": 12, "series": 1000, "found": 999, "seconds": 2.345, "problem": ""}
LAST = {"path": "/mnt/mon1/20260101T030000Z", "bytes": 1234567, "files": 12, "series": 1000, "seconds": 2.345, "problem": ""}


class Host:
    """A monitoring host whose service ends after it was looked at so many times, and notes this, or nothing."""

    def __init__(self, folder, monkeypatch, name):
        self.home, self.name, self.unit = folder, name, f"accelmon-{name.replace('_', '-')}.service"
        self.load, self.looks, self.result, self.calls, self.line = "loaded", 0, None, [], ""
        monkeypatch.setattr(backup, "systemctl", self.systemctl)
        monkeypatch.setattr(command, "run", self.journal)
        monkeypatch.setattr(fleet_backup, "POLL_SECONDS", 0)

    def systemctl(self, *words):
        self.calls.append(words[0])
        assert words[-1] == self.unit
        if words[0] == "start":
            return ""
        if self.load != "loaded" or "start" not in self.calls:
            return f"LoadState={self.load} ActiveState=inactive"
        self.looks -= 1
        if self.looks >= 0:
            return "LoadState=loaded ActiveState=activating" if self.looks % 2 else "LoadState=loaded ActiveState=inactive Job=123"
        if self.result:
            self.note(self.result)
        return "LoadState=loaded ActiveState=failed"

    def journal(self, argv, _seconds):
        assert argv[0] == "journalctl" and argv[-2] == self.unit
        return 0, self.line + "\n", ""

    def note(self, last, age=0):
        (self.home / self.name).mkdir(exist_ok=True)
        path = self.home / self.name / "last.json"
        path.write_text(json.dumps(last))
        if age:
            os.utime(path, (path.stat().st_mtime - age,) * 2)

    def asked(self, since=None, wait=60):
        return {"settings": {"home": str(self.home)}, "since": since, "wait": wait}


@pytest.fixture(name="host")
def _host(tmp_path, monkeypatch):
    return lambda name="backup": Host(tmp_path, monkeypatch, name)


def test_what_was_written(host):
    host = host()
    host.looks, host.result = 3, LAST
    assert fleet_backup.take(host.asked()) == ("/mnt/mon1/20260101T030000Z: 1.2 MB in 12 files, 1000 series, 2.3 s", LAST)
    assert host.calls.count("start") == 1
    host.calls, host.result = [], dict(LAST, copy="s3://backups/mon1/20260101T000000Z")
    assert fleet_backup.take(host.asked())[0] == (
        "/mnt/mon1/20260101T030000Z: 1.2 MB in 12 files, 1000 series, 2.3 s; copied to s3://backups/mon1/20260101T000000Z")


@pytest.mark.parametrize("load,result,words", [
    ("loaded", dict(LAST, problem="/mnt: no space; free some"), "^/mnt: no space; free some$"),
    ("loaded", None, "^accelmon-backup.service has left no result; see journalctl -u accelmon-backup.service on this host$"),
    ("not-found", None, "^accelmon-backup.service is not on this host; set accelmon_backup_directory and run site.yml$"),
])
@pytest.mark.parametrize("former", [None, LAST, dict(LAST, problem="of another time")])
def test_why_there_is_none(host, load, result, words, former):
    """What an earlier run has left says nothing, even where its unit is gone since."""
    host = host()
    host.load, host.result = load, result
    if former:
        host.note(former, age=3600)
    with pytest.raises(backup.Failure, match=words):
        fleet_backup.take(host.asked())


def test_what_was_tested(host):
    host = host("backup_test")
    host.result = TESTED
    assert fleet_backup.test(host.asked()) == (
        "/mnt/mon1/20260101T030000Z: intact, 1.2 MB in 12 files; a storage has started from it, 1000 series at its time, 999 of them in it, 2.3 s; "
        "what is encrypted was not decrypted", TESTED)


@pytest.mark.parametrize("load,result,words", [
    ("loaded", dict(TESTED, problem="x: damaged; choose another"), "^x: damaged; choose another$"),
    ("not-found", None, "is not on this host; set accelmon_backup_test = monthly and run site.yml$"),
])
def test_why_none_was_tested(host, load, result, words):
    host = host("backup_test")
    host.load, host.result = load, result
    with pytest.raises(backup.Failure, match=words):
        fleet_backup.test(host.asked())


def test_a_run_that_is_not_done_is_followed_and_not_started_again(host):
    host = host()
    host.looks, host.result, host.line = 3, LAST, "copying: 1.0 GB done"
    with pytest.raises(fleet_backup.Busy) as caught:
        fleet_backup.take(host.asked(wait=0))
    assert str(caught.value) == "copying: 1.0 GB done"
    assert fleet_backup.take(host.asked(since=caught.value.more["since"]))[1] == LAST and host.calls.count("start") == 1


def test_the_action_says_what_is_new_and_waits_for_the_end(monkeypatch):
    lines, asked = [], []
    monkeypatch.setattr(action, "Display", lambda: types.SimpleNamespace(display=lines.append))
    monkeypatch.setattr(action.ActionBase, "run", lambda *_arguments: {})

    def run(**task):
        answers = iter([{"running": {"since": 7.5, "line": line}} for line in ("", "1 GB", "1 GB", "2 GB")] + [{"message": "done", "changed": True}])
        plugin = object.__new__(action.ActionModule)
        plugin._task = types.SimpleNamespace(args=dict({"action": "take"}, **task))
        plugin._execute_module = lambda module_args, task_vars: (asked.append(module_args), next(answers))[1]
        return plugin.run(task_vars={"inventory_hostname": "mon1"})

    assert run() == {"message": "done", "changed": True} and lines == ["mon1: 1 GB", "mon1: 2 GB"]
    assert [one.get("since") for one in asked] == [None, 7.5, 7.5, 7.5, 7.5] and {one["wait"] for one in asked} == {action.LONGEST_WAIT}
    run(quiet=True)
    assert len(lines) == 2


def test_an_unknown_number_is_not_zero():
    assert fleet_backup.counted(None) == "unknown number of series" and fleet_backup.counted(0) == "0 series"


def test_a_service_manager_that_does_not_come_back_is_named(tmp_path, monkeypatch):
    (tmp_path / "systemctl").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(backup, "JOB_SECONDS", 0.2)
    with pytest.raises(backup.Failure, match="^systemctl stop x: not done after 0 s; see systemctl list-jobs on this host$"):
        backup.systemctl("stop", "x")
