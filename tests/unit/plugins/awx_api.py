# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for AWX's API on loopback, as far as awx.yml uses it, written from AWX's documentation and the behaviour of its views.

It has tokens, lookups by field, objects with links, associations, project updates that take a moment, and refuses what AWX refuses: names that are
taken, links to nothing, playbooks that the project does not have, surveys and recurrence rules that break AWX's rules. It runs no job.
"""
import base64
import contextlib
import http.server
import itertools
import json
import re
import threading
import urllib.parse

TOKEN, USER, PASSWORD = "token-of-awx", "admin", "password-of-awx"
ENCRYPTED = "$encrypted$"

# Types of questions, and of their default.
QUESTIONS = {"text": str, "textarea": str, "password": str, "multiplechoice": str, "multiselect": str, "integer": int, "float": float}
# Kind of object: its type, the fields that are links to other kinds, and its other fields.
LINKS = {"organization": "organizations", "inventory": "inventories", "project": "projects", "source_project": "projects", "credential": "credentials",
         "execution_environment": "execution_environments", "workflow_job_template": "workflow_job_templates"}
KINDS = {
    "organizations": ("organization", ["name"]),
    "credentials": ("credential", ["name", "organization"]),
    "execution_environments": ("execution_environment", ["name", "organization", "image", "pull", "description"]),
    "notification_templates": ("notification_template", ["name", "organization", "description", "notification_type", "notification_configuration"]),
    "projects": ("project", ["name", "organization", "description", "scm_type", "scm_url", "scm_branch", "scm_update_on_launch", "credential"]),
    "inventories": ("inventory", ["name", "organization", "description", "kind", "host_filter"]),
    "inventory_sources": ("inventory_source", ["name", "description", "inventory", "source", "source_project", "source_path", "update_on_launch", "overwrite",
                                               "overwrite_vars"]),
    "job_templates": ("job_template", ["name", "organization", "description", "job_type", "inventory", "project", "playbook", "execution_environment",
                                       "ask_limit_on_launch", "ask_job_type_on_launch", "ask_diff_mode_on_launch", "survey_enabled"]),
    "workflow_job_templates": ("workflow_job_template", ["name", "organization", "description", "ask_limit_on_launch"]),
    "workflow_job_template_nodes": ("workflow_job_template_node", ["identifier", "workflow_job_template", "unified_job_template", "extra_data",
                                                                   "all_parents_must_converge", "state"]),
    "schedules": ("schedule", ["name", "description", "unified_job_template", "rrule", "enabled"]),
}
RUNNABLE = ("job_templates", "workflow_job_templates", "projects", "inventory_sources")
ASSOCIATIONS = ("credentials", "notification_templates_error", "success_nodes", "failure_nodes", "always_nodes")


class Refused(Exception):
    """A request that AWX answers with a status and a document."""

    def __init__(self, status, document):
        super().__init__(document)
        self.status, self.document = status, document


def survey_error(spec, before=None):
    """What AWX has against a survey, or None. before: the one that it replaces."""
    kinds = {"name": str, "description": str, "spec": list}
    wrong = [field for field, kind in kinds.items() if not isinstance(spec.get(field), kind)]
    if wrong:
        return f"Field '{wrong[0]}' is missing from survey spec, or of the wrong type."
    if not spec["spec"]:
        return "'spec' doesn't contain any items."
    names = [question.get("variable") for question in spec["spec"]]
    for number, question in enumerate(spec["spec"]):
        error = question_error(question, {one["variable"]: one for one in (before or {}).get("spec", ())})
        if error or names.index(question["variable"]) < number:
            return f"survey question {number}: {error or 'the variable is asked for twice'}"
    return None


def question_error(question, before):
    """What AWX has against a question, or None. before: {variable: question} of the survey that is replaced."""
    for field, kind in (("type", str), ("question_name", str), ("variable", str), ("required", bool)):
        if not isinstance(question.get(field), kind):
            return f"'{field}' missing, or not a {kind.__name__}"
    if question["type"] not in QUESTIONS:
        return f"{question['type']} is not an allowed type"
    default = question.get("default", "")
    if default != "" and not isinstance(default, QUESTIONS[question["type"]]):
        return f"default {default!r} has the wrong type"
    # A boolean is an integer for AWX as well.
    if any(not isinstance(question.get(limit), (int, type(None))) for limit in ("min", "max")):
        return "a limit is not an integer"
    if isinstance(default, str) and default.startswith(ENCRYPTED):
        kept = question["type"] == "password" and "default" in before.get(question["variable"], {})
        return None if kept else f"{ENCRYPTED} is reserved"
    return choices_error(question) if question["type"].startswith("multi") else None


def choices_error(question):
    """What AWX has against the choices of a question, or None. A list with a boolean in it is what breaks AWX's pages later."""
    if not isinstance(question.get("choices"), str):
        return "choices are missing, or not lines of text"
    defaults = [line for line in question.get("default", "").splitlines() if line.strip()]
    if question["type"] == "multiplechoice" and len(defaults) > 1:
        return "more than one default"
    # AWX looks for a text within a text.
    return next((f"default {one} is not a choice" for one in defaults if one not in question["choices"]), None)


