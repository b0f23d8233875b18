"""Which Python our programs run with. Real files and a real Python; what is stubbed is which names last, and what a sandbox hides."""

import os
import shutil
import subprocess
import sys
import venv

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.declaration import beside as service_parts
from ansible_collections.accelmon.fleet.plugins.module_utils.host import interpreter

ROOT = os.path.dirname(os.path.abspath(__file__)).rsplit("/tests/", 1)[0]
BASE = os.path.realpath(sys.executable)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder that everybody may enter and that services see."""
    monkeypatch.setattr(interpreter, "HIDDEN", (str(tmp_path / "home"),))
    monkeypatch.setattr(interpreter, "unfit", lambda path, ours=interpreter.unfit: ours(path) if str(tmp_path) in path else "")
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    (tmp_path / "home").mkdir()
    # What is above the folder is as it should be.
    monkeypatch.setattr(interpreter, "mode_of", lambda path, real=interpreter.mode_of: real("/" if path in map(str, tmp_path.parents) else path))
    tmp_path.chmod(0o755)
    return tmp_path


def copied(path):
    path.parent.mkdir(exist_ok=True)
    shutil.copy(BASE, path)
    return str(path)


def test_the_one_that_ansible_runs_with(place):
    own = copied(place / "opt" / "python3.11")
    assert interpreter.find(own, ()) == (own, "")


def test_a_name_that_lasts_is_preferred_if_it_is_the_same(place):
    own = copied(place / "python3.11")
    (place / "python3").symlink_to(own)
    other = copied(place / "python")
    assert interpreter.find(own, (str(place / "none"), other, str(place / "python3"))) == (str(place / "python3"), "")
    assert interpreter.find(own, (other,)) == (own, "")


def test_el8_without_usr_bin_python3(place):
    platform = copied(place / "platform-python")
    assert interpreter.find(platform, (str(place / "python3"), platform)) == (platform, "")


def test_one_below_a_home_is_left_for_another_that_runs(place):
    own, other = copied(place / "home" / "python3"), str(place / "python3")
    for text, good in ((f"#!/bin/sh\nexec {BASE} \"$@\"\n", True), ("#!/bin/sh\nexit 1\n", False), ("no program", False)):
        with open(other, "w", encoding="ascii") as stream:
            stream.write(text)
        os.chmod(other, 0o755)
        path, problem = interpreter.find(own, (other,))
        assert path == (other if good else ""), text
    assert problem == (f"ansible_python_interpreter = {own}: services on this host cannot run it ({own} is below {place}/home, which is hidden from services); "
                       "install python3, or set it to Python 3.6 or later outside of home directories")


def test_of_a_virtual_environment_the_python_that_it_was_made_from(place, monkeypatch):
    venv.create(place / "home" / "env", symlinks=True, with_pip=False)
    monkeypatch.setattr(sys, "prefix", str(place / "home" / "env"))
    assert interpreter.find(str(place / "home" / "env" / "bin" / "python3"), ()) == (BASE, "")
    done = subprocess.run([BASE, "-IS", "-c", "import ssl, json, http.client"], check=False)
    assert done.returncode == 0, "it has all that our programs need"


@pytest.mark.parametrize("mode,words", [(0o777, "is world-writable"), (0o750, "is not accessible to every user")])
def test_one_that_others_could_change_or_not_run_is_none(place, mode, words):
    own = copied(place / "opt" / "python3")
    (place / "opt").chmod(mode)
    path, problem = interpreter.find(own, ())
    assert not path and words in problem and len(problem.splitlines()) == 1


@pytest.mark.parametrize("leads_to,words", [("none", "No such file or directory"), ("python3", "Too many levels of symbolic links")])
def test_one_that_is_gone_is_none(place, leads_to, words):
    (place / "python3").symlink_to(place / leads_to)
    path, problem = interpreter.find(str(place / "python3"), ())
    assert not path and words in problem and len(problem.splitlines()) == 1
    other = copied(place / "other")
    assert interpreter.find(str(place / "python3"), (other,)) == (other, "")


@pytest.mark.parametrize("path", ["python3", "/usr/bin/../bin/python3", "//usr/bin/python3", "/usr/bin/python3\n", "/a b", "/a;b", "/a%n", "/$x",
                                  "+/usr/bin/python3", "/x/"])
def test_what_a_node_names_is_an_absolute_clean_path(path):
    assert not interpreter.is_clean(path)


def test_the_role_writes_the_placeholder_that_the_module_fills_in():
    with open(os.path.join(ROOT, "roles", "service", "vars", "main.yml"), encoding="utf-8") as stream:
        assert yaml.safe_load(stream)["service_python"] == interpreter.PLACEHOLDER


def test_nothing_is_known(place):
    assert interpreter.find("", ())[1].startswith("ansible_python_interpreter = (unknown): services on this host cannot run it (there is none)")


def test_all_parts_run_with_it():
    made = service_parts("x", [{"port": 1}], {"to": "/x"}, {"to": "/x"}, True, python="/usr/libexec/platform-python")
    for part in ("front.service", "watch.service"):
        assert "ExecStart=/usr/libexec/platform-python -IS /opt/accelmon/x_parts/" in made["units"][part]


def test_no_role_names_one_by_itself():
    for folder, _folders, names in os.walk(os.path.join(ROOT, "roles")):
        for name in names:
            if name.endswith(".yml"):
                with open(os.path.join(folder, name), encoding="utf-8") as stream:
                    assert "bin/python" not in stream.read(), os.path.join(folder, name)
