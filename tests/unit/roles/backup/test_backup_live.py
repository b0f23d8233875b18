# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup by the program, run as its unit runs it, of a real VictoriaMetrics or Prometheus, and what a second one finds after a restore.

Needs victoria-metrics and prometheus in the directory ACCELMON_PROGRAMS, or on PATH; tests are skipped without those that they start.
Stubbed: Alertmanager, by a web server that keeps silences; systemctl, by a script that notes what it was asked; rclone, where a copy is to fail (the
real one: test_bucket_live.py). Grafana's database is a made-up one.
"""
import hmac
import http.server
import importlib
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest.mock
import urllib.error
import urllib.request

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils import backup
from ansible_collections.accelmon.fleet.plugins.module_utils.access import bcrypt
from ansible_collections.accelmon.fleet.tests.unit.plugins.live_programs import PATIENCE_SECONDS, eventually, free_port

ROOT = pathlib.Path(__file__).resolve().parents[4]
PROGRAM = ROOT / "roles/backup/files/accelmon_backup.py"
FOLDER = os.environ.get("ACCELMON_PROGRAMS")
SECRET = "a-password-of-the-fleet"
SIGNING = "what-backups-are-signed-with-0123456789"


class Alertmanager(http.server.BaseHTTPRequestHandler):
    """Keeps silences, as API v2 does."""

    def do_GET(self):
        self.answer(self.server.silences)

    def do_POST(self):
        new = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.silences.append(dict(new, id=str(len(self.server.silences)), status={"state": "active"}))
        self.answer({"silenceID": "x"})

    def answer(self, document):
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        """Keep the test's output clean."""


def silence(comment, ends="2199-01-01T00:00:00.000Z", state="active"):
    return {"id": comment, "matchers": [{"name": "node", "value": "gpu7", "isRegex": False, "isEqual": True}], "startsAt": "2026-01-01T00:00:00.000Z",
            "endsAt": ends, "createdBy": "ada", "comment": comment, "status": {"state": state}}


class Host:
    """A monitoring host below a folder."""

    def __init__(self, folder, service, port):
        self.folder, self.service, self.home, self.process = folder, service, folder / "lib", None
        self.directory, self.textfiles = folder.parent / "nfs", folder / "textfile"
        for path in (self.home, self.textfiles, folder / "bin"):
            path.mkdir(parents=True)
        self.directory.mkdir(exist_ok=True)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Alertmanager)
        self.server.silences = []
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.port, self.moment = port, 1700000000
        self.systemctl("inactive")
        (folder / "secret").write_text(SIGNING + "\n")
        self.settings = {
            "host": "mon1", "cluster": "c1", "directory": str(self.directory), "keep": 2, "keep_weekly": 0,
            "secret_file": str(folder / "secret"), "s3_file": "", "home": str(self.home),
            "storage": {"service": service, "url": f"http://127.0.0.1:{port}", "unit": str(folder / "unit"), "web_config": str(folder / "web.yml")},
            "alertmanager": f"http://127.0.0.1:{self.server.server_port}",
            "recipient": str(folder.parent / "recipient.pem"), "password_file": str(folder / "none"), "ca_file": str(folder / "none"),
            "textfile_directory": str(self.textfiles)}

    def systemctl(self, state):
        """Let systemctl say that services are in this state, and note what else it is asked."""
        path = self.folder / "bin" / "systemctl"
        path.write_text(f'#!/bin/sh\n[ "$1" = is-active ] && echo {state} || echo "$*" >> {self.folder}/asked\n')
        path.chmod(0o755)

    def start(self):
        program = {"victoriametrics": "victoria-metrics", "prometheus": "prometheus"}[self.service]
        found = shutil.which(program, path=FOLDER)
        if not found:
            pytest.skip(f"no {program} in ACCELMON_PROGRAMS or on PATH")
        data = self.home / self.service
        (self.folder / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 1s}}
