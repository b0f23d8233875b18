# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which programs the host could not get: by what its package manager knows already, and by one call to a release's address.

Asked only where the answer decides something: an exporter that is on the host stays, whatever became of where it came from.
"""
import os
import re

from ansible_collections.accelmon.fleet.plugins.module_utils import command
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import files

# Seconds.
TOOL = 30
CALL = 4

# What says that a package which is there without our exporter was brought by us, so that its version may be changed.
BROUGHT = "var/lib/accelmon/packages/%s.json"

# What apt-cache policy prints of a package: its name, what is installed, and its versions, each with the places that have it.
PACKAGE = re.compile(r"(\S+):$")
INSTALLED = re.compile(r"  Installed: (\S+)$")
ROW = re.compile(r" (?:\*\*\*|   ) (\S+) -?\d+$")
PLACE = re.compile(r" {8,}-?\d+ (\S+)")
OWN = "/var/lib/dpkg/status"


def upstream(version):
    """The version without the distribution's additions: '1:4.6.0-1' -> '4.6.0'."""
    return re.sub(r"[-+~].*", "", version.split(":", 1)[-1])


def run(argv):
    """What a program prints, or None if it is not there or fails."""
    try:
        code, out, _errors = command.run(argv, TOOL)
    except OSError:
        return None
    return None if code != 0 else out


def parse_policy(text):
    """{package: (installed version or "", [versions that can be had])} of what apt-cache policy prints, without what it does not know."""
    found, name, version = {}, None, None
    for line in text.splitlines():
        package, installed, row, place = PACKAGE.match(line), INSTALLED.match(line), ROW.match(line), PLACE.match(line)
        if package:
            name = package.group(1)
            found[name] = ("", [])
        elif name and installed and installed.group(1) != "(none)":
            found[name] = (upstream(installed.group(1)), found[name][1])
        elif row:
            version = upstream(row.group(1))
        # What dpkg alone knows is on the host already, or left files behind when it went.
        elif name and place and place.group(1) != OWN and version not in found[name][1]:
            found[name][1].append(version)
    return found


def parse_names(text):
    """{package: [versions]} of rows `name version`."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2:
            found.setdefault(words[0], []).append(upstream(words[1]))
    return found


def versions(names, ask=run):
    """{package: (installed, [available])} by the host's package manager, without a network. {} if it knows nothing."""
    text = ask(["apt-cache", "policy"] + names)
    if text is not None:
        return parse_policy(text)
    row = ["--qf", "%{name} %{version}\n"]
    available = parse_names(ask(["dnf", "--quiet", "--cacheonly", "repoquery"] + row + names) or "")
    installed = parse_names(ask(["rpm", "-qa"] + row + names) or "")
    return dict((name, (installed.get(name, [""])[-1], available.get(name, []))) for name in names if name in installed or name in available)


def unknown(names, root="/", ask=run):
    """Those of the packages that apt has nowhere; none where it has no lists yet, which a run fetches, or where there is no apt."""
    if not any("_Packages" in name for name in files.names(os.path.join(root, "var/lib/apt/lists"))):
        return []
    text = ask(["apt-cache", "policy"] + list(names))
    known = parse_policy(text or "")
    return [] if text is None else sorted(name for name in names if not any(known.get(name, ("", []))))


def package_problem(wanted, known, brought):
    """Why packages cannot come: "version" if another one is installed that is not ours to change, "package" if nobody offers them; else None.

    wanted: {name: version}; known: as `versions` gives it; brought: whether what is installed was brought by us
    """
    for name, version in wanted.items():
        installed, available = known.get(name, ("", []))
        if installed and installed != version and not brought:
            return "version"
        if version != installed and version not in available:
            return "package"
    return None


def answers(url):
    """Whether a server has something at a URL: redirects followed, proxies of the environment used, nothing downloaded."""
    from urllib.error import HTTPError  # where nothing is asked, nothing is imported
    from ansible.module_utils.urls import open_url
    try:
        open_url(url, method="HEAD", timeout=CALL, http_agent="accelmon.fleet").close()
    except HTTPError as error:
        # Some storages allow only GET; that is no reason to go without.
        return error.code not in (404, 410)
    except (OSError, ValueError):
        return False
    return True


def lacking(sources, vendors, exporters, architecture, root="/", ask=run, call=answers):
    """{role: "package", "version" or "address"} of those sources whose program the host could not get, and why not.

    sources: [{role, vendors, packages: {name: version}, urls: {architecture: URL}}]
    vendors: those with devices here; exporters: roles that are here
    """
    asked = [one for one in sources if one["role"] not in exporters and set(one["vendors"]) & set(vendors)]
    names = sorted(set(name for one in asked for name in one["packages"]))
    known = versions(names, ask) if names else {}
    found = {}
    for one in asked:
        if one["packages"]:
            problem = package_problem(one["packages"], known, os.path.exists(os.path.join(root, BROUGHT % one["role"])))
            if problem:
                found[one["role"]] = problem
        elif one["urls"]:
            # A host whose devices are read already is left in peace: it calls nobody to learn whether it could change.
            read = any(other["role"] in exporters and set(other["vendors"]) & set(one["vendors"]) & set(vendors) for other in sources)
            url = one["urls"].get(architecture)
            if read or not url or not call(url):
                found[one["role"]] = "address"
    return found
