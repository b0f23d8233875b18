# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Vendors' packages for a bundle, with everything that hosts lack for them: apt works that out from what the hosts have installed.

What a host has is in a file that bundle_states.yml wrote, <platform>-<architecture>-<hash>.json:
  {"distribution": "debian", "version": "12", "architecture": "amd64", "roles": ["dcgm_exporter"], "status": text as in /var/lib/dpkg/status}
Beside them may be <platform>.sources, an apt source of the distribution itself. apt is run with that status, the vendor's repository and this source, and
nothing of this machine: neither its sources nor its keys. It has verified the repositories' signatures when it tells the SHA-256 of a package.
"""
import glob
import hashlib
import json
import os
import re
import shutil
import urllib.parse

from ansible_collections.accelmon.fleet.plugins.module_utils import atomic, command
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.programs.release import download
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import amd_exporter, dcgm
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs.packages import APT, platform
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs.releases import MACHINES

VARIABLE = "accelmon_bundle_states"
SECONDS = 900
# What apt decides by; the rest of the status is descriptions and lists of files.
FIELDS = ("Package", "Status", "Priority", "Essential", "Important", "Protected", "Architecture", "Multi-Arch", "Version", "Source", "Provides",
          "Replaces", "Pre-Depends", "Depends", "Conflicts", "Breaks")
VERSION = re.compile(r"\d+(\.\d+)*\Z")
LINE = re.compile(r"'(\S+)' (\S+) \d+ SHA256:([0-9a-f]{64})\Z")


# On the isolated side

def reduced(status):
    """The fields that matter of /var/lib/dpkg/status."""
    kept = []
    for stanza in status.split("\n\n"):
        fields = re.findall(r"^\S.*(?:\n[ \t].*)*", stanza, re.MULTILINE)
        kept.append("\n".join(field for field in fields if field.split(":", 1)[0] in FIELDS))
    return "".join(f"{stanza}\n\n" for stanza in kept if stanza)


def is_known(node):
    """Whether a host is of a kind that states are written of. node: its facts, which become part of a file's name"""
    return node.get("distribution") in APT and node.get("architecture") in MACHINES and bool(VERSION.match(str(node.get("distribution_version"))))


def state_of(node, roles, status):
    """{"name", "text"} of the file of a host. node: its facts; status: what its /var/lib/dpkg/status says"""
    told = {"distribution": node["distribution"], "version": node["distribution_version"], "architecture": node["architecture"], "roles": sorted(roles),
            "status": reduced(status)}
    text = json.dumps(told, indent=1, sort_keys=True) + "\n"
    kind = platform(told["distribution"], told["version"])
    return {"name": f"{kind}-{told['architecture']}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.json", "text": text}


# On the connected side

def states(folder):
    """What is in a directory of states, [as above, with its `path`]. Raises Problem."""
    found = []
    for path in sorted(glob.glob(os.path.join(os.path.expanduser(folder), "*.json"))):
        try:
            with open(path, encoding="utf-8") as stream:
                state = json.load(stream)
            whole = all(isinstance(state[field], str) and state[field] for field in ("distribution", "version", "architecture", "status"))
            if not whole or not isinstance(state["roles"], list):
                raise ValueError("a field is missing")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Problem(f"{os.path.basename(path)} is not what bundle_states.yml wrote ({error}); write it again", VARIABLE, folder) from None
        found.append(dict(state, path=path))
    return found


def wanted(role, values, state):
    """What a role needs on hosts of a state: {role, state (its path), packages: {name: version}, specs: [as apt is asked], repository, key, checksum}.

    values: of the role's variables. Raises Problem.
    """
    node = {"distribution": state["distribution"], "distribution_version": state["version"], "architecture": state["architecture"]}
    given = {word: values[f"{role}_{word}"] for word in ("repository", "repository_key", "repository_key_sha256", "version")}
    if role == "dcgm_exporter":
        packages = dcgm.packages({word: values[f"{role}_{word}"] for word in ("version", "dcgm_version", "pairs", "profiling")})
        repository = dcgm.repository(given["repository"] or "nvidia", state["distribution"], state["version"], state["architecture"])
        specs = [f"{name}=*{version}-?" for name, version in packages.items()]
    else:
        version = amd_exporter.build(given["version"], "package", node)["version"]
        packages, specs = {amd_exporter.PACKAGE: version}, [f"{amd_exporter.PACKAGE}={version}*"]
        repository = amd_exporter.repository(given["repository"] or "amd", version, node, given["repository_key"])
    return {"role": role, "state": state["path"], "packages": packages, "specs": specs, "repository": repository["text"],
            "key": given["repository_key"] or repository["key"], "checksum": given["repository_key_sha256"]}


