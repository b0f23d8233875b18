# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a role declares of its service, and what is to be done with it: pure functions, but for reading the programs of parts.

declared: {key: value} as `roles/service/tasks/converge.yml` puts it together; the keys are those of `service_*` in that role's README
"""
import os

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.module_utils.host.interpreter import PLACEHOLDER
from ansible_collections.accelmon.fleet.plugins.module_utils.host.systemd import user_name
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import containers, parts, units
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import PORT_EXPORTERS

# Sources whose program a step of its own looks after, in every run.
FETCHED = ("bundle", "release", "container")

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))
# Where the program of each part comes from. What modules use is used by these too.
PROGRAMS = {
    "accelmon_front.py": ("roles", "service", "files", "accelmon_front.py"),
    "accelmon_pass.py": ("roles", "service", "files", "accelmon_pass.py"),
    "accelmon_watch.py": ("roles", "service", "files", "accelmon_watch.py"),
    "accelmon_bcrypt.py": ("plugins", "module_utils", "access", "bcrypt.py"),
    "accelmon_command.py": ("plugins", "module_utils", "command.py"),
    "accelmon_inner.py": ("plugins", "module_utils", "host", "inner.py"),
}


def is_fetched(declared):
    """Whether something is installed, or looked at, between the claim and the files, whatever the claim finds."""
    package = declared["package"]
    return declared["source"] in FETCHED or bool(package.get("names") or package.get("files"))


def package_names(package, wanted, cache):
    """What the package manager gets to install or remove: names, or files of a bundle.

    package: as the role declares it; wanted: `absent` to remove it; cache: directory on the host that holds the bundle's files
    """
    if wanted == "absent":
        return package.get("absent", [package["name"]])
    files = [os.path.join(cache, os.path.basename(one["src"])) for one in package.get("files", ())]
    return files or package.get("names", [package["name"]])


def packages_needed(files, lacking):
    """Files of a bundle that a host needs, of those that `package_files` found; lacking: names of packages that it has not, or older."""
    return [one for one in files if not one.get("more") or one["name"] in lacking]


def phase(declared, looked, installed):
    """The phase of service_unit to ask for.

    looked: whether the host's facts are known, which they may not be in a play of the user's own; installed: whether all steps before are done
    """
    if installed:
        return "run"
    return "claim" if not looked or is_fetched(declared) else "converge"


def steps(declared, looked, package):
    """Names of the role's task files that have to run after the first call, the second call the last of them; [] when that did everything.

    package: what the first call says has to be done with the package
    """
    found = ([] if looked else ["facts"]) + (["package"] if package else [])
    step = declared["source"] if declared["source"] in ("package", "container") else "release"
    # A service that goes may have had another source before: its package goes all the same.
    if is_fetched(declared) and step not in found:
        found.append(step)
    return found + ["converge"] if found else []


def beside(name, listen, front=None, health=None, watch=False, tls="none", auth="none", directory=paths.TEXTFILE, python="/usr/bin/python3"):
    """{"units", "files", "leaves"}: what stands in front of a service and over it, with the texts of its programs.

    A front listens where a service is asked, for a program that knows neither addresses nor access, and passes on to where that
    listens. A watch is a timer that restarts a service which runs and does not answer.

    listen: where it is asked, [{"address", "port"}]; the first counts
    front: `to`, the path of a Unix socket or ADDRESS:PORT, and `pages`; empty for none
    health: `to`, `page`, `ready` and `rows`, by which the watch knows whether the service is well
    directory: where the watch leaves its counter
    python: the interpreter that their programs run with
    """
    listen = [{"address": str(one.get("address") or ""), "port": int(one["port"])} for one in listen]
    try:
        made = parts.parts(str(name), listen, dict(front or {}), dict(health or {}), boolean(watch), str(tls), str(auth), str(directory), python)
    except Problem as error:
        raise Problem(f"{name}: {error}") from error
    files = []
    for program in made["programs"]:
        with open(os.path.join(ROOT, *PROGRAMS[program]), encoding="utf-8") as stream:
            files.append({"path": f"{parts.folder(name)}/{program}", "content": stream.read()})
    return {"units": made["units"], "files": files, "leaves": made["leaves"]}


def container_unit(sections, name, container, found):
    """The sections of a unit with the command lines that run, stop and remove a container.

    container: `arguments`, `volumes`, `devices`, `capabilities`, `environment`, `root`, `open_files` and `options`, each may be missing
    found: what the module container_image returned
    """
    if not isinstance(found, dict) or not found.get("id"):
        raise Problem(f"no image for {name}; run the module container_image first")
    return containers.unit(sections, name, container, found)


def in_container(declared, asked):
    """The declaration of a service with its container in the place of its unit on the host, if it has one and its image is here. Raises Problem.

    asked: the phase; before `run`, the host may not have been looked at, and the image not brought
    """
    if declared["source"] != "container" or declared["state"] == "absent" or asked == "claim":
        return declared
    name, container, image, agent_image = (declared[key] for key in ("name", "container", "image", "agent_image"))
    agent = container.get("agent")
    made = {"unit": _container_text(name, container, image)}
    programs = containers.launchers(name, container, image)
    if agent:
        made["agent"] = _container_text(f"{name}_agent", agent, agent_image)
        programs += containers.launchers(name, agent, agent_image)
    validate = declared["validate"]
    if containers.is_here(image):  # else what is on the host already has to do, as with any program that check mode does not install
        staged = {one["path"]: "{stage}" + one["path"] for one in programs}
        validate = [dict(one, argv=[staged.get(one["argv"][0], one["argv"][0])] + list(one["argv"][1:])) for one in validate]
    directories = declared["directories"] + (container.get("directories") or [])
    return dict(declared, files=declared["files"] + programs, directories=directories, validate=validate, **made)


def _container_text(name, container, found):
    return units.unit_text(container_unit(container.get("unit") or {}, name, container, found), container.get("overrides") or {})


def arguments(declared, secrets, asked):
    """Arguments of the module service_unit in a phase. Raises Problem."""
    contained = declared["source"] == "container"
    declared = in_container(declared, asked)
    package = declared["package"] if declared["source"] == "package" else {}
    around = beside(declared["name"], declared["listen"], declared["front"], declared["health"], declared["watch"], declared["tls"], declared["auth"],
                    declared["textfile_directory"], PLACEHOLDER)
    agent = {"agent.service": declared["agent"]} if declared["agent"] else {}
    made = {
        "name": declared["name"], "phase": asked, "image": declared["phase"] == "image", "state": declared["state"],
        "user": user_name(declared["name"]), "listen": declared["listen"], "needs": declared["needs"],
        # Only exporters can be left to others.
        "managed_variable": f"{declared['name']}_managed" if declared["name"] in PORT_EXPORTERS else "",
        "package": package.get("name") or "", "package_unit": package.get("unit") or "", "package_version": package.get("version") or "",
        "program": declared["image"].get("program") if contained else declared["program"], "container": contained,
        "own_programs": declared["source"] == "none" or bool(declared["front"]) or boolean(declared["watch"]),
        "files": declared["files"] + around["files"], "secrets": secrets, "directories": declared["directories"], "validate": declared["validate"],
        "restart_on": declared["restart_on"], "reload_on": declared["reload_on"], "leaves": declared["leaves"] + around["leaves"],
        "groups": [] if contained else declared["groups"], "parts": dict(around["units"], **agent), "part_files": [one["path"] for one in around["files"]],
        "health": declared["health"] or None, "probe": declared["probe"] or None, "timer": declared["timer"],
    }
    if asked != "claim":
        made["unit"] = declared["unit"]
    return {key: value for key, value in made.items() if value is not None}
