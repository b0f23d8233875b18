"""The module service_unit beyond what the lab shows: reloads, and images.

Stubbed: AnsibleModule, systemctl (it notes its calls and answers from a dictionary) and the three folders. The process
that stands for the service is real.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.host import config_set, interpreter, loaded, systemd
from ansible_collections.accelmon.fleet.plugins.module_utils.host.service import acting, claim, service as service_unit

UNIT = "[Service]\nExecStart=/bin/x\n\n[Install]\nWantedBy=multi-user.target\n"


class Failed(Exception):
    pass


class Host:
    """What stands for AnsibleModule and for systemd."""

    def __init__(self):
        self.check_mode = False
        self._diff = True
        self.tmpdir = None
        self.warnings = []
        self.params = {}
        self.calls = []
        self.shown = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled", "MainPID": "0", "NeedDaemonReload": "no",
                      "Result": "success"}
        self.enabled = {}
        self.failing = set()
        self.on_stop = lambda: None

    def run_command(self, argv):
        self.calls.append(" ".join(argv))
        if "is-enabled" in argv:
            return 1, self.enabled.get(argv[-1], "") + "\n", ""
        if argv[1] == "show":
            block = "".join(f"{key}={value}\n" for key, value in self.shown.items())
            return 0, "\n".join([block] * len(argv[3:])), ""
        if argv[1] == "stop":
            self.on_stop()
        return (1, "", "refused") if argv[1] in self.failing else (0, "the journal", "")

    def fail_json(self, msg, **more):
        raise Failed(msg)

    def selinux_enabled(self):
        return False

    def warn(self, warning):
        self.warnings.append(warning)

    def did(self):
        """What was asked of systemctl beside questions."""
        return [call for call in self.calls if " show " not in call and "is-enabled" not in call and not call.startswith("journalctl")]


@pytest.fixture
def host(tmp_path, monkeypatch):
    for module, name in ((acting, "UNITS"), (claim, "OWNED")):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(module, name, str(tmp_path / name))
    monkeypatch.setattr(loaded, "FOLDER", str(tmp_path / "loaded"))
    monkeypatch.setattr(loaded.read, "__defaults__", (str(tmp_path / "loaded"),))
    return Host()


def service(host, **params):
    host.calls.clear()
    host.params = dict({"name": "x", "phase": "run", "image": False, "state": "present", "user": "", "listen": [], "managed_variable": "", "needs": [],
                        "own_programs": False,
                        "package": "", "package_unit": "", "package_version": "", "program": "/bin/x", "unit": UNIT, "timer": None, "restart_on": [],
                        "files": [], "directories": [], "secrets": {}, "validate": [],
                        "reload_on": [], "leaves": [], "groups": [], "parts": {}, "part_files": [], "health": None,
                        "probe": None}, **params)
    return service_unit.Service(host)


@pytest.fixture
def running(host):
    """A process with the generation of UNIT, as the service's main process."""
    value = systemd.generation(UNIT, ["/bin/x"])
    with subprocess.Popen(["sleep", "60"], env={systemd.GENERATION: value}) as child:
        while systemd.running_generation(child.pid) != value:
            pass
        host.shown["MainPID"] = str(child.pid)
        yield child
        child.kill()


def test_a_timed_run_that_failed_is_tried_again_and_told_while_it_fails(host):
    start, timed = "systemctl start accelmon-x.service", {"timer": "[Timer]\n"}
    service(host, **timed).run_present()
    assert start in host.did(), "the first run at once"
    service(host, **timed).run_present()
    assert host.did() == []
    host.shown["Result"] = "exit-code"
    host.check_mode = True
    made = service(host, **timed)
    made.run_present()
    assert (host.did(), made.actions) == ([], ["start accelmon-x.service"])
    host.check_mode = False
    service(host, **timed).run_present()
    assert host.did() == [start]
    host.failing.add("start")
    with pytest.raises(Failed, match="its run failed"):
        service(host, **timed).run_present()


CONTAINED = UNIT.replace("/bin/x", "/usr/bin/podman run --rm --name=accelmon-x 1f2e")


@pytest.mark.parametrize("before, after, stopped", [(CONTAINED, UNIT, True), (CONTAINED, CONTAINED.replace("1f2e", "3d4c"), False), (UNIT, CONTAINED, False)])
def test_a_container_is_ended_by_the_unit_that_made_it(host, before, after, stopped):
    service(host, unit=before).run_present()
    seen = []
    host.on_stop = lambda: seen.append(Path(acting.Acting.path("accelmon-x.service")).read_text())
    service(host, unit=after).run_present()
    assert ["podman" in text for text in seen] == [True] * stopped
    assert [call for call in host.did() if call.split()[1] in ("stop", "daemon-reload")] == ["systemctl stop accelmon-x.service"] * stopped + [
        "systemctl daemon-reload"]


