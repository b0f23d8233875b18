# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a backup of a monitoring host is, and how it comes back. Standard library only: the program of the role backup has a copy beside
it, and of asking.py and progress.py.

One directory for each backup:
  storage/...      a snapshot of VictoriaMetrics or Prometheus, file by file
  state.tar.cms    registry, choices, passwords and certificate authority, custom targets, silences and Grafana's database, encrypted to a certificate
  manifest.json    size and SHA-256 of every file: a directory without it is no backup
  manifest.hmac    HMAC-SHA256 of the manifest, in hexadecimal, with a secret that is not in the backup. It is written last

settings: {"host", "cluster", "directory", "keep", "keep_weekly", "storage": {"service", "url"}, "alertmanager": URL or "", "recipient", "secret_file",
           "password_file", "ca_file", "home", "textfile_directory"}, as the role writes them; `home` is STATE of paths.py
"""
import contextlib
import datetime
import fcntl
import hashlib
import hmac
import io
import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import tarfile
import tempfile
import time
from urllib.parse import urlencode

try:
    from ansible_collections.accelmon.fleet.plugins.module_utils.asking import Failure, ask, asked
    from ansible_collections.accelmon.fleet.plugins.module_utils.progress import Progress
except ImportError:  # on a monitoring host, where their copies are beside this one
    from asking import Failure, ask, asked  # pylint: disable=import-error
    from progress import Progress  # pylint: disable=import-error

FORMAT = 1
MANIFEST, SIGNATURE, STATE, STORAGE, SILENCES = "manifest.json", "manifest.hmac", "state.tar.cms", "storage", "silences.json"
# Directories of `home` that nothing else could bring back.
KEPT = ("registry", "choices", "secrets", "targets/custom")
GRAFANA = "grafana/grafana.db"
# Of other runs: their locks, and what they work on.
PASSING = ("lock", "work")
INCOMPLETE = ".incomplete"
TIME, NAME = "%Y%m%dT%H%M%SZ", re.compile(r"\d{8}T\d{6}Z\Z")
CHUNK = 1 << 20
# A snapshot waits until everything in memory is on the disk.
SNAPSHOT_SECONDS = 600
# Starting the backup waits for its end; a large storage may take hours.
JOB_SECONDS = 86400
# So much of the series may be missing: the storage may have forgotten some since.
ENOUGH = 0.95


@contextlib.contextmanager
def alone(home):
    """One backup or restore at a time on this host; `home`/backup is theirs."""
    folder = os.path.join(home, "backup")
    os.makedirs(home, 0o755, exist_ok=True)
    os.makedirs(folder, 0o700, exist_ok=True)
    with open(os.path.join(folder, "lock"), "a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Failure("another backup or restore is running on this host; wait for it to finish") from None
        yield folder


def series(settings, moment):
    """How many series had samples shortly before a moment; None if the storage does not count that many."""
    url = settings["storage"]["url"] + "/api/v1/query?" + urlencode({"query": 'count({__name__!=""})', "time": "%.3f" % moment, "latency_offset": "1s"})
    try:
        return asked(settings, url, lambda answer: int(answer["data"]["result"][0]["value"][1]) if answer["data"]["result"] else 0)
    except Failure:
        return None


def free(settings, name):
    """Delete a snapshot. That it is gone already is fine."""
    storage, home = settings["storage"], settings["home"]
    if storage["service"] == "victoriametrics":
        with contextlib.suppress(Failure):
            ask(settings, storage["url"] + "/snapshot/delete?snapshot=" + name, method="POST")
        return
    # That directory is the service's: a link in the place of `snapshots` could lead to the backups.
    with contextlib.suppress(OSError):
        handle = os.open(os.path.join(home, storage["service"], "snapshots"), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            shutil.rmtree("/proc/self/fd/%d/%s" % (handle, name), ignore_errors=True)
        finally:
            os.close(handle)


@contextlib.contextmanager
def snapshot(settings, folder):
    """Path of a snapshot of the storage, which is there for the time being. One that a killed run left is deleted first."""
    storage, note = settings["storage"], os.path.join(folder, "snapshot")
    with contextlib.suppress(FileNotFoundError), open(note, encoding="utf-8") as stream:
        free(settings, stream.read())
    if storage["service"] == "victoriametrics":
        name = asked(settings, storage["url"] + "/snapshot/create", lambda answer: answer["snapshot"], method="POST", timeout=SNAPSHOT_SECONDS)
    else:
        name = asked(settings, storage["url"] + "/api/v1/admin/tsdb/snapshot", lambda answer: answer["data"]["name"], method="POST",
                     timeout=SNAPSHOT_SECONDS)
    if not re.match(r"[\w-]+\Z", name):
        raise Failure("%s = %s: not the name of a snapshot; check the storage" % (storage["service"], name))
    write(note, name.encode())
    try:
        yield os.path.join(settings["home"], storage["service"], "snapshots", name)
    finally:
        free(settings, name)
        os.unlink(note)


def write(path, data):
    """A file of root alone, whole at every moment."""
    handle = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(handle)
    os.rename(path + ".new", path)


def opened(path, owner):
    """A file to read; owner: whose it has to be, if it matters. Checked once it is open: nobody can exchange it any more."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    found = os.fstat(handle)
    if stat.S_ISREG(found.st_mode) and owner in (None, found.st_uid):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise Failure("%s: not a plain file, or not of the user whose directory it is in; remove it" % path)


