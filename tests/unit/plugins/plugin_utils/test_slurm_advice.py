# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What slurm.conf still needs for our hooks, by what Slurm prints of it. Nothing is stubbed."""
import pathlib

import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.slurm import advice, named

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "fixtures/slurm"
RECORDED = (FOLDER / "scontrol_show_config_24.11.txt").read_text(encoding="utf-8")
OURS = "/etc/accelmon/slurm/prolog", "/etc/accelmon/slurm/epilog"


def config(prolog="(null)", epilog="(null)", flags="Alloc"):
    """As 22.05 prints it."""
    return (f"Configuration data as of 2026-11-29T01:27:01\nEpilog                  = {epilog}\nEpilogMsgTime           = 2000 usec\n"
            f"Prolog                  = {prolog}\nPrologEpilogTimeout     = 65534\nPrologFlags             = {flags}\nResvProlog              = (null)\n")


def test_slurm_that_runs_both_hooks_needs_nothing():
    assert advice(RECORDED, *OURS) == [] == advice(config(*OURS), *OURS)
    assert advice(config("/etc/slurm/prolog.d/*", "/etc/slurm/epilog.d/*", "Contain,X11"), "/etc/slurm/prolog.d/50-accelmon", "/etc/slurm/epilog.d/9") == []


def test_newer_slurm_takes_a_further_line():
    """24.11 lists them with a number, and takes a comma for a part of the name."""
    other = RECORDED.replace("= " + OURS[0], "= /site/prolog")
    assert advice(other, *OURS) == ["slurm.conf: Prolog does not run %s; add the line Prolog=%s" % (OURS[0], OURS[0])]
    assert advice(other + "Prolog[1]               = %s\n" % OURS[0], *OURS) == []
    assert advice(RECORDED.replace("= " + OURS[0], "= /site/prolog," + OURS[0]), *OURS) != []


@pytest.mark.parametrize("settings, line", [
    ({"prolog": "(null)"}, "slurm.conf: Prolog does not run /etc/accelmon/slurm/prolog; add the line Prolog=/etc/accelmon/slurm/prolog"),
    ({"prolog": "/site/prolog"}, "slurm.conf: Prolog = /site/prolog; run /etc/accelmon/slurm/prolog from it, or replace it by a pattern that matches both"),
    ({"prolog": "/etc/slurm/prolog.d/*"},
     "slurm.conf: Prolog = /etc/slurm/prolog.d/*; set slurm_hooks_prolog to a file that it matches, such as /etc/slurm/prolog.d/50-accelmon"),
    ({"epilog": "(null)"}, "slurm.conf: Epilog does not run /etc/accelmon/slurm/epilog; add the line Epilog=/etc/accelmon/slurm/epilog"),
    ({"flags": "(null)"}, "slurm.conf: no PrologFlags=Alloc; add it, or jobs have no owner before their first step"),
    ({"flags": "Serial"}, "slurm.conf: no PrologFlags=Alloc; add it, or jobs have no owner before their first step"),
])
def test_each_thing_that_is_missing_is_one_line(settings, line):
    assert advice(config(**dict({"prolog": OURS[0], "epilog": OURS[1]}, **settings)), *OURS) == [line]


@pytest.mark.parametrize("text", ["", "slurm_load_ctl_conf error: Unable to contact slurm controller (connect failure)\n", "\x00\n=\n"])
def test_a_controller_that_does_not_answer_is_no_proof_of_anything(text):
    [line] = advice(text, *OURS)
    assert line.startswith("scontrol show config: no answer") and all(path in line for path in OURS)


def test_hooks_that_slurm_needs_are_named_and_patterns_are_not():
    assert named(RECORDED, *OURS) == ["Prolog=%s" % OURS[0], "Epilog=%s" % OURS[1]]
    assert named(config(OURS[0], "/etc/slurm/epilog.d/*"), *OURS) == ["Prolog=%s" % OURS[0]]
    assert named(config("/etc/slurm/prolog.d/*", "/etc/slurm/epilog.d/*"), "/etc/slurm/prolog.d/50-accelmon", "/etc/slurm/epilog.d/9") == []
    assert named("", *OURS) == []
