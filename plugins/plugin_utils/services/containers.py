# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service whose program runs in a container: what it sees there, its unit, programs of its image, and the archive of that in a bundle."""
import os
import shlex

from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.module_utils.host.systemd import unit_name
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import bundle as bundles
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import parts
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.units import SANDBOX

STOP_SECONDS = 10

# What the container has in another form.
REPLACED = ("ExecStart", "User", "SupplementaryGroups", "StateDirectory", "StateDirectoryMode") + tuple(SANDBOX)

# What every container of ours is run with.
CONFINED = ["--log-driver=none", "--read-only", "--security-opt=no-new-privileges", "--cap-drop=all"]


def contained(sections, image, version="", see=(), volumes=(), programs=None, options=(), overrides=None):
    """The container in which a service runs as its unit on the host would have it, as the role service takes it.

    sections: of that unit. Its first word is left to the image, whose entry point has to be the program. The container sees the state
      directory, and the configuration of the collection where an argument names it
    see: directories of the host that it reads besides; volumes: what it sees otherwise, as the runtime wants it
    programs: {name: "" or the program of the image} of what others call, the image's entry point by ""; see `launchers`
    """
    service = sections["Service"]
    arguments = [str(word) for word in service["ExecStart"][1:]]
    groups = service.get("SupplementaryGroups") or []
    seen = [paths.CONFIGURATION] * any(paths.CONFIGURATION in word for word in arguments) + [str(folder) for folder in see]
    homes = [os.path.join(os.path.dirname(paths.STATE), service["StateDirectory"])] if service.get("StateDirectory") else []
    return {
        "image": str(image), "version": str(version), "arguments": arguments,
        "volumes": [f"{folder}:{folder}:ro" for folder in dict.fromkeys(seen)] + [f"{home}:{home}" for home in homes] + list(volumes),
        "directories": [{"path": home, "owner": service["User"], "group": service["User"], "mode": service["StateDirectoryMode"]} for home in homes],
        "groups": [groups] if isinstance(groups, str) else list(groups),
        "programs": dict(programs or {}), "options": list(options), "open_files": service.get("LimitNOFILE"), "overrides": dict(overrides or {}),
        "unit": dict(sections, Service={key: value for key, value in service.items() if key not in REPLACED}),
    }


def launchers(name, container, found):
    """[{"path", "content", "mode"}] of programs of a service's image, for who calls them on the host: checkers of its configuration, above all.

    They read the configuration of the collection and what is below the directory that they are called in, and nothing else of the host.
    """
    words = [found["program"], "run", "--rm", "--pull=never", "--network=none"] + CONFINED + [f"--volume={paths.CONFIGURATION}:{paths.CONFIGURATION}:ro"]
    words += ["--cgroups=disabled"] if found["runtime"] == "podman" else []  # they are over at once, in whatever group calls them
    made = []
    for program, entry in sorted((container.get("programs") or {}).items()):
        line = " ".join(shlex.quote(word) for word in words + [f"--entrypoint={entry}"] * bool(entry))
        made.append({"path": launcher(name, program), "mode": "0755", "content": (
            f"#!/bin/sh\n# {program} of the image that {name} runs. It sees {paths.CONFIGURATION} and the current directory.\n"
            f"case $PWD in / | {paths.CONFIGURATION}*) here= ;; *) here=--volume=$PWD:$PWD:ro ;; esac\n"
            f"exec {line} ${{here:+\"$here\"}} {shlex.quote(found['id'])} \"$@\"\n")})
    return made


def launcher(name, program):
    """Where a program of a service's image is called on the host."""
    return f"{parts.folder(name)}/{program}"


def called(program, name, source, home=""):
    """Where a program of a service is called on the host: that of the package, of the release, or what runs the one in the service's image.

    home: the role whose archive it is in, if that is another one
    """
    known = {"package": f"/usr/bin/{program}", "container": launcher(name, program)}
    return known.get(str(source), f"{paths.PROGRAMS}/{home or name}/current/bin/{program}")


