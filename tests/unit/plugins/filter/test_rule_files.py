"""A site's own rule files. Nothing is stubbed."""

import re

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.signals import rule_files


def test_files_are_taken_as_they_are(tmp_path):
    (tmp_path / "own.yaml").write_text("groups: []  # {{ not a template }}\n")
    assert rule_files([str(tmp_path / "own.yaml")], "/etc/x") == [{"path": "/etc/x/site-own.yml", "content": "groups: []  # {{ not a template }}\n"}]
    assert rule_files([], "/etc/x") == []


@pytest.mark.parametrize("paths,words", [
    (["rules.yml"], "relative"),
    (["/no/such/file.yml"], "cannot be read"),
])
def test_a_bad_path_is_named(paths, words):
    with pytest.raises(AnsibleFilterError, match=words) as caught:
        rule_files(paths, "/etc/x")
    assert paths[0] in str(caught.value)


@pytest.mark.parametrize("content,words", [
    ("[" * 5000, "it is no YAML: maximum recursion"), ("groups: &g [*g]", "it is no rule file"), ("groups:\n- name: a\n  rules: x\n", "it is no rule file"),
    ("groups:\n- name: a\n  rules:\n  - {alert: x}\n", "group a, rule 1: it needs expr"), ("groups: [{name: 2026-13-45}]", "month must be in 1..12"),
    ("groups: []\n---\ngroups: []\n", "it is no YAML"), ("", "it is no rule file")])
def test_a_file_that_is_none_of_rules_is_named_with_what_is_wrong(tmp_path, content, words):
    (tmp_path / "own.yml").write_text(content)
    with pytest.raises(AnsibleFilterError, match=re.escape(f"own.yml: it cannot be used ({words}")):
        rule_files([str(tmp_path / "own.yml")], "/etc/x")


def test_a_group_without_rules_is_for_the_evaluators_to_judge_who_take_it(tmp_path):
    (tmp_path / "own.yml").write_text("groups:\n- name: a\n  rules:\n")
    assert rule_files([str(tmp_path / "own.yml")], "/etc/x")


def test_two_files_of_one_name_are_refused(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.yml").write_text("groups: []\n")
    with pytest.raises(AnsibleFilterError, match="same name"):
        rule_files([str(tmp_path / "a" / "own.yml"), str(tmp_path / "b" / "own.yml")], "/etc/x")
