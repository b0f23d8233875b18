# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's release archives. Stubbed: the compilers, by a script that writes what it was asked for."""

import os
import pathlib
import sys
import tarfile

import pytest

LAB = pathlib.Path(__file__).parents[3] / "lab"
sys.path.insert(0, str(LAB))

import cache  # noqa: E402  pylint: disable=import-error,wrong-import-position

CARGO = """#!/bin/sh
for root; do test "$last" = --root && break; last=$root; done
mkdir -p "$root/bin"
for program in all-smi all-smi-mock-server; do echo "$@" > "$root/bin/$program"; done
"""


@pytest.fixture(name="home")
def empty_cache(tmp_path, monkeypatch):
    """An empty cache, and a PATH that has a cargo of ours."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "cargo").write_text(CARGO)
    (tools / "cargo").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setattr(cache, "NEEDED", [("cargo", "cargo")])
    monkeypatch.delenv("CARGO_TARGET_DIR", raising=False)
    return tmp_path


@pytest.mark.parametrize("product,program,features", [("all_smi", "all-smi", False), ("all_smi_mock", "all-smi-mock-server", True)])
def test_a_crate_becomes_an_archive_as_upstream_names_it(home, product, program, features):
    archive = cache.build(product, "0.28.1", cache.NATIVE, 2)
    machine = cache.MACHINES[cache.NATIVE]
    assert archive == str(home / "accelmon/releases/lablup/all-smi/releases/download/v0.28.1" / f"{program}-linux-{machine}.tar.gz")
    with tarfile.open(archive) as packed:
        assert packed.getnames() == ["./" + program]
        said = packed.extractfile("./" + program).read().decode()
        assert packed.getmember("./" + program).mode == 0o755
    assert "all-smi --version 0.28.1 --locked --ignore-rust-version" in said and ("--features mock" in said) == features
    sums = pathlib.Path(archive + ".sha256").read_text(encoding="utf-8")
    assert sums == f"{cache.sha256_of(archive)}  {os.path.basename(archive)}\n"
    assert cache.is_there(product, "0.28.1", cache.NATIVE) and not cache.is_there(product, "0.28.0", cache.NATIVE)


def test_a_changed_archive_is_not_there(home):  # pylint: disable=unused-argument
    archive = cache.build("all_smi", "0.28.1", cache.NATIVE, 2)
    with open(archive, "ab") as stream:
        stream.write(b"x")
    assert not cache.is_there("all_smi", "0.28.1", cache.NATIVE)


def test_what_is_missing_is_named_and_not_run(home, monkeypatch, capsys):  # pylint: disable=unused-argument
    monkeypatch.setattr(cache, "NEEDED", [("/nowhere/timestamp.proto", "libprotobuf-dev"), ("cargo", "cargo")])
    assert cache.main(["build", "--only", "all_smi"]) == 3
    said = capsys.readouterr().out
    assert f"NOT RUN  all_smi 0.28.1 {cache.NATIVE}: missing: libprotobuf-dev;" in said


def test_no_crate_for_another_machine(home):  # pylint: disable=unused-argument
    other = next(name for name in cache.MACHINES if name != cache.NATIVE)
    with pytest.raises(cache.CacheError, match="for this machine alone"):
        cache.build("all_smi", "0.28.1", other, 2)


def test_the_reason_of_a_compiler_is_told(home):
    (home / "tools/cargo").write_text("#!/bin/sh\necho 'error: could not compile x'\necho 'error: two'; exit 101\n")
    with pytest.raises(cache.CacheError, match="cargo install all-smi failed: error: could not compile x"):
        cache.build("all_smi", "0.28.1", cache.NATIVE, 2)


def test_parts_can_be_asked_for(home, capsys):  # pylint: disable=unused-argument
    assert cache.main(["status", "--only", "all_smi,all_smi_mock"]) == 3
    assert capsys.readouterr().out.count("NOT RUN") == 3
    for product, version, architecture in cache.WANTED:
        if product.startswith("all_smi"):
            cache.build(product, version, architecture, 2)
    assert cache.main(["status", "--only", "all_smi,all_smi_mock"]) == 0
