# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads one host's variables, once, into plain checked values. Knows nothing of other hosts."""
import re

from ansible.release import __version__ as ansible_version
from jinja2 import Undefined

from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import HIDDEN, UNEVALUATED, Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import facts, placement, variables
from ansible_collections.accelmon.fleet.plugins.plugin_utils.addresses import address, means_itself
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.formats import normalise, unanswered
from ansible_collections.accelmon.fleet.plugins.plugin_utils.oneline import fault_in
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import PORT_EXPORTERS, decrypted

# Up to core 2.18 a template that cannot be evaluated comes back as its own text.
TEMPLATES_COME_BACK = tuple(int(part) for part in ansible_version.split(".")[:2]) < (2, 19)

# Roles whose variables decide what is scraped, and the variables in question.
EXPORTER_VARIABLES = {
    role: tuple(f"{role}_{word}" for word in ("port", "managed", "state", "metrics_path", "source") + more)
    for role, more in (("node_exporter", ()), ("all_smi", ("version", "accept_open", "url", "sha256")),
                       ("dcgm_exporter", ("repository", "version", "dcgm_version", "pairs", "profiling")), ("amd_exporter", ("repository", "version")))}
EXPORTER_VARIABLES["textfile_collector"] = ("textfile_collector_state",)
EXPORTER_VARIABLES["slurm_collector"] = ("slurm_collector_state",)
EXPORTER_VARIABLES["slurm_drain"] = ("slurm_drain_state", "slurm_drain_storage_urls")

# Roles that take their program from the bundle when accelmon_source says so, and else from where their own variable says.
BUNDLED = ("all_smi", "dcgm_exporter", "amd_exporter", "grafana")

PLAN_VARIABLES = (
    "accelmon_cluster", "accelmon_address", "accelmon_listen", "accelmon_state", "accelmon_rack", "accelmon_labels",
    "accelmon_scrape_only", "accelmon_scrape_only_devices", "accelmon_kubernetes_secret",
    "accelmon_expected", "accelmon_expected_links", "accelmon_exporters", "accelmon_accelerator_source", "accelmon_custom_exporters", "accelmon_driver_missing",
    "accelmon_exporter_tls", "accelmon_exporter_auth", "accelmon_tls_client_auth", "accelmon_phase", "accelmon_source", "accelmon_backend",
    "accelmon_grafana", "accelmon_lock_file",
    "accelmon_slurm_controller", "accelmon_drain", "accelmon_slurm_hooks", "accelmon_backup_directory",
    "accelmon_release_url_prefix", "accelmon_release_token", "accelmon_alert_group_overrides", "accelmon_alert_host_overrides",
) + tuple(name for names in EXPORTER_VARIABLES.values() for name in names)

# What Ansible says of a value that it cannot decrypt, and what we say of it. Variables with secrets are often called vault too.
VAULT = re.compile(r"vault exception marker|[Nn]o vault secrets|Attempting to decrypt|Decryption failed")
ENCRYPTED = "it is encrypted and the vault password is missing or wrong; run with --ask-vault-pass or --vault-password-file"
# What it says of a variable that a template uses and nobody has set.
UNDEFINED = re.compile(r"'(\w+)' is undefined")


def plan_specs():
    """{name: spec} of the variables that plan and records read."""
    specs = {name: spec for name, spec in variables.fleet_variables().items() if name in PLAN_VARIABLES}
    for role, names in EXPORTER_VARIABLES.items():
        declared = variables.role_variables(role)
        specs.update({name: declared[name] for name in names})
    return specs


class HostVariables:
    """The variables of one host, taken from `hostvars` once. Only values that hold a template are evaluated.

    raw: {name: value}, templates as they are written
    facts: what the host told of itself, as it told it

    Raises Untrusted where a fact stands for a variable: nobody can tell then what the inventory says of the host.
    """

    def __init__(self, hostvars, host):
        self._hostvars = hostvars
        self.host = host
        self._evaluated = None
        # Evaluating what is no template costs more than everything else here, above all in facts.
        raw_get = getattr(hostvars, "raw_get", None)
        self.raw = raw_get(host) if raw_get else hostvars[host]
        self.facts = self.raw.get("ansible_facts") or {}
        try:
            facts.refuse_forged(self.facts)
        except facts.Untrusted as problem:
            raise problem.of(host) from None

    def evaluated(self, name):
        """Value of a variable with its templates evaluated, in built-in containers. Raises Problem if one of them fails."""
        try:
            if self._evaluated is None:
                self._evaluated = self._hostvars[self.host]
            return _plain(decrypted(self._evaluated[name]))
        except Problem:
            raise
        except Exception as error:  # whatever a filter or lookup in a user's template raises
            if VAULT.search(str(error)):
                raise Problem(ENCRYPTED) from error
            raise Problem(f"cannot be evaluated ({_first_line(error)}); correct the template") from error


