"""The module service_unit with units beside a service's own.

Stubbed: AnsibleModule and systemctl (it notes its calls and answers from a dictionary for each unit), the folders of units, who
listens on a port. Processes are real children of this one.
"""

import subprocess

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.host import ports, systemd
from ansible_collections.accelmon.fleet.plugins.module_utils.host.service import acting, claim, service as service_unit

UNIT = "[Service]\nExecStart=/bin/x\n\n[Install]\nWantedBy=multi-user.target\n"
PARTS = {"front.socket": "[Socket]\nListenStream=9401\n", "front.service": "[Service]\nExecStart=/bin/front\n",
         "watch.service": "[Service]\nExecStart=/bin/watch\n", "watch.timer": "[Timer]\nOnUnitActiveSec=30\n"}
NAMES = {part: f"accelmon-x-{part}" for part in PARTS}
OWN = "accelmon-x.service"


class Failed(Exception):
    pass


class Host:
    """What stands for AnsibleModule and for systemd; `told` {unit: {property: value}} is what differs from a unit that is new."""

    def __init__(self):
        self.check_mode, self.params, self.calls, self.told, self.sockets = False, {}, [], {}, ""

    def run_command(self, argv):
        self.calls.append(" ".join(argv))
        if argv[1] == "show":
            new = {"LoadState": "loaded", "ActiveState": "inactive", "UnitFileState": "disabled", "MainPID": "0", "NeedDaemonReload": "no", "Result": "success"}
            return 0, "\n".join("".join(f"{key}={value}\n" for key, value in dict(new, **self.told.get(unit, {})).items()) for unit in argv[3:]), ""
        if argv[1] == "list-sockets":
            return 0, self.sockets, ""
        return 1 if "is-enabled" in argv else 0, "", ""

    def fail_json(self, msg, **more):
        raise Failed(msg)

    def selinux_enabled(self):
        return False

    def run(self, **params):
        """Make the module do its work; what was asked of systemctl beside questions."""
        self.calls.clear()
        self.params = dict({"name": "x", "phase": "run", "image": False, "state": "present", "user": "", "listen": [], "managed_variable": "x_managed",
                            "needs": [], "own_programs": False,
                            "package": "", "package_unit": "", "program": "/bin/x", "container": False, "unit": UNIT, "timer": None, "restart_on": [],
                            "reload_on": [], "leaves": [], "groups": [], "parts": PARTS, "part_files": [], "health": None, "probe": None}, **params)
        made = service_unit.Service(self)
        {"claim": made.claim, "run": made.run_present}[self.params["phase"]]() if self.params["state"] == "present" else made.remove()
        return [call.replace("systemctl ", "").replace("accelmon-x-", "") for call in self.calls
                if not any(word in call for word in (" show ", "is-enabled", "journalctl", "list-sockets"))]

    def is_running(self, children, **generations):
        """From now on all of it runs, its front with the generation given, or the right one."""
        self.told = {name: {"ActiveState": "active", "UnitFileState": "static" if name.endswith(".service") else "enabled"} for name in NAMES.values()}
        self.told[OWN] = {"ActiveState": "active", "UnitFileState": "enabled"}
        wanted = {OWN: systemd.generation(UNIT, ["/bin/x"]), NAMES["front.service"]: systemd.generation(PARTS["front.service"], [])}
        for unit, value in dict(wanted, **generations).items():
            self.told[unit]["MainPID"] = str(children(value))


@pytest.fixture
def children():
    """children(generation) starts a process with it; its pid."""
    started = []

    def start(value):
        started.append(subprocess.Popen(["sleep", "60"], env={systemd.GENERATION: value}))
        while systemd.running_generation(started[-1].pid) != value:
            pass
        return started[-1].pid

    yield start
    for child in started:
        child.kill()
        child.wait()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for module, name in ((acting, "UNITS"), (claim, "OWNED")):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(module, name, str(tmp_path / name))
    monkeypatch.setattr(service_unit.Service, "healthy", lambda self: True)
    return tmp_path / "UNITS"


@pytest.fixture
def host(folder):
    return Host()


def test_the_program_comes_first_then_where_it_is_asked(host, folder):
    assert host.run() == ["daemon-reload", f"enable {OWN}", "enable front.socket", "enable watch.timer",
                          f"start {OWN}", "start front.socket", "start watch.timer"]
    assert sorted(path.name for path in folder.iterdir()) == sorted([OWN, *NAMES.values()])
    assert f"Environment={systemd.GENERATION}=" in (folder / NAMES["front.service"]).read_text()
    assert systemd.GENERATION not in (folder / NAMES["watch.service"]).read_text(), "it runs for a moment; nothing of it grows old"


def test_a_second_run_does_nothing(host, children):
    host.run()
    host.is_running(children)
    assert host.run() == []


def test_another_front_is_stopped_and_its_socket_stays_open(host, children):
    host.run()
    host.is_running(children, **{NAMES["front.service"]: "old"})
    assert host.run() == ["stop front.service"]
    host.check_mode = True
    assert host.run() == []


def test_a_socket_that_moves_is_closed_and_opened(host, children):
    host.run()
    host.is_running(children)
    assert host.run(parts=dict(PARTS, **{"front.socket": "[Socket]\nListenStream=9402\n"})) == [
        "daemon-reload", "stop front.service front.socket", "start front.socket"]


def test_a_front_without_its_socket_is_in_its_way(host, children):
    host.run()
    host.is_running(children)
    host.told[NAMES["front.socket"]]["ActiveState"] = "inactive"
    assert host.run() == ["stop front.service", "start front.socket"]


