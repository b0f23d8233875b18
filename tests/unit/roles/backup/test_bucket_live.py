# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies of backups in a bucket, by the real rclone, on a real S3 server that verifies signatures (lab/s3.go).

Needs rclone on PATH, and the server that `make lab-cache` builds; without them everything here is skipped. Stubbed: the backups, which are a few files
with a manifest and its signature; in some tests the free space, and rclone by a script that notes its arguments, fails where told to, and else is rclone.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils import backup, bucket
from ansible_collections.accelmon.fleet.plugins.modules import fleet_backup
from ansible_collections.accelmon.fleet.tests.unit.plugins.live_programs import eventually, free_port

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[4] / "lab"))

import cache  # noqa: E402  pylint: disable=import-error,wrong-import-position

ACCESS, SECRET, SIGNING = "AKIALAB", "sec/ret+of=the-bucket", "what-backups-are-signed-with-0123456789"
RCLONE = shutil.which("rclone")
ARCHIVE = next(cache.place(*one)[0] for one in cache.WANTED if one[0] == "s3")
DAY = 86400
BEGIN = 1790000000
pytestmark = pytest.mark.skipif(not RCLONE or not os.path.exists(ARCHIVE), reason="no rclone on PATH, or no S3 server; install the package rclone, and "
                                "make lab-cache builds the server")


class Place:
    """A host's backups, and a bucket for them."""

    def __init__(self, folder, port):
        self.folder, self.lines = folder, []
        self.directory = folder / "nfs/mon1"
        self.directory.mkdir(parents=True)
        self.settings = {"host": "mon1", "keep": 2, "keep_weekly": 0, "home": str(folder / "lib"), "directory": str(folder / "nfs")}
        self.s3 = {"url": "s3://backups/accelmon/fleet", "endpoint": f"http://127.0.0.1:{port}", "region": "", "access_key": ACCESS, "secret_key": SECRET}
        self.port = port

    def back_up(self, day, **files):
        """A backup of the given day, as backup.take() returns it."""
        at = BEGIN + day * DAY
        path = self.directory / backup.stamp(at)
        entries = []
        for name, text in dict({"storage/data/small/part 1/values.bin": "values" * 1000, "storage/empty": "", "state.tar.cms": "sealed"}, **files).items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(text)
            entries.append(backup.entry(name, backup.copy(path / name, None, backup.Progress(print, "", 0))))
        made = {"format": backup.FORMAT, "host": "mon1", "cluster": "c1", "storage": "victoriametrics", "at": at, "series": 1,
                "bytes": sum(one["bytes"] for one in entries), "files": entries}
        data = json.dumps(made).encode()
        (path / backup.MANIFEST).write_bytes(data)
        (path / backup.SIGNATURE).write_text(backup.signature(SIGNING, data))
        return dict(made, path=str(path))

    def put(self, made, **s3):
        return bucket.put(self.settings, dict(self.s3, **s3), made, self.lines.append)

    def fetched(self, url, **s3):
        return bucket.fetched(self.settings, url, dict(self.s3, **s3), SIGNING, self.lines.append)

    def rclone(self, *words, data=b""):
        return subprocess.run([RCLONE, "--config=", *words], check=True, env=bucket.environment(self.s3), input=data, stdout=subprocess.PIPE).stdout.decode()

    def there(self, path="accelmon/fleet/mon1"):
        """Names of what is in a directory of the bucket."""
        return [name.rstrip("/") for name in self.rclone("lsf", f"bucket:backups/{path}").splitlines()]

    def stand_in(self, monkeypatch, fails="nothing"):
        """Put the noting script in rclone's place; fails: a pattern of the shell for arguments with which it fails. Returns what it notes."""
        (self.folder / "bin").mkdir(exist_ok=True)
        script, noted = self.folder / "bin/rclone", self.folder / "noted"
        pattern = fails.replace(" ", "?")
        script.write_text(f'#!/bin/sh\necho "$*" >> {noted}\ncase "$*" in *{pattern}*) echo "2026/11/30 06:00:00 Failed to copy: no" >&2; exit 1;; esac\n'
                          f'exec {RCLONE} "$@"\n')
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(self.folder / "bin"), prepend=os.pathsep)
        return noted


