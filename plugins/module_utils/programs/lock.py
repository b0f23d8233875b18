# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lock files: the releases that a site pins, from upstream's lists of checksums, and the archives that a bundle holds.

Modules and the control node read them here, so that what one takes the other takes too.
"""
import contextlib
import json
import os
import re
import shutil
import tempfile

from ansible_collections.accelmon.fleet.plugins.module_utils import atomic
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.programs.release import UPSTREAM, download

MAX_LIST = 1 << 20  # bytes of one list
BUNDLE = "lock.json"  # in the directory of a bundle
KEY = ("name", "version", "os", "architecture")
FIELDS = KEY + ("file", "sha256")
SHA256 = re.compile(r"[0-9a-f]{64}\Z")
VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+~-]*\Z")


# Arguments of modules that read upstream's lists; documented in doc_fragments/checksum_lists.py.
ARGUMENTS = {
    "token": {"type": "str", "no_log": True},
    "token_url": {"type": "str", "default": UPSTREAM, "no_log": False},
    "timeout": {"type": "int", "default": 60},
}


# Reading

def releases(path):
    """{name: {version, url?, sha256}} that a lock file pins. Raises OSError, and Failure with what is wrong with the file."""
    found = _entries(path, "releases", dict)
    for name in sorted(found):
        _check_release(name, found[name])
    return found


def artifacts(bundle):
    """[{name, version, os, architecture, file, sha256, size?, source?, roles?, rank?}] that a bundle's lock file lists.

    size: bytes; source: where bundle.yml has it from, missing from what somebody else put there
    roles, rank: of a vendor's packages and what these need, who needs them and their order of installation
    Raises OSError, and Failure with what is wrong with it.
    """
    found = _entries(os.path.join(bundle, BUNDLE), "artifacts", list)
    for artifact in found:
        if not isinstance(artifact, dict) or not all(isinstance(artifact.get(field), str) and artifact[field] for field in FIELDS):
            raise Failure("an artifact in it lacks one of %s" % ", ".join(FIELDS))
        if not SHA256.match(artifact["sha256"].lower()):
            raise Failure("%s has %r where a SHA-256 belongs" % (describe(artifact), artifact["sha256"]))
        if os.path.isabs(artifact["file"]) or os.path.normpath(artifact["file"]) != artifact["file"] or artifact["file"].startswith(".."):
            raise Failure("the file %r of %s is outside the bundle" % (artifact["file"], describe(artifact)))
        if not isinstance(artifact.get("source", ""), str) or not isinstance(artifact.get("size", 0), int):
            raise Failure("the size or the source of %s is none" % describe(artifact))
        if not isinstance(artifact.get("rank", 0), int) or not isinstance(artifact.get("roles", []), list):
            raise Failure("the rank or the roles of %s are none" % describe(artifact))
        if not all(str(value).isprintable() for value in artifact.values()):
            raise Failure("%r has a character that cannot be printed" % describe(artifact))
    return found


def describe(artifact):
    """An artifact in a few words."""
    return "{name} {version} {os}/{architecture}".format(**artifact)


def _entries(path, key, kind):
    with open(path, encoding="utf-8") as stream:
        try:
            lock = json.load(stream)
        except ValueError as error:
            raise Failure("not JSON (%s)" % error)
    found = lock.get(key) if isinstance(lock, dict) and lock.get("version") == 1 else None
    if not isinstance(found, kind):
        raise Failure("not a version 1 lock file")
    return found


def _check_release(name, entry):
    """Failure unless a release can be installed by what is locked of it."""
    def wrong(field, value, problem):
        raise Failure("%s: %s = %r: not a %s" % (name, field, value, problem))
    if not isinstance(entry, dict):
        wrong("entry", entry, "mapping")
    if not isinstance(entry.get("version"), str) or not VERSION.match(entry["version"]):
        wrong("version", entry.get("version"), "version")
    if not isinstance(entry.get("url", ""), str):
        wrong("url", entry["url"], "string")
    if not isinstance(entry.get("sha256"), dict):
        wrong("sha256", entry.get("sha256"), "mapping of architectures")
    for architecture, value in entry["sha256"].items():
        if not isinstance(value, str) or not SHA256.match(value):
            wrong("sha256." + architecture, value, "SHA-256")


# Writing

def before(read, place, what):
    """What a lock file holds that is about to be written again; None if there is none yet.

    read: `releases` or `artifacts`; place: what it reads; what: the option that names that
    """
    try:
        return read(place)
    except IOError as error:
        if isinstance(error, FileNotFoundError):
            return None
        raise Failure("%s = %s: the lock file cannot be read (%s); make it readable" % (what, place, error.strerror))
    except Failure as error:
        raise Failure("%s = %s: the lock file cannot be used: %s; move it away to create a new one" % (what, place, error))


def text_of(key, entries, **more):
    """The text of a lock file; key: releases or artifacts; more: what it says of itself beside its version."""
    return json.dumps(dict(more, version=1, **{key: entries}), indent=2, sort_keys=True) + "\n"


def sha256_of(bundle, name):
    """SHA-256 of a file of the bundle."""
    folder = os.path.realpath(bundle)
    path = os.path.realpath(os.path.join(folder, name))
    if not path.startswith(folder + os.sep):
        raise Failure("file = %s: outside the bundle; give a path relative to it" % name)
    try:
        return atomic.sha256_file(path)
    except (IOError, OSError) as error:
        raise Failure("file = %s: cannot be read in the bundle (%s); put it there first" % (name, error.strerror))


def add(known, entry):
    """The artifacts with an entry in the place of the one of its name, version, system and architecture, in order."""
    kept = [artifact for artifact in known if [artifact[field] for field in KEY] != [entry[field] for field in KEY]]
    return sorted(kept + [entry], key=lambda artifact: [artifact[field] for field in KEY])


# Upstream's lists of checksums

def parse_checksums(data, url):
    """{file name: SHA-256} of a list. Failure if anything in it is not as sha256sum writes it, or a name has two checksums.

    A checksum alone, in NAME.sha256, is that of NAME.
    """
    try:
        lines = data.decode("ascii").splitlines()
    except UnicodeDecodeError:
        raise Failure("url = %s: not a list of checksums, as it is not plain text; check what the URL serves" % url)
    beside = os.path.basename(url)
    if len(lines) == 1 and SHA256.match(lines[0]) and beside.endswith(".sha256"):
        return {beside[:-len(".sha256")]: lines[0]}
    found = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        match = re.match(r"([0-9a-f]{64}) [ *](\S+)$", line)
        if not match:
            raise Failure("url = %s: line %d is not a checksum and a file name but %r; check what the URL serves" % (url, number, line[:60]))
        value, name = match.groups()
        if found.setdefault(name, value) != value:
            raise Failure("url = %s: lists two checksums for %s; do not use this list" % (url, name[:100]))
    return found


def fetch(url, folder, seconds, token="", token_url=""):
    """A list of checksums from the network."""
    path = os.path.join(folder, "checksums")
    download(url, path, seconds, token, token_url, MAX_LIST)
    with open(path, "rb") as stream:
        return stream.read()


@contextlib.contextmanager
def fetching(params, directory):
    """A function that gives the text behind a URL, with a module's ARGUMENTS as `params`. Its temporary files in `directory` go at the end."""
    folder = tempfile.mkdtemp(dir=directory)
    try:
        yield lambda url: fetch(url, folder, params["timeout"], params["token"] or "", params["token_url"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def build(wanted, locked, get):
    """The releases of the new lock file.

    wanted: [{name, version, url, sums: {architecture: [URL of the list, name of the archive]}}]; locked: those of the old one
    get: function from a list's URL to its bytes
    Entries that are not wanted stay; checksums of a version that is locked already must not change.
    """
    found, lists = dict(locked), {}
    for one in wanted:
        entry = {"version": one["version"], "url": one["url"], "sha256": {}}
        old = locked.get(one["name"]) or {}
        if old.get("version") == one["version"]:
            entry["sha256"].update(old.get("sha256") or {})
        for architecture, (url, archive) in sorted(one["sums"].items()):
            if url not in lists:
                lists[url] = parse_checksums(get(url), url)
            value = lists[url].get(archive)
            if not value:
                raise Failure("architecture = %s: %s does not list %s; omit %s or choose another version" % (
                    architecture, url, archive, architecture))
            if entry["sha256"].setdefault(architecture, value) != value:
                raise Failure(
                    "url = %s: %s has the checksum %s there but is locked with %s; a published archive never changes, so find out who "
                    "changed it before you remove %s from the lock file" % (url, archive, value, entry["sha256"][architecture], one["name"]))
        found[one["name"]] = entry
    return found
