# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which release of a program is installed: what a role pins, else what the site's lock file says, else the catalogue."""

import functools
import os
import re

import yaml

from ansible_collections.accelmon.fleet.plugins.module_utils.programs import lock
from ansible_collections.accelmon.fleet.plugins.module_utils.programs.release import UPSTREAM
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import locks

CATALOGUE = os.path.join(os.path.dirname(os.path.dirname(__file__)), "catalogue", "releases.yml")
# What upstreams that do not use Go's names call architectures.
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
VERSION = lock.VERSION


@functools.lru_cache(maxsize=None)
def catalogue():
    """The releases that ship with the collection, {product: {roles, version, url, checksums, sha256, lines?, refused?}}."""
    with open(CATALOGUE, encoding="utf-8") as stream:
        return yaml.safe_load(stream)["releases"]


def read_lock(path):
    """The releases of a site's lock file, {product: {version, url?, sha256}}; {} without a path. Raises Problem."""
    if not path:
        return {}
    found = locks.read(lock.releases, path, "accelmon_lock_file", "create it with playbooks/lock.yml")
    unknown = [product for product in found if product not in catalogue()]
    if unknown:
        raise Problem(f"{unknown[0]}: no such release, known are {', '.join(catalogue())}; remove it", "accelmon_lock_file", path)
    return found


def product_of(role, variant=""):
    """The release that a role's programs are in, of the variant if it comes in several; None if there is none."""
    return next((product for product, entry in catalogue().items() if role in entry["roles"] and entry.get("variant", "") == variant), None)


def numbers(version):
    """A version to compare with others: (1, 133, 0); () of one that has none."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def refusal(role, version):
    """Why a version of a role's program is never installed, "" if it may be."""
    return (catalogue().get(product_of(role)) or {}).get("refused", {}).get(version, "")


def line_between(role, before, after):
    """(version, what becomes of data there) of the last line between two versions of a role's program, whichever is the newer; ("", "") if none.

    An empty version is unknown, and taken for one before every line.
    """
    low, high = sorted((numbers(before), numbers(after)))
    crossed = [(line, why) for line, why in (catalogue().get(product_of(role)) or {}).get("lines", {}).items() if low < numbers(line) <= high]
    return max(crossed, key=lambda one: numbers(one[0])) if crossed else ("", "")


def filled(text, version, architecture):
    """A URL with its {version}, {architecture} and {machine}."""
    return text.replace("{version}", version).replace("{architecture}", architecture).replace("{machine}", MACHINES.get(architecture, architecture))


def unfilled(text):
    """The first part of a URL in braces that `filled` would leave as it is, or ""."""
    return next((part for part in re.findall(r"\{[^{}]*\}|[{}]", filled(text, "", ""))), "")


def is_elsewhere(url):
    """Whether a URL is not relative to the prefix."""
    return re.match("https?://", url) is not None


def whole_url(url, prefix):
    """A URL as it is, or what is relative behind the prefix."""
    if is_elsewhere(url):
        return url
    return (prefix or UPSTREAM).rstrip("/") + "/" + url.lstrip("/")


def known(product, lock_file=""):
    """What the lock file, else the catalogue, says of a release; {} of None."""
    return {**(catalogue().get(product) or {}), **(read_lock(lock_file).get(product) or {})}


def release_artifact(pinned, role, architecture, lock_file="", prefix=""):
    """{version, url, sha256} of the archive that a role installs.

    pinned: the role's own {version, url, sha256: {architecture: digest}}, each empty unless it is set; `variant` where there are several
    """
    product = product_of(role, pinned.get("variant") or "")
    entry = known(product, lock_file)
    version = str(pinned.get("version") or entry.get("version") or "")
    if not version:
        raise Problem(f"required with {role}_source = release; set the version to install", f"{role}_version", "")
    url = pinned.get("url") or entry.get("url")
    if not url:
        raise Problem(f"required with {role}_source = release; set the URL of the archive", f"{role}_url", "")
    sums = dict(entry.get("sha256") or {}) if version == entry.get("version") else {}
    sums.update(pinned.get("sha256") or {})
    if architecture not in sums:
        fix = f"set {role}_sha256"
        if product:
            fix = (f"lock it on a connected machine with ansible-playbook accelmon.fleet.lock -e accelmon_lock_file=FILE "
                   f"-e '{{\"accelmon_lock_versions\": {{\"{product}\": \"{version}\"}}, \"accelmon_lock_architectures\": [\"{architecture}\"]}}', or {fix}")
        raise Problem(f"no checksum known for version {version} on {architecture}; {fix}", f"{role}_sha256", dict(pinned.get("sha256") or {}))
    url = filled(whole_url(url, prefix), version, architecture)
    return {"version": version, "url": url, "sha256": str(sums[architecture])}


def wanted(versions, architectures, prefix="", names=None):
    """What a lock file is made from, for the module release_lock.

    versions: {product: version} where it is not to be the catalogue's
    names: products; without any, all behind the prefix and those with a version
    Returns [{name, version, url (relative), sums: {architecture: [URL of the checksums, name of the archive]}}].
    """
    for variable, given in (("accelmon_lock_versions", versions), ("accelmon_lock_releases", names or [])):
        unknown = sorted(set(given) - set(catalogue()))
        if unknown:
            raise Problem(f"no such release; known are {', '.join(catalogue())}", variable, ", ".join(unknown))
    result = []
    for product, entry in catalogue().items():
        if product not in names if names else is_elsewhere(entry["url"]) and product not in versions:
            continue
        version = str(versions.get(product) or entry["version"])
        if not VERSION.fullmatch(version):
            raise Problem(f"{version}: not a version; write it as upstream does, without v", "accelmon_lock_versions", product)
        if version in entry.get("refused", ()):
            raise Problem(f"{version} is not installed: {entry['refused'][version]}; choose another version", "accelmon_lock_versions", product)
        sums = {}
        for architecture in architectures:
            checksums, archive = [filled(text, version, architecture) for text in (entry["checksums"], entry["url"])]
            sums[architecture] = [whole_url(checksums, prefix), os.path.basename(archive)]
        result.append({"name": product, "version": version, "url": entry["url"], "sums": sums})
    return result