scrape_configs: [{{job_name: own, static_configs: [{{targets: ["127.0.0.1:{self.port}"]}}]}}]
""")
        arguments = [f"-storageDataPath={data}", f"-httpListenAddr=127.0.0.1:{self.port}", "-retentionPeriod=1y"] if self.service == "victoriametrics" else [
            f"--storage.tsdb.path={data}", f"--web.listen-address=127.0.0.1:{self.port}", f"--config.file={self.folder}/prometheus.yml",
            "--web.enable-admin-api"]
        (self.folder / "unit").write_text(f"[Service]\nUser=x\nExecStart={found} {' '.join(arguments)}\n")
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([found, *arguments], stdout=log, stderr=log, cwd=self.folder)
        eventually(self.answers)

    def answers(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
            return False

    def fill(self):
        """Samples, and what else there is to lose."""
        if self.service == "victoriametrics":
            text = "".join(f'accelerator_x{{node="gpu{number}"}} {number}\n' for number in range(500)).encode()
            with urllib.request.urlopen(urllib.request.Request(f"{self.settings['storage']['url']}/api/v1/import/prometheus", data=text), timeout=30):
                pass
        eventually(lambda: (backup.series(self.settings, time.time()) or 0) > 200)
        for path, text, mode in (("registry/c1.json", "{}", 0o644), ("secrets/secrets.json", SECRET, 0o600), ("secrets/lock", "", 0o600),
                                 ("targets/custom/own.yml", "[]", 0o644)):
            (self.home / path).parent.mkdir(parents=True, exist_ok=True)
            (self.home / path).write_text(text)
            (self.home / path).chmod(mode)
        (self.home / "secrets").chmod(0o700)
        (self.home / "grafana").mkdir()
        with sqlite3.connect(self.home / "grafana/grafana.db") as database:
            database.execute("create table dashboard (title text)")
            database.execute("insert into dashboard values ('mine')")
        self.server.silences = [silence("repair"), silence("over", state="expired"), silence("past", ends="2020-01-01T00:00:00.000Z")]

    def program(self):
        (self.folder / "settings.json").write_text(json.dumps(self.settings))
        return [sys.executable, "-IS", str(PROGRAM), f"--settings={self.folder}/settings.json"]

    def back_up(self):
        """(exit status, what was said, last.json)."""
        done = subprocess.run(self.program(), check=False, capture_output=True, text=True)
        return done.returncode, done.stderr, json.loads((self.home / "backup/last.json").read_text())

    def test(self):
        """(exit status, what was said, last.json) of a test of the newest backup."""
        (self.home / "backup_test").mkdir(exist_ok=True)  # as systemd does
        done = subprocess.run([*self.program(), "--test"], check=False, capture_output=True, text=True)
        note = self.home / "backup_test/last.json"
        return done.returncode, done.stdout + done.stderr, json.loads(note.read_text()) if note.exists() else None

    def close(self):
        """Give it a password."""
        (self.folder / "password").write_text("of-the-stack\n")
        (self.folder / "web.yml").write_text(json.dumps({"basic_auth_users": {"accelmon": bcrypt.hashed("of-the-stack")}}))
        self.settings["password_file"] = str(self.folder / "password")

    def backups(self):
        """Names in the host's directory of backups."""
        return sorted(path.name for path in (self.directory / "mon1").iterdir())

    def metrics(self, name="accelmon_backup.prom"):
        rows = (self.textfiles / name).read_text().splitlines()
        return {name: float(value) for name, value in (row.split() for row in rows if not row.startswith("#"))}

    def restore(self, monkeypatch, path, key, check=False, secret=SIGNING):
        monkeypatch.setenv("PATH", f"{self.folder}/bin", prepend=os.pathsep)
        self.moment += 1
        return backup.restore(self.settings, path, key, secret, check, self.moment, print)

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGINT)
            self.process.wait()
            self.process = None


@pytest.fixture(name="key", scope="module")
def _key(tmp_path_factory):
    """Recipient: folder with its certificate and key."""
    folder = tmp_path_factory.mktemp("recipient")
    for name in ("recipient", "other"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=backup", "-days", "3650",
                        "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem"], check=True, stderr=subprocess.DEVNULL)
    return folder


@pytest.fixture(name="make")
def _make(tmp_path, key):
    hosts = []
    shutil.copy(key / "recipient.pem", tmp_path)

    def make(name, service, folder=tmp_path):
        hosts.append(Host(folder / name, service, free_port()))
        return hosts[-1]
    yield make
    for host in hosts:
        host.stop()
        host.server.shutdown()
        host.server.server_close()


@pytest.mark.parametrize("service", ["victoriametrics", "prometheus"])
def test_a_new_host_has_everything_back(make, key, monkeypatch, service):
    old = make("old", service)
    old.start()
    old.fill()
    code, said, last = old.back_up()
    assert (code, said, last["problem"], last["success"]) == (0, "", "", 1)
    assert last["series"] > 200 and last["bytes"] > 1000 and old.backups() == [os.path.basename(last["path"])]
    assert list((old.home / service / "snapshots").iterdir()) == [] and not (old.home / "backup/snapshot").exists()
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in pathlib.Path(last["path"]).rglob("*") if path.is_file())
    metrics = old.metrics()
    assert metrics["accelmon_backup_success"] == 1 and metrics["accelmon_backup_size_bytes"] == last["bytes"]
    assert abs(metrics["accelmon_backup_last_success_timestamp_seconds"] - time.time()) < 600
    old.stop()

    new = make("new", service)
    private = (key / "recipient.key").read_text()
    assert new.restore(monkeypatch, last["path"], private, check=True)["kept"] == [] and sorted(os.listdir(new.home)) == ["backup"]
    assert new.restore(monkeypatch, last["path"], private)["kept"] == []
    assert (new.home / "secrets/secrets.json").read_text() == SECRET and sorted(os.listdir(new.home / "secrets")) == ["secrets.json"]
    assert [(new.home / path).stat().st_mode & 0o777 for path in ("secrets", "secrets/secrets.json", "registry", "registry/c1.json")] == [
        0o700, 0o600, 0o755, 0o644]
    assert (new.home / "targets/custom/own.yml").read_text() == "[]"
    new.start()  # as site.yml does
    (new.home / "grafana").mkdir()
    new.server.silences = [silence("newer")]
    found = backup.finish(new.settings)
    assert (found["silences"], [one["comment"] for one in new.server.silences]) == (1, ["newer", "repair"])
    assert found["found"] >= found["series"] == last["series"]
    with sqlite3.connect(new.home / "grafana/grafana.db") as database:
        assert database.execute("select title from dashboard").fetchall() == [("mine",)]
    assert not (new.home / "backup/restored").exists()


