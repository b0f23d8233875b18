# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests a backup: the host's storage program starts a second time, with a copy of the backup's storage, and has to find the series that the backup says.

Nothing of the live storage is touched. What is encrypted cannot be read here, where its key is not: of that only the checksum is verified.

settings: those of backup.py, with {"unit": path of the storage's unit, "web_config": file by which Prometheus asks for the password} in "storage"
"""
import contextlib
import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import time

import backup  # pylint: disable=import-error
from progress import Progress  # pylint: disable=import-error

USER = "accelmon"
# As much of the disk stays free: the live storage may be on it too.
RESERVE = 0.05
# Opening the storage, and counting.
ANSWER_SECONDS = 3600


def newest(settings):
    """Path of the newest backup."""
    folder = os.path.join(settings["directory"], settings["host"])
    try:
        names = backup.backups(folder)
    except FileNotFoundError:
        names = []
    if not names:
        raise backup.Failure("%s: there is no backup; check that it is mounted, and run backup.yml" % folder)
    return os.path.join(folder, names[-1])


def program(unit):
    """Path of the program that a unit runs."""
    with open(unit, encoding="utf-8") as stream:
        words = [shlex.split(line.partition("=")[2]) for line in stream if line.startswith("ExecStart=")]
    if not words or not words[0]:
        raise backup.Failure("%s: it starts no program; run site.yml" % unit)
    return words[0][0]


def command(settings, data, port):
    """Command line of a storage that listens on loopback alone, asks for the password, and forgets nothing, however old it is."""
    storage, address = settings["storage"], "127.0.0.1:%d" % port
    if storage["service"] == "victoriametrics":
        own = ["-httpListenAddr=" + address, "-storageDataPath=" + data, "-retentionPeriod=100y", "-search.maxUniqueTimeseries=2000000000",
               "-httpAuth.username=" + USER, "-httpAuth.password=file://" + settings["password_file"], "-loggerLevel=ERROR"]
    else:
        empty = data + ".yml"
        backup.write(empty, b"global: {}\n")  # it scrapes nothing
        own = ["--web.listen-address=" + address, "--storage.tsdb.path=" + data, "--storage.tsdb.retention.time=100y", "--config.file=" + empty,
               "--web.config.file=" + storage["web_config"], "--log.level=error"]
    return [program(storage["unit"])] + own


def given_to(user, folder):
    """Give a directory and all in it to a user, the directory itself last: before that nobody but root gets in."""
    for place, names, files in os.walk(folder, topdown=False):
        for name in names + files:
            os.chown(os.path.join(place, name), user.st_uid, user.st_gid)
    os.chown(folder, user.st_uid, user.st_gid)


def becoming(user, group):
    """What makes a new process one of a user who may also read files of a group, and has nothing else of root. Only root can, and needs to."""
    def become():
        os.setgroups([group])
        os.setresgid(user.st_gid, user.st_gid, user.st_gid)
        os.setresuid(user.st_uid, user.st_uid, user.st_uid)
    return None if os.geteuid() else become


def free_port():
    """A port of loopback that nothing listens on."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def last_line(log):
    """What a program said last."""
    log.seek(0)
    lines = log.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def count(settings, spare, moment):
    """How many series a storage in the directory `spare` has at a moment. It runs only for that."""
    port, user = free_port(), os.stat(os.path.join(settings["home"], settings["storage"]["service"]))
    asked = dict(settings, storage=dict(settings["storage"], url="http://127.0.0.1:%d" % port))
    argv = command(settings, os.path.join(spare, backup.STORAGE), port)
    become = becoming(user, os.stat(settings["password_file"]).st_gid)
    given_to(user, spare)
    # From here on root opens nothing by its name in there.
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                   preexec_fn=become)  # pylint: disable=subprocess-popen-preexec-fn  # no other thread runs
        try:
            end = time.monotonic() + ANSWER_SECONDS
            while time.monotonic() < end:
                found = backup.series(asked, moment)
                if found is not None:
                    return found
                if process.poll() is not None:
                    raise backup.Failure("%s ended with the backup's storage (%s); take another backup, and see whether that one passes"
                                         % (argv[0], last_line(log)))
                time.sleep(1)
            raise backup.Failure("%s did not count the series of the backup within %d s; give the test more memory" % (argv[0], ANSWER_SECONDS))
        finally:
            process.kill()
            process.wait()


def look(settings, path, tell):
    """Verify a backup and count its series in a spare storage: (manifest, how many there are). The copy is there for the time being."""
    manifest = backup.manifest_of(path, backup.own_secret(settings))
    if manifest["storage"] != settings["storage"]["service"]:
        raise backup.Failure("%s: a backup of %s, but this host has accelmon_backend = %s; take one with backup.yml"
                             % (path, manifest["storage"], settings["storage"]["service"]))
    home = os.path.join(settings["home"], "backup_test")
    spare = os.path.join(home, "spare")
    backup.remove(spare)  # of a killed run
    backup.room(home, manifest["bytes"] + int(RESERVE * shutil.disk_usage(home).total))
    os.mkdir(spare, 0o700)
    try:
        progress = Progress(tell, "copying %s to %s" % (path, spare), manifest["bytes"])
        for one in manifest["files"]:
            target = None if one["path"] == backup.STATE else os.path.join(spare, one["path"])
            if target:
                os.makedirs(os.path.dirname(target), exist_ok=True)
            backup.bring(path, one, target, progress)
        os.makedirs(os.path.join(spare, backup.STORAGE), exist_ok=True)  # of a storage without a file
        return manifest, count(settings, spare, manifest["at"])
    finally:
        backup.remove(spare)


def check(settings, tell):
    """Test the newest backup. Returns its manifest without its files, with its path and `found`, the number of series. tell: gets a line now and then"""
    path = newest(settings)
    try:
        manifest, found = look(settings, path, tell)
    except (backup.Failure, OSError):
        if os.path.isdir(path):
            raise
        raise backup.Failure("%s: a newer backup has taken its place meanwhile; run the test again" % path) from None
    if found < backup.ENOUGH * (manifest["series"] or 0):
        raise backup.Failure("%s: %d series were there at its time, but %d are in it; take another backup and test that" % (path, manifest["series"], found))
    return dict(manifest, files=len(manifest["files"]), path=path, found=found)
