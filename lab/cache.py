# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Release archives for the lab, built from the programs' Go modules and laid out as upstream publishes them.

  cache.py build [--only node_exporter,...] [--jobs 2]   build what is missing; says what could not be built
  cache.py status                                        what is there; exits 3 if anything is missing
  cache.py path                                          the directory

The directory is the root of a web server that stands for https://github.com: archives and checksum files have upstream's
names and paths. The programs are upstream's source, but the bytes are ours: their checksums are those of no published release.
arm64 archives are cross-built; nothing here runs them.
"""

import argparse
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

VICTORIAMETRICS = "github.com/VictoriaMetrics/VictoriaMetrics"
VM_VERSION = VICTORIAMETRICS + "/lib/buildinfo.Version"
COMMON_VERSION = "github.com/prometheus/common/version.Version"

# One line for each archive: product, version, architecture. node_exporter has a second version to upgrade from.
# VictoriaMetrics is not the catalogue's version: Go 1.26 cannot compile 1.112, and 1.150 needs a module that not every proxy has.
WANTED = [
    ("node_exporter", "1.9.1", "amd64"),
    ("victoriametrics", "1.134.0", "amd64"),
    ("vmutils", "1.134.0", "amd64"),
    ("node_exporter", "1.9.0", "amd64"),
    ("node_exporter", "1.9.1", "arm64"),
]

PRODUCTS = {
    "node_exporter": {
        "module": "github.com/prometheus/node_exporter",
        "folder": "prometheus/node_exporter/releases/download/v{version}",
        "archive": "node_exporter-{version}.linux-{architecture}.tar.gz",
        "inside": "node_exporter-{version}.linux-{architecture}/",
        "checksums": "sha256sums.txt",
        "programs": {"node_exporter": "."},
        "version": (COMMON_VERSION, "{version}"),
    },
    "victoriametrics": {
        "module": VICTORIAMETRICS,
        "folder": "VictoriaMetrics/VictoriaMetrics/releases/download/v{version}",
        "archive": "victoria-metrics-linux-{architecture}-v{version}.tar.gz",
        "inside": "",
        "checksums": "victoria-metrics-linux-{architecture}-v{version}_checksums.txt",
        "programs": {"victoria-metrics-prod": "./app/victoria-metrics"},
        "version": (VM_VERSION, "{program}-lab-tags-v{version}"),
    },
    "vmutils": {
        "module": VICTORIAMETRICS,
        "folder": "VictoriaMetrics/VictoriaMetrics/releases/download/v{version}",
        "archive": "vmutils-linux-{architecture}-v{version}.tar.gz",
        "inside": "",
        "checksums": "vmutils-linux-{architecture}-v{version}_checksums.txt",
        "programs": {"vmagent-prod": "./app/vmagent", "vmalert-prod": "./app/vmalert", "vmauth-prod": "./app/vmauth"},
        "version": (VM_VERSION, "{program}-lab-tags-v{version}"),
    },
}


class CacheError(Exception):
    """One line for the user."""


def root():
    """The directory of the archives."""
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "accelmon", "releases")


def place(product, version, architecture):
    """(path of the archive, path of the checksum file that lists it)."""
    spec = PRODUCTS[product]
    words = {"version": version, "architecture": architecture}
    folder = os.path.join(root(), spec["folder"].format(**words))
    return os.path.join(folder, spec["archive"].format(**words)), os.path.join(folder, spec["checksums"].format(**words))


def is_there(product, version, architecture):
    """Whether an archive is there and its checksum file lists it as it is."""
    archive, sums = place(product, version, architecture)
    try:
        with open(sums, encoding="utf-8") as stream:
            listed = dict(reversed(line.split()) for line in stream)
    except OSError:
        return False
    return os.path.isfile(archive) and listed.get(os.path.basename(archive)) == sha256_of(archive)


def sha256_of(path):
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()


def run(argv, cwd, **environment):
    """Standard output of a command; CacheError with its last words if it fails."""
    done = subprocess.run(argv, cwd=cwd, env=dict(os.environ, **environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True, check=False)
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()
        raise CacheError(f"{' '.join(argv[:3])} failed: {words[-1]}")
    return done.stdout


def source_of(module, version, folder):
    """Copy a Go module into `folder`; its cached copy is read-only, and a module with `replace` cannot be built by its name."""
    # Outside of any module: the download must not touch a go.mod that happens to be here.
    answer = json.loads(run(["go", "mod", "download", "-json", f"{module}@v{version}"], folder))
    target = os.path.join(folder, "source")
    shutil.copytree(answer["Dir"], target)
    for path, names, files in os.walk(target):
        for name in names + files:
            os.chmod(os.path.join(path, name), 0o755)
    return target


def compile_program(source, package, output, spec, words, jobs):
    """Build one program, without cgo, for linux and the architecture."""
    variable, value = spec["version"]
    program = os.path.basename(output).replace("-prod", "")
    run(["nice", "-n", "15", "go", "build", "-trimpath", "-p", str(jobs),
         "-ldflags", f"-s -w -X {variable}={value.format(program=program, **words)}", "-o", output, package],
        source, CGO_ENABLED="0", GOOS="linux", GOARCH=words["architecture"], GOFLAGS="-mod=mod", GOWORK="off")


def pack(path, prefix, folder, names):
    """Write an archive as upstream does: plain files, in one directory or none."""
    temporary = path + ".new"
    with tarfile.open(temporary, "w:gz", compresslevel=6) as archive:
        if prefix:
            entry = tarfile.TarInfo(prefix.rstrip("/"))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
            # Upstream's archives hold more than programs.
            entry = tarfile.TarInfo(prefix + "LICENSE")
            entry.size = len(b"see upstream\n")
            archive.addfile(entry, io.BytesIO(b"see upstream\n"))
        for name in names:
            entry = archive.gettarinfo(os.path.join(folder, name), prefix + name)
            entry.mode, entry.uid, entry.gid, entry.uname, entry.gname = 0o755, 0, 0, "root", "root"
            with open(os.path.join(folder, name), "rb") as stream:
                archive.addfile(entry, stream)
    os.replace(temporary, path)


def write_sums(path, entries):
    """Add lines to a checksum file, which may be about several architectures."""
    lines = {}
    if os.path.isfile(path):
        with open(path, encoding="utf-8") as stream:
            lines = dict(reversed(line.split()) for line in stream)
    lines.update(entries)
    with open(path + ".new", "w", encoding="utf-8") as stream:
        stream.write("".join(f"{value}  {name}\n" for name, value in sorted(lines.items())))
    os.replace(path + ".new", path)


def build(product, version, architecture, jobs):
    """Build one archive and its checksum file. Returns the archive's path."""
    spec, words = PRODUCTS[product], {"version": version, "architecture": architecture}
    archive, sums = place(product, version, architecture)
    os.makedirs(os.path.dirname(archive), exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="accelmon-build-") as folder:
        source = source_of(spec["module"], version, folder)
        for name, package in spec["programs"].items():
            compile_program(source, package, os.path.join(folder, name), spec, words, jobs)
        pack(archive, spec["inside"].format(**words), folder, list(spec["programs"]))
        entries = {os.path.basename(archive): sha256_of(archive)}
        if not spec["inside"]:  # VictoriaMetrics lists the programs in its archives as well
            entries.update((name, sha256_of(os.path.join(folder, name))) for name in spec["programs"])
        write_sums(sums, entries)
    return archive


def main(arguments=None):
    """The command line."""
    parser = argparse.ArgumentParser(description="Release archives for the lab")
    parser.add_argument("command", choices=["build", "status", "path"])
    parser.add_argument("--only", default="", help="products, with commas")
    parser.add_argument("--jobs", type=int, default=2, help="compilers at once")
    options = parser.parse_args(arguments)
    if options.command == "path":
        print(root())
        return 0
    only = [name for name in options.only.split(",") if name]
    missing = 0
    for product, version, architecture in WANTED:
        if only and product not in only:
            continue
        label = f"{product} {version} {architecture}"
        start, path = time.monotonic(), place(product, version, architecture)[0]
        if is_there(product, version, architecture):
            print(f"here     {label}: {os.path.getsize(path) / 1e6:.1f} MB")
            continue
        if options.command == "build":
            try:
                build(product, version, architecture, options.jobs)
                print(f"built    {label}: {os.path.getsize(path) / 1e6:.1f} MB in {time.monotonic() - start:.0f} s", flush=True)
                continue
            except (CacheError, OSError) as error:
                print(f"NOT RUN  {label}: {error}", flush=True)
        else:
            print(f"NOT RUN  {label}: it is not built; make lab-cache builds it")
        missing += 1
    return 3 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