@pytest.fixture(name="newer")
def _newer(make):
    """A host whose secrets are newer than its backup, and the backup's path. Its storage is stopped, but systemctl says that it runs."""
    host = make("old", "victoriametrics")
    host.start()
    host.fill()
    path = host.back_up()[2]["path"]
    host.stop()
    (host.home / "secrets/secrets.json").write_text("newer")
    host.systemctl("active")
    return host, path


def test_onto_the_same_host(newer, key, monkeypatch):
    """What was there is kept, the storage is stopped for the exchange alone, and no silence comes twice."""
    host, path = newer
    kept = host.restore(monkeypatch, path, (key / "recipient.key").read_text())["kept"]
    assert [os.path.basename(one).partition(".")[0] for one in kept] == ["registry", "secrets", "custom", "victoriametrics"]
    assert (pathlib.Path(kept[1]) / "secrets.json").read_text() == "newer" and (host.home / "secrets/secrets.json").read_text() == SECRET
    assert (host.folder / "asked").read_text().split("\n")[:2] == ["stop accelmon-victoriametrics.service", "start accelmon-victoriametrics.service"]
    host.start()
    assert backup.finish(host.settings)["silences"] == 0
    with pytest.raises(backup.Failure, match="nothing was restored"):
        backup.finish(host.settings)


def test_a_rewind_brings_back_the_storage_alone_and_leaves_it_stopped(newer, monkeypatch):
    host, path = newer
    monkeypatch.setenv("PATH", f"{host.folder}/bin", prepend=os.pathsep)
    change(pathlib.Path(path) / "manifest.json")
    with pytest.raises(backup.Failure, match="not what was signed"):
        backup.rewind(host.settings, path, host.moment, print)
    assert not (host.folder / "asked").exists()
    change(pathlib.Path(path) / "manifest.json")
    found = backup.rewind(host.settings, path, host.moment, print)
    assert found["kept"] == [f"{host.home}/victoriametrics.before-{backup.stamp(host.moment)}"] and os.path.isdir(found["kept"][0])
    assert (host.folder / "asked").read_text() == "stop accelmon-victoriametrics.service\n"
    assert (host.home / "secrets/secrets.json").read_text() == "newer"
    host.start()
    assert backup.series(host.settings, found["at"]) >= found["series"]


@pytest.fixture(name="taken")
def _taken(make):
    """A host without samples and its backup's path."""
    host = make("old", "victoriametrics")
    host.start()
    (host.home / "secrets").mkdir()
    (host.home / "secrets/secrets.json").write_text(SECRET)
    return host, host.back_up()[2]["path"]


def files(folder):
    """Paths of all files below a folder."""
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def change(path):
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


def rewrite(path, old, new, secret=SIGNING):
    """Change the manifest and sign it."""
    text = (path / "manifest.json").read_text()
    assert old in text
    (path / "manifest.json").write_text(text.replace(old, new))
    (path / "manifest.hmac").write_text(hmac.new(secret.encode(), (path / "manifest.json").read_bytes(), "sha256").hexdigest())


@pytest.mark.parametrize("harm,words", [
    (lambda path: change(path / "state.tar.cms"), "state.tar.cms: missing or damaged"),
    (lambda path: (path / "state.tar.cms").write_bytes(b""), "state.tar.cms: missing or damaged"),
    (lambda path: change(max((one for one in (path / "storage").rglob("*") if one.is_file()), key=lambda one: one.stat().st_size)), "missing or damaged"),
    (lambda path: next(one for one in (path / "storage").rglob("*") if one.is_file()).unlink(), "missing or damaged"),
    (lambda path: (path / "manifest.json").unlink(), "not a backup, or an incomplete one"),
    (lambda path: change(path / "manifest.json"), "not what was signed with this accelmon_backup_secret"),
    (lambda path: change(path / "manifest.hmac"), "not what was signed with this accelmon_backup_secret"),
    (lambda path: (path / "manifest.hmac").write_bytes(b""), "not what was signed with this accelmon_backup_secret"),
    (lambda path: (path / "manifest.hmac").unlink(), "not signed; whoever can write there may have made it: it has no readable manifest.hmac"),
    (lambda path: rewrite(path, '"series": ', '"series": ', secret="of-somebody-else"), "not what was signed with this accelmon_backup_secret"),
    (lambda path: rewrite(path, '"storage/', '"storage/../../'), "is damaged"),
    (lambda path: rewrite(path, '"format": 1', '"format": 2'), "in format 2"),
    (lambda path: rewrite(path, '"at": ', '"at": "" , "x": '), "is damaged"),
    (lambda path: rewrite(path, '"at": ', '"at": 1'), "signed, but made at .*: another backup was put in its place"),
])
def test_a_damaged_backup_changes_nothing(taken, key, monkeypatch, harm, words):
    host, path = taken
    harm(pathlib.Path(path))
    before = sorted(os.listdir(host.home))
    for check in (True, False):
        with pytest.raises(backup.Failure, match=words):
            host.restore(monkeypatch, path, (key / "recipient.key").read_text(), check)
    assert sorted(os.listdir(host.home)) == before and not (host.home / "backup/restored").exists() and not (host.folder / "asked").exists()


