# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bundle: a directory of release archives on the control node, for installing without a network.

Its lock.json says what is in it and with which checksum:
  {"version": 1, "artifacts": [{"name": "node_exporter", "version": "1.9.1", "os": "linux", "architecture": "amd64",
                                "file": "node_exporter-1.9.1.linux-amd64.tar.gz", "sha256": "..."}]}
"""

import os

from ansible_collections.accelmon.fleet.plugins.module_utils.programs import lock
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import locks


def read_lock(bundle):
    """The artifacts of a bundle, as its lock file lists them. Raises Problem."""
    if not isinstance(bundle, str) or not bundle:
        raise Problem("not a path; set it to the directory of the bundle", "accelmon_bundle", bundle)
    return locks.read(lock.artifacts, bundle, "accelmon_bundle", "create the bundle again", lock.BUNDLE)


def find_artifact(artifacts, name, architecture, version=None, system="linux", bundle=""):
    """The one artifact that fits; Problem, naming what the bundle has, if there is none or more than one."""
    same = [artifact for artifact in artifacts if artifact["name"] == name]
    fitting = [artifact for artifact in same if (artifact["os"], artifact["architecture"]) == (system, architecture)
               and (not version or artifact["version"] == str(version))]
    if len(fitting) == 1:
        return fitting[0]
    wanted = " ".join([name] + ([str(version)] if version else []) + [f"{system}/{architecture}"])
    if fitting:
        raise Problem(f"it has more than one {wanted} ({', '.join(lock.describe(one) for one in fitting)}); set the version", "accelmon_bundle", bundle)
    # What it has of this product says most; without any, all that it has.
    has = ", ".join(sorted(lock.describe(artifact) for artifact in same or artifacts)) or "nothing"
    raise Problem(f"it has no {wanted}, only {has}; add it to the bundle, or set another version", "accelmon_bundle", bundle)


def bundle_artifact(bundle, name, architecture, version=None, system="linux"):
    """{version, src, sha256} of an artifact in a bundle; `src` is an absolute path on the control node."""
    artifact = find_artifact(read_lock(bundle), name, architecture, version, system, bundle)
    folder = os.path.realpath(os.path.expanduser(bundle))
    path = os.path.realpath(os.path.join(folder, artifact["file"]))
    if os.path.commonpath([folder, path]) != folder:
        raise Problem(f"the file {artifact['file']} of {lock.describe(artifact)} is outside the bundle; do not use this bundle", "accelmon_bundle", bundle)
    if not os.path.isfile(path):
        raise Problem(f"the file {artifact['file']} of {lock.describe(artifact)} is missing; copy the bundle again", "accelmon_bundle", bundle)
    return {"version": artifact["version"], "src": path, "sha256": artifact["sha256"].lower()}
