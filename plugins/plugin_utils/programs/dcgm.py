# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""NVIDIA's DCGM and its exporter: which versions belong together, what is exported, which packages a bundle has."""

import csv
import io
import os
import re

from ansible_collections.accelmon.fleet.plugins.module_utils import atomic, durations, paths
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.targets import instance
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import bundle as bundles
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs.packages import APT, platform
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load

FILES = os.path.join(os.path.dirname(os.path.abspath(__file__)), *[os.pardir] * 3, "roles", "dcgm_exporter", "files")
VERSION = re.compile(r"\d+\.\d+\.\d+")
NAME = re.compile(r"DCGM_[A-Z0-9_]+")
REFERENCE = re.compile(r"[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}")


def key(version):
    """A version for comparing."""
    return tuple(int(part) for part in version.split("."))


def pairs(more=None):
    """{version of the exporter: version of DCGM}, those of the site over ours."""
    known = {str(exporter): str(dcgm) for exporter, dcgm in load("dcgm")["pairs"].items()}
    for exporter, dcgm in (more or {}).items():
        if not VERSION.fullmatch(str(exporter)) or not VERSION.fullmatch(str(dcgm)):
            raise Problem("not versions; write them in quotes, as in 4.8.3: 4.6.0", "dcgm_exporter_pairs", {exporter: dcgm})
        known[str(exporter)] = str(dcgm)
    return known


def pair(version, dcgm, more=None):
    """(version of the exporter, version of DCGM); raises Problem, which names both, unless they belong together."""
    version, known = str(version or load("dcgm")["version"]), pairs(more)
    if version not in known:
        listed = ", ".join(f"{exporter} with DCGM {known[exporter]}" for exporter in sorted(known, key=key, reverse=True))
        raise Problem(f"the matching DCGM version{' (' + str(dcgm) + '?)' if dcgm else ''} is unknown; "
                      f"use one of {listed}, or add a pair you have tested to dcgm_exporter_pairs", "dcgm_exporter_version", version)
    if dcgm and str(dcgm) != known[version]:
        fitting = [exporter for exporter, other in known.items() if other == str(dcgm)]
        fix = f"set dcgm_exporter_version to {fitting[0]}" if fitting else f"set dcgm_exporter_dcgm_version to {known[version]}"
        raise Problem(f"dcgm_exporter {version} matches DCGM {known[version]}, not DCGM {dcgm}; {fix}", "dcgm_exporter_dcgm_version", dcgm)
    return version, known[version]


def rows(text, what):
    """[(name, type, help)] of a list of counters; raises Problem for what the exporter would end with."""
    found = []
    for row in csv.reader(io.StringIO("".join(line for line in text.splitlines(True) if not line.startswith("#")))):
        row = [cell.strip() for cell in row]
        if not any(row):
            continue
        if len(row) != 3 or not NAME.fullmatch(row[0]) or row[1] not in ("gauge", "counter", "label"):
            raise Problem(f"{what} = {', '.join(row)}: not a valid line; write FIELD, then gauge, counter or label, then a help text "
                          "without a comma")
        found.append(tuple(row))
    return found


def counters(version, profiling=False, more=None):
    """The text of the list of counters for a version of the exporter.

    more: further lines of the site
    """
    texts = []
    for name in ["counters.csv"] + ["counters_profiling.csv"] * bool(profiling):
        with open(os.path.join(FILES, name), encoding="utf-8") as stream:
            texts.append(stream.read())
    wanted = rows("".join(texts), "counters")
    known = {name for name, _kind, _help in wanted}
    for line in more or []:
        for row in rows(str(line), "dcgm_exporter_extra_counters"):
            if row[0] in known:
                raise Problem("already exported; remove it", "dcgm_exporter_extra_counters", row[0])
            known.add(row[0])
            wanted.append(row)
    since = load("dcgm")["since"]
    lines = [", ".join(row) for row in wanted if row[0] not in since or key(version) >= key(str(since[row[0]]))]
    return "# Managed by accelmon.fleet: change it through dcgm_exporter_extra_counters and dcgm_exporter_profiling.\n" + "\n".join(lines) + "\n"


def fields(text):
    """Names of the series of a list of counters."""
    return [name for name, kind, _help in rows(text, "counters") if kind != "label"]


def _file(bundle, artifact):
    """{src, sha256, name, version} of a package in a bundle, checked against its lock file."""
    folder = os.path.realpath(os.path.expanduser(bundle))
    path = os.path.realpath(os.path.join(folder, artifact["file"]))
    if os.path.commonpath([folder, path]) != folder:
        raise Problem(f"the file {artifact['file']} is outside the bundle; do not use this bundle", "accelmon_bundle", bundle)
    try:
        digest = atomic.sha256_file(path)
    except OSError as error:
        raise Problem(f"the file {artifact['file']} cannot be read ({error.strerror}); copy the bundle again", "accelmon_bundle", bundle) from None
    if digest != artifact["sha256"].lower():
        raise Problem(f"the SHA-256 of {artifact['file']} differs from that in its lock.json; copy the bundle again", "accelmon_bundle", bundle)
    return {"src": path, "sha256": digest, "name": artifact["name"], "version": artifact["version"]}


