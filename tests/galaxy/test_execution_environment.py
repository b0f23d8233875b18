# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An execution environment with the built collection, by the real ansible-builder and without a network. No image is built: that takes a base image.

Nothing is stubbed.
"""
import ast
import shutil
import sys

import bindep.depends
import pytest
import yaml

# What ansible-core brings along.
WITH_CORE = {"ansible", "jinja2", "markupsafe", "yaml"}


@pytest.fixture(scope="module")
def wanted(site):
    """What ansible-builder reads from the installed collection: {"python": [...], "system": [...]}."""
    return yaml.safe_load(site.run("ansible-builder", "introspect", "home/.ansible/collections"))


def test_it_needs_no_python_package(wanted):
    assert wanted["python"] == []


@pytest.mark.parametrize("platform,packages", [("rpm", {"openssl", "openssh-clients"}), ("dpkg", {"openssl", "openssh-client"})])
def test_it_needs_openssl_and_ssh_by_their_names_on_each_platform(wanted, platform, packages):
    rules = bindep.depends.Depends("\n".join(line.partition("#")[0].strip() for line in wanted["system"]))
    assert {rule[0] for rule in rules.active_rules([f"platform:{platform}"])} == packages


def test_its_code_imports_nothing_beyond_what_comes_with_ansible_core(site):
    paths = [path for path in (site.installed / "plugins").rglob("*.py") if path.resolve() == path]
    assert len(paths) > 100
    # A program that a role puts on a host finds what it shares with modules beside itself.
    known = sys.stdlib_module_names | WITH_CORE | {"ansible_collections"} | {path.stem for path in paths if path.parent.name == "module_utils"}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for top in {name.partition(".")[0] for name in names}:
                assert top in known or top.startswith("accelmon_"), path


def test_the_definition_is_created_as_the_document_says(site, empty):
    # docs/execution_environment.md: the definition of the artifact, the artifact beside it.
    shutil.copytree(site.installed / "execution-environment", empty.folder / "execution-environment")
    shutil.copy(empty.artifact, empty.folder / "execution-environment" / "accelmon-fleet.tar.gz")
    said = empty.run("ansible-builder", "create", "--file", "execution-environment/execution-environment.yml", "--context", "context")
    assert "Complete!" in said
    given = empty.folder / "context" / "_build"
    assert (given / "files" / "accelmon-fleet.tar.gz").read_bytes() == empty.artifact.read_bytes()
    # What the image does first, in this folder.
    empty.run("ansible-galaxy", "collection", "install", "-r", "requirements.yml", folder=given)
    assert (empty.installed / "MANIFEST.json").is_file()