def test_a_container_that_does_not_work_is_ended_before_the_unit_before_it_comes_back(host):
    service(host).run_present()
    made = service(host, unit=CONTAINED)
    made.healthy = lambda: False
    with pytest.raises(Failed, match="the unit before it was put back"):
        made.run_present()
    assert host.did()[-3:] == ["systemctl stop accelmon-x.service", "systemctl daemon-reload", "systemctl restart accelmon-x.service"]


def test_files_that_change_are_read_again_once(host, running, tmp_path):
    rules = tmp_path / "a.yml"
    rules.write_text("1")
    params = {"reload_on": [str(tmp_path / "*.yml")]}
    service(host, **params).run_present()
    first = host.did()
    assert first[:1] == ["systemctl daemon-reload"] and first[1:] == ["systemctl reload accelmon-x.service"], "nobody knows what it has read"
    service(host, **params).run_present()
    assert host.did() == []
    rules.write_text("2")
    host.check_mode = True
    made = service(host, **params)
    made.run_present()
    assert (host.did(), made.actions) == ([], ["reload accelmon-x.service"])
    host.check_mode = False
    service(host, **params).run_present()
    assert host.did() == ["systemctl reload accelmon-x.service"]
    service(host, **params).run_present()
    assert host.did() == []


def test_a_reload_that_fails_is_tried_again(host, running, tmp_path):
    (tmp_path / "a.yml").write_text("1")
    params = {"reload_on": [str(tmp_path / "a.yml")]}
    service(host, **params).run_present()
    (tmp_path / "a.yml").write_text("2")
    host.failing.add("reload")
    for _again in range(2):
        with pytest.raises(Failed, match="accelmon-x.service does not read its files again .refused.; its journal ends with:\nthe journal"):
            service(host, **params).run_present()
    host.failing.clear()
    service(host, **params).run_present()
    assert host.did() == ["systemctl reload accelmon-x.service"]


def test_phase_reload_does_that_alone_and_knows_what_the_other_phase_knows(host, running, tmp_path):
    config, rules = tmp_path / "config.yml", tmp_path / "rules.yml"
    config.write_text("1")
    rules.write_text("1")
    service(host, reload_on=[str(config), str(rules)]).run_present()
    rules.write_text("2")
    service(host, phase="reload", reload_on=[str(rules)]).reload_only()
    assert host.did() == ["systemctl reload accelmon-x.service"]
    service(host, phase="reload", reload_on=[str(rules)]).reload_only()
    service(host, reload_on=[str(config), str(rules)]).run_present()
    assert host.did() == []
    config.write_text("2")
    service(host, phase="reload", reload_on=[str(rules)]).reload_only()
    assert host.did() == ["systemctl reload accelmon-x.service"], "a reload reads every file, so it counts for all"
    service(host, reload_on=[str(config), str(rules)]).run_present()
    assert host.did() == []


def test_phase_reload_leaves_a_service_that_does_not_run(host, tmp_path):
    host.shown["ActiveState"] = "inactive"
    made = service(host, phase="reload", reload_on=[str(tmp_path / "rules.yml")])
    made.reload_only()
    assert (host.did(), made.actions) == ([], [])


def test_a_restart_reads_everything(host, running, tmp_path):
    rules = tmp_path / "a.yml"
    rules.write_text("1")
    service(host, reload_on=[str(rules)]).run_present()
    rules.write_text("2")
    service(host, reload_on=[str(rules)], unit=UNIT + "# other\n").run_present()
    assert host.did() == ["systemctl daemon-reload", "systemctl restart accelmon-x.service"]
    state = loaded.read("x")
    assert state["patterns"] == {str(rules): loaded.digest(str(rules))} and state["process"].startswith(str(running.pid))


def test_an_image_gets_its_unit_enabled_and_nothing_started(host, tmp_path):
    made = service(host, image=True, probe={"path": "/metrics"}, listen=[{"address": "", "port": 9100, "variable": "x_port"}])
    made.run_present()
    assert (tmp_path / "UNITS" / "accelmon-x.service").read_text().startswith("[Service]\nEnvironment=ACCELMON_GENERATION=")
    assert host.did() == ["systemctl --root=/ enable accelmon-x.service"]
    assert all(call.startswith("systemctl --root=/ ") for call in host.calls)
    host.enabled["accelmon-x.service"] = "enabled"
    made = service(host, image=True)
    made.run_present()
    assert made.actions == []
    service(host, image=True, phase="reload", reload_on=["/x"]).reload_only()
    assert host.calls == []


