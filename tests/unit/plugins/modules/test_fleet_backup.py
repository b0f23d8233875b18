# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What fleet_backup says. Stubbed: systemctl, by what it would answer. Backups themselves are in roles/backup/test_backup_live.py."""
import json

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils import backup
from ansible_collections.accelmon.fleet.plugins.modules import fleet_backup

TESTED = {"path": "/mnt/mon1/20260101T030000Z", "bytes": 1234567, "files": 12, "series": 1000, "found": 999, "seconds": 2.345, "problem": ""}
LAST = {"path": "/mnt/mon1/20260101T030000Z", "bytes": 1234567, "files": 12, "series": 1000, "seconds": 2.345, "problem": ""}


@pytest.fixture(name="host")
def _host(tmp_path, monkeypatch):
    """Say how the service ends, and what it leaves."""
    def host(fails, last=None, name="backup"):
        unit = f"accelmon-{name.replace('_', '-')}.service"

        def systemctl(*words):
            assert words == ("start", unit)
            if fails:
                raise backup.Failure(f"systemctl start {unit}: {fails}")
            return ""
        monkeypatch.setattr(backup, "systemctl", systemctl)
        if last:
            (tmp_path / name).mkdir()
            (tmp_path / name / "last.json").write_text(json.dumps(last))
        return {"home": str(tmp_path)}
    return host


def test_what_was_written(host):
    assert fleet_backup.take(host("", LAST)) == ("/mnt/mon1/20260101T030000Z: 1.2 MB in 12 files, 1000 series, 2.3 s", LAST)


@pytest.mark.parametrize("fails,last,words", [
    ("Job failed", dict(LAST, problem="/mnt: no space; free some"), "^/mnt: no space; free some$"),
    ("Job failed", LAST, "^systemctl start accelmon-backup.service: Job failed$"),
    ("Unit not found.", None, "Unit not found.; set accelmon_backup_directory and run site.yml$"),
    ("", None, "^nothing was done; set accelmon_backup_directory and run site.yml$"),
])
def test_why_there_is_none(host, fails, last, words):
    with pytest.raises(backup.Failure, match=words):
        fleet_backup.take(host(fails, last))


def test_what_was_tested(host):
    assert fleet_backup.test(host("", TESTED, "backup_test")) == (
        "/mnt/mon1/20260101T030000Z: intact, 1.2 MB in 12 files; a storage has started from it, 1000 series at its time, 999 of them in it, 2.3 s; "
        "what is encrypted was not decrypted", TESTED)


@pytest.mark.parametrize("fails,last,words", [
    ("Job failed", dict(TESTED, problem="x: damaged; choose another"), "^x: damaged; choose another$"),
    ("Unit not found.", None, "Unit not found.; set accelmon_backup_test = monthly and run site.yml$"),
])
def test_why_none_was_tested(host, fails, last, words):
    with pytest.raises(backup.Failure, match=words):
        fleet_backup.test(host(fails, last, "backup_test"))


def test_an_unknown_number_is_not_zero():
    assert fleet_backup.counted(None) == "unknown number of series" and fleet_backup.counted(0) == "0 series"


def test_a_service_manager_that_does_not_come_back_is_named(tmp_path, monkeypatch):
    (tmp_path / "systemctl").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(backup, "JOB_SECONDS", 0.2)
    with pytest.raises(backup.Failure, match="^systemctl stop x: not done after 0 s; see systemctl list-jobs on this host$"):
        backup.systemctl("stop", "x")