@pytest.fixture(name="port", scope="module")
def _port(tmp_path_factory):
    """Port of the server. All of its buckets are in its memory."""
    folder, port = tmp_path_factory.mktemp("s3"), free_port()
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    server = subprocess.Popen([folder / "s3", f"127.0.0.1:{port}", "backups"], env={"S3_ACCESS_KEY": ACCESS, "S3_SECRET_KEY": SECRET})
    with server:
        yield port
        server.terminate()


@pytest.fixture(name="place")
def _place(tmp_path, port):
    place = Place(tmp_path, port)
    eventually(lambda: place.rclone("delete", "bucket:backups") == "")
    return place


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in pathlib.Path(folder).rglob("*") if path.is_file()}


def test_a_copy_is_the_backup_and_is_there_only_for_the_time_being(place):
    made = place.back_up(0)
    url = place.put(made)
    assert url == "s3://backups/accelmon/fleet/mon1/" + os.path.basename(made["path"])
    place.rclone("rcat", "bucket:" + url[5:] + "/storage/not-in-the-manifest", data=b"x" * 1000)
    with place.fetched(url + "/") as folder:
        assert tree(folder) == tree(made["path"]) and os.path.basename(folder) == os.path.basename(made["path"])
        assert os.stat(os.path.dirname(folder)).st_mode & 0o777 == 0o700
    assert not os.path.exists(os.path.dirname(folder))
    with place.fetched(made["path"]) as folder:
        assert folder == made["path"]


def test_the_key_is_no_argument_and_the_signature_comes_last(place, monkeypatch):
    noted = place.stand_in(monkeypatch)
    for name in ("RCLONE_CONFIG_BUCKET_ENDPOINT", "RCLONE_MAX_SIZE", "AWS_CA_BUNDLE"):
        monkeypatch.setenv(name, "/of/the/host")  # nothing of the host's own counts
    with place.fetched(place.put(place.back_up(0))):
        pass
    text = noted.read_text()
    assert SECRET not in text and ACCESS not in text
    written = [line.split()[-1].rpartition("/")[2] for line in text.splitlines() if " copyto " in line]
    assert written == ["manifest.json", "manifest.hmac"] and text.index(" copy ") < text.index(" copyto ")


def test_what_is_too_old_goes_and_what_is_not_ours_stays(place):
    for path in ("mon2/20250101T000000Z/manifest.hmac", "mon1/notes/manifest.hmac", "mon1/20250101T000000Z.txt"):
        place.rclone("rcat", "bucket:backups/accelmon/fleet/" + path, data=b"theirs")
    urls = [place.put(place.back_up(day)) for day in range(4)]
    assert sorted(place.there()) == ["20250101T000000Z.txt"] + [os.path.basename(url) for url in urls[2:]] + ["notes"]
    assert place.there("accelmon/fleet/mon2") == ["20250101T000000Z"]
    place.settings["keep_weekly"] = 3
    later = [place.put(place.back_up(day)) for day in (14, 15, 16)]
    assert sorted(place.there()) == ["20250101T000000Z.txt"] + [os.path.basename(url) for url in urls[3:] + later[1:]] + ["notes"]


def test_a_host_without_backups_of_its_own_takes_none_away(place):
    former = [os.path.basename(place.put(place.back_up(day))) for day in (0, 1)]
    shutil.rmtree(place.directory)
    place.settings["keep"] = 3
    assert sorted(place.there()) == former
    new = place.put(place.back_up(2))
    assert sorted(place.there()) == former + [os.path.basename(new)]


@pytest.mark.parametrize("step", ["copy ", "copyto *manifest.json", "copyto *manifest.hmac"])
def test_an_upload_that_is_interrupted_is_no_backup_and_goes_next_time(place, monkeypatch, step):
    whole = place.put(place.back_up(0))
    place.settings["keep"] = 1
    place.stand_in(monkeypatch, fails=step)
    made = place.back_up(1)
    with pytest.raises(backup.Failure, match="^/.*: complete, but its copy in s3://backups/accelmon/fleet/mon1 has failed: rclone: Failed to copy: no; check "):
        place.put(made)
    place.stand_in(monkeypatch)
    name = os.path.basename(made["path"])
    assert os.path.basename(whole) in place.there(), "nothing older goes before there is a new one"
    with pytest.raises(backup.Failure, match=f"^s3://.*{name}: not (signed|a backup)"), place.fetched(f"{os.path.dirname(whole)}/{name}"):
        pass
    last = place.put(place.back_up(2))
    assert place.there() == [os.path.basename(last)]


