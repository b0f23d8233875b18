# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings that somebody chose by a playbook instead of in the inventory, as monitoring hosts keep them: pure functions, but for `read`.

The choices are
  {"version": 1, "generation": n, "alerts": {alert: choice}, "channels": {receiver: choice}}
and a choice is
  {"change": {setting: value}, "by": who, "at": when, in seconds since 1970, "until"?: when it ends, "reason": why}
Every monitoring host has the same ones, in one file. Whether a change is one that the catalogue knows is seen where the rules are made.
"""
import json
import os

from ansible_collections.accelmon.fleet.plugins.module_utils import atomic
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import query
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.registry import is_count, is_text

VERSION = 1
NAME = "choices.json"
# Members of the document with choices, and what one of them is called.
KINDS = {"alerts": "alert", "channels": "channel"}
FIX = "restore the file from a backup, or move it away to forget all choices"


def empty():
    """What there is before anybody chose something."""
    return dict({"version": VERSION, "generation": 0}, **dict((kind, {}) for kind in KINDS))


def read(folder):
    """The choices in a directory; empty ones if there is no file. Raises Failure for a damaged file, OSError for one that cannot be read."""
    path = os.path.join(folder, NAME)
    data = atomic.read(path)
    return empty() if data is None else load(data.decode("utf-8", "replace"), path)


def load(text, path):
    """The choices in `text`, the content of the file `path`. Raises Failure unless they are whole and undamaged."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Failure("choices %s: not JSON (%s); %s" % (path, error, FIX))
    if isinstance(document, dict) and document.get("version", VERSION) != VERSION:
        raise Failure("choices %s: version %r, but this collection reads version %d; use the collection that wrote it"
                      % (path, document["version"], VERSION))
    wrong = damage(document)
    if wrong:
        raise Failure("choices %s: %s; %s" % (path, wrong, FIX))
    return dict(empty(), **document)


def damage(document):
    """What is wrong with a document, in words, or None."""
    if not isinstance(document, dict) or not is_count(document.get("generation")):
        return "no choices of a fleet"
    for kind, word in KINDS.items():
        if not isinstance(document.get(kind, {}), dict):
            return "%s is not a dictionary" % kind
        for name, choice in document.get(kind, {}).items():
            if not is_text(name) or not is_choice(choice):
                return "%s %s is not a choice" % (word, json.dumps(name)[:80])
    return None


def is_choice(value):
    """Whether a value is a choice."""
    return (isinstance(value, dict) and isinstance(value.get("change"), dict) and all(is_text(value.get(name)) for name in ("by", "reason"))
            and is_moment(value.get("at")) and is_moment(value.get("until", 0)))


def is_moment(value):
    """Whether a value is a time in seconds since 1970."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2 ** 40


def dump(document):
    """Text of the choices, for people to read."""
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def holds(choice, now):
    """Whether a choice has not ended."""
    return choice.get("until", now + 1) > now


def listing(document, now):
    """Choices that hold, each with its `kind`, its `name` and `line`, which says all of it."""
    return [dict(choice, kind=word, name=name, line=line(name, choice))
            for kind, word in KINDS.items() for name, choice in sorted(document[kind].items()) if holds(choice, now)]


def line(name, choice):
    """A choice as text."""
    change = ", ".join("%s=%s" % (key, value if isinstance(value, str) else json.dumps(value)) for key, value in sorted(choice["change"].items()))
    until = " until %s" % query.instant(choice["until"]) if "until" in choice else ""
    return query.one_line("%s: %s%s (%s: %s)" % (name, change, until, choice["by"], choice["reason"]))