def gives(variables_of_host, name):
    """Whether a host has a variable that is not the empty answer of a survey."""
    try:
        return name in variables_of_host.raw and not unanswered(fetch(variables_of_host, name))
    except Problem:
        return True


def is_literal(value):
    """Whether a value as it is written holds no template and nothing encrypted."""
    if isinstance(value, str):
        return not ("{{" in value or "{%" in value or "{#" in value or value.startswith("#jinja2:"))
    if isinstance(value, dict):
        return all(is_literal(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return all(is_literal(item) for item in value)
    return value is None or isinstance(value, (bool, int, float))


def fetch(variables_of_host, name):
    """Value of a variable the host has, in built-in containers. Raises Problem if a template in it fails."""
    value = variables_of_host.raw[name]
    return _plain(value) if is_literal(value) else variables_of_host.evaluated(name)


def _first_line(error):
    # Core puts a preface of its own before the words of an error in a template, or the template behind them.
    text = str(error).strip().rpartition("marker was tripped: ")[2].partition(". String: ")[0]
    return text.splitlines()[0] if text else type(error).__name__


def _plain(value):
    if isinstance(value, str):
        if TEMPLATES_COME_BACK and "{{" in value and not hasattr(value, "__UNSAFE__"):
            raise Problem("cannot be evaluated; define the variables that the template uses, or correct it")
        return value
    if isinstance(value, Undefined):
        words = _undefined_words(value)
        raise Problem(ENCRYPTED if VAULT.search(words) else undefined(words))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def undefined(words):
    """What is wrong with a template that uses something undefined. words: Ansible's about that"""
    return f"cannot be evaluated ({words}); define what the template uses, or correct it"


def undefined_reference(raw, words):
    """Of what Ansible says of a value, the words about an undefined variable to which it refers as people write it, with blanks: no password looks so."""
    found = UNDEFINED.search(words)
    return found.group() if found and fault_in(raw, lambda text: "there" if f"{{{{ {found.group(1)} }}}}" in text else "") else ""


def _undefined_words(value):
    try:
        return _first_line(value._undefined_message)
    except AttributeError:
        return "undefined"


class Reader:
    """Reads and checks variables of one host after the other. A literal that many hosts share is checked once.

    specs: {name: spec} of the variables that it may be asked for
    """

    def __init__(self, specs):
        self.specs = specs
        self.defaults = {name: spec.get("default") for name, spec in specs.items()}
        self._checked = {}

    def read(self, variables_of_host, name):
        """Checked value of a variable as the host has it, else its default. Raises Problem."""
        found = self.answer(variables_of_host, name)
        return self.defaults[name] if found is None else found

    def answer(self, variables_of_host, name):
        """Checked value of a variable, or None if the host has none, or an empty one. Raises Problem."""
        if name not in variables_of_host.raw:
            return None
        raw = variables_of_host.raw[name]
        # Hosts of a group share the very objects; the object is kept with the result so that its id stays its own.
        key = (name, id(raw))
        known = self._checked.get(key)
        if known is None:
            known = (raw,) + self._check(variables_of_host, name)
            if is_literal(raw):
                self._checked[key] = known
        if known[2] is not None:
            raise known[2]
        return known[1]

    def _check(self, variables_of_host, name):
        spec = self.specs[name]
        value = UNEVALUATED
        try:
            value = fetch(variables_of_host, name)
            return None if unanswered(value) else normalise(name, spec, value), None
        except Problem as problem:
            if not spec.get("no_log"):
                return None, Problem(problem, name, value)
            if value is UNEVALUATED and problem.problem != ENCRYPTED:
                # What Ansible says of a template may quote it, and with it a password that looks like one.
                missing = undefined_reference(variables_of_host.raw[name], problem.problem)
                problem = undefined(missing) if missing else "cannot be evaluated; correct the template, or remove the braces"
            return None, Problem(problem, name, HIDDEN)

    def read_all(self, variables_of_host):
        """({name: value} of all specs, with defaults, [Problem]); a variable with a bad value has its default."""
        given, errors = {}, []
        for name in self.specs.keys() & variables_of_host.raw.keys():
            try:
                given[name] = self.answer(variables_of_host, name)
            except Problem as error:
                errors.append(error)
        given = {name: value for name, value in given.items() if value is not None}
        values = dict(self.defaults, **given)
        follow_bundle(values, given)
        follow_scrape_only(values)
        follow_groups(values, variables_of_host)
        return values, sorted(errors, key=str)


def settings(host_variables, names):
    """{name: the checked value of a variable as a host has it, else its default, which is "" where a role's is a template}.

    host_variables: the entry of the host in `hostvars`, whose facts are looked at once for all names. Raises Problem.
    """
    host = str(host_variables["inventory_hostname"])
    variables_of_host = HostVariables({host: host_variables}, host)
    reader = Reader({name: variables.declared(name) for name in names})
    try:
        values = {name: reader.read(variables_of_host, name) for name in names}
    except Problem as problem:
        raise problem.of(host) from None
    follow_groups(values, variables_of_host)
    return values


def setting(host_variables, name):
    """One of the `settings`."""
    return settings(host_variables, [name])[name]


def follow_bundle(values, given):
    """Set where programs come from on a host whose accelmon_source is bundle, as the defaults of the roles do.

    given: names of the variables that the host has
    """
    if values.get("accelmon_source") == "bundle":
        values.update((f"{role}_source", "bundle") for role in BUNDLED if f"{role}_source" not in given)


def source_of(role, values, given):
    """(where a role takes its program from, the variable that says so).

    values: {variable: value} of the host, as `Reader.read_all` gives them; given: names of the variables that the host has
    """
    own = f"{role}_source" in given or (role in BUNDLED and values[f"{role}_source"] != "bundle")
    name = f"{role}_source" if own else "accelmon_source"
    return values[name], name


def source_on(host_variables, role):
    """`source_of` for a host whose entry in `hostvars` is given. Raises Problem."""
    host, own = str(host_variables["inventory_hostname"]), f"{role}_source"
    given = [own] if gives(HostVariables({host: host_variables}, host), own) else []
    values = settings(host_variables, ("accelmon_source", own))
    follow_bundle(values, given)
    return source_of(role, values, given)


def follow_scrape_only(values):
    """Leave the exporters of a host that Ansible does not log in to, whatever else is said of them, to who runs them."""
    if values.get("accelmon_scrape_only"):
        values.update((f"{role}_managed", "external") for role in PORT_EXPORTERS if f"{role}_managed" in values)


def follow_groups(values, variables_of_host):
    """Leave to other monitoring hosts what a group places there."""
    if placement.ABSENT.keys() & values.keys() and "monitoring" in variables_of_host.raw.get("group_names", ()):
        placement.follow(values, variables_of_host.host, variables_of_host.raw.get("groups") or {})


def host_address(host, variables_of_host, declared):
    """The address at which a host is scraped; see `address_of`."""
    return address_of(host, variables_of_host, declared)[1]


def address_of(host, variables_of_host, declared):
    """(variable, the address at which a host is scraped by it): declared, else `ansible_host` unless that means the machine itself, else the
    inventory name.

    Raises Problem if that is no address, or the template of `ansible_host` fails.
    """
    if declared:
        return "accelmon_address", declared
    name, value = "inventory_hostname", host
    try:
        if "ansible_host" in variables_of_host.raw:
            name, value = "ansible_host", UNEVALUATED
            value = str(fetch(variables_of_host, name))
            if not value or means_itself(value):
                name, value = "inventory_hostname", host
        return name, address(value)
    except Problem as problem:
        raise Problem(f"{problem}, or set accelmon_address", name, value) from None


def facts_of(variables_of_host):
    """{"summary", "devices", "uncounted", "addresses", "access", "distribution", "exporters", "node"} that the host told in facts.

    node: the fact accelmon_node as it is. None if the host told nothing about accelerators. Raises Untrusted.
    """
    try:
        told = facts.read(variables_of_host.facts)
    except facts.Untrusted as problem:
        raise problem.of(variables_of_host.host) from None
    if "accelerators" not in told:
        return None
    accelerators, node = told["accelerators"], told.get("accelmon_node", {})
    return {"summary": accelerators.get("summary", {}), "devices": accelerators.get("devices", []),
            "uncounted": accelerators.get("uncounted", []), "addresses": node.get("addresses", []), "access": node.get("access", False),
            "distribution": node.get("distribution"), "exporters": node.get("exporters", []), "node": node}
