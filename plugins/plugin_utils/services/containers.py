# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service whose program runs in a container: its unit, and the archive of its image in a bundle."""
from ansible_collections.accelmon.fleet.plugins.module_utils.host.systemd import unit_name
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import bundle as bundles
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.units import SANDBOX

STOP_SECONDS = 10


def container_name(name):
    """The container of a service: 'dcgm_exporter' -> 'accelmon-dcgm-exporter'."""
    return unit_name(name).rsplit(".", 1)[0]


def command(name, container, found):
    """The command line that runs the program.

    container: {options, volumes, devices, capabilities, environment, root, arguments}, each may be missing
    found: what the module container_image returned
    """
    podman = found["runtime"] == "podman"
    line = [found["program"], "run", "--rm", "--name=" + container_name(name), "--pull=never"]
    # podman keeps the container in the unit's own group, so that limits of the unit hold for it; docker has a daemon for that.
    line += ["--replace", "--cgroups=split"] if podman else []
    line += ["--network=host", "--log-driver=none", "--read-only", "--security-opt=no-new-privileges", "--cap-drop=all"]
    line += [] if podman else ["--tmpfs=/tmp", "--tmpfs=/run"]
    line += ["--cap-add=" + one for one in container.get("capabilities") or []]
    line += ["--user=" + found["user"]] if found["user"] and not container.get("root") else []
    line += ["--group-add=" + one for one in found["groups"]]
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
    # A minus before the program: where there is nothing to remove, that is no failure.
    remove = ["-" + program, "rm", "--force"] + ["--ignore"] * podman + [container_name(name)]
    ours = {
        "Unit": {} if podman else {"Requires": "docker.service", "After": "network-online.target docker.service"},
        "Service": dict(
            dict.fromkeys(SANDBOX),
            ExecStartPre=None if podman else remove,
            ExecStart=command(name, container, found),
            ExecStop=[program, "stop", f"--time={STOP_SECONDS}", container_name(name)],
            ExecStopPost=remove,
            TimeoutStopSec=3 * STOP_SECONDS,
            # Both programs answer 128 and the signal when the container was stopped by one: TERM, and KILL in the end.
            SuccessExitStatus="137 143",
            Delegate=True if podman else None,
            UMask="0027",
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