def test_what_is_not_declared_any_more_goes_before_the_program_listens_itself(host, folder, children):
    host.run()
    host.is_running(children)
    calls = host.run(parts={}, unit=UNIT.replace("/bin/x", "/bin/x --port"))
    assert calls == ["disable --now front.socket", "disable --now watch.timer", "disable --now front.service", "disable --now watch.service", "daemon-reload",
                     f"restart {OWN}"]
    assert [path.name for path in folder.iterdir()] == [OWN]


def test_all_of_it_goes(host, folder):
    host.run()
    assert host.run(state="absent", parts={})[-2:] == [f"disable --now {OWN}", "daemon-reload"]
    assert list(folder.iterdir()) == []
    assert host.run(state="absent", parts={}) == []


def test_an_image_has_its_socket_and_timer_enabled(host):
    host.told = {}
    assert host.run(image=True) == [f"--root=/ enable {OWN}", "--root=/ enable front.socket", "--root=/ enable watch.timer"]


def test_only_groups_that_exist(host, folder):
    host.run(groups=["root", "no-such-group", "daemon"])
    text = (folder / OWN).read_text()
    assert "\nSupplementaryGroups=root daemon\n" in text
    host.run(groups=["no-such-group"])
    assert "SupplementaryGroups" not in (folder / OWN).read_text()


def test_units_that_were_there_come_back_when_the_new_ones_fail(host, folder, children, monkeypatch):
    host.run()
    host.is_running(children)
    before = {path.name: path.read_text() for path in folder.iterdir()}
    monkeypatch.setattr(service_unit.Service, "healthy", lambda self: False)
    with pytest.raises(Failed, match="the unit before it was put back"):
        host.run(unit=UNIT.replace("/bin/x", "/bin/y"), parts=dict(PARTS, **{"front.socket": "[Socket]\nListenStream=9402\n"}))
    assert {path.name: path.read_text() for path in folder.iterdir()} == before
    assert "systemctl restart accelmon-x-front.socket" in host.calls


@pytest.mark.parametrize("owner,table,refusal", [
    ({"pid": 1, "program": "systemd"}, "0.0.0.0:9401 accelmon-x-front.socket accelmon-x-front.service\n", None),
    ({"pid": 7, "program": "python3", "unit": "accelmon-x-front.service"}, "", None),
    ({"pid": 1, "program": "systemd"}, "[::]:94010 accelmon-x-front.socket -\n[::]:9401 ours.socket ours.service\n", "taken by ours.socket .pid 1, systemd"),
    ({"pid": 1, "program": "systemd"}, "", "taken by pid 1, systemd"),
])
def test_a_port_that_systemd_holds_has_an_owner(host, monkeypatch, owner, table, refusal):
    monkeypatch.setattr(ports, "listeners", lambda: [("::", 9401, "77")])
    monkeypatch.setattr(ports, "owner", lambda inodes, port: owner)
    host.sockets = table
    claim = {"phase": "claim", "listen": [{"address": "", "port": 9401, "variable": "x_port"}]}
    if refusal is None:
        assert host.run(**claim) == []
    else:
        with pytest.raises(Failed, match=f"x_port = 9401: the port is {refusal}"):
            host.run(**claim)


def test_a_host_whose_python_services_cannot_run_is_left_as_it_is(host, monkeypatch):
    monkeypatch.setattr(service_unit.interpreter, "find", lambda: ("", "ansible_python_interpreter = /home/x/bin/python: services on this host cannot run it"))
    with pytest.raises(Failed, match="ansible_python_interpreter = /home/x/bin/python"):
        host.run(phase="claim", user="accelmon-nobody-of-that-name", own_programs=True)
    assert not any("useradd" in call for call in host.calls)
    # Where none of our programs is a part of it, none is missed.
    host.params = dict(host.params, user="", own_programs=False)
    assert service_unit.Service(host).claim()["package"] == ""


def test_texts_name_the_python_of_the_host(host, monkeypatch):
    place = service_unit.interpreter.PLACEHOLDER
    host.params = {"name": "x", "unit": f"[Service]\nExecStart={place} -IS\n", "timer": None, "parts": {"watch.service": f"ExecStart={place}"},
                   "validate": [{"argv": [place, "--help"], "timeout": 60}], "secrets": {"/x": place}}
    for found, python in ((("/usr/libexec/platform-python", ""), "/usr/libexec/platform-python"), (("", "no interpreter found"), "/usr/bin/python3")):
        monkeypatch.setattr(service_unit.interpreter, "find", lambda answer=found: answer)
        params = service_unit.Service(host).params
        assert params == {"name": "x", "unit": f"[Service]\nExecStart={python} -IS\n", "timer": None, "parts": {"watch.service": f"ExecStart={python}"},
                          "validate": [{"argv": [python, "--help"], "timeout": 60}], "secrets": {"/x": place}}


def test_where_the_unit_before_comes_back_nothing_stands_in_its_way(host, folder, monkeypatch):
    """A program that listened by itself, until a front was to do so and did not become healthy."""
    host.run(parts={})
    (folder / OWN).write_text("[Service]\nExecStart=/bin/before\n")
    monkeypatch.setattr(service_unit.Service, "healthy", lambda self: False)
    with pytest.raises(Failed, match="the unit before it was put back"):
        host.run()
    done = [call.replace("accelmon-x-", "") for call in host.calls]
    assert done.index("systemctl disable --now front.socket") < len(done) - 1 - done[::-1].index(f"systemctl restart {OWN}")
    assert [path.name for path in folder.iterdir()] == [OWN] and (folder / OWN).read_text() == "[Service]\nExecStart=/bin/before\n"