def rule_error(rule):
    """What AWX has against a recurrence rule, or None."""
    if not re.search(r"DTSTART(;TZID=[\w/]+:\d{8}T\d{6}|:\d{8}T\d{6}Z)(\s|$)", rule):
        return "Valid DTSTART required in rrule."
    if len(re.findall("RRULE:", rule)) != 1:
        return "One RRULE required."
    return None if "INTERVAL=" in rule else "INTERVAL required in rrule."


class Awx:
    """The objects, and what is asked of them.

    repositories: {URL: the paths in it}; path: where the API begins
    objects: {kind: {id: fields}}; requests: [(method, path)] of those that were let in
    """

    def __init__(self, repositories, path="/api/"):
        self.repositories, self.root = repositories, f"{path}v2/"
        self.objects = {kind: {} for kind in KINDS}
        self.surveys, self.associated, self.updates, self.synchronised = {}, {}, {}, set()
        self.numbers = itertools.count(1)
        self.requests = []
        self.add("organizations", {"name": "Default"})
        for name in ("fleet ssh", "fleet vault"):
            self.add("credentials", {"name": name, "organization": 1})

    def add(self, kind, fields):
        """Make an object; its id."""
        number = next(self.numbers)
        self.objects[kind][number] = dict(fields)
        return number

    def document(self, kind, number):
        """An object as the API shows it."""
        fields, word = self.objects[kind][number], KINDS[kind][0]
        url = f"{self.root}{kind}/{number}/"
        shown = {**fields, "id": number, "type": word, "url": url, "related": {"survey_spec": f"{url}survey_spec/"}, "summary_fields": {}}
        if kind == "projects":
            shown.update(scm_revision="")
            running = [update for update, (project, asked) in self.updates.items() if project == number and asked < 2]
            shown["summary_fields"] = {"current_update": {"id": running[0]}} if running else {}
        if kind == "job_templates":
            # AWX takes it from the project, whatever is sent.
            shown["organization"] = self.objects["projects"][fields["project"]]["organization"]
        if "notification_configuration" in fields:
            shown["notification_configuration"] = {name: ENCRYPTED if value and name in ("password", "token") else value
                                                   for name, value in fields["notification_configuration"].items()}
        return shown

    def listing(self, kind, query):
        """The objects of a kind whose fields are as the query says."""
        kinds = RUNNABLE if kind == "unified_job_templates" else [kind]
        found = [self.document(one, number) for one in kinds for number in self.objects[one]]
        for field, value in query.items():
            if field not in ("id", "type", *itertools.chain(*(KINDS[one][1] for one in kinds))):
                raise Refused(400, {"detail": f"{kind} has no field named '{field}'"})
            found = [one for one in found if str(one.get(field)) == value]
        return {"count": len(found), "next": None, "previous": None, "results": found}

    def check(self, kind, fields, number=None):
        """Refuse fields of an object that AWX would not take."""
        unknown = sorted(set(fields) - set(KINDS[kind][1]))
        if unknown:
            raise Refused(400, {unknown[0]: "this test did not expect it"})
        for field, other in LINKS.items():
            if fields.get(field) is not None and fields[field] not in self.objects[other]:
                raise Refused(400, {field: [f'Invalid pk "{fields[field]}" - object does not exist.']})
        same = [key for key, one in self.objects[kind].items() if key != number and "name" in fields
                and all(one.get(field) == fields.get(field) for field in ("name", "organization", "inventory", "unified_job_template"))]
        if same:
            raise Refused(400, {"__all__": ["This name is taken."]})
        if kind == "job_templates" and fields["playbook"] not in self.playbooks(fields["project"]):
            raise Refused(400, {"playbook": ["Playbook not found for project."]})
        if kind == "schedules" and rule_error(fields["rrule"]):
            raise Refused(400, {"rrule": [rule_error(fields["rrule"])]})

    def playbooks(self, project):
        """What AWX has found in a project, once it has been updated."""
        return self.repositories[self.objects["projects"][project]["scm_url"]] if project in self.synchronised else ()

    def written(self, kind, number):
        """A project that was written is updated."""
        if kind == "projects":
            self.updates[next(self.numbers)] = [number, 0]

    def updated(self, update):
        """The state of a project's update, which is done when it is asked for the second time."""
        self.updates[update][1] += 1
        project, asked = self.updates[update]
        if asked < 2:
            return {"id": update, "status": "running"}
        self.synchronised.add(project)
        return {"id": update, "status": "successful" if self.objects["projects"][project]["scm_url"] in self.repositories else "failed"}

    def survey(self, method, number, body):
        """Answer a request about the survey of a template."""
        before = self.surveys.get(number, {})
        if method == "POST":
            error = survey_error(body, before)
            if error:
                raise Refused(400, {"error": error})
            self.surveys[number] = body
        elif method == "DELETE":
            self.surveys.pop(number, None)
        else:
            return 200, {**before, "spec": [{**one, "default": ENCRYPTED} if one["type"] == "password" and "default" in one else one
                                            for one in before["spec"]]} if before else {}
        return 200, {}

    def association(self, method, kind, number, word, body):
        """Answer a request about what an object is associated with."""
        key = (kind, number, word)
        other = "credentials" if word == "credentials" else "notification_templates" if word.startswith("notification") else "workflow_job_template_nodes"
        if method == "GET":
            return 200, {"count": 0, "next": None, "results": [{"id": one} for one in self.associated.get(key, ())]}
        if body["id"] not in self.objects[other]:
            raise Refused(400, {"msg": "object does not exist"})
        associated = self.associated.setdefault(key, [])
        (associated.remove if body.get("disassociate") else associated.append)(body["id"])
        return 204, None

    def answer(self, method, path, query, body):
        """(status, document) for a request that was let in."""
        kind, *rest = path[len(self.root):].strip("/").split("/")
        if kind == "project_updates":
            return 200, self.updated(int(rest[0]))
        if not rest:
            if method == "GET":
                return 200, self.listing(kind, query)
            self.check(kind, body)
            number = self.add(kind, body)
            self.written(kind, number)
            return 201, self.document(kind, number)
        number = int(rest[0])
        if rest[1:] == ["survey_spec"]:
            return self.survey(method, number, body)
        if rest[1:] and rest[1] in ASSOCIATIONS:
            return self.association(method, kind, number, rest[1], body)
        if method == "PATCH" and not rest[1:]:
            self.check(kind, {**self.objects[kind][number], **body}, number)
            self.objects[kind][number].update(body)
            self.written(kind, number)
        return 200, self.document(kind, number)

    def by_name(self, kind):
        """{name or identifier: fields} of all objects of a kind."""
        return {one.get("name", one.get("identifier")): dict(one, id=number) for number, one in self.objects[kind].items()}


