# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages that antsibull-docs and Sphinx make of the installed collection, as the Ansible package's site would. Without a network: nothing is stubbed,
but links to Ansible's own documentation lead nowhere.
"""
import re

import pytest

# Ansible's own pages, and internal filters: links in plugins/filter, of which antsibull-docs makes pages that no index names.
ELSEWHERE = re.compile(r"failed to reach any of the inventories|"
                       r"undefined label: '(action_plugins|common_return_values|ansible_configuration_settings|ansible_collections\.accelmon\.fleet\.\.)")


@pytest.mark.costly
def test_the_docsite_is_built_and_every_page_of_its_index_is_there(site):
    site.run("mkdir", "docsite")
    site.run("antsibull-docs", "sphinx-init", "--dest-dir", "docsite", "--use-current", "--fail-on-error", "--lenient", "accelmon.fleet")
    said = site.run("bash", "docsite/build.sh")
    assert [line for line in said.splitlines() if "WARNING: " in line and not ELSEWHERE.search(line)] == []
    pages = site.folder / "docsite" / "build" / "html" / "collections" / "accelmon" / "fleet"
    listed = set(re.findall(r'href="(\w+_(?:module|role|filter|lookup|inventory)\.html)', (pages / "index.html").read_text()))
    assert len(listed) > 50 and not [name for name in listed if name.startswith("_")]
    assert [name for name in listed if not (pages / name).is_file()] == []
    assert "node_exporter_port" in (pages / "node_exporter_role.html").read_text()
