# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Release archives for the lab, built from the programs' Go modules or crates and laid out as upstream publishes them.

  cache.py build [--only node_exporter,...] [--jobs 2]    build what is missing; says what could not be built
  cache.py status [--only ...]                            what is there; exits 3 if anything is missing
  cache.py path                                           the directory

The directory is the root of a web server that stands for https://github.com: archives and checksum files have upstream's
names and paths. The programs are upstream's source, but the bytes are ours: their checksums are those of no published release.
arm64 archives of Go programs are cross-built; nothing here runs them. Crates are built for this machine alone.

The S3 server of tests is ours, s3.go, with upstream's module beneath it; nobody publishes it.

all-smi's mock server is in its crate but in none of its releases; it lies beside them under a name of ours. Upstream's archives of
all-smi have a library for AMD as well (from 0.26.2 on), which is in no crate: with ours, AMD devices are not read.
"""

import argparse
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

VICTORIAMETRICS = "github.com/VictoriaMetrics/VictoriaMetrics"
VM_VERSION = VICTORIAMETRICS + "/lib/buildinfo.Version"
COMMON_VERSION = "github.com/prometheus/common/version.Version"

# What Go calls this machine's architecture, and what the kernel calls architectures.
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
NATIVE = {machine: name for name, machine in MACHINES.items()}.get(platform.machine(), "amd64")

# One line for each archive: product, version, architecture. node_exporter has a second version to upgrade from.
# VictoriaMetrics is the catalogue's version: Go 1.26 cannot compile 1.112, and 1.152 wants Go 1.27.
WANTED = [
    ("node_exporter", "1.9.1", "amd64"),
    ("victoriametrics", "1.151.0", "amd64"),
    ("vmutils", "1.151.0", "amd64"),
    ("alertmanager", "0.28.1", "amd64"),
    ("node_exporter", "1.9.0", "amd64"),
    ("node_exporter", "1.9.1", "arm64"),
    # The newest, and one to update from. The crate asks for Rust 1.96; 1.95 builds it, which is tried.
    ("all_smi", "0.28.1", NATIVE),
    ("all_smi", "0.28.0", NATIVE),
    ("all_smi_mock", "0.28.1", NATIVE),
    ("s3", "0.0.12", NATIVE),
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
    "alertmanager": {
        "module": "github.com/prometheus/alertmanager",
        "folder": "prometheus/alertmanager/releases/download/v{version}",
        "archive": "alertmanager-{version}.linux-{architecture}.tar.gz",
        "inside": "alertmanager-{version}.linux-{architecture}/",
        "checksums": "sha256sums.txt",
        "programs": {"alertmanager": "./cmd/alertmanager", "amtool": "./cmd/amtool"},
        "version": (COMMON_VERSION, "{version}"),
    },
    "all_smi": {
        "crate": "all-smi",
        "folder": "lablup/all-smi/releases/download/v{version}",
        "archive": "all-smi-linux-{machine}.tar.gz",
        "inside": "./",
        "checksums": "all-smi-linux-{machine}.tar.gz.sha256",
        "programs": {"all-smi": ""},
    },
    "all_smi_mock": {
        "crate": "all-smi",
        "folder": "lablup/all-smi/releases/download/v{version}",
        "archive": "all-smi-mock-server-linux-{machine}.tar.gz",
        "inside": "./",
        "checksums": "all-smi-mock-server-linux-{machine}.tar.gz.sha256",
        "programs": {"all-smi-mock-server": "mock"},  # with a feature of the crate
    },
    "s3": {
        "module": "github.com/rclone/gofakes3",
        "main": "s3.go",
        "folder": "rclone/gofakes3/releases/download/v{version}",
        "archive": "s3-linux-{architecture}.tar.gz",
        "inside": "./",
        "checksums": "s3-linux-{architecture}.tar.gz.sha256",
        "programs": {"s3": "./lab"},
        "version": ("main.version", "{version}"),
    },
}
# What crates need beside cargo: a program or a file, and Debian's package that has it.
NEEDED = [("cargo", "cargo"), ("cc", "gcc"), ("protoc", "protobuf-compiler"),
          ("/usr/include/google/protobuf/timestamp.proto", "libprotobuf-dev")]


class CacheError(Exception):
    """One line for the user."""


def root():
    """The directory of the archives."""
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "accelmon", "releases")


def cargo_target():
    """Where cargo keeps what it has compiled, for the length of one run."""
    return os.path.join(os.path.dirname(root()), "cargo-target")


def words_of(version, architecture):
    """What is filled into names."""
    return {"version": version, "architecture": architecture, "machine": MACHINES[architecture]}


def place(product, version, architecture):
    """(path of the archive, path of the checksum file that lists it)."""
    spec = PRODUCTS[product]
    words = words_of(version, architecture)
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
        command = " ".join(argv[3:6] if argv[0] == "nice" else argv[:3])
        # cargo ends with advice.
        raise CacheError(f"{command} failed: {next((line for line in words if line.startswith('error')), words[-1])}")
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


def missing_for_crates():
    """Debian's names of the packages that building a crate lacks."""
    return [package for name, package in NEEDED if not (os.path.exists(name) if name.startswith("/") else shutil.which(name))]


def compile_crate(crate, program, feature, version, folder, jobs):
    """Build a program of a crate into a folder, with the dependencies that upstream locked."""
    missing = missing_for_crates()
    if missing:
        raise CacheError(f"missing: {' '.join(missing)}; these are Debian's package names. cargo has to be 1.95 or newer")
    # Another program of the crate, or another version, then needs little more.
    target = os.environ.get("CARGO_TARGET_DIR") or cargo_target()
    with tempfile.TemporaryDirectory(prefix="cargo-", dir=folder) as installed:
        # The crate declares a newer Rust than what it is known to build with.
        run(["nice", "-n", "15", "cargo", "install", crate, "--version", version, "--locked", "--ignore-rust-version", "--no-track",
             "--jobs", str(jobs), "--bin", program, "--root", installed] + (["--features", feature] if feature else []), folder, CARGO_TARGET_DIR=target)
        shutil.move(os.path.join(installed, "bin", program), os.path.join(folder, program))


def pack(path, prefix, folder, names):
    """Write an archive as upstream does: plain files, in one directory or none."""
    temporary = path + ".new"
    with tarfile.open(temporary, "w:gz", compresslevel=6) as archive:
        if prefix and prefix != "./":
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
    spec, words = PRODUCTS[product], words_of(version, architecture)
    if "crate" in spec and architecture != NATIVE:
        raise CacheError(f"a crate is built for this machine alone, which is {NATIVE}")
    archive, sums = place(product, version, architecture)
    os.makedirs(os.path.dirname(archive), exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="accelmon-build-") as folder:
        source = None if "crate" in spec else source_of(spec["module"], version, folder)
        if "main" in spec:  # a library: the program is ours, and is built as part of it
            os.mkdir(os.path.join(source, "lab"))
            shutil.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), spec["main"]), os.path.join(source, "lab"))
        for name, package in spec["programs"].items():
            if "crate" in spec:
                compile_crate(spec["crate"], name, package, version, folder, jobs)
            else:
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
    if options.command == "build":
        shutil.rmtree(cargo_target(), ignore_errors=True)
    return 3 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
