# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lock file of releases from upstream's lists of checksums, as sha256sum writes them."""
import json
import os
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.programs.release import ReleaseError, download

MAX_LIST = 1 << 20  # bytes of one list


def parse_checksums(data, url):
    """{file name: SHA-256} of a list. ReleaseError if anything in it is not as sha256sum writes it, or a name has two checksums."""
    try:
        lines = data.decode("ascii").splitlines()
    except UnicodeDecodeError:
        raise ReleaseError("url = %s: this is no list of checksums, for it is no plain text; check what answers there" % url)
    found = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        match = re.match(r"([0-9a-f]{64}) [ *](\S+)$", line)
        if not match:
            raise ReleaseError("url = %s: line %d is no checksum and file name but %r; check what answers there" % (url, number, line[:60]))
        value, name = match.groups()
        if found.setdefault(name, value) != value:
            raise ReleaseError("url = %s: %s has two checksums in it; do not use this list" % (url, name[:100]))
    return found


def fetch(url, folder, seconds, token="", token_url=""):
    """A list of checksums from the network."""
    path = os.path.join(folder, "checksums")
    download(url, path, seconds, token, token_url, MAX_LIST)
    with open(path, "rb") as stream:
        return stream.read()


def read(path):
    """An existing lock file, {} if there is none."""
    try:
        with open(path, encoding="utf-8") as stream:
            lock = json.load(stream)
    except IOError as error:
        if isinstance(error, FileNotFoundError):
            return {}
        raise ReleaseError("path = %s: it cannot be read (%s); mend that" % (path, error.strerror))
    except ValueError as error:
        raise ReleaseError("path = %s: it is no JSON (%s); move it away to make it anew" % (path, error))
    if not isinstance(lock, dict) or lock.get("version") != 1 or not isinstance(lock.get("releases"), dict):
        raise ReleaseError("path = %s: it is no lock file of version 1; move it away to make it anew" % path)
    return lock["releases"]


def build(wanted, before, get):
    """The releases of the new lock file.

    wanted: [{name, version, url, sums: {architecture: [URL of the list, name of the archive]}}]; before: those of the old one
    get: function from a list's URL to its bytes
    Entries that are not wanted stay; checksums of a version that is locked already must not change.
    """
    releases, lists = dict(before), {}
    for one in wanted:
        entry = {"version": one["version"], "url": one["url"], "sha256": {}}
        old = before.get(one["name"]) or {}
        if old.get("version") == one["version"]:
            entry["sha256"].update(old.get("sha256") or {})
        for architecture, (url, archive) in sorted(one["sums"].items()):
            if url not in lists:
                lists[url] = parse_checksums(get(url), url)
            value = lists[url].get(archive)
            if not value:
                raise ReleaseError("architecture = %s: %s does not list %s; leave out %s, or choose another version" % (
                    architecture, url, archive, architecture))
            if entry["sha256"].setdefault(architecture, value) != value:
                raise ReleaseError(
                    "url = %s: %s has the checksum %s there but is locked with %s; a published archive never changes, so find out who "
                    "changed it before you take %s out of the lock file" % (url, archive, value, entry["sha256"][architecture], one["name"]))
        releases[one["name"]] = entry
    return releases


def render(releases):
    """The text of a lock file."""
    return json.dumps({"version": 1, "releases": releases}, indent=2, sort_keys=True) + "\n"