def package_files(bundle, role, names, versions, node):
    """[as above, with `more`: bool] of a bundle: what the role's packages need on some hosts, in the order of installation, then `names`.

    versions: {name: version} of all packages of the role; node: facts of the host
    """
    distribution, architecture = str(node["distribution"]), str(node["architecture"])
    suffix, kind = ".deb" if distribution in APT else ".rpm", platform(distribution, node.get("distribution_version", ""))
    # A bundle may have packages of several kinds of distributions.
    fitting = [artifact for artifact in bundles.read_lock(bundle) if artifact["file"].endswith(suffix)]
    more = [one for one in fitting if (one["os"], one["architecture"]) == (kind, architecture) and role in one.get("roles", ())
            and one["name"] not in versions]
    found = [dict(_file(bundle, one), more=True) for one in sorted(more, key=lambda one: one.get("rank", 0))]
    for name in names:
        found.append(dict(_file(bundle, bundles.find_package(fitting, name, architecture, versions[name], kind, bundle)), more=False))
    return found


def image_of(version, image):
    """The image of a version; raises Problem if none with a digest is known."""
    if image:
        if not REFERENCE.fullmatch(image):
            raise Problem("it has no digest, so it could change at any time; write it as NAME@sha256:DIGEST", "dcgm_exporter_image", image)
        return image
    ours = load("dcgm")
    if version != ours["version"]:
        raise Problem(f"no image digest for dcgm_exporter {version} is known; set it to NAME@sha256:DIGEST, "
                      f"or dcgm_exporter_version to {ours['version']}", "dcgm_exporter_image", "")
    return ours["image"]


def packages(wanted):
    """{name: version} of the packages that are to be there; wanted: {version, dcgm_version, pairs, profiling}."""
    version, dcgm = pair(wanted.get("version"), wanted.get("dcgm_version"), wanted.get("pairs"))
    names = load("dcgm")["packages"]
    return {names["core"]: dcgm, **({names["profiling"]: dcgm} if wanted.get("profiling") else {}), names["exporter"]: version}


def build(wanted, source):
    """{version, dcgm, image, counters, packages: {name: version}} of what is to be deployed.

    wanted: {version, dcgm_version, pairs, image, profiling, extra_counters}
    """
    version, dcgm = pair(wanted.get("version"), wanted.get("dcgm_version"), wanted.get("pairs"))
    return {"version": version, "dcgm": dcgm, "counters": counters(version, wanted.get("profiling"), wanted.get("extra_counters")),
            "packages": packages(wanted), "pairs": pairs(wanted.get("pairs")),
            "image": image_of(version, wanted.get("image") or "") if source == "container" else ""}


def repository(base, distribution, version, architecture):
    """{url, key, text} of NVIDIA's repository for a host, or of a mirror that has the same folders.

    base: `nvidia`, or the address of the mirror's folder that has ubuntu2204 and the like
    text: the file of apt that names it; "" where there is no apt
    Raises Problem for a host that NVIDIA has none for.
    """
    ours = load("dcgm")["repository"]
    major = str(version).split(".", maxsplit=1)[0]
    name = ours["folders"].get(f"{distribution}{version}") or ours["folders"].get(f"{distribution}{major}")
    folder = ours["architectures"].get(architecture)
    if not name or not folder:
        raise Problem(f"NVIDIA has no repository for {distribution} {version} on {architecture}; "
                      "set dcgm_exporter_source to container or bundle, or accelmon_accelerator_source to all_smi", "dcgm_exporter_repository", base)
    if base != "nvidia" and not re.fullmatch(r"(https?|file)://[!-~]+", base):
        raise Problem("not a URL; use nvidia, or the URL of a mirror", "dcgm_exporter_repository", base)
    url = "/".join([(ours["url"] if base == "nvidia" else base).rstrip("/"), name, folder]) + "/"
    apt = distribution in APT
    text = f"""\
# Managed by accelmon.fleet: change it through dcgm_exporter_repository.
Types: deb
URIs: {url}
Suites: /
Signed-By: /etc/apt/keyrings/accelmon-nvidia.asc
"""
    return {"url": url, "key": url + ours["keys"]["apt" if apt else "rpm"], "text": text if apt else ""}


def arguments(options, access=(), extra=()):
    """Arguments of the exporter, but for its program.

    options: `counters`, its file; `address` and `port`, where it listens; `interval`, a duration; `engine`, the host engine that it
    asks, "" for its own; `jobs`, the directory that maps processes to jobs, "" for none; `log_level`
    access: as exporter-toolkit's programs are given it; extra: a site's own
    """
    try:
        interval = durations.seconds(options["interval"]) * 1000
    except ValueError as error:
        raise Problem(str(error), "dcgm_exporter_interval", options["interval"]) from None
    made = [f"--collectors={options['counters']}", f"--address={instance(str(options['address']), options['port'])}", f"--collect-interval={interval}"]
    if options["engine"]:
        made.append(f"--remote-hostengine-info={options['engine']}")
    if options["jobs"]:
        made.append(f"--hpc-job-mapping-dir={options['jobs']}")
    if options["log_level"] == "debug":
        made.append("--debug")
    return made + [argument.replace("--web.config.file", "--web-config-file") for argument in access] + list(extra)


def volumes(tls, auth, files, jobs):
    """What the exporter's container sees of the host, each directory read-only and once.

    files: paths of the certificate, key and authority that a site brings with `tls` files; jobs: as in `arguments`
    """
    folders = [f"{paths.CONFIGURATION}/dcgm_exporter"]
    if tls != "none" or auth != "none":
        folders += [paths.WEB, paths.TLS]
    if tls == "files":
        folders += [os.path.dirname(path) for path in files if path]
    if jobs:
        folders.append(jobs)
    return [f"{folder}:{folder}:ro" for folder in dict.fromkeys(folders)]
