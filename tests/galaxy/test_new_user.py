# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first steps of a new user, from the built collection alone and without a network: what README.md prints, until hosts would be needed.

Nothing is stubbed. No host of the README's inventory exists, and that has to be all that is in the way.
"""
import re
import shutil

import pytest

FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# A line of output that is about the collection and not about a host.
OURS = re.compile(r"couldn't resolve|was not found|undefined|deprecat|Traceback \(most|ERROR! ", re.IGNORECASE)


def blocks(path, language):
    """The code blocks of a document in one language."""
    return [code for name, code in FENCED.findall(path.read_text()) if name == language]


def commands(path):
    """The commands that a document prints, as lists of words; remarks left out."""
    lines = [line[2:].partition(" #")[0] for code in blocks(path, "console") for line in code.splitlines() if line.startswith("$ ")]
    return [line.split() for line in lines]


@pytest.fixture(scope="module")
def user(site):
    """The site with the inventory of the README."""
    inventory = next(code for code in blocks(site.installed / "README.md", "ini") if code.startswith("# inventory.ini\n"))
    (site.folder / "inventory.ini").write_text(inventory)
    return site


def test_the_collection_is_installed_as_the_readme_says(empty, site):
    shutil.copy(empty.artifact, empty.folder)
    said = [argv for argv in commands(site.installed / "README.md") if argv[:3] == ["ansible-galaxy", "collection", "install"] and argv[3].endswith(".tar.gz")]
    assert len(said) == 1
    empty.run(*said[0])
    assert (empty.installed / "playbooks" / "site.yml").is_file()


def test_the_collection_is_installed_by_the_requirements_of_the_readme(empty, site):
    shutil.copy(empty.artifact, empty.folder)
    given = [code for code in blocks(site.installed / "README.md", "yaml") if code.startswith("# requirements.yml\n")]
    (empty.folder / "requirements.yml").write_text(given[0])
    empty.run("ansible-galaxy", "collection", "install", "-r", "requirements.yml")
    assert (empty.installed / "playbooks" / "site.yml").is_file()


def test_preflight_says_of_every_host_that_it_is_not_there(user):
    argv = next(argv for argv in commands(user.installed / "README.md") if argv[-1] == "accelmon.fleet.preflight")
    said = user.run(*argv, fails=True)
    assert re.findall(r"error: (\w+): ssh = the name does not resolve on the control node", said) == [f"gpu{number:03}" for number in range(1, 129)] + ["mon1"]
    assert not OURS.search(said), said


@pytest.mark.parametrize("playbook", ["site", "verify", "status"])
def test_nothing_but_the_hosts_is_missing(user, playbook):
    argv = next(argv for argv in commands(user.installed / "README.md") if argv[3:4] == [f"accelmon.fleet.{playbook}"])
    said = user.run(*argv, fails=True)
    assert re.search(r"Could not resolve hostname mon1|mon1: ssh: the name does not resolve", said) and not OURS.search(said), said


def test_the_example_of_each_role_is_a_play_that_ansible_accepts(user):
    roles = [path.parent for path in user.installed.glob("roles/*/README.md") if (path.parent / "meta" / "argument_specs.yml").is_file()]
    assert len(roles) > 15
    for role in roles:
        examples = [code for code in blocks(role / "README.md", "yaml") if f"accelmon.fleet.{role.name}" in code]
        assert examples, f"{role.name} has no example"
        (user.folder / f"{role.name}.yml").write_text(examples[0])
    user.run("ansible-playbook", "-i", "inventory.ini", "--syntax-check", *[f"{role.name}.yml" for role in roles])


@pytest.mark.parametrize("kind,name", [("module", "accelerator_facts"), ("filter", "scrape_targets"), ("lookup", "xid"), ("inventory", "hosts_txt"),
                                       ("role", "node_exporter")])
def test_ansible_doc_lists_what_there_is(user, kind, name):
    assert f"accelmon.fleet.{name}" in user.run("ansible-doc", "-t", kind, "-l", "accelmon.fleet")
