# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever roles create on a host has a way out: with `state: absent` of the role, or with what uninstall.yml does at the end. Nothing is stubbed.

Files that a role declares of its service are in a manifest, by which they go; what is looked at here is everything else.
"""
import pathlib
import re

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.modules import uninstallation
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import variables
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import removal, stack

ROOT = pathlib.Path(__file__).resolve().parents[3]
ROLES = variables.roles()
# What systemd makes for a unit, and where.
PLACES = {"StateDirectory": "/var/lib", "RuntimeDirectory": "/run", "CacheDirectory": "/var/cache", "LogsDirectory": "/var/log",
          "ConfigurationDirectory": "/etc"}
# Modules of tasks that change nothing on a host by themselves, or have a state of their own that roles hand on.
HARMLESS = {"ansible.builtin." + name for name in ("import_role", "include_role", "import_tasks", "include_tasks", "debug", "fail", "assert", "command")}
# What stays, and why.
STAYS = {
    ("all_smi", "ansible.builtin.package"): "libraries of the distribution, which others may use by now",
    ("backup", "ansible.builtin.package"): "a program that others may use by now",
    ("amd_exporter", "/etc/apt/keyrings"): "apt's own directory",
    ("dcgm_exporter", "{{ dcgm_exporter_key | dirname }}"): "the package manager's own directory",
    ("dcgm_exporter", "ansible.builtin.rpm_key"): "NVIDIA's key, which repositories of the site may need",
    ("service", "{{ accelmon_paths.cache }}/"): "below a directory that goes at the end",
}


def flat(tasks):
    """Tasks, with those in blocks."""
    for task in tasks:
        yield from flat(task["block"] + task.get("rescue", [])) if "block" in task else [task]


def tasks_of(role):
    """All tasks of a role."""
    for path in sorted((ROOT / "roles" / role / "tasks").glob("*.yml")):
        yield from flat(yaml.safe_load(path.read_text()) or ())


def module_of(task):
    """(name, arguments) of a task's module."""
    return next((name, value) for name, value in task.items() if "." in name)


def removed_by(role):
    """What the tasks of a role remove, as it is written there."""
    for task in tasks_of(role):
        module, given = module_of(task)
        if module == "ansible.builtin.file" and given.get("state") == "absent":
            yield from task.get("loop", [given["path"]])


def directories(value):
    """(kind, name) of all directories that sections of units in a value declare."""
    for name, inner in value.items() if isinstance(value, dict) else ():
        if name in PLACES:
            yield from ((name, one) for one in str(inner).split())
        yield from directories(inner)


def leaves_of(role):
    """What a role says that its service leaves behind."""
    values = yaml.safe_load((ROOT / "roles" / role / "vars/main.yml").read_text())
    for task in tasks_of(role):
        for one in [(task.get("vars") or {}).get("service_leaves", ())]:
            name = re.fullmatch(r"{{ (\w+) }}", one) if isinstance(one, str) else None
            yield from values[name.group(1)] if name else one


def test_every_role_has_its_turn():
    assert sorted(removal.ORDER) == sorted(role for role in ROLES if f"{role}_state" in variables.role_variables(role))
    assert removal.ORDER.index("node_exporter") == len(removal.ORDER) - 2 and removal.ORDER[-1] == "access", "they serve the others"
    given = next(task["vars"] for task in yaml.safe_load((ROOT / "playbooks/parts/tasks/remove_roles.yml").read_text()) if "vars" in task)
    assert given == {f"{role}_state": "absent" for role in removal.ORDER if role != "access"}


@pytest.mark.parametrize("role", sorted(path.name for path in (ROOT / "roles").iterdir() if (path / "vars/main.yml").exists()))
def test_directories_of_units_go(role):
    for kind, name in directories(yaml.safe_load((ROOT / "roles" / role / "vars/main.yml").read_text())):
        path = f"{PLACES[kind]}/{name}"
        assert path.startswith((paths.STATE + "/",) + tuple(own + "/" for own in uninstallation.OWN)) or path in leaves_of(role), path


def test_directories_of_parts_of_services_go():
    text = "".join(path.read_text() for path in (ROOT / "plugins/plugin_utils/services").glob("*.py"))
    for kind, name in re.findall(r'"(%s)": "([^"]*)"' % "|".join(PLACES), text):
        assert f"{PLACES[kind]}/{name}".startswith((paths.STATE + "/",) + tuple(own + "/" for own in uninstallation.OWN))


def test_what_was_measured_stays_unless_asked():
    measured = {service for backend in stack.BACKENDS for service in stack.services(backend, True)}
    with_state = {role for role in measured if "StateDirectory" in dict(directories(yaml.safe_load((ROOT / "roles" / role / "vars/main.yml").read_text())))}
    assert with_state and with_state <= set(removal.DATA)
    assert {pathlib.Path(path).name for path in (paths.REGISTRY, paths.SECRETS)} <= set(removal.DATA)


@pytest.mark.parametrize("role", ROLES + ("service",))
def test_what_tasks_create_is_removed(role):
    gone = list(removed_by(role))
    for task in tasks_of(role):
        module, given = module_of(task)
        place = given.get("dest") or given.get("path") if isinstance(given, dict) else None
        if module in HARMLESS or module.startswith("accelmon.fleet.") or "state" in given and "state" in str(given["state"]):
            continue  # a state that the role hands on, or the package that a claim found
        if module == "ansible.builtin.file" and given["state"] == "absent" or (role, place) in STAYS or (role, module) in STAYS:
            continue
        if role == "service" and module in ("ansible.builtin.apt", "ansible.builtin.dnf", "ansible.builtin.package"):
            continue  # the claim remembers what it brought
        assert place in gone, f"{task['name']}: nothing removes {place or module}"


def test_only_two_places_create_users_and_groups():
    """uninstall.yml removes users called accelmon-… without a home, and the group accelmon."""
    found = [path.name for folder in ("plugins", "roles") for path in sorted((ROOT / folder).rglob("*.py"))
             if re.search(r'"(useradd|groupadd)"', path.read_text())]
    assert found == ["claim.py", "host_certificate.py"]
    assert not [task for role in ROLES + ("service",) for task in tasks_of(role) if module_of(task)[0] in ("ansible.builtin.user", "ansible.builtin.group")]


@pytest.mark.parametrize("names,roles", [
    ([], []),
    (["node_exporter", "access", "textfile_collector"], ["textfile_collector", "node_exporter", "access"]),
    (["all_smi_front", "vmauth", "something_else"], ["all_smi"]),
    (["victoriametrics", "vmalert", "alertmanager", "rules", "grafana"], ["alertmanager", "vmalert", "rules", "grafana", "victoriametrics"]),
])
def test_roles_come_in_their_order(names, roles):
    assert removal.installed(names) == roles
    assert removal.installed(names, removal.ALERTING) == [role for role in roles if role in ("alertmanager", "vmalert")]