def test_another_key_opens_nothing(taken, key, monkeypatch):
    host, path = taken
    for wrong in ((key / "other.key").read_text(), "", "no key\n"):
        with pytest.raises(backup.Failure, match="cannot be decrypted with this key"):
            host.restore(monkeypatch, path, wrong)
    with pytest.raises(backup.Failure, match="accelmon_backup_secret = '': it tells backups of this fleet from those of others"):
        host.restore(monkeypatch, path, "", secret="")
    host.settings["storage"]["service"] = "prometheus"
    with pytest.raises(backup.Failure, match="a backup of victoriametrics, but this host has accelmon_backend = prometheus"):
        host.restore(monkeypatch, path, "")
    assert (host.home / "secrets/secrets.json").read_text() == SECRET


def test_only_the_newest_are_kept_and_only_after_success(taken):
    host, first = taken
    for number in range(1, 4):
        os.rename(first, first[:-16] + f"2026010{number}T000000Z")
        first = host.back_up()[2]["path"]
    assert host.backups() == ["20260103T000000Z", os.path.basename(first)]
    host.settings["recipient"] = "/etc/hostname"
    code, said, last = host.back_up()
    assert code == 1 and "openssl cannot encrypt to this certificate" in said and said.strip() == last["problem"] and len(said.splitlines()) == 1
    assert (last["success"], host.metrics()["accelmon_backup_success"], host.metrics()["accelmon_backup_last_success_timestamp_seconds"]) == (0, 0, last["at"])
    assert host.backups()[-2:] == ["20260103T000000Z", os.path.basename(first)]


def test_a_backup_whose_copy_fails_stays_and_is_no_success(taken, monkeypatch):
    """So BackupOld fires if no copy succeeds for long."""
    host, first = taken
    os.rename(first, first[:-16] + "20260101T000000Z")
    before = json.loads((host.home / "backup/last.json").read_text())
    (host.folder / "s3.json").write_text(json.dumps({"url": "s3://backups", "endpoint": "", "region": "", "access_key": "a", "secret_key": "s"}))
    host.settings["s3_file"] = str(host.folder / "s3.json")
    (host.folder / "bin/rclone").write_text("#!/bin/sh\ncase $* in *' lsf '*) exit 3;; esac\necho '2026/11/30 06:00:00 Failed to copy: no' >&2\nexit 1\n")
    (host.folder / "bin/rclone").chmod(0o755)
    monkeypatch.setenv("PATH", f"{host.folder}/bin", prepend=os.pathsep)
    code, said, last = host.back_up()
    assert len(host.backups()) == 2
    new = host.backups()[-1]
    assert code == 1 and len(said.splitlines()) == 1 and said.strip() == last["problem"]
    assert f"/{new}: complete, but its copy in s3://backups/mon1 has failed: rclone: Failed to copy: no; check the bucket" in said
    assert (last["success"], last["at"]) == (0, before["at"])
    metrics = host.metrics()
    assert metrics["accelmon_backup_success"] == 0 and metrics["accelmon_backup_last_success_timestamp_seconds"] == pytest.approx(before["at"])
    os.rename(host.directory / "mon1" / new, host.directory / "mon1/20260102T000000Z")
    (host.folder / "bin/rclone").write_text("#!/bin/sh\n")
    code, said, last = host.back_up()
    assert (code, said, last["success"]) == (0, "", 1) and last["copy"] == "s3://backups/mon1/" + host.backups()[-1]


def test_a_backup_put_into_the_directory_by_others_is_read_no_further(taken, key, monkeypatch):
    """Its state would be decrypted, and its storage given to the storage. Unsigned, it is not even opened."""
    host, path = taken
    (pathlib.Path(path) / "manifest.hmac").unlink()
    (pathlib.Path(path) / "manifest.json").write_text("[" * 100000)
    with pytest.raises(backup.Failure, match="not signed"):
        host.restore(monkeypatch, path, (key / "recipient.key").read_text())
    (pathlib.Path(path) / "manifest.hmac").symlink_to("/dev/zero")
    with pytest.raises(backup.Failure, match="not a plain file"):
        host.restore(monkeypatch, path, (key / "recipient.key").read_text())


def test_without_the_secret_nothing_is_begun(taken):
    host, path = taken
    (host.folder / "secret").unlink()
    code, said, _last = host.back_up()
    assert (code, said) == (1, f"{host.folder}/secret: No such file or directory\n") and host.backups() == [os.path.basename(path)]


