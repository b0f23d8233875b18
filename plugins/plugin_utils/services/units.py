# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""systemd units from declarations: the one writer of unit files, and the sandbox that every service of ours runs in."""
import re

from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.oneline import fault, shown
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import one_of

# What a network daemon that keeps its data in its own state directory needs none of.
# Each service declares its exceptions, so that they can be seen beside its purpose.
SANDBOX = {
    "NoNewPrivileges": True,
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "ProtectSystem": "strict",
    "ProtectHome": True,
    "PrivateTmp": True,
    "PrivateDevices": True,
    "DevicePolicy": "closed",
    "ProtectKernelTunables": True,
    "ProtectKernelModules": True,
    "ProtectKernelLogs": True,
    "ProtectControlGroups": True,
    "ProtectClock": True,
    "ProtectHostname": True,
    "ProtectProc": "invisible",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces": True,
    "RestrictRealtime": True,
    "RestrictSUIDSGID": True,
    "LockPersonality": True,
    "MemoryDenyWriteExecute": True,
    "RemoveIPC": True,
    "SystemCallArchitectures": "native",
    "SystemCallFilter": ["@system-service", "~@privileged @resources"],
    "SystemCallErrorNumber": "EPERM",
    "UMask": "0027",
}

# A daemon is tried again for ever: an address that is not there yet at boot must not end it.
DAEMON = {
    "Unit": {"Wants": "network-online.target", "After": "network-online.target", "StartLimitIntervalSec": 0},
    "Service": {"Type": "simple", "Restart": "always", "RestartSec": 5},
    "Install": {"WantedBy": "multi-user.target"},
}


# Sections of the units that roles have. systemd ignores one that it does not know, and what is in it; X-… is for others to read.
SECTIONS = ("Unit", "Service", "Timer", "Socket", "Install")
SECTION = re.compile(rf"{'|'.join(SECTIONS)}|X-[A-Za-z0-9-]+")
DIRECTIVE = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


def word(value):
    """One word of a directive: systemd takes it as it is, and expands nothing in it."""
    text = str(value).replace("\\", "\\\\").replace("%", "%%").replace('"', '\\"')
    return f'"{text}"' if not text or any(char in text for char in " '\"\\;") else text


def quote(argument):
    """One argument of a command line in a unit: as a word, and without variables of the environment."""
    return word(argument).replace("$", "$$")


def scalar(value):
    """A value as it stands in a unit, if it can stand there at all; raises Problem."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, (str, int, float)):
        raise Problem(f"{'nothing' if value is None else type(value).__name__} is not a directive value; use a string, a number, or a list of these")
    text = str(value)
    problem = fault(text)
    if problem:
        raise Problem(problem)
    return text


def lines(key, value):
    """The lines of one directive: a list is a command line for Exec…=, else the directive repeated; None and an empty list are left out.

    Raises Problem for what would be more lines, or none, than that.
    """
    if value is None:
        return []
    if isinstance(value, (list, tuple)):
        texts = [scalar(item) for item in value]
        if key.startswith("Exec") and texts:
            return [f"{key}={' '.join(quote(text) for text in texts)}"]
    else:
        texts = [scalar(value)]
    for text in texts:
        bare = text.rstrip()
        if (len(bare) - len(bare.rstrip("\\"))) % 2:
            raise Problem("it ends with a backslash, which makes systemd join the next line; remove it or double it")
    return [f"{key}={text}" for text in texts]


def section_lines(name, directives):
    """The lines of one section. Raises Problem, which names section and directive."""
    if not isinstance(name, str) or not SECTION.fullmatch(name):
        raise Problem(f"[{shown(name)}]: not a section of a unit; use {one_of(SECTIONS)}")
    if not isinstance(directives, dict):
        raise Problem(f"[{name}] = {shown(directives)}: not a mapping of directives to values; write for example Nice: 5 below it")
    found = []
    for key, value in directives.items():
        if not isinstance(key, str) or not DIRECTIVE.fullmatch(key):
            raise Problem(f"[{name}] {shown(key)}: not a directive name; write it as systemd does, such as CPUQuota")
        try:
            found += lines(key, value)
        except Problem as error:
            raise Problem(f"[{name}] {key} = {shown(value)}: {error}") from None
    return found


def check(overrides):
    """Raises Problem if a unit could not be written with these sections."""
    if not isinstance(overrides, dict):
        raise Problem(f"{shown(overrides)} is not a mapping of sections to directives; write for example {{Service: {{Nice: 5}}}}")
    for name, directives in overrides.items():
        section_lines(name, directives)


def merged(*layers):
    """Sections of later layers over those of earlier ones, directive by directive."""
    sections = {}
    for layer in layers:
        for section, directives in (layer or {}).items():
            sections.setdefault(section, {}).update(directives or {})
    return sections


def unit_text(declaration, overrides=None, daemon=True):
    """The text of a unit.

    declaration, overrides: {section: {directive: value}}; a value of None takes a default away.
    daemon: whether it runs all the time (else: a oneshot service, or a timer).
    A unit with a [Service] section gets the sandbox. Sections come in systemd's usual order.
    Raises Problem for whatever would not come out as the one line that it is meant to be.
    """
    for given in (declaration, overrides or {}):
        check(given)
    sections = merged(DAEMON if daemon else {}, {"Service": SANDBOX} if "Service" in declaration else {}, declaration, overrides)
    order = [name for name in ("Unit", "Service", "Timer") if name in sections] + [
        name for name in sections if name not in ("Unit", "Service", "Timer", "Install")] + ["Install"] * ("Install" in sections)
    blocks = []
    for name in order:
        blocks.append("\n".join([f"[{name}]"] + section_lines(name, sections[name])) + "\n")
    return "# Managed by accelmon.fleet: change it through the role's variables, or add a drop-in.\n" + "\n".join(blocks)
