# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps a host from answering Ansible: from the words of ssh, sudo and shells to what is wrong and what to do."""
import re

# The first that fits: (pattern, what it is about, what is wrong, what to do).
KINDS = (
    (r"Missing sudo password|sudo: .*password is required|Incorrect sudo password|incorrect password attempt|privilege (escalation|elevation)|"
     r"not in the sudoers|become password|sudo: ",
     "sudo", "ansible_user cannot become root without a password, or the password is wrong",
     "run with --ask-become-pass, set ansible_become_password, or allow it in sudoers"),
    (r"Host key verification failed|REMOTE HOST IDENTIFICATION|host key .* (unknown|changed)|No \S+ host key is known",
     "ssh", "its host key is unknown or has changed", "check it and add it to known_hosts, for example with ssh-keyscan"),
    (r"Could not resolve hostname|Name or service not known|name resolution|nodename nor servname|No address associated",
     "ssh", "the name does not resolve on the control node", "add it to DNS or /etc/hosts, set ansible_host, or correct the name"),
    (r"Permission denied \(|Authentication fail|Too many authentication|Invalid/incorrect|no such identity.*Permission|Permission denied, please",
     "ssh", "login refused", "set ansible_user and its key (ansible_ssh_private_key_file), or run with --ask-pass"),
    (r"Connection refused", "ssh", "nothing listens on its SSH port", "start sshd there, or set ansible_port or ansible_host"),
    (r"timed? ?out|No route to host|Network is unreachable|Host is down", "ssh", "no answer",
     "check that it is running and reachable from the control node, or leave it out of the run"),
    (r"interpreter .*not found|interpreter .*No such|No python interpreters|need to set the interpreter|"
     r"[Pp]ython\S*: (not found|No such file|command not found)|"
     r"(not found|No such file or directory)\s*$",
     "Python", "no interpreter found",
     "set ansible_python_interpreter to an existing Python 3.6 or later, or unset it so that Ansible discovers one"),
    (r"SyntaxError|requires .*[Pp]ython|ModuleNotFoundError", "Python", "it cannot run the collection's modules",
     "set ansible_python_interpreter to Python 3.6 or later"),
    (r"temporary directory|Read-only file system|No space left", "temporary directory", "Ansible cannot create it",
     "free some space there, or set ansible_remote_tmp"),
)
MOST = 200


def unanswered(text):
    """{"what", "value", "fix"} of a host whose module did not run, by the words that say why."""
    for pattern, what, wrong, fix in KINDS:
        if re.search(pattern, text, re.MULTILINE):
            return {"what": what, "value": wrong, "fix": fix}
    return {"what": "answer", "value": first_line(text)[:MOST], "fix": "check with ansible -m ping, or leave the host out of the run"}


def refused(text):
    """The same of a host whose module ran and could not do its work, by the line with which it ended: `what is wrong; what to do`."""
    value, semicolon, fix = first_line(text).rpartition("; ")
    return {"what": "answer", "value": (value or fix)[:MOST], "fix": fix[:MOST] if semicolon else "look into that on the host"}


def first_line(text):
    """What is in the first line of some words that is not empty."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "nothing")


def line(found):
    """Why a host did not answer, and what to do, in one line. found: a result of ask_host without an answer"""
    return "{what}: {value}; {fix}".format(**found["unanswered"])


def given(results):
    """Of the results of ask_host in a loop over hosts, those with an answer."""
    return [found for found in results if "unanswered" not in found]


def silent(results):
    """The others, one line each: which host, why, and what to do."""
    return [f"{found['item']}: {line(found)}" for found in results if "unanswered" in found]
