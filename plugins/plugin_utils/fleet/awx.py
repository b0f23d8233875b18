# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What awx.yml creates in AWX: the catalogue's templates, with surveys from the declared variables, for a site.

Everything is in the shape that the modules of awx.awx take, under the names that the collection infra.aap_configuration reads.
"""
import functools
import importlib.util
import re

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import formats, hosts, variables
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import alerts

# Formats whose values are a list of known words.
WORDS = {
    "alert_names": lambda: [alert["alert"] for alert in load("alerts")["alerts"]],
    "compared": lambda: list(load("sources")["sources"]),
    "rotated": lambda: list(formats.ROTATED),
    "severities": lambda: list(alerts.SEVERITIES),
}
# Formats whose value is one of them.
WORD = {"alert": WORDS["alert_names"]}
# AWX's survey has no switches; what is in quotes stays text.
SWITCH = ("true", "false")
NUMBERS = {"int": "integer", "float": "float"}
# As AWX's own pages write it for a text.
LONGEST = 1024
PREFIX = "accelmon_awx_"


def objects(host_variables):
    """{variable of infra.aap_configuration: [options of a module]}, in the order in which they have to be created.

    host_variables: localhost's entry in `hostvars`. Raises Problem.
    """
    names = [name for name in variables.fleet_variables() if name.startswith(PREFIX)]
    site = {name[len(PREFIX):]: value for name, value in hosts.settings(host_variables, names).items()}
    return of_site(site)


def of_site(site):
    """The `objects` for settings of awx.yml, which are named without accelmon_awx_."""
    catalogue = load("awx")
    own = {"organization": site["organization"]}
    projects, sources = checkouts(site, own)
    told = told_of_failures(site)
    return {
        "controller_execution_environments": [dict(own, name="accelmon", image=site["image"])] if site["image"] else [],
        "controller_notifications": [mails(site, own)] if site["mail_to"] else [],
        "controller_projects": projects,
        "controller_inventories": [dict(own, name=site["inventory"], kind="")],
        "controller_inventory_sources": sources,
        "controller_templates": [dict(own, **job_template(name, site), **told) for name in catalogue["templates"]],
        "controller_workflows": [dict(own, **workflow(catalogue["workflow"], own), **told)],
        "controller_schedules": [dict(own, **schedule(word, one)) for word, one in catalogue["schedules"].items()],
    }


def shown(name):
    """The name in AWX of what the catalogue calls by a name."""
    return load("awx")["prefix"] + name


def checkouts(site, own):
    """([projects], [sources of the inventory])."""
    git = {"scm_type": "git", "scm_update_on_launch": True, **({"credential": site["git_login"]} if site["git_login"] else {})}
    project = dict(own, name=shown("collection"), scm_url=site["project_url"], scm_branch=site["project_branch"], **git)
    projects, source = [project], project["name"]
    if not site["inventory_path"]:
        return projects, []
    if site["inventory_url"]:
        source = shown("inventory")
        projects.append(dict(own, name=source, scm_url=site["inventory_url"], scm_branch="", **git))
    return projects, [dict(own, name=source, inventory=site["inventory"], source="scm", source_project=source, source_path=site["inventory_path"],
                           update_on_launch=True, overwrite=True, overwrite_vars=True)]


def mails(site, own):
    """The notification that mails failures. It has no login: AWX returns no secret, so one would be written anew by each run."""
    return dict(own, name=shown("mail"), notification_type="email", notification_configuration={
        "username": "", "password": "", "host": site["mail_relay"], "port": 25, "use_tls": False, "use_ssl": False, "timeout": 30,
        "sender": site["mail_from"], "recipients": site["mail_to"]})


def told_of_failures(site):
    """The notifications of a template, if there are any; who has none may have added some in AWX."""
    names = ([shown("mail")] if site["mail_to"] else []) + site["notifications"]
    return {"notification_templates_error": names} if names else {}


def job_template(name, site):
    """A template for jobs."""
    declared = load("awx")["templates"][name]
    questions = declared.get("questions") or {}
    changes = bool(declared.get("changes"))
    found = {
        "name": shown(name), "description": declared["description"], "job_type": "run", "inventory": site["inventory"], "project": shown("collection"),
        "playbook": f"playbooks/{declared['playbook']}.yml", "ask_limit_on_launch": bool(declared.get("limit")), "ask_job_type_on_launch": changes,
        "ask_diff_mode_on_launch": changes, "survey_enabled": bool(questions), "survey_spec": survey(shown(name), questions),
    }
    if site["credentials"]:
        found["credentials"] = site["credentials"]
    if site["image"]:
        found["execution_environment"] = "accelmon"
    return found


def survey(name, questions):
    """A survey; {} without questions, which removes one."""
    if not questions:
        return {}
    spec = [question(variable, variables.declared(variable), asked) for variable, asked in questions.items()]
    return {"name": name, "description": "Leave empty what you do not want to say.", "spec": spec}


def question(variable, spec, asked):
    """A question of a survey about a variable with a spec. asked: what the catalogue says about it."""
    choices = list(spec.get("choices", ())) or (list(SWITCH) if spec["type"] == "bool" else {**WORDS, **WORD}.get(spec.get("format"), list)())
    kind = "multiselect" if spec.get("format") in WORDS else "multiplechoice" if choices else "password" if spec.get("no_log") else NUMBERS.get(
        spec["type"], "text")
    found = {"question_name": asked["ask"], "question_description": hint(spec), "required": asked.get("required", False), "type": kind,
             "variable": variable, "choices": "\n".join(choices), "min": spec.get("at_least"), "max": spec.get("at_most")}
    if kind not in NUMBERS.values():
        found["min"], found["max"] = 0, LONGEST
    # AWX keeps a default of a password encrypted, even an empty one, and does not tell it any more. Other questions need one for AWX's pages.
    return found if kind == "password" else dict(found, default="")


def hint(spec):
    """What stands beside a question: the description of the variable, and what an empty answer means."""
    text = " ".join(re.sub(r"\bC\(([^()]*)\)", r"\1", spec["description"]).split())
    default = spec["default"]
    if isinstance(default, bool):
        default = SWITCH[not default]
    return text if default in ("", [], {}) else f"{text} If empty: {default}."


def workflow(declared, own):
    """The workflow."""
    steps, answers = declared["steps"], declared["answers"]
    return {"name": shown(declared["name"]), "description": declared["description"], "ask_limit_on_launch": True, "workflow_nodes": [
        {"identifier": step, "unified_job_template": {"name": shown(step), "type": "job_template", "organization": {"name": own["organization"]}},
         "related": {"success_nodes": [{"identifier": after} for after in steps[number:number + 1]]},
         **({"extra_data": answers[step]} if step in answers else {})} for number, step in enumerate(steps, 1)]}


def schedule(word, declared):
    """A schedule of a template. Whether it is enabled is left to whoever clicks."""
    return {"name": shown(f"{declared['template']}, {word}"), "description": declared["description"],
            "unified_job_template": shown(declared["template"]), "rrule": f"DTSTART:{declared['from']} RRULE:{declared['rule']}"}


def modules(collection):
    """The name of the collection whose modules are used, if it is installed. Raises Problem."""
    if not is_installed(str(collection)):
        raise Problem(f"this collection is not installed; install it with ansible-galaxy collection install {collection}",
                      f"{PREFIX}collection", str(collection))
    return str(collection)


@functools.lru_cache(maxsize=None)
def is_installed(collection):
    """Whether Ansible finds a collection."""
    try:
        return importlib.util.find_spec(f"ansible_collections.{collection}.plugins.modules") is not None
    except ImportError:
        return False
