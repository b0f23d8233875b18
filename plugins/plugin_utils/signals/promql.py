# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which series and labels an expression names: PromQL, and MetricsQL as far as it is written alike. It judges nothing else."""
import collections
import re

from ansible_collections.accelmon.fleet.plugins.module_utils import durations
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem

# `i` is MetricsQL's unit for a step.
TOKEN = re.compile(r"""
    (?P<space>\s+|\#[^\n]*)
  | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
  | (?P<number>0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?(?:(?:%(unit)s)(?:[0-9]+(?:%(unit)s))*)?)
  | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
  | (?P<sign>=~|!~|!=|==|>=|<=|[-+*/%%^=<>(){}\[\],@:])
""" % {"unit": "|".join(sorted([*dict(durations.UNITS), "i"], key=len, reverse=True))}, re.VERBOSE)
# Words that stand where a series could, and are none.
WORDS = frozenset("and or unless bool offset inf nan atan2 default if ifnot start end keep_metric_names limit".split())
# Words behind which labels are listed.
LISTS = frozenset("by without on ignoring group_left group_right".split())
OPENING, CLOSING = {"(": ")", "{": "}", "[": "]"}, {")", "}", "]"}
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}

# name: "" for series of any name; matchers: [(label, sign, value)], without those of the name
Selector = collections.namedtuple("Selector", "name matchers")


def tokens(expression):
    """[(kind, text)] without spaces and remarks. Raises Problem for what is no expression."""
    found, position, opened = [], 0, []
    while position < len(expression):
        match = TOKEN.match(expression, position)
        if not match:
            raise Problem(f"character {position + 1} is not understood; correct the expression")
        kind, text, position = match.lastgroup, match.group(), match.end()
        if kind == "sign" and text in OPENING:
            opened.append(OPENING[text])
        elif kind == "sign" and text in CLOSING and (not opened or opened.pop() != text):
            raise Problem(f"a {text} too many; correct the expression")
        if kind != "space":
            found.append((kind, text))
    if opened:
        raise Problem(f"a {opened[-1]} is missing; correct the expression")
    return found


def unquoted(text):
    """What a string says."""
    if text[0] == "`":
        return text[1:-1]
    return re.sub(r"\\(.)", lambda found: ESCAPES.get(found.group(1), found.group(1)), text[1:-1])


def read(expression):
    """([Selector], {label}): what an expression asks for, and the labels that it names in matchers and lists. Raises Problem."""
    reader = _Reader(tokens(expression))
    reader.read()
    return reader.selectors, reader.labels


def plain_names(pattern):
    """Names of a pattern that only lists some, as in a|b; None of any other."""
    return pattern.split("|") if re.match(r"[a-zA-Z_:][\w:]*(\|[a-zA-Z_:][\w:]*)*\Z", pattern) else None


class _Reader:
    def __init__(self, found):
        self.tokens, self.at, self.selectors, self.labels = found, 0, [], set()

    def next(self, ahead=0):
        """Text of the token that comes."""
        return self.tokens[self.at + ahead][1] if self.at + ahead < len(self.tokens) else ""

    def take(self):
        """(kind, text) of the token that comes."""
        self.at += 1
        return self.tokens[self.at - 1]

    def read(self):
        """All of it."""
        while self.at < len(self.tokens):
            kind, text = self.take()
            if text == "{" and kind == "sign":
                self.matchers("")
            elif kind == "name":
                self.word(text)
            elif text == "[":
                self.duration()

    def word(self, text):
        """A function, an aggregation, a list of labels, a word of the language, or a series."""
        lower = text.lower()
        if lower in LISTS and self.next() == "(":
            self.take()
            self.listed()
        elif self.next() == "{":
            self.take()
            self.matchers(text)
        elif self.next() != "(" and self.next().lower() not in ("by", "without") and lower not in WORDS | LISTS:
            self.selectors.append(Selector(text, []))

    def listed(self):
        """Labels up to the closing bracket."""
        while self.at < len(self.tokens):
            kind, text = self.take()
            if text == ")":
                break
            if kind in ("name", "string"):
                self.labels.add(text if kind == "name" else unquoted(text))

    def duration(self):
        """What is between square brackets names no series."""
        while self.at < len(self.tokens) and self.take()[1] != "]":
            pass

    def matchers(self, name):
        """A selector's matchers, up to the closing bracket. `or` between matchers is of MetricsQL, and begins another selector."""
        names, found = [name] if name else [], []
        while self.at < len(self.tokens):
            kind, text = self.take()
            if text in ("}", "or"):
                self.selectors += [Selector(one, found) for one in names or [""]]
                if text == "}":
                    return
                names, found = [name] if name else [], []
            elif kind in ("name", "string"):
                self.matcher(text if kind == "name" else unquoted(text), kind, names, found)

    def matcher(self, label, kind, names, found):
        """Add a matcher to those found, or to the names where it is about the name. A string alone is a name too."""
        if self.next() not in ("=", "!=", "=~", "!~"):
            names += [label] * (kind == "string")
            return
        sign = self.take()[1]
        value = unquoted(self.take()[1]) if self.at < len(self.tokens) and self.tokens[self.at][0] == "string" else ""
        if label != "__name__":
            self.labels.add(label)
            found.append((label, sign, value))
        elif sign in ("=", "=~"):
            names += [value] if sign == "=" else plain_names(value) or []
