# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads one host's variables, once, into plain checked values. Knows nothing of other hosts."""
import json
import re

from ansible.release import __version__ as ansible_version
from jinja2 import Undefined

from ansible_collections.accelmon.fleet.plugins.plugin_utils import variables
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import Problem, literal, normalise

# Up to core 2.18 a template that cannot be evaluated comes back as its own text.
TEMPLATES_COME_BACK = tuple(int(part) for part in ansible_version.split(".")[:2]) < (2, 19)

# Roles whose variables decide what is scraped, and the variables in question.
EXPORTER_VARIABLES = {"node_exporter": ("node_exporter_port", "node_exporter_managed", "node_exporter_state")}

PLAN_VARIABLES = (
    "accelmon_cluster", "accelmon_address", "accelmon_listen", "accelmon_state", "accelmon_rack", "accelmon_labels",
    "accelmon_expected", "accelmon_exporters", "accelmon_custom_exporters", "accelmon_driver_missing",
) + tuple(name for names in EXPORTER_VARIABLES.values() for name in names)

# Stand for the value of a template that failed, and for one that must not be shown.
UNEVALUATED = object()
HIDDEN = object()

SECRET = re.compile(r"password|passwd|secret|token|credential|(^|_)key($|_)")


def plan_specs():
    """{name: spec} of the variables that plan and records read."""
    specs = {name: spec for name, spec in variables.fleet_variables().items() if name in PLAN_VARIABLES}
    for role, names in EXPORTER_VARIABLES.items():
        declared = variables.role_variables(role)
        specs.update({name: declared[name] for name in names})
    return specs


def error_line(host, name, value, problem):
    """`host: name = value: what is wrong; what to do`."""
    return f"{host}: {error_text(name, value, problem)}"


def error_text(name, value, problem):
    """`name = value: what is wrong; what to do`, in one line. A value under a name that sounds secret is not shown."""
    if value is HIDDEN or SECRET.search(name):
        shown = "(not shown)"
    elif value is UNEVALUATED:
        shown = "(a template)"
    elif isinstance(value, str):
        shown = value if len(value) <= 80 else value[:77] + "..."
    else:
        shown = json.dumps(value, default=str)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
    # Up to core 2.18 a result that holds a template is evaluated again wherever it is used.
    return f"{name} = {shown}: {problem}".replace("\n", " ").replace("{{", "{ {").replace("{%", "{ %")


def fetch(host_variables, name):
    """Value of a variable the host has, evaluated and in built-in containers. Raises Problem if a template in it fails."""
    try:
        return _plain(host_variables[name])
    except Problem:
        raise
    except Exception as error:  # whatever a filter or lookup in a user's template raises
        raise Problem(f"it cannot be evaluated ({_first_line(error)}); correct the template") from error


def _first_line(error):
    # Core puts a preface of its own before the words of an error in a template.
    text = str(error).strip().rpartition("marker was tripped: ")[2]
    return text.splitlines()[0] if text else type(error).__name__


def _plain(value):
    if isinstance(value, str):
        if TEMPLATES_COME_BACK and "{{" in value and not hasattr(value, "__UNSAFE__"):
            raise Problem("it cannot be evaluated; define the variables that the template uses, or correct it")
        return value
    if isinstance(value, Undefined):
        raise Problem(f"it cannot be evaluated ({_undefined_words(value)}); define what the template uses, or correct it")
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _undefined_words(value):
    try:
        return _first_line(value._undefined_message)
    except AttributeError:
        return "undefined"


def read_values(host_variables, specs):
    """Checked values of `specs`, the defaults of those that the host does not set.

    Returns ({name: value}, {name: (value as set or UNEVALUATED, Problem)}); a variable with a problem has its default.
    """
    values, problems = {}, {}
    for name, spec in specs.items():
        if name not in host_variables:
            values[name] = spec.get("default")
            continue
        raw = UNEVALUATED
        try:
            raw = fetch(host_variables, name)
            values[name] = normalise(name, spec, raw)
        except Problem as problem:
            values[name] = spec.get("default")
            problems[name] = (raw, problem)
    return values, problems


def address_of(host, declared, ansible_host):
    """The address at which a host is scraped: declared, else `ansible_host` unless loopback, else the inventory name."""
    if declared:
        return declared
    if ansible_host and not is_loopback(ansible_host):
        return ansible_host.strip("[]")
    return host


def is_loopback(address):
    """Whether an address or name only means the machine itself."""
    if address == "localhost":
        return True
    if not address.startswith("127.") and ":" not in address:
        return False
    number = literal(address)
    return number is not None and number.is_loopback


def is_own(address, own):
    """Whether `address` is an IP literal among `own`, in whatever form either is written."""
    if address in own:
        return literal(address) is not None
    if ":" not in address:
        return False
    number = literal(address)
    return number is not None and any(literal(other) == number for other in own)


def host_address(host, host_variables, declared):
    """As `address_of`, reading `ansible_host` from the host's variables. Raises Problem if its template fails."""
    if declared:
        return declared
    ansible_host = fetch(host_variables, "ansible_host") if "ansible_host" in host_variables else ""
    return address_of(host, "", str(ansible_host))


def facts_of(host_variables):
    """{"summary", "devices", "addresses"} that the host told in facts, or None if it told nothing about accelerators."""
    facts = host_variables.get("ansible_facts") or {}
    accelerators = facts.get("accelerators")
    if accelerators is None:
        return None
    node = facts.get("accelmon_node") or {}
    return {"summary": accelerators.get("summary") or {}, "devices": accelerators.get("devices") or [],
            "addresses": node.get("addresses") or []}
