# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies of backups in an S3-compatible bucket, by rclone. The program of the role backup has a copy of this file beside backup.py.

There they are as here: PREFIX/HOST/TIME, the signature last, without which it is no backup.
s3: {"url": "s3://BUCKET/PREFIX", "endpoint": URL or "" for Amazon's, "region", "access_key", "secret_key"}
"""
import contextlib
import json
import os
import re
import subprocess
import tempfile

try:
    from ansible_collections.accelmon.fleet.plugins.module_utils import backup
    from ansible_collections.accelmon.fleet.plugins.module_utils.asking import Failure
    from ansible_collections.accelmon.fleet.plugins.module_utils.progress import Progress
except ImportError:  # on a monitoring host, where their copies are beside this one
    import backup  # pylint: disable=import-error
    from asking import Failure  # pylint: disable=import-error
    from progress import Progress  # pylint: disable=import-error

SCHEME, FETCHED = "s3://", "fetched"
# What rclone says with its status for a directory that is not there.
NOTHING = 3
MANIFEST_FILES = ["/" + backup.MANIFEST, "/" + backup.SIGNATURE]
# Few attempts: each waits longer than the one before, and somebody waits for the answer.
RCLONE = ["rclone", "--config=", "--low-level-retries=3", "--retries=2", "--contimeout=20s", "--use-json-log", "--stats=2s", "--stats-one-line",
          "--stats-log-level=NOTICE"]
# Around what it says at last: the time, and what only the service's people understand.
AROUND = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d |,? *(?:status code: \d+, )?request id: .*")
LONGEST_TEXT = 300


def environment(s3):
    """Where the bucket is and who asks, for rclone alone: not among its arguments, which anybody on the host can read, nor on the disk."""
    told = {"type": "s3", "provider": "Other" if s3["endpoint"] else "AWS", "endpoint": s3["endpoint"], "region": s3["region"],
            "access_key_id": s3["access_key"], "secret_access_key": s3["secret_key"], "env_auth": "false",
            "no_check_bucket": "true"}  # or it would make a bucket of a misspelt name
    kept = dict((name, value) for name, value in os.environ.items() if not name.startswith(("RCLONE_", "AWS_")))
    return dict(kept, LC_ALL="C", **dict(("RCLONE_CONFIG_BUCKET_" + name.upper(), value) for name, value in told.items() if value))


def event(line):
    """What rclone says in a line: {"msg", "level" or "stats"}. Most are JSON; why it gives up is not, in some versions."""
    text = line.decode("utf-8", "replace")
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError):
        return {"msg": text, "level": "plain"}


def followed(stream, progress):
    """Read what rclone says until its end. Returns why it failed, if it did; progress: is told the bytes, or None."""
    error, plain, done = "", "", 0
    for line in stream:
        found = event(line)
        if found.get("level") == "plain":
            plain += found["msg"]
        elif found.get("level") in ("error", "critical", "fatal"):
            error = str(found.get("msg"))
        elif progress and found.get("stats", {}).get("bytes", 0) > done:  # where nothing moves, there is no end to foretell
            progress.add(found["stats"]["bytes"] - done)
            done = found["stats"]["bytes"]
    return AROUND.sub("", " ".join((plain or error).split()))[:LONGEST_TEXT] or "no reason given"


def rclone(s3, words, names=(), progress=None):
    """(status, standard output, error) of rclone; names: what it reads from its standard input; progress: as followed() has it"""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output:
        given.write("".join(name + "\n" for name in names).encode())
        given.seek(0)
        try:
            process = subprocess.Popen(RCLONE + words, stdin=given, stdout=output, stderr=subprocess.PIPE, env=environment(s3))
        except OSError as error:
            raise Failure("rclone cannot be run (%s); install the package rclone on this host" % error.strerror) from None
        with process.stderr:
            error = followed(process.stderr, progress)
        status = process.wait()
        output.seek(0)
        return status, output.read().decode("utf-8", "replace"), error


def run(s3, words, absent=False, **more):
    """Standard output of rclone. absent: it may find nothing where it looks"""
    status, output, error = rclone(s3, words, **more)
    if status and not (absent and status == NOTHING):
        raise Failure("rclone: %s; check the bucket, accelmon_backup_s3_endpoint, its region, and what the key may do" % error)
    return output


def remote(url):
    """What rclone calls a place in the bucket."""
    return "bucket:" + url[len(SCHEME):].rstrip("/")


def discard(s3, place, complete):
    """Remove a copy; one that is half removed is none. Not by `purge`, which would also remove what a bucket keeps of it as former versions."""
    if complete:
        run(s3, ["deletefile", "%s/%s" % (place, backup.SIGNATURE)])
    run(s3, ["delete", place], absent=True)


def put(settings, s3, made, tell):
    """Copy a backup that is complete here to the bucket, then remove there what is too old of this host. Returns the URL of the copy.

    settings: as in backup.py; made: the backup, with "path" and "bytes"; tell: gets a line now and then
    """
    name, url = os.path.basename(made["path"]), "%s/%s" % (s3["url"].rstrip("/"), settings["host"])
    folder = remote(url)
    try:
        there = run(s3, ["lsf", "--recursive", "--max-depth=2", folder], absent=True).splitlines()
        names = set(one[:-1] for one in there if one.endswith("/") and backup.NAME.match(one[:-1]))
        complete = set(one for one in names if "%s/%s" % (one, backup.SIGNATURE) in there)
        for one in sorted(names - complete):
            discard(s3, "%s/%s" % (folder, one), False)  # of an upload that was interrupted
        place = "%s/%s" % (folder, name)
        progress = Progress(tell, "copying %s to %s/%s" % (made["path"], url, name), made["bytes"])
        run(s3, ["copy", made["path"], place] + ["--exclude=" + one for one in MANIFEST_FILES], progress=progress)
        for one in MANIFEST_FILES:
            run(s3, ["copyto", made["path"] + one, place + one])
        for one in backup.outdated(complete | {name}, name, int(settings["keep"]), int(settings["keep_weekly"])):
            discard(s3, "%s/%s" % (folder, one), True)
    except Failure as failure:
        raise Failure("%s: complete, but its copy in %s has failed: %s" % (made["path"], url, failure)) from None
    return "%s/%s" % (url, name)


def fetch(s3, url, target, secret, tell):
    """Fetch a backup into an empty directory: what its manifest lists, once that is known to be signed."""
    place = remote(url)
    run(s3, ["copy", place, target] + ["--include=" + one for one in MANIFEST_FILES], absent=True)
    try:
        manifest = backup.manifest_of(target, secret)
    except Failure as failure:
        raise Failure(str(failure).replace(target, url)) from None
    backup.room(target, manifest["bytes"])
    progress = Progress(tell, "fetching " + url, manifest["bytes"])
    run(s3, ["copy", "--files-from-raw=-", place, target], names=[one["path"] for one in manifest["files"]], progress=progress)


@contextlib.contextmanager
def fetched(settings, path, s3, secret, tell):
    """Directory of a backup: where it is, or for a URL where it was fetched to, which is there for the time being."""
    if not path.startswith(SCHEME):
        yield path
        return
    if not (s3["access_key"] and s3["secret_key"]):
        raise Failure("accelmon_backup_s3_access_key, accelmon_backup_s3_secret_key: %s cannot be read without them; set both" % path)
    with backup.alone(settings["home"]) as own:
        folder = os.path.join(own, FETCHED)
        target = os.path.join(folder, os.path.basename(path.rstrip("/")))
        backup.remove(folder)  # of a killed run
        os.mkdir(folder, 0o700)
        os.mkdir(target, 0o700)
        try:
            fetch(s3, path, target, secret, tell)
        except BaseException:
            backup.remove(folder)
            raise
    try:
        yield target
    finally:
        backup.remove(folder)
