# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the words of ssh, sudo and shells to what is wrong. Derived: the words, from OpenSSH's, sudo's and Ansible's sources and documentation."""
import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import answers


@pytest.mark.parametrize("words, what, value", [
    ("Failed to connect to the host via ssh: ssh: Could not resolve hostname gpu9: Name or service not known", "ssh", "does not resolve"),
    ("Failed to connect to the host via ssh: nobody@10.0.0.1: Permission denied (publickey,password).", "ssh", "login refused"),
    ("Failed to connect to the host via ssh: ssh: connect to host 10.0.0.1 port 22: Connection refused", "ssh", "nothing listens"),
    ("Failed to connect to the host via ssh: ssh: connect to host 10.0.0.1 port 22: Connection timed out", "ssh", "no answer"),
    ("ssh: connect to host 10.0.0.1 port 22: No route to host", "ssh", "no answer"),
    ("Failed to connect to the host via ssh: Host key verification failed.", "ssh", "host key"),
    ("Task failed: Missing sudo password", "sudo", "cannot become root"),
    ("Module result deserialization failed\nsudo: a password is required", "sudo", "cannot become root"),
    ("Task failed: Premature end of stream waiting for become success.\n>>> Standard Error\nsudo: a password is required", "sudo", "cannot become root"),
    ("Incorrect sudo password", "sudo", "cannot become root"),
    ("user is not in the sudoers file.", "sudo", "cannot become root"),
    ("Timeout (12s) waiting for privilege escalation prompt: ", "sudo", "cannot become root"),
    ("The module interpreter '/opt/nope' was not found.\n/bin/sh: 1: /opt/nope: not found", "Python", "no interpreter found"),
    ("The module failed to execute correctly, you probably need to set the interpreter.\n"
     "/bin/sh: /usr/bin/python: No such file or directory", "Python", "no interpreter found"),
    ("SyntaxError: invalid syntax", "Python", "cannot run"),
    ("Failed to create temporary directory. In some cases, you may have been able to authenticate and did not have permissions",
     "temporary directory", "cannot create it"),
    ("mysterious\nlines", "answer", "mysterious"),
    ("", "answer", "nothing"),
])
def test_words(words, what, value):
    told = answers.unanswered(words)
    assert told["what"] == what and value in told["value"] and told["fix"]
    assert "\n" not in "".join(told.values())


@pytest.mark.parametrize("words, value, fix", [
    ("mon1: x = y: wrong; do that", "mon1: x = y: wrong", "do that"),
    ("cannot reach http://127.0.0.1:9093: Connection refused", "cannot reach http://127.0.0.1:9093: Connection refused", "look into that on the host"),
    ("\nlines\nmore", "lines", "look into that on the host"),
    ("long " * 200 + "; " + "fix " * 200, ("long " * 200)[:200], ("fix " * 200)[:200]),
])
def test_what_a_module_says_itself_stays_as_it_is(words, value, fix):
    assert answers.refused(words) == {"what": "answer", "value": value, "fix": fix}


def test_those_who_answer_and_those_who_do_not():
    silent, told = {"item": "mon2", "unanswered": {"what": "ssh", "value": "no answer", "fix": "check it"}}, {"item": "mon1", "rows": []}
    assert answers.given([silent, told]) == [told] and answers.silent([silent, told]) == ["mon2: ssh: no answer; check it"]
