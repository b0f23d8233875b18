# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of strangers: what they say, with lines; what is broken or hostile is one line. Nothing is stubbed."""
import time

import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.imports import documents

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9))


def test_texts_stay_as_they_are_written():
    found = documents.parse("a: 012\nb: no\nc: 1:20\nd: 1.10\ne: ~\nf: !unsafe x\n2: 2001-01-01\n", "f.yml")
    assert found == {"a": "012", "b": "no", "c": "1:20", "d": "1.10", "e": None, "f": "x", "2": "2001-01-01"}


def test_json_has_the_same_types():
    assert documents.parse('[{"a": 1.10, "b": true, "c": null, "d": [12]}]', "f.json") == [{"a": "1.10", "b": "true", "c": None, "d": ["12"]}]


def test_lines_are_known():
    found = documents.parse("a: 1\nb:\n  - c: 1\n    d: 2\n\n  - e: 3\nf: 4\n", "f.yml")
    assert found.lines == {"a": 1, "b": 2, "f": 7} and found["b"].spans == [(3, 6), (6, 7)] and found["b"][0].lines["d"] == 4


def test_aliases_and_merges_are_written_out():
    found = documents.parse("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: [*x, *x]\n", "f.yml")
    assert found["y"] == {"a": "1", "b": "3"} and found["z"] == [found["x"], found["x"]]


@pytest.mark.parametrize("text,words", [
    ("a: [1\nb: 2\n", "f.yml:2: not YAML ("),
    ("a: 1\na: 2\n", "f.yml:2: the key a occurs twice; remove one of them"),
    ("? [a]\n: 1\n", "f.yml:1: a key that is no text"),
    ("a: *nothing\n", "f.yml:1: not YAML (found undefined alias"),
    ("a: 1\n---\nb: 2\n", "f.yml:2: not YAML (but found another document"),
    ("a: &a [*a]\n", "nested too deeply"),
    ("<<: [1]\n", "f.yml:1: << merges what is no mapping"),
    (BOMB, "too many values, perhaps by its aliases; write it without them"),
    ("[" * 20000, "f.yml: nested too deeply"),
    ("a: x\n" * 10 + "b: \x01\n", "f.yml:11: not YAML (a character that YAML does not allow)"),
    ("a: " + "x" * documents.MAX_YAML, "f.yml: larger than 4 MiB; write it as JSON, or split it"),
    ("a: *{{x}}\n", "not YAML ("),
])
def test_broken_and_hostile_yaml_is_one_line(text, words):
    began = time.time()
    with pytest.raises(Problem) as refused:
        documents.parse(text, "f.yml")
    assert words in str(refused.value) and "\n" not in str(refused.value) and "{{" not in str(refused.value) and time.time() - began < 20


@pytest.mark.parametrize("text,words", [
    ('{"a": 1,\n}', "f.json:2: not JSON ("), ('{"a": 1, "a": 2}', "a key occurs twice"), ("[" * 100000, "nested too deeply")])
def test_broken_json_is_one_line(text, words):
    with pytest.raises(Problem, match="^f.json") as refused:
        documents.parse(text, "f.json")
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_what_is_no_file_is_named(tmp_path):
    for path in (tmp_path / "none.yml", tmp_path):
        with pytest.raises(Problem, match=str(path)):
            documents.read(str(path))
