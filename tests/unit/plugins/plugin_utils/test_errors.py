# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one error of the control node, and the wrapper of filters."""
import ast
import datetime
import pathlib

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import HIDDEN, UNEVALUATED, Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.filters import as_filter

PLUGINS = pathlib.Path(__file__).resolve().parents[4] / "plugins"


@pytest.mark.parametrize("problem,line", [
    (Problem("wrong; fix"), "wrong; fix"), (Problem("wrong; fix", host="h"), "h: wrong; fix"),
    (Problem("wrong; fix", "accelmon_rack", "r1", "h"), "h: accelmon_rack = r1: wrong; fix"),
    (Problem("wrong; fix", "accelmon_rack", ""), "accelmon_rack = '': wrong; fix"),
    (Problem("wrong; fix", "accelmon_labels", {"a": None}), 'accelmon_labels = {"a": null}: wrong; fix'),
    (Problem("wrong; fix", "accelmon_rack", HIDDEN), "accelmon_rack = (not shown): wrong; fix"),
    (Problem("wrong; fix", "accelmon_rack", UNEVALUATED), "accelmon_rack = (a template): wrong; fix"),
    (Problem("wrong; fix", "accelmon_stack_password", "hunter2"), "accelmon_stack_password = (not shown): wrong; fix"),
    (Problem("wrong; fix", "url", "https://me:hunter2@mirror/"), "url = https://(not shown)@mirror/: wrong; fix"),
])
def test_the_line_says_what_is_known(problem, line):
    assert str(problem) == line


def test_a_long_value_is_cut_and_a_path_is_not():
    assert str(Problem("wrong", "name", "x" * 500)) == f"name = {'x' * 77}...: wrong"
    assert str(Problem("wrong", "name", "/x" * 100)) == f"name = {'/x' * 100}: wrong"


def test_what_a_terminal_acts_on_is_written_and_not_done():
    text = str(Problem("\x1b[2J is no name\nof ours\u202e; fix", "accelmon_rack", "\x1b]0;x\x07\ud800\u2028"))
    assert text == r"accelmon_rack = \x1b]0;x\x07\ud800\u2028: \x1b[2J is no name of ours\u202e; fix"


def test_a_date_as_a_key_is_shown_as_it_is_written():
    assert str(Problem("wrong; fix", "accelmon_labels", {datetime.date(2026, 1, 1): [{b"a": 1}], None: 1})) == (
        """accelmon_labels = {"2026-01-01": [{"b'a'": 1}], "null": 1}: wrong; fix""")


def test_of_a_problem_without_end_what_to_do_stays():
    text = str(Problem("no " + "name " * 5000 + "; use another", "accelmon_rack", "x"))
    assert text.startswith("accelmon_rack = x: no name name ") and text.endswith("; use another") and len(text) < 2500


def test_a_shared_problem_is_of_one_host_at_a_time():
    shared = Problem("wrong", "name", 1)
    assert [str(shared.of("a")), str(shared.of("b")), str(shared)] == ["a: name = 1: wrong", "b: name = 1: wrong", "name = 1: wrong"]


@pytest.mark.parametrize("problem,rest", [
    (Problem("wrong"), "wrong"), (Problem("wrong", "name", ["a", "b"]), "wrong"), (Problem("wrong", "name", "b"), "b: wrong"),
    (Problem("wrong", "name.for", "5m"), "for = 5m: wrong"), (Problem("wrong", "other", 1), "other = 1: wrong"),
])
def test_what_is_said_behind_a_name_and_value(problem, rest):
    assert problem.behind("name", ["a", "b"]) == rest


def test_a_filter_ends_in_the_line_alone():
    @as_filter
    def fails(value, more=1):
        """Its text."""
        if value:
            raise Problem("wrong", "name", more)
        return more
    assert fails(0, more=2) == 2 and fails.__doc__ == "Its text."
    with pytest.raises(AnsibleFilterError, match="^name = 3: wrong$"):
        fails(1, more=3)
    with pytest.raises(TypeError):
        fails()


def exceptions(pattern):
    """{(name, base)} of the exception classes in files below `plugins`."""
    return {(node.name, ast.unparse(node.bases[0])) for path in PLUGINS.glob(pattern) for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ClassDef) and node.bases and ast.unparse(node.bases[0]).endswith(("Error", "Exception", "Problem", "Failure"))}


def test_what_a_module_cannot_do_is_a_failure_everywhere():
    assert exceptions("module*/**/*.py") == {("Failure", "Exception"), ("Busy", "Failure"), ("BcryptError", "Exception")}


def test_what_is_wrong_is_a_problem_everywhere():
    """Beside it there are the kinds that somebody tells apart; a new one needs a reason."""
    assert exceptions("plugin_utils/**/*.py") == {("Problem", "ValueError"), ("Untrusted", "Problem"), ("Unsuitable", "Problem"),
                                                  ("Unobtainable", "Problem"), ("_Wrong", "ValueError")}