def test_an_image_masks_the_packages_unit_before_the_package_comes(host, tmp_path):
    params = {"image": True, "phase": "claim", "package": "p", "package_unit": "p.service", "program": str(tmp_path / "missing"),
              "listen": [{"address": "", "port": 22, "variable": "x_port"}], "managed_variable": "x_managed"}
    assert service(host, **params).claim()["package"] == "present"
    assert host.did() == ["systemctl --root=/ mask p.service"]
    assert json.loads((tmp_path / "OWNED" / "x.json").read_text()) == {"masked": "p.service", "package": "p"}
    host.enabled["p.service"] = "enabled"
    with pytest.raises(Failed, match="x_managed = install: p.service is already in use on this host; set x_managed to adopt or external to keep"):
        service(host, **params).claim()
    # Who has no such variable is not told to set one.
    del params["managed_variable"]
    with pytest.raises(Failed, match=r"^x_source = package: p\.service is already in use .*; stop and disable it, or set x_source to release, b"):
        service(host, **params).claim()


def test_a_unit_that_the_package_enabled_under_the_name_of_the_sites_is_disabled(host):
    params = {"image": True, "package": "p", "package_unit": "p.service"}
    host.enabled.update({"accelmon-x.service": "enabled", "p.service": "enabled"})
    service(host, **params).run_present()
    assert host.did() == ["systemctl --root=/ disable p.service"]
    for wanted, more in (("disabled", {}), ("masked", {}), ("enabled", {"phase": "converge"})):
        host.enabled["p.service"] = wanted
        service(host, **dict(params, **more)).run_present()
        assert host.did() == [], wanted


def test_what_was_left_elsewhere_goes(host, tmp_path):
    """accelmon_textfile_directory was a site's, whose own exporter would go on exporting it."""
    old, new, record = tmp_path / "theirs.prom", tmp_path / "ours.prom", tmp_path / "OWNED" / "x.json"
    host.enabled["accelmon-x.service"] = "enabled"
    service(host, image=True, leaves=[str(old)]).converge()
    assert json.loads(record.read_text()) == {"leaves": [str(old)]}
    old.write_text("1")
    new.write_text("2")
    host.check_mode = True
    made = service(host, image=True, leaves=[str(new)])
    made.converge()
    assert made.actions == [f"remove {old}"] and old.exists()
    host.check_mode = False
    service(host, image=True, leaves=[str(new)]).converge()
    assert not old.exists() and new.exists() and json.loads(record.read_text()) == {"leaves": [str(new)]}
    service(host, image=True, phase="converge", state="absent", leaves=[str(old)]).converge()
    assert not new.exists() and not record.exists(), "and so does what it leaves now, whatever the directory is by then"


def test_an_image_forgets_a_service(host, tmp_path):
    service(host, image=True).run_present()
    service(host, image=True, state="absent").remove()
    assert host.did() == ["systemctl --root=/ disable accelmon-x.service"]
    assert list((tmp_path / "UNITS").iterdir()) == []


@pytest.mark.parametrize("answer,state", [
    ("enabled\n", ("loaded", "enabled")), ("disabled\n", ("loaded", "disabled")), ("masked\n", ("masked", "masked")),
    ("\n", ("not-found", "")), ("not-found\n", ("not-found", "")),
])
def test_what_an_image_says_of_a_unit(answer, state):
    known = systemd.offline(answer)
    assert (known["LoadState"], known["UnitFileState"]) == state


def test_an_agent_is_a_part_of_the_service(host, tmp_path, monkeypatch):
    """Its unit is in the groups too, and a change of it restarts the service, of which it is a part."""
    agent = "[Unit]\nPartOf=accelmon-x.service\n\n[Service]\nExecStart=/bin/agent\n"
    monkeypatch.setattr(service_unit.Service, "groups", lambda self: ["render"])
    service(host, parts={"agent.service": agent}).run_present()
    path = tmp_path / "UNITS" / "accelmon-x-agent.service"
    assert "[Service]\nSupplementaryGroups=render\nExecStart=/bin/agent\n" in path.read_text()
    assert "systemctl restart accelmon-x.service" in host.did()
    first = (tmp_path / "UNITS" / "accelmon-x.service").read_text()
    service(host, parts={"agent.service": agent.replace("/bin/agent", "/bin/other")}).run_present()
    assert (tmp_path / "UNITS" / "accelmon-x.service").read_text() != first, "the generation knows the agent"
    made = service(host, state="absent", parts={})
    made.remove()
    assert not path.exists() and "systemctl disable --now accelmon-x-agent.service" in host.did()