def test_a_removal_that_is_interrupted_leaves_no_backup(place, monkeypatch):
    place.settings["keep"] = 1
    first = place.put(place.back_up(0))
    place.stand_in(monkeypatch, fails=" delete bucket")
    with pytest.raises(backup.Failure, match="complete, but its copy"):
        place.put(place.back_up(1))
    with pytest.raises(backup.Failure, match="not signed"), place.fetched(first):
        pass
    place.stand_in(monkeypatch)
    last = place.put(place.back_up(2))
    assert place.there() == [os.path.basename(last)]


@pytest.mark.parametrize("change,words", [
    ({"secret_key": "another"}, "SignatureDoesNotMatch"),
    ({"access_key": "another"}, "InvalidAccessKeyId"),
    ({"url": "s3://misspelt/accelmon"}, "NoSuchBucket"),
    ({"endpoint": "http://127.0.0.1:1"}, "connection refused"),
    ({"endpoint": "https://127.0.0.1:{port}"}, "server gave HTTP response to HTTPS client"),
])
def test_why_there_is_no_copy_is_said_in_one_line(place, change, words):
    made = place.back_up(0)
    with pytest.raises(backup.Failure) as caught:
        place.put(made, **{name: value.replace("{port}", str(place.port)) for name, value in change.items()})
    said = str(caught.value)
    assert words in said and len(said.splitlines()) == 1 and len(said) < 700 and SECRET not in said
    assert "check the bucket, accelmon_backup_s3_endpoint, its region, and what the key may do" in said
    assert backup.backups(place.directory) == [os.path.basename(made["path"])]


def test_how_far_it_is_is_said_now_and_then(place, monkeypatch):
    monkeypatch.setattr(sys.modules[bucket.Progress.__module__], "EVERY_SECONDS", 0)
    place.put(place.back_up(0))
    assert place.lines and all(line.startswith("copying /") and "6.0 kB done" in line for line in place.lines), place.lines
    said = [b'{"level":"warning","stats":{"bytes":%d}}\n' % count for count in (0, 0, 500, 500, 2000)]
    told = []
    assert bucket.followed(iter([*said, b"2026/11/30 06:00:00 Failed to copy: AccessDenied: no\n", b"\tstatus code: 403, request id: 7, host id: 8\n"]),
                           bucket.Progress(told.append, "copying", 2000)) == "Failed to copy: AccessDenied: no"
    assert [line.split(",")[0] for line in told] == ["copying: 0.5 kB done", "copying: 2.0 kB done"]
    assert bucket.followed(iter([b'{"level":"error","msg":"one"}\n', b'{"level":"critical","msg":"Failed: two"}\n']), None) == "Failed: two"


def test_without_rclone_or_keys_what_to_do_is_said(place, monkeypatch):
    with pytest.raises(backup.Failure, match="^accelmon_backup_s3_access_key, accelmon_backup_s3_secret_key: s3://x/y cannot be read without them; set both$"):
        with place.fetched("s3://x/y", secret_key=""):
            pass
    monkeypatch.setenv("PATH", str(place.folder))
    with pytest.raises(backup.Failure, match="rclone cannot be run .*; install the package rclone on this host$"):
        place.put(place.back_up(0))


def test_a_backup_that_is_not_signed_with_our_secret_or_has_no_room_is_not_fetched(place, monkeypatch):
    url = place.put(place.back_up(0))
    noted = place.stand_in(monkeypatch)
    monkeypatch.setattr(backup.shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(backup.Failure, match="1 MB are needed, 0 MB are free"), place.fetched(url):
        pass
    place.rclone("rcat", "bucket:" + url[5:] + "/manifest.hmac", data=backup.signature("theirs", b"x").encode())
    with pytest.raises(backup.Failure, match=f"^{url}: its manifest.json is not what was signed"), place.fetched(url):
        pass
    assert "--files-from" not in noted.read_text() and os.listdir(place.folder / "lib/backup") == ["lock"]


def test_what_was_changed_in_the_bucket_is_refused_before_anything_is_changed(place):
    url = place.put(place.back_up(0))
    place.rclone("rcat", "bucket:" + url[5:] + "/state.tar.cms", data=b"Sealed")
    settings = dict(place.settings, storage={"service": "victoriametrics"})
    with pytest.raises(backup.Failure, match="state.tar.cms: missing or damaged"):
        fleet_backup.restore({"settings": settings, "path": url, "s3": place.s3, "key": "", "secret": SIGNING}, True)
    assert os.listdir(place.folder / "lib/backup") == ["lock"]