def artifacts(requests, spare):
    """Artifacts as in bundling.py, each with its `os`, the `roles` that need it, and its `rank` in the order of installation.

    requests: of `wanted`; spare: a directory for what apt reads. Raises Problem and OSError.
    """
    if requests and not shutil.which("apt-get"):
        raise Problem("apt-get is not here to find the packages; make the bundle on a Debian or Ubuntu machine, or list the packages yourself with "
                      "the module bundle_entry", VARIABLE, os.path.dirname(requests[0]["state"]))
    found = {}
    for number, request in enumerate(requests):
        with open(request["state"], encoding="utf-8") as stream:
            state = json.load(stream)
        folder = os.path.join(spare, f"apt{number}")
        kind = platform(state["distribution"], state["version"])
        for one in _closure(request, state, kind, folder):
            known = found.setdefault(one["file"], dict(one, os=kind, roles=[], rank=0))
            known["roles"] = sorted(set(known["roles"]) | {request["role"]})
            known["rank"] = max(known["rank"], one["rank"])
    return list(found.values())


def _closure(request, state, kind, folder):
    for name in ("lists/partial", "archives/partial"):
        atomic.make_folders(os.path.join(folder, name))
    places = {name: os.path.join(folder, name) for name in ("status", "sources.list.d", "lists", "archives", "key.asc")}
    atomic.make_folders(places["sources.list.d"])
    _key(request, places["key.asc"])
    # Those that are wanted belong into the bundle, also where they are installed already.
    names = "|".join(map(re.escape, request["packages"]))
    atomic.write(places["status"], re.sub(rf"(?m)^Package: (?:{names})\n(?:.+\n)*\n", "", state["status"]).encode())
    text = re.sub(r"(?m)^Signed-By: .*$", f"Signed-By: {places['key.asc']}", request["repository"])
    atomic.write(os.path.join(places["sources.list.d"], "vendor.sources"), text.encode())
    site = os.path.join(os.path.dirname(request["state"]), f"{kind}.sources")
    if os.path.exists(site):
        shutil.copyfile(site, os.path.join(places["sources.list.d"], "site.sources"))
    options = {"Dir::Etc::sourcelist": "/dev/null", "Dir::Etc::sourceparts": places["sources.list.d"], "Dir::Etc::trusted": "/dev/null",
               "Dir::Etc::trustedparts": "/dev/null", "Dir::Etc::preferences": "/dev/null", "Dir::Etc::preferencesparts": "/dev/null",
               "Dir::State": folder, "Dir::State::status": places["status"], "Dir::State::lists": places["lists"], "Dir::Cache": folder,
               "Dir::Cache::archives": places["archives"], "APT::Architecture": state["architecture"], "APT::Architectures": state["architecture"],
               "APT::Default-Release": "", "APT::Install-Recommends": "false", "APT::Sandbox::User": "", "Acquire::Languages": "none",
               "Acquire::ForceHash": "SHA256", "Debug::NoLocking": "true"}
    common = ["apt-get", "--quiet=1", "--yes"] + [f"--option={name}={value}" for name, value in options.items()]
    _apt(common + ["--option=APT::Update::Error-Mode=any", "update"], request, kind)
    printed = _apt(common + ["--print-uris", "install"] + request["specs"], request, kind)
    lines = [LINE.match(line) for line in printed.splitlines() if line.startswith("'")]
    if not lines or not all(lines):
        raise Problem(f"apt-get printed no SHA-256 of each package ({printed.strip()[-200:]}); update apt on this machine", VARIABLE, request["state"])
    return [_artifact(line, rank, request, state["architecture"], kind) for rank, line in enumerate(lines)]


def _artifact(line, rank, request, architecture, kind):
    url, file, digest = line.groups()
    name, version, _architecture = urllib.parse.unquote(file).rsplit(".", 1)[0].split("_")
    return {"name": name, "version": request["packages"].get(name) or version, "architecture": architecture, "rank": rank,
            "file": f"{kind}_{name}_{version.split(':')[-1]}_{architecture}.deb", "sha256": digest, "source": url}


def _apt(argv, request, kind):
    code, output, errors = command.run(argv, SECONDS)
    if code != 0:
        raise Problem(f"apt-get cannot find all packages of {request['role']} ({' '.join((output + errors).split())[-400:]}); correct "
                      f"{request['role']}_version or {request['role']}_repository, or put the distribution's own repository into {kind}.sources "
                      "beside the state", VARIABLE, request["state"])
    return output


def _key(request, path):
    """The key that a vendor's repository is signed with."""
    variable = f"{request['role']}_repository_key"
    try:
        if request["key"].startswith("/"):
            shutil.copyfile(request["key"], path)
        else:
            download(request["key"], path, 60)
    except (OSError, Failure) as error:
        raise Problem(f"the key cannot be read ({error}); correct the path or URL", variable, request["key"]) from None
    if request["checksum"] and atomic.sha256_file(path) != request["checksum"].lower():
        raise Problem(f"it has the SHA-256 {atomic.sha256_file(path)}; find out why before you change it", f"{variable}_sha256", request["checksum"])