@pytest.mark.parametrize("found, wanted, other", [("1.5.2-10~24.04", "1.5.2", False), ("1:1.5.0", "1.5.2", True), ("1.5.0", "", False)])
def test_a_package_of_another_version_has_to_come(host, tmp_path, monkeypatch, found, wanted, other):
    monkeypatch.setattr(claim.shutil, "which", lambda name: "/usr/bin/" + name)
    monkeypatch.setattr(host, "run_command", lambda argv: (0, found, ""))
    assert service(host, package="p", package_version=wanted).is_other_version() is other


def test_nothing_is_changed_while_files_of_the_role_access_are_missing(host, tmp_path):
    needs = [str(tmp_path / "there"), str(tmp_path / "missing")]
    (tmp_path / "there").write_text("")
    with pytest.raises(Failed) as error:
        service(host, phase="claim", needs=needs).claim()
    assert str(error.value) == f"x needs {tmp_path}/missing, which the role accelmon.fleet.access writes; run that role before this one"
    assert host.did() == []
    # An image gets them later, and check mode has not written them.
    assert service(host, phase="claim", needs=needs, image=True).claim()["package"] == ""
    host.check_mode = True
    assert service(host, phase="claim", needs=needs).claim()["package"] == ""


@pytest.mark.parametrize("told, refresh", [
    ("", True), (None, False), ("p:\n  Installed: (none)\n  Version table:\n     1.0 500\n        500 http://a b\n", False)])
def test_lists_are_fetched_where_apt_does_not_know_a_package_that_is_to_come(host, monkeypatch, told, refresh):
    monkeypatch.setattr(claim.obtainable, "run", lambda argv: told)
    claimed = service(host, phase="claim", package="p", program="/nonexistent").claim()
    assert (claimed["package"], claimed["refresh"]) == ("present", refresh)

    def never(argv):
        raise AssertionError(argv)
    monkeypatch.setattr(claim.obtainable, "run", never)
    claimed = service(host, phase="claim", package="p", program="/bin/true").claim()
    assert (claimed["package"], claimed["refresh"]) == ("", False)


@pytest.fixture
def files(host, tmp_path, monkeypatch):
    """A service with a file of its own, whose checker runs with the host's Python, and whose port nobody has."""
    me = {"owner": str(os.geteuid()), "group": str(os.getegid())}
    monkeypatch.setattr(config_set.ConfigSet.__init__, "__defaults__", ((), (), None, (), (), str(tmp_path / "state"), False, None, None))
    monkeypatch.setattr(interpreter, "find", lambda: (sys.executable, ""))
    config = tmp_path / "x.json"
    return {"phase": "converge", "files": [dict(me, path=str(config), content="{}", mode="0644", secret=False)], "restart_on": [str(config)],
            "validate": [{"argv": [interpreter.PLACEHOLDER, "-IS", "-m", "json.tool", "{stage}" + str(config)]}],
            "unit": UNIT.replace("/bin/x", interpreter.PLACEHOLDER)}


def test_one_call_converges_a_service_whose_program_is_there(host, files, tmp_path):
    """The claim comes first, then the files, then the unit, which knows them."""
    host.shown["ActiveState"], host.shown["UnitFileState"] = "inactive", "disabled"
    host.check_mode = True
    made = service(host, **files)
    made.converge()
    predicted = made.result()
    assert not (tmp_path / "x.json").exists() and host.did() == []
    host.check_mode = False
    made = service(host, **files)
    with pytest.raises(Failed, match="accelmon-x.service is inactive"):
        made.converge()
    unit = str(tmp_path / "UNITS" / "accelmon-x.service")
    assert made.result()["actions"] == predicted["actions"]
    assert made.result()["actions"] == [
        f"write {tmp_path}/x.json", "write " + unit, "daemon-reload", "enable accelmon-x.service", "start accelmon-x.service"]
    assert [one["after_header"] for one in predicted["diff"]] == [f"{tmp_path}/x.json", unit]
    assert f"ExecStart={sys.executable}\n" in (tmp_path / "UNITS" / "accelmon-x.service").read_text()


