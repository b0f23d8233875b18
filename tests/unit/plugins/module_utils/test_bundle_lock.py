# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock file of a bundle, as the module bundle_entry writes it and the roles read it."""

import hashlib
import json

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.programs import lock
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs.bundle import bundle_artifact

ONE = {"name": "all_smi", "version": "0.28.1", "os": "linux", "architecture": "amd64", "file": "a.tar.gz", "sha256": "a" * 64}


def test_what_is_written_is_what_the_roles_read(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(b"archive")
    entry = dict(ONE, sha256=lock.sha256_of(str(tmp_path), "a.tar.gz"))
    assert entry["sha256"] == hashlib.sha256(b"archive").hexdigest()
    (tmp_path / "lock.json").write_text(lock.text_of("artifacts", lock.add([], entry)))
    assert lock.before(lock.artifacts, str(tmp_path), "bundle") == [entry]
    assert bundle_artifact(str(tmp_path), "all_smi", "amd64") == {"version": "0.28.1", "src": str(tmp_path / "a.tar.gz"), "sha256": entry["sha256"]}


def test_an_entry_takes_the_place_of_its_own_kind_alone():
    others = [dict(ONE, version="0.28.0"), dict(ONE, architecture="arm64"), dict(ONE, name="node_exporter")]
    found = lock.add(others + [dict(ONE, sha256="b" * 64)], ONE)
    assert len(found) == 4 and ONE in found and all(other in found for other in others)
    assert lock.add(found, ONE) == found


@pytest.mark.parametrize("text,words", [("nonsense", "not JSON"), ("[]", "not a version 1 lock file"),
                                        ('{"version": 2, "artifacts": []}', "not a version 1 lock file"),
                                        ('{"version": 1, "artifacts": [1]}', "lacks one of name"),
                                        (json.dumps({"version": 1, "artifacts": [dict(ONE, sha256="abc")]}), "has 'abc' where a SHA-256 belongs")])
def test_a_lock_file_that_is_none_is_left(tmp_path, text, words):
    (tmp_path / "lock.json").write_text(text)
    with pytest.raises(Failure, match=words):
        lock.before(lock.artifacts, str(tmp_path), "bundle")


@pytest.mark.parametrize("name,words", [("../x", "outside the bundle"), ("missing", "cannot be read")])
def test_an_archive_is_in_the_bundle(tmp_path, name, words):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "x").write_text("")
    with pytest.raises(Failure, match=words):
        lock.sha256_of(str(tmp_path / "bundle"), name)


def test_the_text_is_json_in_order():
    assert json.loads(lock.text_of("artifacts", [ONE])) == {"version": 1, "artifacts": [ONE]}
