# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bundle: a directory of release archives on the control node, for installing without a network.

Its lock.json says what is in it and with which checksum:
  {"version": 1, "artifacts": [{"name": "node_exporter", "version": "1.9.1", "os": "linux", "architecture": "amd64",
                                "file": "node_exporter-1.9.1.linux-amd64.tar.gz", "sha256": "..."}]}
"""

import functools
import json
import os
import re

from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem

LOCK = "lock.json"
FIELDS = ("name", "version", "os", "architecture", "file", "sha256")


@functools.lru_cache(maxsize=None)
def _parsed(path, _state):
    """A lock file, read once for all hosts; _state: what tells one state of the file from another. Shared, so not to be changed."""
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)


def read_lock(bundle):
    """The artifacts of a bundle, as its lock file lists them; Problem if it cannot be used."""
    if not isinstance(bundle, str) or not bundle:
        raise Problem("this is no path; give the directory of the bundle", "accelmon_bundle", bundle)
    path = os.path.join(os.path.expanduser(bundle), LOCK)
    if not os.path.isabs(path):
        raise Problem(f"the path is relative; give an absolute one, such as {{{{ playbook_dir }}}}/{bundle}", "accelmon_bundle", bundle)
    try:
        state = os.stat(path)
        lock = _parsed(path, (state.st_mtime_ns, state.st_size))
    except FileNotFoundError:
        raise Problem(f"it has no {LOCK} on the control node; correct the path, or make the bundle", "accelmon_bundle", bundle) from None
    except (OSError, ValueError) as error:
        raise Problem(f"its {LOCK} cannot be read ({error}); make the bundle again", "accelmon_bundle", bundle) from None
    artifacts = lock.get("artifacts") if isinstance(lock, dict) and lock.get("version") == 1 else None
    if not isinstance(artifacts, list):
        raise Problem(f"its {LOCK} is not of version 1; make the bundle again with this collection", "accelmon_bundle", bundle)
    for artifact in artifacts:
        if not isinstance(artifact, dict) or not all(isinstance(artifact.get(field), str) and artifact[field] for field in FIELDS):
            raise Problem(f"an artifact in its {LOCK} lacks one of {', '.join(FIELDS)}; make the bundle again", "accelmon_bundle", bundle)
    return artifacts


def describe(artifact):
    """An artifact in a few words."""
    return "{name} {version} {os}/{architecture}".format(**artifact)


def find_artifact(artifacts, name, architecture, version=None, system="linux", bundle=""):
    """The one artifact that fits; Problem, naming what the bundle has, if there is none or more than one."""
    same = [artifact for artifact in artifacts if artifact["name"] == name]
    fitting = [artifact for artifact in same if (artifact["os"], artifact["architecture"]) == (system, architecture)
               and (not version or artifact["version"] == str(version))]
    if len(fitting) == 1:
        return fitting[0]
    wanted = " ".join([name] + ([str(version)] if version else []) + [f"{system}/{architecture}"])
    if fitting:
        raise Problem(f"it has more than one {wanted} ({', '.join(describe(one) for one in fitting)}); set the version", "accelmon_bundle", bundle)
    # What it has of this product says most; without any, all that it has.
    has = ", ".join(sorted(describe(artifact) for artifact in same or artifacts)) or "nothing"
    raise Problem(f"it has no {wanted}; it has {has}; add it to the bundle, or set another version", "accelmon_bundle", bundle)


def bundle_artifact(bundle, name, architecture, version=None, system="linux"):
    """{version, src, sha256} of an artifact in a bundle; `src` is an absolute path on the control node."""
    artifact = find_artifact(read_lock(bundle), name, architecture, version, system, bundle)
    folder = os.path.realpath(os.path.expanduser(bundle))
    path = os.path.realpath(os.path.join(folder, artifact["file"]))
    if os.path.commonpath([folder, path]) != folder:
        raise Problem(f"the file {artifact['file']} of {describe(artifact)} lies outside of the bundle; do not use this bundle", "accelmon_bundle", bundle)
    if not os.path.isfile(path):
        raise Problem(f"the file {artifact['file']} of {describe(artifact)} is missing; copy the bundle again", "accelmon_bundle", bundle)
    sha256 = artifact["sha256"].lower()
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise Problem(f"{describe(artifact)} has no SHA-256 in {LOCK} but {artifact['sha256']!r}; make the bundle again", "accelmon_bundle", bundle)
    return {"version": artifact["version"], "src": path, "sha256": sha256}