def test_a_converged_service_is_left_as_it_is_by_one_call(host, files, tmp_path):
    host.check_mode = True
    service(host, **files).converge()
    host.check_mode = False
    (tmp_path / "x.json").write_text("{}")
    value = systemd.generation(UNIT.replace("/bin/x", sys.executable), ["/bin/x", str(tmp_path / "x.json")])
    with subprocess.Popen(["sleep", "60"], env={systemd.GENERATION: value}) as child:
        while systemd.running_generation(child.pid) != value:
            pass
        host.shown["MainPID"] = str(child.pid)
        service(host, **files).converge()
        made = service(host, **files)
        found = made.converge()
        child.kill()
    assert (made.result(), found) == ({"changed": False, "actions": [], "diff": []}, {"package": "", "refresh": False, "generation": value})
    assert host.did() == []


def test_nothing_is_written_before_the_package_is_there(host, files, tmp_path):
    host.shown.update(LoadState="not-found", ActiveState="inactive", UnitFileState="")
    made = service(host, **dict(files, package="p", package_unit="p.service", program=str(tmp_path / "missing")))
    assert made.converge()["package"] == "present"
    assert made.result()["actions"] == ["mask p.service"] and not (tmp_path / "x.json").exists()
    # The role installs it and calls again.
    host.shown["ActiveState"] = "active"
    made = service(host, **dict(files, phase="run", package="p", package_unit="p.service", program=str(tmp_path / "missing")))
    assert made.converge()["package"] == "" and (tmp_path / "x.json").exists()


def test_a_claim_alone_writes_nothing(host, files, tmp_path):
    made = service(host, **dict(files, phase="claim"))
    assert made.converge()["package"] == "" and made.result() == {"changed": False, "actions": [], "diff": []}
    assert not (tmp_path / "x.json").exists()


def test_files_that_their_checker_refuses_leave_the_service_as_it_is(host, files, tmp_path):
    files["files"][0]["content"] = "{"
    with pytest.raises(Failed, match="validate = .*: exited with status 1: .*; correct the configuration; nothing was changed"):
        service(host, **files).converge()
    assert host.did() == [] and list((tmp_path / "UNITS").iterdir()) == []


def test_one_call_takes_a_service_away(host, files, tmp_path):
    service(host, **dict(files, phase="run")).converge()
    (tmp_path / "OWNED" / "x.json").write_text('{"package": "p"}')
    made = service(host, **dict(files, state="absent", package="p"))
    assert made.converge()["package"] == "absent" and (tmp_path / "x.json").exists(), "the package goes before its files"
    assert service(host, **dict(files, phase="run", state="absent", package="p")).converge()["package"] == ""
    assert not (tmp_path / "x.json").exists() and list((tmp_path / "UNITS").iterdir()) == []
    made = service(host, **dict(files, state="absent"))
    made.converge()
    assert made.result() == {"changed": False, "actions": [], "diff": []}


def test_a_package_goes_with_the_last_service_that_has_it_whatever_its_source_is_now(host, tmp_path):
    for name in ("x", "y"):
        (tmp_path / "OWNED" / f"{name}.json").write_text('{"package": "p"}')
    assert service(host, phase="converge", state="absent", package="").converge()["package"] == ""
    assert service(host, phase="converge", state="absent", name="y", package="").converge()["package"] == "absent"


def test_what_a_service_left_goes_and_what_others_put_there_stays(host, tmp_path):
    for name in ("mine", "shared"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "socket").write_text("")
    (tmp_path / "shared" / "theirs").write_text("")
    leaves = [str(tmp_path / name) for name in ("mine/socket", "mine", "shared/socket", "shared", "missing")]
    host.check_mode = True
    made = service(host, phase="converge", state="absent", leaves=leaves)
    made.converge()
    assert made.actions == [f"remove {path}" for path in leaves[:3]] and (tmp_path / "mine" / "socket").exists()
    host.check_mode = False
    service(host, phase="converge", state="absent", leaves=leaves).converge()
    assert not (tmp_path / "mine").exists() and [path.name for path in (tmp_path / "shared").iterdir()] == ["theirs"]


def test_files_of_the_absent_service_go_in_one_call_where_no_package_has_to(host, files, tmp_path):
    service(host, **dict(files, phase="run")).converge()
    made = service(host, **dict(files, state="absent"))
    assert made.converge()["package"] == "" and not (tmp_path / "x.json").exists()
    assert f"remove {tmp_path}/x.json" in made.result()["actions"]
