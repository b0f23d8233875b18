# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real galaxy-importer, with what it asks of certified content, takes the built collection, and warns of nothing.

Its ansible-lint reads .ansible-lint, which is in the built collection for that. The version is set to 1.0.0 for it, which certified content has to have.
Not run: its own ansible-test, which `make sanity` is.
"""
import json
import sys

import pytest

import conftest

CERTIFIED = {f"GALAXY_IMPORTER_{name}": "true" for name in (
    "CHECK_CHANGELOG", "CHECK_REQUIRED_TAGS", "REQUIRE_V1_OR_GREATER", "RUN_ANSIBLE_DOC", "RUN_ANSIBLE_LINT")}
# On a busy machine ansible-lint may not end within the three minutes that the importer gives it.
LATE = "Timeout on call to ansible-lint"


@pytest.mark.costly
def test_the_importer_takes_it_and_warns_of_nothing(empty, tmp_path_factory):
    artifact = conftest.built(tmp_path_factory.mktemp("release"), version="1.0.0")
    said = empty.run(sys.executable, "-m", "galaxy_importer.main", str(artifact), **CERTIFIED)
    assert "Importer processing completed successfully" in said, said
    complaints = [line for line in said.splitlines() if line.startswith(("WARNING", "ERROR"))]
    assert [line for line in complaints if LATE not in line] == []
    result = json.loads((empty.folder / "importer_result.json").read_text())
    assert len([item for item in result["contents"] if item["content_type"] == "role"]) > 15
    if complaints:
        pytest.skip("the importer's ansible-lint took longer than it may on this machine; all else passed")
