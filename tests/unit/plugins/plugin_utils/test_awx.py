# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What awx.yml creates: surveys agree with the declared variables, AWX takes them, and the variable check takes every answer they allow.

AWX's rules are those of the stand-in for its API, awx_api.py. No playbook is run here, and nothing is stubbed.
"""
import pathlib
import re

import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import awx, check, formats, variables
from ansible_collections.accelmon.fleet.tests.unit.plugins import awx_api

ROOT = pathlib.Path(__file__).resolve().parents[4]
CATALOGUE = load("awx")
TEMPLATES = CATALOGUE["templates"]
ASKED = [(name, variable) for name, declared in TEMPLATES.items() for variable in declared.get("questions") or {}]
# What AWX itself gives to every job.
OF_AWX = {"awx_job_id": 7, "awx_job_launch_type": "manual", "awx_job_template_id": 9, "awx_job_template_name": "accelmon: verify", "awx_user_id": 1,
          "awx_user_name": "ada", "awx_project_revision": "0a1b2c", "awx_inventory_name": "accelmon", "tower_job_id": 7, "tower_user_name": "ada"}
EXAMPLES = {"accelmon_silence": "HostDown,node=gpu7", "accelmon_silence_for": "4h", "accelmon_silence_comment": "new fan", "accelmon_explain": "79",
            "accelmon_alert": "HostDown,node=gpu7", "accelmon_rehearse_step": "5m", "accelmon_job": "4711", "accelmon_job_cluster": "west",
            "accelmon_report_mail": "ops", "accelmon_prune_clusters": "west", "accelmon_upgrade_lock": "/runner/project/lock.json",
            "accelmon_change_threshold": "20", "accelmon_change_for": "10m", "accelmon_change_until": "7d", "accelmon_change_reason": "new switch",
            "accelmon_change_channel": "oncall", "accelmon_change_channel_secret": "https://hooks.example.org/x", "accelmon_change_channel_to": "#gpu"}


def hostvars(**given):
    """The variables of localhost, given as extra variables."""
    return {"localhost": {"inventory_hostname": "localhost", "ansible_facts": {}, **given}}


def made(**given):
    """The objects for settings of awx.yml."""
    return awx.objects(hostvars(**given)["localhost"])


def surveys():
    """{name of the template: its survey}."""
    return {one["name"]: one["survey_spec"] for one in made()["controller_templates"]}


def question(template, variable):
    """A question as AWX gets it."""
    return next(one for one in surveys()[awx.shown(template)]["spec"] if one["variable"] == variable)


def answers(asked):
    """Answers that AWX would send to a question: numbers as numbers, lists as lists, everything else as text."""
    choices = asked["choices"].splitlines()
    if asked["type"] == "multiselect":
        return [[one] for one in choices]
    if choices:
        return choices
    if asked["type"] in ("integer", "float"):
        return [asked["min"], asked["max"]]
    return [EXAMPLES[asked["variable"]]]


def test_every_playbook_has_a_template_or_a_reason_why_not():
    playbooks = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
    with_template = [declared["playbook"] for declared in TEMPLATES.values()]
    assert sorted([*with_template, *CATALOGUE["without"]]) == sorted(playbooks)


@pytest.mark.parametrize("template,variable", ASKED)
def test_a_question_agrees_with_the_declared_variable(template, variable):
    spec, asked = variables.declared(variable), question(template, variable)
    assert spec.get("run"), "an answer would win over the inventory, for one job"
    if "choices" in spec:
        assert (asked["type"], asked["choices"].splitlines()) == ("multiplechoice", spec["choices"])
    elif spec["type"] == "bool":
        assert (asked["type"], asked["choices"]) == ("multiplechoice", "true\nfalse")
    elif spec["type"] in ("int", "float"):
        assert (asked["type"], asked["min"], asked["max"]) == ({"int": "integer", "float": "float"}[spec["type"]], spec["at_least"], spec["at_most"])
    elif spec.get("no_log"):
        assert (asked["type"], asked["choices"]) == ("password", "")
    elif spec.get("format") in awx.WORD:
        assert (asked["type"], asked["choices"].splitlines()) == ("multiplechoice", awx.WORD[spec["format"]]())
    elif asked["type"] == "multiselect":
        assert formats.normalise(variable, spec, asked["choices"].splitlines()[:1])
        with pytest.raises(Problem):
            formats.normalise(variable, spec, ["no such word"])
    else:
        assert (asked["type"], asked["choices"]) == ("text", "")
    playbook = (ROOT / "playbooks" / f"{TEMPLATES[template]['playbook']}.yml").read_text()
    imported = "".join((ROOT / "playbooks" / path).read_text() for path in re.findall(r"import_playbook: (\S+)", playbook))
    assert variable in playbook + imported, "the playbook does not read it"


def test_choices_of_lists_are_all_that_there_are():
    assert question("rotate", "accelmon_rotate")["choices"].splitlines() == list(formats.ROTATED)
    assert question("compare sources", "accelmon_compare_sources")["choices"].splitlines() == list(load("sources")["sources"])
    assert question("rehearse alerts", "accelmon_rehearse_alerts")["choices"].splitlines() == [alert["alert"] for alert in load("alerts")["alerts"]]


@pytest.mark.parametrize("name,survey", [(name, survey) for name, survey in surveys().items() if survey])
def test_awx_takes_a_survey(name, survey):
    assert awx_api.survey_error(survey) is None, name
    assert 0 < len(survey["spec"]) <= 8
    for one in survey["spec"]:
        assert not isinstance(one.get("default"), bool) and one["question_description"] and one["question_name"].endswith("?")


@pytest.mark.parametrize("change,words", [
    ({"type": "boolean"}, "not an allowed type"),
    ({"choices": [True, False]}, "not lines of text"),
    ({"default": "perhaps"}, "default perhaps is not a choice"),
    ({"default": "true\nfalse"}, "more than one default"),
    ({"min": "1"}, "a limit is not an integer"),
    ({"required": "yes"}, "'required' missing"),
    ({"default": "$encrypted$"}, "reserved"),
])
def test_the_rules_of_the_stand_in_refuse_what_awx_refuses(change, words):
    survey = {"name": "x", "description": "", "spec": [dict(question("status", "accelmon_only_problems"), **change)]}
    assert words in awx_api.survey_error(survey)
    assert awx_api.survey_error({"name": "x", "description": "", "spec": []})


def test_a_secret_is_asked_for_as_one_and_has_no_default():
    spec = {"type": "str", "default": "", "no_log": True, "description": "A token."}
    asked = awx.question("accelmon_x", spec, {"ask": "Which?"})
    assert asked["type"] == "password" and "default" not in asked
    assert awx_api.survey_error({"name": "x", "description": "", "spec": [asked]}) is None
    assert [variable for name, variable in ASKED if question(name, variable)["type"] == "password"] == ["accelmon_change_channel_secret"]


@pytest.mark.parametrize("template,variable", ASKED)
def test_the_check_of_the_playbook_takes_every_answer(template, variable):
    asked = question(template, variable)
    for answer in answers(asked):
        assert check.argument_errors(hostvars(**OF_AWX, **{variable: answer})) == []
        assert check.argument_errors(hostvars(**OF_AWX, **{variable: str(answer) if not isinstance(answer, list) else answer})) == []


def test_an_empty_answer_is_none():
    for dummy, variable in ASKED:
        spec = variables.declared(variable)
        assert check.argument_errors(hostvars(**OF_AWX, **{variable: ""})) == []
        assert formats.read(variable, "") == spec["default"]


def test_a_wrong_answer_is_named():
    assert "accelmon_silence_for = soon" in check.argument_errors(hostvars(**OF_AWX, accelmon_silence_for="soon"))[0]


@pytest.mark.parametrize("word,text", [
    ("accelmon_verify_wait", "Seconds that verify.yml keeps retrying until no problem is left. If empty: 0."),
    ("accelmon_only_problems", "Whether status.yml omits healthy nodes. If empty: false."),
    ("accelmon_report_mail", "Name of a receiver of type email in alertmanager_receivers to which report.yml mails the report."),
])
def test_a_hint_says_what_an_empty_answer_means(word, text):
    assert awx.hint(variables.declared(word)) == text


def test_a_site_that_says_nothing_gets_what_needs_nothing():
    found = made()
    assert [len(found[name]) for name in ("controller_execution_environments", "controller_notifications", "controller_inventory_sources")] == [0, 0, 0]
    assert [one["name"] for one in found["controller_projects"]] == ["accelmon: collection"]
    assert not [one for one in found["controller_templates"] if {"credentials", "execution_environment", "notification_templates_error"} & set(one)]


def test_a_site_that_says_all():
    found = made(accelmon_awx_organization="ops", accelmon_awx_inventory="gpus", accelmon_awx_inventory_path="hosts", accelmon_awx_inventory_url="git@git:inv",
                 accelmon_awx_git_login="deploy", accelmon_awx_credentials="ssh, vault", accelmon_awx_image="quay.io/x/y:1", accelmon_awx_mail_to="a@b.c",
                 accelmon_awx_notifications=["chat"], accelmon_awx_project_branch="v1")
    assert {one["organization"] for objects in found.values() for one in objects} == {"ops"}
    assert [(one["scm_url"], one["scm_branch"], one["credential"]) for one in found["controller_projects"]] == [
        ("https://github.com/accelmon/ansible-fleet", "v1", "deploy"), ("git@git:inv", "", "deploy")]
    assert found["controller_inventory_sources"][0]["source_project"] == "accelmon: inventory"
    for one in found["controller_templates"]:
        assert (one["inventory"], one["credentials"], one["execution_environment"], one["notification_templates_error"]) == (
            "gpus", ["ssh", "vault"], "accelmon", ["accelmon: mail", "chat"])


def test_what_changes_something_can_be_previewed_and_what_takes_no_limit_does_not_ask_for_one():
    found = {one["playbook"]: one for one in made()["controller_templates"]}
    assert found["playbooks/site.yml"]["ask_job_type_on_launch"] and not found["playbooks/status.yml"]["ask_job_type_on_launch"]
    for path, one in found.items():
        text = (ROOT / path).read_text()
        assert "name: Refuse --limit\n" not in text or not one["ask_limit_on_launch"], path
        assert "name: Require --limit\n" not in text or one["ask_limit_on_launch"], path


def test_schedules_and_workflow_are_about_templates():
    found = made()
    names = [one["name"] for one in found["controller_templates"]]
    assert [one["unified_job_template"] in names and awx_api.rule_error(one["rrule"]) for one in found["controller_schedules"]] == [None] * 3
    nodes = found["controller_workflows"][0]["workflow_nodes"]
    assert [node["unified_job_template"]["name"] in names for node in nodes] == [True] * 4
    assert [[one["identifier"] for one in node["related"]["success_nodes"]] for node in nodes] == [["converge"], ["verify"], ["report"], []]


def test_a_step_of_the_workflow_answers_only_what_its_template_asks():
    """AWX drops what no survey asks for. Right after the first converge there are no samples yet, so a verify that does not wait would end the workflow."""
    given = {node["identifier"]: node["extra_data"] for node in made()["controller_workflows"][0]["workflow_nodes"] if "extra_data" in node}
    assert given == {"verify": {"accelmon_verify_wait": 120}}
    for step, answers in given.items():
        for variable, value in answers.items():
            asked = question(step, variable)
            assert asked["min"] <= value <= asked["max"]


def test_a_collection_that_is_not_installed_is_named():
    with pytest.raises(Problem) as caught:
        awx.modules("no.such")
    assert str(caught.value) == ("accelmon_awx_collection = no.such: this collection is not installed; install it with "
                                 "ansible-galaxy collection install no.such")


@pytest.mark.parametrize("name,value,words", [
    ("accelmon_awx_project_url", "https://ada:S3cret@git.example.com/fleet", "it contains a password"),
    ("accelmon_awx_inventory_url", "/srv/inventory", "not the address of a Git repository"),
    ("accelmon_awx_inventory_path", "../hosts", "neither a branch, a path within a repository nor an image"),
    ("accelmon_awx_mail_relay", "mail relay", "neither a host name nor an IP address"),
])
def test_a_wrong_setting_is_named_and_a_password_is_not_told(name, value, words):
    found = check.argument_errors(hostvars(**{name: value}))
    assert len(found) == 1 and words in found[0] and "S3cret" not in found[0], found


@pytest.mark.parametrize("value", ["https://git.example.com/a/b.git", "ssh://git@git.example.com:22/a", "git@git.example.com:a/b.git"])
def test_addresses_of_repositories(value):
    assert check.argument_errors(hostvars(accelmon_awx_project_url=value)) == []