def copy(source, target, progress, owner=None):
    """Copy a file; returns its size and SHA-256. No target: read it only."""
    digest, count = hashlib.sha256(), 0
    with opened(source, owner) as stream, open(target or os.devnull, "wb") as output:
        for chunk in iter(lambda: stream.read(CHUNK), b""):
            digest.update(chunk)
            count += len(chunk)
            output.write(chunk)
            progress.add(len(chunk))
        if target:
            output.flush()
            os.fsync(output.fileno())
    return count, digest.hexdigest()


def entry(path, found):
    """A file in the manifest; found: its size and SHA-256."""
    return {"path": path, "bytes": found[0], "sha256": found[1]}


def refuse(error):
    """What cannot be listed must not be left out."""
    raise error


def room(folder, count):
    """Refuse to fill a disk that has not so many bytes left."""
    there = shutil.disk_usage(folder).free
    if there < count:
        raise Failure("%s: %d MB are needed, %d MB are free; free some space there" % (folder, count // 1000000 + 1, there // 1000000))


def copy_tree(source, target, owner, tell):
    """Copy a directory and what its links lead to, which is how VictoriaMetrics makes a snapshot. Returns the entries of its files.

    owner: whose all files have to be. Whoever runs the storage could link to any file of the host, which root would read.
    """
    names = sorted(os.path.relpath(os.path.join(folder, name), source)
                   for folder, _names, files in os.walk(source, onerror=refuse, followlinks=True) for name in files)
    total = sum(os.path.getsize(os.path.join(source, name)) for name in names)
    room(os.path.dirname(target), total)
    progress, entries = Progress(tell, "copying the storage to " + target, total), []
    for name in names:
        path = os.path.join(target, name)
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        entries.append(entry(os.path.relpath(path, os.path.dirname(target)), copy(os.path.join(source, name), path, progress, owner)))
    return entries


def grafana_copy(home, path):
    """A copy of Grafana's database while Grafana runs; whether there is one."""
    database = os.path.join(home, GRAFANA)
    if not os.path.exists(database):
        return False
    if not hasattr(sqlite3.Connection, "backup"):
        raise Failure("Grafana's database can only be copied with Python 3.7 or newer; install one")
    try:
        with contextlib.closing(sqlite3.connect("file:%s?mode=ro" % database, uri=True)) as source, contextlib.closing(sqlite3.connect(path)) as target:
            source.backup(target)
    except sqlite3.Error as error:
        raise Failure("%s: cannot be copied (%s); check that Grafana works" % (database, error)) from None
    return True


def openssl(arguments, **more):
    """A process of openssl that no setting of the host changes."""
    try:
        return subprocess.Popen(["openssl", "cms", "-binary"] + arguments, stderr=subprocess.PIPE, env=dict(os.environ, OPENSSL_CONF=os.devnull), **more)
    except OSError as error:
        raise Failure("openssl cannot be run (%s); install the package openssl" % error.strerror) from None


def ended(process):
    """Wait for openssl: "" or what it said last."""
    said = process.stderr.read().decode("utf-8", "replace").strip()
    process.stderr.close()
    return "" if process.wait() == 0 else said.splitlines()[-1] if said else "status %d" % process.returncode


def seal(settings, folder, path):
    """Write what is secret or small, encrypted to the recipient. In clear it is never on the disk, but for a copy of Grafana's database."""
    database = os.path.join(folder, "grafana.db")
    silences = ask(settings, settings["alertmanager"] + "/api/v2/silences") if settings["alertmanager"] else "[]"
    member = tarfile.TarInfo(SILENCES)
    member.size = len(silences.encode())
    with contextlib.suppress(FileNotFoundError):
        os.unlink(database)  # of a killed run
    try:
        has_grafana = grafana_copy(settings["home"], database)
        with open(path, "wb") as output:
            process = openssl(["-encrypt", "-stream", "-aes-256-cbc", "-outform", "DER", settings["recipient"]], stdin=subprocess.PIPE, stdout=output)
            with contextlib.suppress(BrokenPipeError), process.stdin, tarfile.open(fileobj=process.stdin, mode="w|", dereference=True) as tar:
                tar.addfile(member, io.BytesIO(silences.encode()))
                for root in KEPT:
                    if os.path.isdir(os.path.join(settings["home"], root)):
                        tar.add(os.path.join(settings["home"], root), root, filter=lambda one: None if os.path.basename(one.name) in PASSING else one)
                if has_grafana:
                    tar.add(database, "grafana.db")
            problem = ended(process)
            os.fsync(output.fileno())
        if problem:
            raise Failure("%s: openssl cannot encrypt to this certificate (%s); set accelmon_backup_recipient to another" % (settings["recipient"], problem))
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(database)


def remove(*folders):
    """Remove directories that need not be there."""
    for folder in folders:
        if os.path.isdir(folder):
            shutil.rmtree(folder)


def backups(folder):
    """Names of the complete backups in a host's directory, in order. Raises OSError where one cannot be read: it may be complete."""
    return sorted(name for name in os.listdir(folder) if NAME.match(name) and MANIFEST in os.listdir(os.path.join(folder, name)))


def week(name):
    """(year, ISO week) of a backup; None for a name that is no time."""
    try:
        return tuple(datetime.datetime.strptime(name, TIME).isocalendar())[:2]
    except ValueError:
        return None


def outdated(names, newest, keep, keep_weekly):
    """Names of the backups to remove: all but the newest `keep`, and the newest of each of the last `keep_weekly` ISO weeks that have one.

    Those that a clock which was ahead has dated go first, and never `newest`, which was just written.
    """
    ordered = sorted(names, key=lambda name: (name <= newest, name))
    weeks = dict((week(name), name) for name in ordered if name <= newest)
    kept = set(ordered[-keep:]).union(sorted(weeks.values(), reverse=True)[:keep_weekly])
    return [name for name in ordered if name not in kept]


def discard(path):
    """Remove a backup; one that is half removed is none."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(path, MANIFEST))
    shutil.rmtree(path)


def stamp(moment):
    """A time as names of directories have it."""
    return time.strftime(TIME, time.gmtime(moment))


def sync(folder):
    """Bring what is new in a directory to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def signature(secret, data):
    """What is beside a manifest, whose bytes are `data`."""
    if not secret:
        raise Failure("accelmon_backup_secret = '': it tells backups of this fleet from those of others; set it to the secret that they are signed with")
    return hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()


def own_secret(settings):
    """The secret that this host signs with."""
    with open(settings["secret_file"], encoding="utf-8") as stream:
        return stream.read().strip()


def fill(settings, own, partial, now, tell):
    """Write the files of a backup, then the manifest, last its signature. Returns the manifest."""
    secret = own_secret(settings)  # without it nothing is begun
    count, storage = series(settings, now), settings["storage"]["service"]
    with snapshot(settings, own) as source:
        files = copy_tree(source, os.path.join(partial, STORAGE), os.stat(os.path.join(settings["home"], storage)).st_uid, tell)
    state = os.path.join(partial, STATE)
    seal(settings, own, state)
    files.append(entry(STATE, copy(state, None, Progress(tell, "reading " + state, os.path.getsize(state)))))
    manifest = {"format": FORMAT, "host": settings["host"], "cluster": settings["cluster"], "storage": storage, "at": now, "series": count,
                "bytes": sum(one["bytes"] for one in files), "files": files}
    data = json.dumps(manifest, indent=1, sort_keys=True).encode()
    write(os.path.join(partial, MANIFEST), data)
    write(os.path.join(partial, SIGNATURE), signature(secret, data).encode() + b"\n")
    return manifest


def take(settings, now, tell):
    """Write a backup, then remove those that are too old. Returns its manifest, with its path. tell: gets a line now and then"""
    folder = os.path.join(settings["directory"], settings["host"])
    partial, path = os.path.join(folder, INCOMPLETE), os.path.join(folder, stamp(now))
    with alone(settings["home"]) as own:
        if not os.path.isdir(settings["directory"]):
            raise Failure("accelmon_backup_directory = %s: no such directory on this host; create or mount it" % settings["directory"])
        os.makedirs(folder, 0o700, exist_ok=True)
        for name in set(name for name in os.listdir(folder) if name == INCOMPLETE or NAME.match(name)).difference(backups(folder)):
            shutil.rmtree(os.path.join(folder, name))  # of a killed run
        os.mkdir(partial, 0o700)
        try:
            manifest = fill(settings, own, partial, now, tell)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)  # a disk that it has filled must not stay full
            raise
        os.rename(partial, path)
        sync(folder)
        for name in outdated(backups(folder), os.path.basename(path), int(settings["keep"]), int(settings["keep_weekly"])):
            discard(os.path.join(folder, name))
    return dict(manifest, path=path)


def signed(path, secret):
    """The bytes of a backup's manifest. Raises Failure unless who has the secret wrote them."""
    found = {}
    for name in (MANIFEST, SIGNATURE):
        try:
            with opened(os.path.join(path, name), None) as stream:
                found[name] = stream.read()
        except OSError as error:
            why = ("not a backup, or an incomplete one" if name == MANIFEST else "not signed; whoever can write there may have made it")
            raise Failure("%s: %s: it has no readable %s (%s); choose another" % (path, why, name, error.strerror)) from None
    if not hmac.compare_digest(found[SIGNATURE].strip(), signature(secret, found[MANIFEST]).encode()):
        raise Failure("%s: its manifest.json is not what was signed with this accelmon_backup_secret: it was changed, or made with another secret; "
                      "choose another backup, or give the secret that it was made with" % path)
    return found[MANIFEST]


def is_sound(manifest):
    """Whether a manifest has what is read of it, and leads nowhere else. Raises errors of its own for other documents."""
    names = [one["path"] for one in manifest["files"] if isinstance(one["bytes"], int) and isinstance(one["sha256"], str)]
    plain = all(os.path.normpath(name) == name and (name == STATE or name.startswith(STORAGE + "/")) for name in names)
    numbers = isinstance(manifest["at"], (int, float)) and isinstance(manifest["bytes"], int) and isinstance(manifest["series"], (int, type(None)))
    return plain and numbers and STATE in names and len(names) == len(manifest["files"]) and manifest["storage"] in ("victoriametrics", "prometheus")


def manifest_of(path, secret):
    """The manifest of a backup. Raises Failure for what is none, and before anything else for what is not signed with the secret."""
    data = signed(path, secret)
    try:
        manifest = json.loads(data.decode("utf-8"))
        if manifest["format"] != FORMAT:
            raise Failure("%s: a backup in format %s, but this version reads format %d; use the version that wrote it" % (path, manifest["format"], FORMAT))
        sound = is_sound(manifest)
    except (ValueError, KeyError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise Failure("%s: its manifest.json is damaged; choose another backup" % path)
    name = os.path.basename(os.path.normpath(path))
    if NAME.match(name) and name != stamp(manifest["at"]):
        raise Failure("%s: signed, but made at %s: another backup was put in its place; choose another" % (path, stamp(manifest["at"])))
    return manifest


def bring(path, one, target, progress):
    """Copy a file of a backup, or only read it where there is no target. Raises Failure unless it is what the manifest says."""
    source = os.path.join(path, one["path"])
    try:
        intact = os.path.getsize(source) == one["bytes"] and copy(source, target, progress) == (one["bytes"], one["sha256"])
    except FileNotFoundError:
        intact = False
    if not intact:
        raise Failure("%s: missing or damaged: it is not what the manifest says; choose another backup" % source)


def unseal(path, key, folder):
    """Decrypt the state of a backup, a file, into a directory of root alone. key: the recipient's private key, which openssl gets through a pipe."""
    reading, writing = os.pipe()
    process = openssl(["-decrypt", "-inform", "DER", "-in", path, "-inkey", "/dev/fd/%d" % reading, "-passin", "pass:"],
                      stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, pass_fds=(reading,))
    os.close(reading)
    with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb") as pipe:
        pipe.write(key.encode())
    problem = ""
    try:
        with process.stdout, tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            for member in tar:
                target = os.path.join(folder, member.name)
                known = (member.name + "/").startswith(tuple(root + "/" for root in KEPT + (SILENCES, "grafana.db")))
                if os.path.normpath(member.name) != member.name or not known or not (member.isdir() or member.isfile()):
                    continue
                if member.isdir():
                    os.makedirs(target)
                else:
                    with open(target, "wb") as output:
                        shutil.copyfileobj(tar.extractfile(member), output)
                os.chmod(target, member.mode & 0o777)
    except (tarfile.TarError, EOFError) as error:
        problem = str(error)
    problem = ended(process) or problem
    if problem:
        raise Failure("%s: cannot be decrypted with this key (%s); accelmon_restore_key has to be the private key of the certificate that "
                      "accelmon_backup_recipient was, without a passphrase" % (path, problem))


def swap(made, place, mark):
    """Put a directory in the place of another, which is kept beside it. Returns [where that is], or []."""
    former = "%s.before-%s" % (place, mark)
    os.makedirs(os.path.dirname(place), 0o755, exist_ok=True)
    try:
        os.rename(place, former)
    except FileNotFoundError:
        former = ""
    try:
        os.rename(made, place)
    except OSError:
        if former:
            os.rename(former, place)
        raise
    return [former] if former else []


def systemctl(*words):
    """What systemctl says, in one line. Raises Failure where a unit cannot be stopped or started."""
    try:
        done = subprocess.run(["systemctl"] + list(words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=JOB_SECONDS)
    except subprocess.TimeoutExpired:
        raise Failure("systemctl %s: not done after %d s; see systemctl list-jobs on this host" % (" ".join(words), JOB_SECONDS)) from None
    said = " ".join(done.stdout.decode("utf-8", "replace").split())
    if done.returncode and words[0] in ("start", "stop"):
        raise Failure("systemctl %s: %s" % (" ".join(words), said))
    return said


@contextlib.contextmanager
def stopped(service):
    """While this lasts, a service does not run; then it runs again if it did."""
    unit = "accelmon-%s.service" % service
    was_running = systemctl("is-active", unit) not in ("inactive", "failed", "unknown")
    if was_running:
        systemctl("stop", unit)
    try:
        yield
    finally:
        if was_running:
            systemctl("start", unit)


def stage(path, files, key, staging, data, progress):
    """Verify every file of a backup, and put the state into one directory and the storage into another; data: "" leaves the storage out."""
    # Decrypted is the copy that was verified: nobody else can exchange that one.
    sealed = os.path.join(staging, STATE)
    bring(path, files[STATE], sealed, progress)
    unseal(sealed, key, staging)
    os.unlink(sealed)
    stage_storage(path, files, data, progress)


def stage_storage(path, files, data, progress):
    """Verify the storage's files of a backup, and put them into a directory; data: "" leaves them out."""
    for name, one in sorted(files.items()):
        if name == STATE:
            continue
        target = data + name[len(STORAGE):] if data else None
        if target:
            os.makedirs(os.path.dirname(target), exist_ok=True)
        bring(path, one, target, progress)


def restore(settings, path, key, secret, check, now, tell):
    """Bring back state and storage from a backup. Nothing is changed before all of it is verified; what was there is kept.

    key: what unseal() needs; secret: the one that the backup was signed with; check: verify only; tell: gets a line now and then
    -> the manifest without its files, and "kept": where what was there before is now
    """
    manifest = manifest_of(path, secret)
    if manifest["storage"] != settings["storage"]["service"]:
        raise Failure("%s: a backup of %s, but this host has accelmon_backend = %s; restore with the same backend"
                      % (path, manifest["storage"], settings["storage"]["service"]))
    home, files, kept = settings["home"], dict((one["path"], one) for one in manifest.pop("files")), []
    with alone(home) as own:
        # Beside the data themselves, wherever a site has linked them to.
        staging, data = os.path.join(own, "restored"), os.path.realpath(os.path.join(home, manifest["storage"]))
        made = data + ".restoring"
        for place in [data] + [os.path.join(home, root) for root in KEPT]:
            if os.path.ismount(place):
                raise Failure("%s: a mount point, in whose place nothing can be put; mount it at a directory further up" % place)
        remove(staging, made)  # of a killed run
        os.mkdir(staging, 0o700)
        try:
            if not check:
                room(os.path.dirname(data), manifest["bytes"])
                os.mkdir(made, 0o700)  # systemd gives it the service's mode and user
            words = "verifying " if check else "verifying and copying "
            stage(path, files, key, staging, "" if check else made, Progress(tell, words + path, manifest["bytes"]))
        except BaseException:
            remove(staging, made)
            raise
        if check:
            remove(staging)
            return dict(manifest, kept=kept)
        for root in KEPT:
            if os.path.isdir(os.path.join(staging, root)):
                kept += swap(os.path.join(staging, root), os.path.join(home, root), stamp(now))
        with stopped(manifest["storage"]):
            kept += swap(made, data, stamp(now))
        # site.yml would try a failed one again, and stop if it fails, before finish().
        systemctl("reset-failed", "accelmon-backup.service", "accelmon-backup-test.service")
        write(os.path.join(staging, MANIFEST), json.dumps(manifest).encode())
    return dict(manifest, kept=kept)


def rewind(settings, path, now, tell):
    """Bring back the storage alone from a backup of this host, for a program that cannot read what is there. It is left stopped.

    -> as restore()
    """
    manifest = manifest_of(path, own_secret(settings))
    files = dict((one["path"], one) for one in manifest.pop("files"))
    with alone(settings["home"]):
        data = os.path.realpath(os.path.join(settings["home"], manifest["storage"]))
        made = data + ".restoring"
        remove(made)  # of a killed run
        try:
            room(os.path.dirname(data), manifest["bytes"])
            os.mkdir(made, 0o700)
            stage_storage(path, files, made, Progress(tell, "verifying and copying " + path, manifest["bytes"]))
        except BaseException:
            remove(made)
            raise
        systemctl("stop", "accelmon-%s.service" % manifest["storage"])
        return dict(manifest, kept=swap(made, data, stamp(now)))


def said(silence):
    """By what a silence is recognised: under another id it is the same."""
    matchers = sorted((one["name"], one["value"], one.get("isRegex", False), one.get("isEqual", True)) for one in silence["matchers"])
    return matchers, silence["endsAt"], silence["comment"], silence["createdBy"]


def silence_again(settings, former):
    """Set the silences that have not ended and are not there. Returns how many."""
    url = settings["alertmanager"] + "/api/v2/silences"
    there = asked(settings, url, lambda answer: [said(one) for one in answer if one["status"]["state"] != "expired"])
    wanted = [one for one in former if one["status"]["state"] != "expired" and one["endsAt"] > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
              and said(one) not in there]
    for one in wanted:
        ask(settings, url, document=dict((name, one[name]) for name in ("matchers", "startsAt", "endsAt", "createdBy", "comment")))
    return len(wanted)


def grafana_again(database, place):
    """Put Grafana's database in its place. What was there is kept beside it."""
    owner, former = os.stat(os.path.dirname(place)), "%s.before-%s" % (place, stamp(time.time()))
    # That directory may be on another disk, and is Grafana's: root must write there to nothing but a file that it has made.
    handle, made = tempfile.mkstemp(prefix=".restored-", dir=os.path.dirname(place))
    try:
        with os.fdopen(handle, "wb") as output, open(database, "rb") as stream:
            shutil.copyfileobj(stream, output)
            os.fchown(handle, owner.st_uid, owner.st_gid)
            output.flush()
            os.fsync(handle)
        with stopped("grafana"):
            # What SQLite keeps beside a database belongs to it, and would spoil another.
            for suffix in ("", "-journal", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.rename(place + suffix, former + suffix)
            os.rename(made, place)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(made)


def finish(settings):
    """What needs the services that site.yml has brought up meanwhile: silences, Grafana's database, and the count of series.

    -> the manifest without its files, "silences": how many were set, and "found": how many series of the backup's time there are
    """
    with alone(settings["home"]) as own:
        staging = os.path.join(own, "restored")
        try:
            with open(os.path.join(staging, MANIFEST), encoding="utf-8") as stream:
                manifest = json.load(stream)
        except FileNotFoundError:
            raise Failure("nothing was restored; run restore.yml from its beginning") from None
        with open(os.path.join(staging, SILENCES), encoding="utf-8") as stream:
            former = json.load(stream)
        count = silence_again(settings, former) if settings["alertmanager"] else 0
        database, place = os.path.join(staging, "grafana.db"), os.path.join(settings["home"], GRAFANA)
        if os.path.exists(database) and os.path.isdir(os.path.dirname(place)):
            grafana_again(database, place)
            os.unlink(database)
        found = series(settings, manifest["at"])
        if manifest["series"] and (found or 0) < ENOUGH * manifest["series"]:
            raise Failure("%d series were there at the time of the backup, and %s of them now; check the storage's log and its retention"
                          % (manifest["series"], "an unknown number" if found is None else found))
        shutil.rmtree(staging)
    return dict(manifest, silences=count, found=found)
