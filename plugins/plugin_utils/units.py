# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""systemd units from declarations: one place for the sandbox that every service of ours runs in."""

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


def quote(argument):
    """One argument of a command line in a unit: nothing in it is expanded by systemd."""
    text = str(argument).replace("\\", "\\\\").replace("%", "%%").replace("$", "$$").replace('"', '\\"')
    return f'"{text}"' if not text or any(char in text for char in " \t'\"\\;") else text


def lines(key, value):
    """The lines of one directive: a list is a command line for Exec…=, else the directive repeated; None and an empty list are left out."""
    if value is None:
        return []
    if isinstance(value, (list, tuple)):
        if key.startswith("Exec") and value:
            return [f"{key}={' '.join(quote(item) for item in value)}"]
        return [line for item in value for line in lines(key, item)]
    if isinstance(value, bool):
        value = "yes" if value else "no"
    return [f"{key}={value}"]


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
    """
    sections = merged(DAEMON if daemon else {}, {"Service": SANDBOX} if "Service" in declaration else {}, declaration, overrides)
    order = [name for name in ("Unit", "Service", "Timer") if name in sections] + [
        name for name in sections if name not in ("Unit", "Service", "Timer", "Install")] + ["Install"] * ("Install" in sections)
    blocks = []
    for name in order:
        body = [line for key, value in sections[name].items() for line in lines(key, value)]
        blocks.append("\n".join([f"[{name}]"] + body) + "\n")
    return "# Managed by accelmon.fleet: change it through the role's variables, or add a drop-in.\n" + "\n".join(blocks)
