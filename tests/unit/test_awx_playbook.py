# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""playbooks/awx.yml by ansible-playbook, with the real modules of awx.awx, against a stand-in for AWX's API on loopback (awx_api.py).

AWX itself is not run. ansible.controller is not to be had without a subscription: a copy of awx.awx under its name stands in for it.
"""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import awx as wanted
from ansible_collections.accelmon.fleet.tests.unit.plugins import awx_api

ROOT = pathlib.Path(__file__).resolve().parents[2]
URL, INVENTORY = "https://git.example.com/fleet", "https://git.example.com/inventory"
SITE = {"accelmon_awx_project_url": URL, "accelmon_awx_inventory_url": INVENTORY, "accelmon_awx_inventory_path": "hosts.ini",
        "accelmon_awx_credentials": "fleet ssh,fleet vault", "accelmon_awx_mail_to": "ops@example.com", "accelmon_awx_image": "quay.example.com/ee:1"}
TOKEN = {"CONTROLLER_OAUTH_TOKEN": awx_api.TOKEN}
LOGIN = {"CONTROLLER_USERNAME": awx_api.USER, "CONTROLLER_PASSWORD": awx_api.PASSWORD}


@pytest.fixture(name="collections", scope="module")
def collections_with_awx():
    """The folder with awx.awx, which tests/setup.sh has fetched."""
    digest = hashlib.sha256((ROOT / "tests/collections.txt").read_bytes()).hexdigest()[:12]
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    folder = cache / "accelmon" / f"collections-{digest}"
    if not (folder / "complete").exists():
        pytest.skip("awx.awx is not here; tests/setup.sh --collections fetches it")
    return folder


def play(folder, collections, *arguments, site=None, **environment):
    """(exit status, output, recap) of awx.yml, with no collection path but these and no home."""
    site = SITE if site is None else site
    environment.update(ANSIBLE_COLLECTIONS_PATH=os.pathsep.join([str(ROOT / ".collections"), *map(str, collections)]), ANSIBLE_HOME=str(folder / "home"),
                       ANSIBLE_NOCOLOR="1", ANSIBLE_LOCALHOST_WARNING="false", HOME=str(folder), PATH=os.environ["PATH"], LANG="C.UTF-8")
    done = subprocess.run([sys.executable, "-m", "ansible", "playbook", str(ROOT / "playbooks/awx.yml"), "-e", json.dumps(site), *arguments], timeout=1200,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, cwd=folder, env=environment)
    recap = dict(word.split("=") for line in done.stdout.splitlines() if line.startswith("localhost ") for word in line.split()[2:])
    return done.returncode, done.stdout, recap


def an_awx():
    """An AWX that can reach the collection's repository, with what is in it, and an inventory's."""
    listed = subprocess.run(["git", "ls-files", "playbooks"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False).stdout.split()
    return awx_api.Awx({URL: listed or [f"playbooks/{path.name}" for path in (ROOT / "playbooks").glob("*.yml")], INVENTORY: ["hosts.ini"]})


@pytest.fixture(name="filled", scope="module")
def filled_awx(tmp_path_factory, collections):
    """(the AWX, its address, what the first run said, the requests of the first run). The token comes from the environment."""
    folder, awx = tmp_path_factory.mktemp("awx"), an_awx()
    with awx_api.serving(awx) as address:
        code, said, recap = play(folder, [collections], CONTROLLER_HOST=address, **TOKEN)
        assert code == 0 and recap["failed"] == "0" and int(recap["changed"]) == 8, said
        yield awx, address, said, list(awx.requests)


def test_a_preview_in_an_awx_that_has_nothing_names_what_comes_first(tmp_path, collections):
    awx = an_awx()
    with awx_api.serving(awx) as address:
        code, said, recap = play(tmp_path, [collections], "--check", CONTROLLER_HOST=address, **TOKEN)
    assert code == 0 and recap["failed"] == "0" and {method for method, dummy in awx.requests} == {"GET"}, said
    assert ("not in AWX yet: accelmon, accelmon: mail, accelmon: collection, accelmon: inventory, accelmon; a run creates them, and then what needs them"
            in said), said


def test_everything_is_there(filled):
    awx = filled[0]
    objects = wanted.objects({"inventory_hostname": "localhost", "ansible_facts": {}, **SITE})
    for name, kind in (("templates", "job_templates"), ("projects", "projects"), ("schedules", "schedules"), ("workflows", "workflow_job_templates"),
                       ("inventories", "inventories"), ("inventory_sources", "inventory_sources"), ("notifications", "notification_templates"),
                       ("execution_environments", "execution_environments")):
        assert sorted(awx.by_name(kind)) == sorted(one["name"] for one in objects[f"controller_{name}"]), name
    for one in objects["controller_templates"]:
        made = awx.by_name("job_templates")[one["name"]]
        assert awx.surveys.get(made["id"], {}) == one["survey_spec"]
        assert made["playbook"] == one["playbook"] and made["ask_limit_on_launch"] == one["ask_limit_on_launch"]
        assert len(awx.associated["job_templates", made["id"], "credentials"]) == 2
        assert len(awx.associated["job_templates", made["id"], "notification_templates_error"]) == 1


def test_the_workflow_goes_from_step_to_step(filled):
    awx = filled[0]
    nodes = {node["id"]: node for node in awx.by_name("workflow_job_template_nodes").values()}
    follows = {nodes[number]["identifier"]: [nodes[one]["identifier"] for one in after]
               for (kind, number, word), after in awx.associated.items() if kind == "workflow_job_template_nodes" and word == "success_nodes"}
    assert follows == {"preflight": ["converge"], "converge": ["verify"], "verify": ["report"]}
    templates = {one["id"]: name for name, one in awx.by_name("job_templates").items()}
    assert {node["identifier"]: templates[node["unified_job_template"]] for node in nodes.values()} == {
        step: f"accelmon: {step}" for step in ("preflight", "converge", "verify", "report")}
    assert {node["identifier"]: node["extra_data"] for node in nodes.values() if node.get("extra_data")} == {"verify": {"accelmon_verify_wait": 120}}


def test_a_second_run_changes_nothing_and_may_log_in_with_a_password(filled, tmp_path, collections):
    awx, address, dummy, dummy = filled
    before = json.dumps([awx.objects, awx.surveys], sort_keys=True)
    awx.requests.clear()
    code, said, recap = play(tmp_path, [collections], CONTROLLER_HOST=address, **LOGIN)
    assert code == 0 and recap["changed"] == "0", said
    assert {method for method, dummy in awx.requests} == {"GET"}, "not even what is there is written again"
    assert json.dumps([awx.objects, awx.surveys], sort_keys=True) == before
    assert awx_api.PASSWORD not in said


def test_as_ansible_controller_what_was_clicked_away_comes_back_and_a_schedule_stays_off(filled, tmp_path, collections):
    """Only from the workflow on: the templates take their time."""
    awx, address, dummy, dummy = filled
    other = tmp_path / "collections/ansible_collections/ansible/controller"
    shutil.copytree(collections / "ansible_collections/awx/awx", other)
    api = other / "plugins/module_utils/controller_api.py"
    api.write_text(api.read_text().replace('_COLLECTION_TYPE = "awx"', '_COLLECTION_TYPE = "controller"'))
    awx.root = "/api/controller/v2/"
    try:
        schedule = awx.objects["schedules"][awx.by_name("schedules")["accelmon: converge, nightly"]["id"]]
        rule = schedule["rrule"]
        clicked = "DTSTART:20300101T010000Z RRULE:FREQ=YEARLY;INTERVAL=1"
        schedule.update(rrule=clicked, enabled=False)
        asked = {"site": {**SITE, "accelmon_awx_collection": "ansible.controller"}, "CONTROLLER_HOST": address, **TOKEN}
        late = [tmp_path / "collections"], "--start-at-task", "Create the workflow", "-vvv"
        code, said, recap = play(tmp_path, *late, "--check", **asked)
        assert code == 0 and recap["changed"] == "1" and schedule["rrule"] == clicked, said
        code, said, recap = play(tmp_path, *late, **asked)
    finally:
        awx.root = "/api/v2/"
    assert code == 0 and recap["changed"] == "1", said
    assert (schedule["rrule"], schedule["enabled"]) == (rule, False)
    assert awx_api.TOKEN not in said
    assert ("PATCH", f"/api/controller/v2/schedules/{awx.by_name('schedules')['accelmon: converge, nightly']['id']}/") in awx.requests


def test_no_secret_is_told(filled):
    assert awx_api.TOKEN not in filled[2]


def test_a_wrong_token_ends_the_run_in_one_line(filled, tmp_path, collections):
    code, said, dummy = play(tmp_path, [collections], CONTROLLER_HOST=filled[1], CONTROLLER_OAUTH_TOKEN="not-the-token")
    assert code == 2 and "Invalid authentication credentials for /api/v2/execution_environments/ (HTTP 401)." in said
    assert "not-the-token" not in said


def test_without_the_modules_the_run_says_what_to_install(tmp_path):
    code, said, dummy = play(tmp_path, [])
    assert code == 2 and ("accelmon_awx_collection = awx.awx: this collection is not installed; install it with "
                          "ansible-galaxy collection install awx.awx") in said


def test_a_misspelt_argument_ends_the_run(tmp_path):
    code, said, dummy = play(tmp_path, [], site={"accelmon_awx_colection": "awx.awx"})
    assert code == 2 and "did you mean accelmon_awx_collection?" in said


def test_the_file_for_infra_aap_configuration_has_the_same_and_needs_neither_awx_nor_modules(tmp_path):
    path = tmp_path / "controller.yml"
    code, said, recap = play(tmp_path, [], site={**SITE, "accelmon_awx_file": str(path)})
    assert code == 0 and recap["changed"] == "1", said
    assert yaml.safe_load(path.read_text()) == wanted.objects({"inventory_hostname": "localhost", "ansible_facts": {}, **SITE})
    assert path.stat().st_mode & 0o777 == 0o600
    assert play(tmp_path, [], site={**SITE, "accelmon_awx_file": str(path)})[2]["changed"] == "0"


def test_the_stand_in_refuses_a_playbook_that_the_project_lacks_and_unknown_fields():
    awx = an_awx()
    project = awx.add("projects", {"name": "p", "scm_url": URL, "organization": 1})
    for fields, words in (({"name": "t", "project": project, "playbook": "playbooks/site.yml"}, "not found for project"), ({"nam": "t"}, "did not expect")):
        with pytest.raises(awx_api.Refused, match=words):
            awx.answer("POST", "/api/v2/job_templates/", {}, fields)
    awx.synchronised.add(project)
    assert awx.answer("POST", "/api/v2/job_templates/", {}, {"name": "t", "project": project, "playbook": "playbooks/site.yml"})[0] == 201