@pytest.mark.parametrize("keep,weekly,kept", [
    (1, 0, ["20261129"]), (2, 0, ["20261128", "20261129"]), (1, 1, ["20261129"]), (1, 2, ["20261122", "20261129"]),
    # There was none in the week before that of the 22nd; the 1st of November is a Sunday.
    (1, 4, ["20251231", "20261101", "20261122", "20261129"]), (3, 3, ["20261101", "20261122", "20261127", "20261128", "20261129"]),
    # 29 December 2025 to 4 January 2026 is one week, of 2026.
    (1, 9, ["20251228", "20251231", "20261101", "20261122", "20261129"]),
])
def test_the_newest_of_each_week_is_kept(keep, weekly, kept):
    dates = ["20251228", "20251230", "20251231", "20261031", "20261101", "20261121", "20261122", "20261127", "20261128", "20261129"]
    names = [date + "T030000Z" for date in dates]
    gone = backup.outdated(names, names[-1], keep, weekly)
    assert [name[:8] for name in names if name not in gone] == kept
    # A name from a clock that was ahead, or one that is no time, spoils nothing.
    odd = ["20270101T000000Z", "20260000T999999Z"]
    assert set(backup.outdated(names + odd, names[-1], keep, weekly)) >= set(gone) | set(odd[:weekly <= 5]) and names[-1] not in gone


def test_what_a_wrong_clock_dated_goes_first_and_never_the_newest(taken):
    host, first = taken
    ahead = first[:-16] + "20990101T000000Z"
    os.rename(first, ahead)
    second = host.back_up()[2]["path"]
    assert host.backups() == [os.path.basename(second), "20990101T000000Z"]
    os.rename(second, first[:-16] + "20260102T000000Z")
    third = host.back_up()[2]["path"]
    assert host.backups() == ["20260102T000000Z", os.path.basename(third)]
    # A failure does not take what is to come for the last success.
    last = json.loads((host.home / "backup/last.json").read_text())
    (host.home / "backup/last.json").write_text(json.dumps(dict(last, at=4e9)))
    host.settings["recipient"] = "/etc/hostname"
    assert host.back_up()[2]["at"] <= time.time()


def test_a_failure_leaves_nothing_behind(taken):
    """What fills the disk does not stay there until the next run."""
    host, path = taken
    host.settings["recipient"] = "/etc/hostname"
    assert host.back_up()[0] == 1 and host.backups() == [os.path.basename(path)]


def test_a_backup_that_cannot_be_read_is_not_taken_for_half_a_one(taken, monkeypatch):
    host, path = taken
    real = os.listdir

    def listdir(place="."):
        if str(place) == path:
            raise OSError(5, "Input/output error", path)
        return real(place)
    monkeypatch.setattr(os, "listdir", listdir)
    with pytest.raises(OSError, match="Input/output error"):
        backup.take(host.settings, time.time(), print)
    monkeypatch.undo()
    assert sorted(os.listdir(path)) == ["manifest.hmac", "manifest.json", "state.tar.cms", "storage"]


def test_nothing_is_begun_that_does_not_fit(taken, key, monkeypatch):
    host, path = taken
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: shutil._ntuple_diskusage(10, 9, 1))
    words = "1 MB are needed, 0 MB are free; free some space there"
    with pytest.raises(backup.Failure, match=words):
        backup.take(host.settings, time.time(), print)
    assert host.backups() == [os.path.basename(path)]
    with pytest.raises(backup.Failure, match=words):
        host.restore(monkeypatch, path, (key / "recipient.key").read_text())
    assert host.restore(monkeypatch, path, (key / "recipient.key").read_text(), check=True)


@pytest.fixture(name="foreign")
def _foreign(tmp_path):
    """A file of another user than the storage's."""
    if os.geteuid():
        return pathlib.Path("/etc/passwd")
    (tmp_path / "foreign").write_text(SECRET)
    os.chown(tmp_path / "foreign", 65534, -1)
    return tmp_path / "foreign"


@pytest.mark.parametrize("plant,words", [
    (lambda place, foreign: (place / "x").symlink_to(foreign), "not a plain file, or not of the user whose directory it is in"),
    (lambda place, _foreign: os.mkfifo(place / "x"), "not a plain file, or not of the user"),
    (lambda place, _foreign: (place / "x").symlink_to(place / "none"), "No such file or directory"),
])
def test_what_the_storage_has_not_written_is_not_read(tmp_path, foreign, plant, words):
    """A storage that somebody else has taken over could link to any file: root would copy it in clear, and give it to the storage at a restore."""
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "partial").mkdir()
    (tmp_path / "snapshot" / "good").write_text("sample")
    target = str(tmp_path / "partial/storage")
    assert [one["path"] for one in backup.copy_tree(str(tmp_path / "snapshot"), target, os.geteuid(), print)] == ["storage/good"]
    plant(tmp_path / "snapshot", foreign)
    with pytest.raises((backup.Failure, OSError), match=words):
        backup.copy_tree(str(tmp_path / "snapshot"), target, os.geteuid(), print)
    with pytest.raises(OSError, match="No such file"):
        backup.copy_tree(str(tmp_path / "gone"), target, os.geteuid(), print)


