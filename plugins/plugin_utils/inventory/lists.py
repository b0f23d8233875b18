# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the lists of hosts that sites keep: files as they come, none of them trusted."""
import os
import re
import stat

from ansible_collections.accelmon.fleet.plugins.plugin_utils.addresses import address, address_key
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import HOST_NAME

# 10,000 nodes of `scontrol show node` are about 12 MB.
MAX_BYTES = 32 * 1024 * 1024
# So many problems are told at once; more would hide the first.
MAX_PROBLEMS = 10


def beside(config, path):
    """The path of a file that a configuration file names: relative to its folder; ~ is the user's home."""
    return os.path.join(os.path.dirname(os.path.abspath(config)), os.path.expanduser(path))


def read_list(path):
    """Text of a list: UTF-8, without byte order mark. Raises Problem for what is no such file, or no text.

    Bytes that are not UTF-8 are kept as lone surrogates, so that a remark in another encoding harms nobody.
    """
    try:
        # Not blocking, so that a pipe without a writer is refused instead of waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Problem(f"{path}: not a regular file; name a file with the list")
            with open(descriptor, "rb", closefd=False) as stream:
                data = stream.read(MAX_BYTES + 1)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        if isinstance(error, Problem):
            raise
        raise Problem(f"{shown_path(path)}: {getattr(error, 'strerror', None) or error}; name a file that can be read") from None
    return text_of(data, path)


def text_of(data, path):
    """Text of bytes, as `read_list` gives it. Raises Problem."""
    if len(data) > MAX_BYTES:
        raise Problem(f"{path}: larger than {MAX_BYTES // 2 ** 20} MiB, so not a list of hosts")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Problem(f"{path}: saved as UTF-16; save it as UTF-8")
    if b"\0" in data:
        raise Problem(f"{path}: a binary file; name a file with the list")
    return data.decode("utf-8-sig", "surrogateescape")


def shown(text):
    """A word from a file as it may stand in a message: short, and with nothing that a terminal or a template acts on."""
    text = text.encode("ascii", "backslashreplace").decode()
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    text = text if len(text) <= 60 else text[:57] + "..."
    return text.replace("{{", "{ {").replace("{%", "{ %").replace("{#", "{ #")


def shown_path(path):
    """A path as it may stand in a message: whole, unless a terminal or a template would act on it."""
    return path if path.isprintable() and not re.search(r"\{[{%#]", path) else shown(path)


def host_name(word):
    """A word as an inventory name. Raises Problem."""
    if not HOST_NAME.match(word) or len(word) > 253:
        raise Problem(f"{shown(word)}: not a host name; use letters, digits, dots, dashes and underscores, and do not start with a dash")
    if word in ("all", "ungrouped"):
        raise Problem(f"{word}: the name of a built-in group; rename the host")
    return word


def host_address(word):
    """A word as an address. Raises Problem."""
    try:
        return address(word)
    except Problem as problem:
        raise Problem(f"{shown(word)}: {problem}") from None


def nodes_of(records, node):
    """({name: node}, [problem]) of a list's records. node: gives (name, node) of one, with None for one to leave out; a Problem is one of the list"""
    nodes, problems = {}, []
    for number, record in enumerate(records, 1):
        try:
            name, found = node(record)
            if name in nodes:
                raise Problem(f"{name}: listed twice; save the output again")
            if found is not None:
                nodes[name] = found
        except Problem as problem:
            problems.append(f"node {number}: {problem}")
    return nodes, problems


def clashes(nodes, fix):
    """[problem] of nodes that have the address of another. fix: what to do about it"""
    problems, addresses = [], {}
    for name, found in nodes.items():
        other = addresses.setdefault(address_key(found.get("address", name)), name)
        if other != name:
            problems.append(f"{name}: same address as {other}; {fix}")
    return problems


def summary(path, problems):
    """One message about what is wrong with a list: the first problems, a line each."""
    lines = [f"{path}: {problem}" for problem in problems[:MAX_PROBLEMS]]
    if len(problems) > MAX_PROBLEMS:
        lines.append(f"{path}: and {len(problems) - MAX_PROBLEMS} more")
    return "\n".join(lines)