class _Handler(http.server.BaseHTTPRequestHandler):
    """Requests to AWX."""

    def do_request(self):
        """Answer one."""
        path, awx = urllib.parse.urlsplit(self.path), self.server.awx
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
        try:
            status, document = self.let_in(path.path, awx)
            if status is None:
                awx.requests.append((self.command, path.path))
                status, document = awx.answer(self.command, path.path, dict(urllib.parse.parse_qsl(path.query)), body)
        except Refused as refused:
            status, document = refused.status, refused.document
        except (KeyError, ValueError) as error:
            status, document = 404, {"detail": f"not found: {error!r}"}
        text = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("X-API-Product-Name", self.server.product)
        self.send_header("X-API-Product-Version", "24.6.1")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PATCH = do_DELETE = do_request

    def let_in(self, path, awx):
        """(status, document) of what needs no token, or refuse; (None, None) is let in."""
        with self.server.lock:
            self.server.headers.append(self.headers.get("Authorization"))
        basic = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if path.startswith(f"{awx.root}tokens/") and self.headers.get("Authorization") == basic:
            return (201, {"id": 1, "token": TOKEN}) if self.command == "POST" else (204, None)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refused(401, {"detail": "Authentication credentials were not provided."})
        return None, None

    def log_message(self, *arguments):
        """Say nothing."""


@contextlib.contextmanager
def serving(awx, product="AWX"):
    """The address of an Awx that answers on loopback."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.awx, server.product, server.lock, server.headers = awx, product, threading.Lock(), []
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