def test_a_long_work_says_now_and_then_how_far_it_is(tmp_path, monkeypatch):
    """The clock is stubbed: 20 seconds pass with each piece of 1000 bytes."""
    clock = iter(range(0, 10000, 20))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(backup, "CHUNK", 1000)
    (tmp_path / "snapshot").mkdir()
    for name, count in (("a", 1000), ("b", 4000), ("c", 1000)):
        (tmp_path / "snapshot" / name).write_bytes(b"x" * count)
    lines = []
    backup.copy_tree(str(tmp_path / "snapshot"), str(tmp_path / "storage"), os.geteuid(), lines.append)
    assert lines == [f"copying the storage to {tmp_path}/storage: {text}" for text in (
        "2.0 kB done, 4.0 kB left, about 80 s", "4.0 kB done, 2.0 kB left, about 40 s", "6.0 kB done, 0.0 kB left, about 0 s")]
    monkeypatch.setattr(time, "monotonic", lambda: 1)
    backup.copy_tree(str(tmp_path / "snapshot"), str(tmp_path / "storage"), os.geteuid(), lines.append)
    assert len(lines) == 3, "what takes no time says nothing"


def test_deleting_a_snapshot_follows_no_link(tmp_path):
    (tmp_path / "prometheus").mkdir()
    (tmp_path / "nfs/mon1").mkdir(parents=True)
    (tmp_path / "prometheus/snapshots").symlink_to(tmp_path / "nfs")
    settings = {"home": str(tmp_path), "storage": {"service": "prometheus"}}
    backup.free(settings, "mon1")
    assert (tmp_path / "nfs/mon1").exists()
    (tmp_path / "prometheus/snapshots").unlink()
    (tmp_path / "prometheus/snapshots/mon1/block").mkdir(parents=True)
    backup.free(settings, "mon1")
    assert os.listdir(tmp_path / "prometheus/snapshots") == []


def test_state_that_a_site_has_linked_elsewhere_comes_back(make, key, monkeypatch, tmp_path):
    """Secrets and storage on another disk: the backup has what is there, and the restored storage is there again."""
    host = make("old", "victoriametrics")
    for name in ("secrets", "victoriametrics"):
        (tmp_path / "disk" / name).mkdir(parents=True)
        (host.home / name).symlink_to(tmp_path / "disk" / name)
    (tmp_path / "disk/key").write_text(SECRET)
    (host.home / "secrets/secrets.json").symlink_to(tmp_path / "disk/key")
    host.start()
    path, private = host.back_up()[2]["path"], (key / "recipient.key").read_text()
    host.stop()
    former = os.umask(0o022)
    try:
        host.restore(monkeypatch, path, private)
    finally:
        os.umask(former)
    assert (host.home / "secrets/secrets.json").read_text() == SECRET
    assert (host.home / "victoriametrics").is_symlink() and files(host.home / "victoriametrics") == files(pathlib.Path(path, "storage"))
    assert (tmp_path / "disk/victoriametrics").stat().st_mode & 0o077 == 0
    monkeypatch.setattr(os.path, "ismount", lambda place: place == str(tmp_path / "disk/victoriametrics"))
    with pytest.raises(backup.Failure, match="a mount point, in whose place nothing can be put"):
        host.restore(monkeypatch, path, private)


def test_grafanas_database_is_kept_with_what_belongs_to_it(make, monkeypatch):
    """A journal of the database before would be played back into the restored one."""
    host = make("old", "victoriametrics")
    host.start()
    monkeypatch.setenv("PATH", f"{host.folder}/bin", prepend=os.pathsep)
    staging, place = host.home / "backup/restored", host.home / "grafana"
    for folder in (staging, place):
        folder.mkdir(parents=True)
    for name, text in (("manifest.json", '{"at": 1, "series": 0}'), ("silences.json", "[]"), ("grafana.db", "restored")):
        (staging / name).write_text(text)
    for name in ("grafana.db", "grafana.db-journal", "grafana.db-wal"):
        (place / name).write_text("before")
    real = os.rename

    def rename(source, target):
        if os.path.dirname(source) != os.path.dirname(target):
            raise OSError(18, "Invalid cross-device link", source)  # Grafana's directory is on another disk
        real(source, target)
    monkeypatch.setattr(os, "rename", rename)
    full = unittest.mock.patch("shutil.copyfileobj", side_effect=OSError(28, "No space left on device"))
    with full, pytest.raises(OSError, match="No space left"):
        backup.finish(host.settings)
    assert sorted(os.listdir(place)) == ["grafana.db", "grafana.db-journal", "grafana.db-wal"] and (place / "grafana.db").read_text() == "before"
    backup.finish(host.settings)
    assert (place / "grafana.db").stat().st_mode & 0o777 == 0o600
    kept = sorted(path.name for path in place.iterdir() if path.name != "grafana.db")
    assert (place / "grafana.db").read_text() == "restored"
    assert [name.partition("Z")[2] for name in kept] == ["", "-journal", "-wal"] and all(name.startswith("grafana.db.before-") for name in kept)


