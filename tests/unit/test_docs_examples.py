# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the documents print can be run: playbooks, variables, files and links that they name exist. Nothing is stubbed; nothing is run."""
import fnmatch
import pathlib
import re

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import variables

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "roles").glob("*/README.md")])
PLAYBOOKS = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
KNOWN = set(variables.all_variables()) | set(variables.catalogue()["internal"])
OURS = ("accelmon_",) + tuple(f"{role}_" for role in variables.roles())
# Inventories and playbooks that the reader writes.
THEIRS = {"image", "node", "hosts", "slurm", "mine"}

LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?m)^    (\S.*)$")
INLINE = re.compile(r"`([^`\n]+)`")


def blocks(text):
    """[(language, text)] of the code blocks of a document, then its inline code."""
    found = FENCED.findall(text)
    rest = FENCED.sub("", text)
    return found + [("", "\n".join(INDENTED.findall(rest)))] + [("inline", code) for code in INLINE.findall(rest)]


def commands(text):
    """Lines of a document's code that call ansible-playbook, remarks left out."""
    joined = [line for language, code in blocks(text) for line in code.replace("\\\n", " ").splitlines()]
    return [re.sub(r"\s+#\s.*", "", line) for line in joined if "ansible-playbook " in line or re.match(r"(playbooks/)?\w+\.yml ", line)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_playbooks_that_are_called_exist_in_either_spelling(document):
    for line in commands(document.read_text()):
        for name in re.findall(r"accelmon\.fleet\.(\w+)", line.partition("ansible-playbook")[2]) + re.findall(r"playbooks/(\w+)\.yml", line):
            assert name in PLAYBOOKS, line
        for name in re.findall(r"(?<![\w/.-])(\w+)\.yml\b", line):
            assert name in PLAYBOOKS | THEIRS, line


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_variables_that_are_given_are_declared(document):
    text = document.read_text()
    for line in commands(text):
        for name in re.findall(r"-e ['\"]?(\w+)=", line) + re.findall(r"\"(accelmon_\w+)\":", line):
            assert not name.startswith(OURS) or name in KNOWN, line
    for language, code in blocks(text):
        if language in ("yaml", "ini"):
            for name in re.findall(r"(?m)(?:^|\s)-? ?(\w+)(?:: |=|:$)", code):
                assert not name.startswith(OURS) or name in KNOWN or name in variables.roles(), (name, code)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_yaml_that_is_printed_is_yaml(document):
    for language, code in blocks(document.read_text()):
        if language == "yaml":
            list(yaml.safe_load_all(code))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_targets_of_make_exist(document):
    known = " ".join(re.findall(r"(?m)^([\w -]+):", (ROOT / "Makefile").read_text())).split()
    for language, code in blocks(document.read_text()):
        for name in re.findall(r"(?m)(?:^|[$#=] |\b[A-Z_]+=\S+ )make ([a-z][\w-]*)", code):
            assert name in known, (name, code)


def test_what_could_not_be_run_has_a_command_and_says_what_is_right():
    section = (ROOT / "docs/platforms.md").read_text().partition("## What could not be run here")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 10 and all(len(row) == 3 for row in rows)
    for what, command, right in rows:
        assert re.search(r"`([A-Z_]+=\S+ )?(ansible\S*|make|podman|kubectl|systemctl|tests/setup\.sh) ", command) and right, what


def links(document):
    """[(file, anchor)] of the links of a document to files here, the anchor "" if there is none."""
    found = LINK.findall(FENCED.sub("", document.read_text()))
    return [((document.parent / name).resolve() if name else document, anchor[1:]) for name, anchor in found if not re.match(r"[a-z]+:", name)]


def anchors(document):
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.*)$", FENCED.sub("", document.read_text()))
    return {re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()).replace(" ", "-") for heading in headings}


def shipped(path):
    """Whether the built collection has a file."""
    ignored = yaml.safe_load((ROOT / "galaxy.yml").read_text())["build_ignore"]
    parts = path.relative_to(ROOT).parts
    return not any(fnmatch.fnmatch("/".join(parts[:depth]), pattern) for depth in range(1, len(parts) + 1) for pattern in ignored)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere_in_a_clone_and_in_the_built_collection(document):
    for path, anchor in links(document):
        assert path.exists(), path
        assert not anchor or anchor in anchors(path), (path, anchor)
        assert shipped(path) or not shipped(document), path


def test_every_document_is_reached_from_the_front_page_and_every_page_from_the_index():
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        document = todo.pop()
        seen.add(document)
        todo += [path for path, dummy in links(document) if path.suffix == ".md" and path not in seen]
    # Roles for the other roles are for nobody else.
    assert set(DOCUMENTS) - seen == {ROOT / f"roles/{role}/README.md" for role in variables.INTERNAL_ROLES}
    index = ROOT / "docs/README.md"
    assert set((ROOT / "docs").glob("*.md")) - {path for path, dummy in links(index)} == {index}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_named_exist(document):
    text = document.read_text()
    for path in re.findall(r"(?<![\w/.{<-])((?:playbooks|inventories|plugins|roles|tests|lab|molecule|docs|benchmarks|tools|changelogs)/[\w./-]*\w)(?![\w*])",
                           re.sub(r"\]\([^)]*\)", "", text)):
        assert (ROOT / path).exists() or re.search(r"/(NAME|X)\b", path), path
