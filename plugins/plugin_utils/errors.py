# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The error of everything that runs on the control node."""
import json
import re

# Stand for the value of a template that failed, and for one that must not be shown.
UNEVALUATED = object()
HIDDEN = object()

SECRET = re.compile(r"pass?w|(^|_)(pass|pwd)($|_)|passphrase|secret|token|credential|(^|_)key($|_)")
LONGEST, LONGEST_PATH, LONGEST_PROBLEM = 80, 400, 2400


def printable(text):
    """A text without line breaks and what else a terminal acts on, which is written as a programmer would."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii") for char in text.replace("\n", " "))


def keyed(value):
    """A value with texts for keys that JSON cannot write: YAML takes 2026-01-01 for a date."""
    if isinstance(value, dict):
        return {key if isinstance(key, (str, int, float, type(None))) else str(key): keyed(item) for key, item in value.items()}
    return [keyed(item) for item in value] if isinstance(value, (list, tuple)) else value


class Problem(ValueError):
    """One line, of which the front is there as far as it is known: `host: variable = value: what is wrong; what to do`.

    problem: `what is wrong; what to do` alone
    variable, value: the variable that has the value, and None where there is none
    host: whose variable it is
    """

    def __init__(self, problem, variable=None, value=None, host=None):
        super().__init__(problem)
        # An entry of a list is named as it is, and may have no end.
        problem = re.sub(rf"\S{{{LONGEST_PATH + 1},}}", lambda found: found.group()[:LONGEST_PATH - 3] + "...", str(problem))
        # What is to be done comes last.
        self.problem = problem if len(problem) <= LONGEST_PROBLEM else f"{problem[:LONGEST_PATH]}...{problem[-LONGEST_PROBLEM // 2:]}"
        self.variable, self.value, self.host = variable, value, host

    def __str__(self):
        line = self.problem
        if self.variable is not None:
            # Up to core 2.18 a result that holds a template is evaluated again wherever it is used.
            line = printable(f"{self.variable} = {self.shown()}: {line}").replace("{{", "{ {").replace("{%", "{ %")
        return f"{self.host}: {line}" if self.host is not None else line

    def shown(self):
        """The value as a message may show it: short, and nothing that is secret by the variable's name."""
        if self.value == "":
            return "''"
        if self.value is HIDDEN or SECRET.search(self.variable):
            return "(not shown)"
        if self.value is UNEVALUATED:
            return "(a template)"
        # An address may bring a password with it.
        text = re.sub(r"//[^/@\s]*@", "//(not shown)@", self.value) if isinstance(self.value, str) else json.dumps(keyed(self.value), default=str)
        longest = LONGEST if not text.startswith("/") else LONGEST_PATH
        return text if len(text) <= longest else text[:longest - 3] + "..."

    def of(self, host):
        """The same, of a host. Another one, since hosts that share a value share what is wrong with it."""
        return type(self)(self.problem, self.variable, self.value, host)

    def behind(self, variable, value):
        """What the line says behind `variable = value: `, for whoever writes that himself: of the whole value, of an entry or of a part of it."""
        if (self.variable, self.value) == (variable, value):
            return self.problem
        return str(self).removeprefix(f"{variable} = ").removeprefix(f"{variable}.")