def test_a_killed_restore_is_completed_by_the_next_run(taken, key, monkeypatch):
    """Killed before each of its renames in turn. What was there at first is still somewhere."""
    host, path = taken
    host.stop()
    private, real, renames = (key / "recipient.key").read_text(), os.rename, 0
    left = files(pathlib.Path(path, "storage"))
    assert left
    (host.home / "secrets/secrets.json").write_text("at first")

    def rename(source, target):
        rename.left -= 1
        if rename.left < 0:
            raise KeyboardInterrupt
        real(source, target)
    while True:
        rename.left = renames
        monkeypatch.setattr(os, "rename", rename)
        try:
            host.restore(monkeypatch, path, private)
            break
        except KeyboardInterrupt:
            renames += 1
        monkeypatch.setattr(os, "rename", real)
        host.restore(monkeypatch, path, private)
        assert (host.home / "secrets/secrets.json").read_text() == SECRET and files(host.home / "victoriametrics") == left
    assert renames == 5
    assert "at first" in [(folder / "secrets.json").read_text() for folder in host.home.glob("secrets.before-*")]


@pytest.mark.parametrize("name,value,words", [
    ("directory", "/no/such/place", "accelmon_backup_directory = /no/such/place: no such directory on this host; create or mount it"),
    ("alertmanager", "http://127.0.0.1:1", "http://127.0.0.1:1/api/v2/silences does not answer"),
    ("storage", {"service": "victoriametrics", "url": "http://127.0.0.1:1"}, "http://127.0.0.1:1/snapshot/create does not answer"),
])
def test_what_is_in_the_way_is_said_in_one_line(make, name, value, words):
    host = make("old", "victoriametrics")
    host.start()
    host.settings[name] = value
    code, said, last = host.back_up()
    assert code == 1 and words in said and len(said.splitlines()) == 1 and last["at"] == host.metrics()["accelmon_backup_last_success_timestamp_seconds"] == 0


@pytest.mark.parametrize("moment", ["snapshot", "storage", "state.tar.cms"])
def test_a_killed_run_leaves_no_backup_and_the_next_one_completes(make, moment):
    """Killed when its snapshot is noted, when it copies the storage, and when it encrypts."""
    host = make("old", "victoriametrics")
    host.start()
    host.fill()
    place = host.home / "backup" if moment == "snapshot" else host.directory / "mon1" / ".incomplete"
    process = subprocess.Popen(host.program())
    end = time.monotonic() + PATIENCE_SECONDS
    while not (place / moment).exists() and process.poll() is None:
        assert time.monotonic() < end
    process.kill()
    if process.wait() == 0:
        pytest.skip("it was faster")
    assert backup.backups(str(host.directory / "mon1")) == []
    code, _said, last = host.back_up()
    assert code == 0 and host.backups() == [os.path.basename(last["path"])]
    assert not (host.home / "backup/snapshot").exists() and list((host.home / "victoriametrics/snapshots").iterdir()) == []


