# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a site's slurm.conf still needs for the hooks of the role slurm_hooks."""
import fnmatch
import os
import re

from ansible_collections.accelmon.fleet.plugins.plugin_utils.oneline import shown

SETTING = re.compile(r"(Prolog|Epilog|PrologFlags)(?:\[[0-9]+\])?\s*=\s*(.*?)\s*\Z")
# Flags with which Slurm runs the prolog when it allocates a node, and not only at the first step.
AT_ALLOCATION = ("alloc", "contain", "nohold", "x11")


def settings(text):
    """{"Prolog", "Epilog", "PrologFlags": [value]} of what `scontrol show config` prints."""
    found = {"Prolog": [], "Epilog": [], "PrologFlags": []}
    for line in text.splitlines():
        match = SETTING.match(line.strip())
        if match and match.group(2) != "(null)":
            found[match.group(1)].append(match.group(2))
    return found


def named(text, prolog, epilog):
    """Lines `NAME=PATH` of slurm.conf that name a hook itself, without which Slurm drains the node. A pattern may match nothing."""
    found = settings(text)
    return [f"{name}={path}" for name, path in (("Prolog", prolog), ("Epilog", epilog)) if path in found[name]]


def hook_advice(name, values, path, repeats):
    """What to do about one hook, or None if Slurm runs it. repeats: whether this release takes several lines of it"""
    if any(fnmatch.fnmatchcase(path, value) for value in values):
        return None
    pattern = next((value for value in values if "*" in value), None)
    if pattern:
        place = os.path.join(os.path.dirname(pattern), "50-accelmon")
        return f"slurm.conf: {name} = {shown(pattern)}; set slurm_hooks_{name.lower()} to a file that it matches, such as {shown(place)}"
    if values and not repeats:
        return f"slurm.conf: {name} = {shown(values[0])}; run {path} from it, or replace it by a pattern that matches both"
    return f"slurm.conf: {name} does not run {path}; add the line {name}={path}"


def advice(text, prolog, epilog):
    """Lines that say what to add to slurm.conf; none if Slurm runs both hooks at the right time.

    text: what `scontrol show config` printed, "" if it did not answer; prolog, epilog: where the hooks are
    """
    if "PrologFlags" not in text:
        return [f"scontrol show config: no answer; make sure that slurm.conf has Prolog={prolog}, Epilog={epilog} and PrologFlags=Alloc"]
    found = settings(text)
    repeats = "Prolog[" in text or "Epilog[" in text
    told = [hook_advice(name, found[name], path, repeats) for name, path in (("Prolog", prolog), ("Epilog", epilog))]
    if not {flag.strip().lower() for value in found["PrologFlags"] for flag in value.split(",")}.intersection(AT_ALLOCATION):
        told.append("slurm.conf: no PrologFlags=Alloc; add it, or jobs have no owner before their first step")
    return [line for line in told if line]
