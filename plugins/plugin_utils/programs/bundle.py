# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bundle: a directory of release archives on the control node, for installing without a network.

Its lock.json says what is in it and with which checksum:
  {"version": 1, "artifacts": [{"name": "node_exporter", "version": "1.9.1", "os": "linux", "architecture": "amd64",
                                "file": "node_exporter-1.9.1.linux-amd64.tar.gz", "sha256": "..."}]}
bundle.yml adds the `size` and the `source` of each, and as `signer` the SHA-256 of the public key that its signature, lock.json.sig, is by.
"""

import os
import stat

from ansible_collections.accelmon.fleet.plugins.module_utils import atomic
from ansible_collections.accelmon.fleet.plugins.module_utils.programs import lock
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import locks, signature


def read_lock(bundle, public_key=""):
    """The artifacts of a bundle, as its lock file lists them; with a public key, only if the key's owner signed it. Raises Problem."""
    if not isinstance(bundle, str) or not bundle:
        raise Problem("not a path; set it to the directory of the bundle", "accelmon_bundle", bundle)
    if public_key:
        signature.require(os.path.expanduser(bundle), os.path.expanduser(public_key))
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


def find_package(artifacts, name, architecture, version, kind, bundle=""):
    """As find_artifact, of a vendor's package. kind: the platform of the host; what somebody listed by hand is of the system linux."""
    system = kind if any((one["name"], one["os"]) == (name, kind) for one in artifacts) else "linux"
    return find_artifact(artifacts, name, architecture, version, system, bundle)


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


def faults(bundle, artifacts):
    """[what is wrong with a file of a bundle, beginning with its name]: those listed that are not as listed, then those that nobody listed.

    Nothing is followed out of the bundle: a link in it, or to a directory in it, is a fault.
    """
    folder = os.path.expanduser(bundle)
    listed = {artifact["file"]: artifact for artifact in artifacts}
    found = [f"{name}: {fault}" for name, fault in ((name, _fault(folder, artifact)) for name, artifact in sorted(listed.items())) if fault]
    known = set(listed) | {lock.BUNDLE, signature.FILE}
    for base, folders, files in os.walk(folder):
        names = files + [name for name in folders if os.path.islink(os.path.join(base, name))]
        found += [f"{name}: not listed" for name in sorted(os.path.relpath(os.path.join(base, name), folder) for name in names) if name not in known]
    return found


def _fault(folder, artifact):
    """What is wrong with the file of an artifact; "" if nothing is."""
    parts = artifact["file"].split("/")
    for number in range(1, len(parts) + 1):
        path = os.path.join(folder, *parts[:number])
        if os.path.islink(path):
            return "a link"
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            return "not a file"
        if found.st_size != artifact.get("size", found.st_size):
            return f"{found.st_size} bytes, not {artifact['size']}"
        return "" if atomic.sha256_file(path) == artifact["sha256"].lower() else "its SHA-256 is another"
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