def test_a_result_that_cannot_be_noted_is_said_in_one_line(taken):
    host, _path = taken
    (host.home / "backup/last.json").unlink()
    (host.home / "backup/last.json").mkdir()
    done = subprocess.run(host.program(), check=False, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr == f"{host.home}/backup/last.json.new: Is a directory\n"


def test_one_at_a_time(taken):
    host, _path = taken
    with backup.alone(str(host.home)):
        assert "another backup or restore is running on this host" in host.back_up()[1]


@pytest.fixture(name="open_folder")
def _open_folder(key):
    """A folder that other users can get to; pytest's own is closed to them."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(key / "recipient.pem", folder)
        yield pathlib.Path(folder)


@pytest.fixture(name="spare")
def _spare(monkeypatch):
    """The module that tests backups, as the program has it."""
    monkeypatch.syspath_prepend(ROOT / "plugins/module_utils")
    monkeypatch.syspath_prepend(PROGRAM.parent)
    return importlib.import_module("spare")


@pytest.mark.parametrize("service", ["victoriametrics", "prometheus"])
def test_a_good_backup_passes_its_test_and_the_live_storage_is_left_alone(make, service):
    host = make("old", service)
    host.close()
    host.start()
    host.fill()
    backed = host.back_up()[2]
    code, said, last = host.test()
    assert (code, said, last["success"], last["problem"]) == (0, "", 1, "")
    assert last["path"] == backed["path"] and last["found"] >= last["series"] == backed["series"] > 200
    assert host.process.poll() is None and host.answers() and not (host.home / "backup_test/spare").exists()
    metrics = host.metrics("accelmon_backup_test.prom")
    assert metrics["accelmon_backup_test_success"] == 1 and metrics["accelmon_backup_test_last_success_timestamp_seconds"] == pytest.approx(last["at"])
    assert abs(last["at"] - time.time()) < 600 and metrics["accelmon_backup_test_duration_seconds"] > 0


@pytest.mark.parametrize("service", ["victoriametrics", "prometheus"])
def test_the_spare_storage_asks_for_the_password_and_is_not_roots(make, spare, monkeypatch, open_folder, service):
    """Without the password there is an answer to nobody, from the first one on."""
    host = make("old", service, open_folder)
    host.close()
    host.start()
    host.fill()
    host.back_up()
    (host.home / "backup_test").mkdir()
    if os.geteuid() == 0:  # whose user the spare storage gets
        os.chown(host.home / service, 65534, 65534)
        for path in (host.folder / "password", host.folder / "web.yml"):
            os.chown(path, 0, 65534)
            path.chmod(0o640)
        for path in (open_folder, host.folder, host.home, host.home / "backup_test"):
            path.chmod(0o711)
        shutil.copy(spare.program(host.settings["storage"]["unit"]), open_folder / "program")  # from where that user may not get to
        (host.folder / "unit").write_text(f"[Service]\nExecStart={open_folder}/program\n")
    codes, users, real = [], set(), spare.backup.series

    def series(settings, moment):
        users.update(path.stat().st_uid for path in (host.home / "backup_test").rglob("*"))
        for page in ("/api/v1/query?query=up", "/api/v1/import/prometheus"):
            try:
                with urllib.request.urlopen(settings["storage"]["url"] + page, timeout=5) as answer:
                    codes.append(answer.status)
            except urllib.error.HTTPError as error:
                codes.append(error.code)
            except OSError:
                pass  # it does not listen yet
        return real(settings, moment)
    monkeypatch.setattr(spare.backup, "series", series)
    assert spare.check(host.settings, print)["found"] > 200
    assert set(codes) == {401} and users == {65534 if os.geteuid() == 0 else os.geteuid()}


@pytest.mark.parametrize("harm,words", [
    (lambda path: change(path / "state.tar.cms"), "state.tar.cms: missing or damaged"),
    (lambda path: change(max((one for one in (path / "storage").rglob("*") if one.is_file()), key=lambda one: one.stat().st_size)), "missing or damaged"),
    (lambda path: (path / "manifest.hmac").unlink(), "not signed"),
    (lambda path: rewrite(path, '"bytes": ', '"bytes": ', secret="theirs"), "not what was signed with this accelmon_backup_secret"),
    (lambda path: rewrite(path, '"series": ', '"series": 9'), "series were there at its time, but"),
    (lambda path: rewrite(path, '"storage": "victoriametrics"', '"storage": "prometheus"'), "a backup of prometheus, but this host has"),
])
def test_a_broken_backup_fails_its_test(make, harm, words):
    host = make("old", "victoriametrics")
    host.close()
    host.start()
    host.fill()
    path = pathlib.Path(host.back_up()[2]["path"])
    good = host.test()[2]
    assert good["success"] == 1
    harm(path)
    code, said, last = host.test()
    assert code == 1 and words in said and len(said.splitlines()) == 1 and last["problem"] == said.strip(), said
    assert not (host.home / "backup_test/spare").exists()
    metrics = host.metrics("accelmon_backup_test.prom")
    assert metrics["accelmon_backup_test_success"] == 0 and metrics["accelmon_backup_test_last_success_timestamp_seconds"] == pytest.approx(good["at"])


def test_what_is_in_the_way_of_a_test_is_said_in_one_line(taken, spare, monkeypatch):
    host, path = taken
    host.close()
    (host.home / "backup/restored").mkdir()
    assert host.test() == (0, "<5>not tested: a restore is not finished; run backup_test.yml after it\n", None)
    (host.home / "backup/restored").rmdir()
    (host.folder / "unit").write_text("[Service]\nExecStart=/bin/ls --no-such-option\n")
    code, said, last = host.test()
    assert code == 1 and "/bin/ls ended with the backup's storage (" in said and len(said.splitlines()) == 1 and last["at"] == 0
    (host.folder / "unit").write_text("[Service]\n")
    assert "it starts no program; run site.yml" in host.test()[1]
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: shutil._ntuple_diskusage(100e9, 96e9, 4e9))
    with pytest.raises(spare.backup.Failure, match="5001 MB are needed, 4000 MB are free"):
        spare.check(host.settings, print)
    monkeypatch.undo()
    shutil.rmtree(path)
    assert "there is no backup; check that it is mounted, and run backup.yml" in host.test()[1]


def test_a_killed_test_is_completed_by_the_next_one(make):
    """Killed with all that it has started, as systemd does it, as soon as its copy is begun."""
    host = make("old", "victoriametrics")
    host.close()
    host.start()
    host.fill()
    host.back_up()
    (host.home / "backup_test").mkdir()
    process = subprocess.Popen([*host.program(), "--test"], start_new_session=True)
    eventually(lambda: (host.home / "backup_test/spare/storage").exists() or process.poll() is not None)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and (host.home / "backup_test/spare/storage").exists()
    assert host.test()[0] == 0 and os.listdir(host.home / "backup_test") == ["last.json"]
