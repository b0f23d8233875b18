# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the preview of the dashboards is made of. It is drawn by `make preview`, not here."""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
PREVIEW = ROOT / "dashboards" / "preview"
# Without a licence in the lock file: two ship one (public domain), get-document says nothing. Nothing here is part of what we publish.
UNNAMED = {"node_modules/fast-shallow-equal", "node_modules/get-document", "node_modules/react-universal-interface"}


def loaded(name):
    return json.loads((PREVIEW / name).read_text(encoding="utf-8"))


def test_versions_are_exact_and_locked():
    wanted, lock = loaded("package.json")["dependencies"], loaded("package-lock.json")["packages"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values()), wanted
    assert lock[""]["dependencies"] == wanted
    assert {name: lock[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert all(entry["integrity"].startswith("sha512-") for name, entry in lock.items() if name)


def test_the_lock_file_names_no_registry():
    assert not [name for name, entry in loaded("package-lock.json")["packages"].items() if "resolved" in entry]


def test_licences_permit_it():
    licences = {name: entry.get("license", "") for name, entry in loaded("package-lock.json")["packages"].items() if name}
    assert {name for name, licence in licences.items() if not licence} <= UNNAMED
    assert not [name for name, licence in licences.items() if "GPL" in licence]


def test_it_draws_every_type_of_panel():
    boards = [json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "dashboards").glob("*.json")]
    used = {panel["type"] for board in boards for outer in board["panels"] for panel in [outer, *outer.get("panels", ())]} - {"row"}
    kinds = re.search(r"KINDS = \{(.*?)\}", (PREVIEW / "app" / "panels.jsx").read_text(encoding="utf-8")).group(1)
    assert used and used <= set(re.findall(r"'?([\w-]+)'?:", kinds))


def test_the_report_is_written_with_what_its_module_asks_for(tmp_path):
    """Nothing answers in place of the storage and the rule evaluator, so the page says that it does not know.

    In a process of its own: the preview's modules are on its path under names as short as fleet and live.
    """
    script = "import sys, preview; print(preview.write_report(sys.argv[1], 'report', preview.reported(sys.argv[1], *['http://127.0.0.1:1'] * 2, 1795000000)))"
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=PREVIEW, capture_output=True, text=True, check=True)
    page = pathlib.Path(done.stdout.strip()).read_text(encoding="utf-8")
    assert "Fleet report" in page and "gpu01" in page and "AcceleratorMemoryHot" in page
