# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock.json of a bundle: what archives are in it, and their checksums."""
import hashlib
import json
import os

LOCK = "lock.json"
KEY = ("name", "version", "os", "architecture")


class BundleError(Exception):
    """One line for the user."""


def read(bundle):
    """The artifacts that a bundle's lock file lists; [] if there is none yet."""
    path = os.path.join(bundle, LOCK)
    try:
        with open(path, encoding="utf-8") as stream:
            lock = json.load(stream)
    except IOError as error:
        if isinstance(error, FileNotFoundError):
            return []
        raise BundleError("bundle = %s: its %s cannot be read (%s); mend that" % (bundle, LOCK, error.strerror))
    except ValueError as error:
        raise BundleError("bundle = %s: its %s is no JSON (%s); move it away to make it anew" % (bundle, LOCK, error))
    artifacts = lock.get("artifacts") if isinstance(lock, dict) and lock.get("version") == 1 else None
    if not isinstance(artifacts, list) or not all(isinstance(artifact, dict) for artifact in artifacts):
        raise BundleError("bundle = %s: its %s is not of version 1; move it away to make it anew" % (bundle, LOCK))
    return artifacts


def sha256_of(bundle, name):
    """SHA-256 of a file of the bundle."""
    folder = os.path.realpath(bundle)
    path = os.path.realpath(os.path.join(folder, name))
    if os.path.dirname(path) != folder and not path.startswith(folder + os.sep):
        raise BundleError("file = %s: it lies outside of the bundle; give a path relative to it" % name)
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as stream:
            for chunk in iter(lambda: stream.read(1 << 20), b""):
                digest.update(chunk)
    except (IOError, OSError) as error:
        raise BundleError("file = %s: it cannot be read in the bundle (%s); put it there first" % (name, error.strerror))
    return digest.hexdigest()


def add(artifacts, entry):
    """The artifacts with an entry in the place of the one of its name, version, system and architecture, in order."""
    kept = [artifact for artifact in artifacts if [artifact.get(field) for field in KEY] != [entry[field] for field in KEY]]
    return sorted(kept + [entry], key=lambda artifact: [str(artifact.get(field)) for field in KEY])


def render(artifacts):
    """The text of a lock file."""
    return json.dumps({"version": 1, "artifacts": artifacts}, indent=2, sort_keys=True) + "\n"