def is_here(found):
    """Whether the host has the image, which check mode does not bring. found: what the module container_image returned"""
    return str(found.get("id", "")).startswith("sha256:")


def container_name(name):
    """The container of a service: 'dcgm_exporter' -> 'accelmon-dcgm-exporter'."""
    return unit_name(name).rsplit(".", 1)[0]


def command(name, container, found):
    """The command line that runs the program.

    container: {options, volumes, devices, capabilities, environment, root, open_files, arguments}, each may be missing
    found: what the module container_image returned
    """
    podman = found["runtime"] == "podman"
    line = [found["program"], "run", "--rm", "--name=" + container_name(name), "--pull=never"]
    # podman keeps the container in the unit's own group, so that limits of the unit hold for it; docker has a daemon for that.
    line += ["--replace", "--cgroups=split"] if podman else []
    line += ["--network=host"] + CONFINED
    line += [] if podman else ["--tmpfs=/tmp", "--tmpfs=/run"]
    line += ["--cap-add=" + one for one in container.get("capabilities") or []]
    line += ["--user=" + found["user"]] if found["user"] and not container.get("root") else []
    line += ["--group-add=" + one for one in found["groups"]]
    # Not what the unit allows: both runtimes set a limit of their own.
    files = container.get("open_files")
    line += [f"--ulimit=nofile={files}:{files}"] if files else []
    line += ["--device=" + one for one in container.get("devices") or []] + list(found["devices"])
    line += ["--volume=" + one for one in container.get("volumes") or []]
    line += [f"--env={key}={value}" for key, value in (container.get("environment") or {}).items()]
    return line + list(container.get("options") or []) + [found["id"]] + list(container.get("arguments") or [])


def unit(declaration, name, container, found):
    """The sections of a unit: those of the declaration, around the container.

    What confines a program of the host would keep the runtime from making the container. The container confines it instead: no
    capabilities but those that are named, a read-only file system, the runtime's filter of system calls.
    """
    program, podman = found["program"], found["runtime"] == "podman"
    service = (declaration or {}).get("Service") or {}
    if service.get("PrivateNetwork") and not podman:
        raise Problem("docker's daemon starts programs outside of the network that systemd gives the service; install podman, or set it to package, "
                      "release or bundle", f"{name.removesuffix('_agent')}_source", "container")
    seconds = service.get("TimeoutStopSec") or STOP_SECONDS
    # A minus before the program: where there is nothing to remove, that is no failure.
    remove = ["-" + program, "rm", "--force"] + ["--ignore"] * podman + [container_name(name)]
    ours = {
        "Unit": {} if podman else {"Requires": "docker.service", "After": "network-online.target docker.service"},
        "Service": dict(
            dict.fromkeys(SANDBOX),
            ExecStart=command(name, container, found),
            # Where another source ran until now, there is no container.
            ExecStop=["-" + program, "stop", f"--time={seconds}", container_name(name)],
            ExecStopPost=remove,
            TimeoutStopSec=seconds + 2 * STOP_SECONDS,
            # Both programs answer 128 and the signal when the container was stopped by one: TERM, and KILL in the end.
            SuccessExitStatus="137 143",
            Delegate=True if podman else None,
            UMask="0027",
            **({} if podman else {"ExecStartPre": remove}),
        ),
    }
    sections = {}
    for part in (declaration or {}, ours):
        for section, directives in part.items():
            sections.setdefault(section, {}).update(directives)
    return sections


def archive(bundle, name, architecture, version=None):
    """{src, sha256} of a service's image in a bundle, {} if the bundle has none. Its artifact is called NAME_image.

    Raises Problem if there is one that cannot be used.
    """
    if not bundle or not any(artifact["name"] == f"{name}_image" for artifact in bundles.read_lock(bundle)):
        return {}
    found = bundles.bundle_artifact(bundle, f"{name}_image", architecture, version)
    return {"src": found["src"], "sha256": found["sha256"]}
