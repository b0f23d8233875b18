# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Galaxy asks of a collection, as far as it can be seen without galaxy-importer. Nothing is stubbed."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The kinds of content that Galaxy lists.
LISTED = ("action", "doc_fragments", "filter", "inventory", "lookup", "module_utils", "modules")
NAME = re.compile(r"(?!.*__)[a-z_][0-9a-z_]*")


def test_content_is_named_as_galaxy_wants_it():
    files = [path for kind in LISTED for path in (ROOT / "plugins" / kind).rglob("*.py") if path.name != "__init__.py"]
    names = files + list((ROOT / "playbooks").glob("*.yml")) + [path for path in (ROOT / "roles").iterdir() if path.is_dir()]
    assert len(names) > 60
    assert [path for path in names if not NAME.fullmatch(path.stem)] == []


def test_every_role_has_what_galaxy_reads():
    for role in (ROOT / "roles").iterdir():
        assert (role / "README.md").is_file() and (role / "meta" / "main.yml").is_file(), role
