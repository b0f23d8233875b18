"""The modules release and config_set as Ansible runs them: real playbooks against this machine, below a temporary directory.

Nothing is stubbed. A web server on 127.0.0.1 stands for the publisher.
"""

import base64
import functools
import hashlib
import http.server
import io
import json
import os
import pathlib
import re
import stat
import subprocess
import sys
import tarfile
import threading

import pytest

COLLECTION = pathlib.Path(__file__).resolve().parents[4]
ME = {"owner": str(os.geteuid()), "group": str(os.getegid())}


def archive_of(text):
    """Bytes of a tar archive with one program that prints `text`."""
    script = ("#!/bin/sh\necho %s\n" % text).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("tool-1/tool")
        info.size = len(script)
        archive.addfile(info, io.BytesIO(script))
    return out.getvalue()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Control:
    """A control node that manages this machine."""

    def __init__(self, folder):
        self.folder = folder
        self.remote_tmp = folder / "remote_tmp"
        root = folder / "collections" / "ansible_collections" / "accelmon"
        root.mkdir(parents=True)
        (root / "fleet").symlink_to(COLLECTION)
        (folder / "files").mkdir()
        (folder / "ansible.cfg").write_text("")

    def play(self, *tasks, options=()):
        """Run the tasks, each a dict of module to arguments. Returns ([result], output); failed tasks do not end the play."""
        steps = [dict(task, name="task %d" % number, register="r%d" % number, ignore_errors=True) for number, task in enumerate(tasks)]
        # Within Ansible itself: a module would take as long as the ones under test.
        told = ", ".join(step["register"] for step in steps)
        steps.append({"name": "results", "ansible.builtin.debug": {"msg": "results={{ [%s] | to_json | b64encode }}" % told}})
        playbook = self.folder / "play.yml"
        playbook.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": steps}]))
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "no_proxy": "127.0.0.1",
            "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"), "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"), "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "local_tmp"), "ANSIBLE_REMOTE_TEMP": str(self.remote_tmp), "ANSIBLE_NOCOLOR": "1",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        }
        command = [sys.executable, "-m", "ansible", "playbook", str(playbook), "-e", "ansible_python_interpreter=" + sys.executable]
        done = subprocess.run(command + list(options), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment,
                              cwd=str(self.folder), timeout=600, check=False)
        output = done.stdout.decode()
        assert done.returncode == 0, output
        return json.loads(base64.b64decode(re.search(r'"msg": "results=([\w+/=]*)"', output).group(1))), output

    @staticmethod
    def transfers(output):
        """Files that were brought to the host. """
        return [line for line in output.splitlines() if " PUT " in line and line.rstrip().endswith("/accelmon_release")]


@pytest.fixture
def control(tmp_path):
    return Control(tmp_path)


class Handler(http.server.BaseHTTPRequestHandler):
    pages = {}

    def do_GET(self):
        data = self.pages[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def publish():
    """publish(path, data) gives the URL at which the data is now; publish.stop() ends the server."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Pages", (Handler,), {"pages": {}}))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def put(path, data):
        server.RequestHandlerClass.pages[path] = data
        return "http://127.0.0.1:%d%s" % (server.server_port, path)
    put.stop = functools.partial(server.server_close)
    yield put
    server.shutdown()
    server.server_close()


def run_program(control):
    return subprocess.run([str(control.folder / "opt" / "tool" / "current" / "bin" / "tool")], stdout=subprocess.PIPE, check=True).stdout.decode().strip()


def release(control, data, version, **options):
    return {"accelmon.fleet.release": dict({
        "name": "tool", "root": str(control.folder / "opt"), "version": version, "sha256": sha256(data), "programs": {"tool": "tool"},
    }, **options)}


def test_a_file_of_the_control_node_travels_once(control):
    one, two = archive_of("one"), archive_of("two")
    (control.folder / "files" / "one.tar").write_bytes(one)
    (control.folder / "two.tar").write_bytes(two)
    first = release(control, one, "1.0", src="one.tar")  # found in files/, as with other modules
    second = release(control, two, "2.0", src=str(control.folder / "two.tar"))

    results, output = control.play(first, options=["--check", "--diff", "-vvv"])
    assert results[0]["changed"] and control.transfers(output) == [] and not (control.folder / "opt").exists()
    assert "+1.0 (sha256 " + sha256(one)[:12] in output

    results, output = control.play(first, second, first, first, options=["--diff", "-vvv"])
    assert [result["changed"] for result in results] == [True, True, True, False]
    assert [result["previous"] for result in results] == ["", "1.0", "2.0", "2.0"]
    assert len(control.transfers(output)) == 2 and run_program(control) == "one"
    assert "-1.0 (sha256 " + sha256(one)[:12] in output and "+2.0 (sha256 " + sha256(two)[:12] in output
    assert "needs_source" not in results[0] and "/files/" not in results[3]["path"]
    assert list(control.remote_tmp.iterdir()) == []

    (control.folder / "two.tar").unlink()
    results, output = control.play(second, options=["-vvv"])
    assert results[0]["changed"] and control.transfers(output) == [] and run_program(control) == "two"


def test_files_that_are_missing_or_altered_are_told(control):
    data = archive_of("one")
    (control.folder / "evil.tar").write_bytes(archive_of("evil"))
    results, _output = control.play(
        release(control, data, "1.0", src="/nowhere/one.tar"),
        release(control, data, "1.0", src=str(control.folder / "evil.tar")),
        release(control, data, "1.0", src="/nowhere/one.tar", remote_src=True),
        release(control, data, "1.0"),
        release(control, data, "1.0", src="a", url="b"),
    )
    assert all(result["failed"] and not result["changed"] for result in results)
    assert results[0]["msg"].startswith("src = /nowhere/one.tar: no such file on the control node; put it there")
    assert str(control.folder / "evil.tar") + " has " + sha256(archive_of("evil")) in results[1]["msg"] and "remote_tmp" not in results[1]["msg"]
    assert results[2]["msg"].startswith("src = /nowhere/one.tar: cannot be read on this host")
    assert "url, src" in results[3]["msg"] and "mutually exclusive" in results[4]["msg"]
    assert list(control.remote_tmp.iterdir()) == []
    results, _output = control.play(release(control, data, "1.0", src="/nowhere/one.tar"), options=["--check"])
    assert results[0]["failed"]


def test_a_url_is_fetched_by_the_host_and_not_again(control, publish):
    data = archive_of("one")
    task = release(control, data, "1.0", url=publish("/tool.tar", data))
    results, _output = control.play(task, release(control, data, "2.0", url=publish("/tool2.tar", archive_of("evil"))))
    assert results[0]["changed"] and run_program(control) == "one"
    assert results[1]["failed"] and "1.0 (sha256 %s...) stays current" % sha256(data)[:12] in results[1]["msg"]
    publish.stop()
    results, _output = control.play(task, {"accelmon.fleet.release": {"name": "tool", "state": "absent", "root": str(control.folder / "opt")}})
    assert [result["changed"] for result in results] == [False, True] and not (control.folder / "opt").exists()


def config_set(control, **options):
    files = [dict(ME, **entry) for entry in options.pop("files", [])]
    return {"accelmon.fleet.config_set": dict({"name": "web", "state_dir": str(control.folder / "state"), "files": files}, **options)}


def test_a_set_of_files_with_secrets(control):
    plain, secret = str(control.folder / "etc" / "a.yml"), str(control.folder / "etc" / "password")
    talkative = {"argv": [sys.executable, "-c", "import sys; sys.exit('bad: ' + open(sys.argv[1]).read())", "{stage}" + secret]}

    def task(text, password, *validate):
        return config_set(control, files=[{"path": plain, "content": text}, {"path": secret, "secret": True}],
                          secrets={secret: "user: bob\npassword: %s\n" % password}, validate=list(validate))
    loud = ["-vvvv", "--diff"]
    results, output = control.play(task("a: 1\n", "hunter2"), options=loud + ["--check"])
    assert results[0]["changed"] and not (control.folder / "etc").exists() and not (control.folder / "state").exists()
    assert "hunter2" not in output
    results, output = control.play(
        task("a: 1\n", "hunter2"), task("a: 1\n", "hunter2", talkative), task("a: 2\n", "tr0ub4dor"), task("a: 3\n", "correcthorse", talkative),
        config_set(control, state="absent"), options=loud)
    assert [result["changed"] for result in results] == [True, False, True, False, True]
    assert results[0]["written"] == [plain, secret] and results[1]["written"] == []
    assert results[3]["failed"] and "exited with status 1: bad: " in results[3]["msg"] and results[3]["validator"]["rc"] == 1
    assert "+a: 2" in output and "-a: 1" in output and "(secret changed)" in output
    for word in ("hunter2", "tr0ub4dor", "correcthorse"):
        assert word not in output and word not in json.dumps(results)
    assert not (control.folder / "etc").exists()


def test_contents_that_look_like_json_stay_json(control):
    path = control.folder / "etc" / "a.json"
    results, _output = control.play(config_set(control, files=[{"path": str(path), "content": "{{ {'a': [1, true, none]} | to_json }}"}]))
    assert results[0]["changed"] and json.loads(path.read_text()) == {"a": [1, True, None]}
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_warnings_and_unknown_files_are_told(control):
    folder = control.folder / "etc"
    folder.mkdir()
    (folder / "a").write_text("theirs")
    (folder / "b").write_text("theirs")
    task = config_set(control, files=[{"path": str(folder / "a"), "content": "ours"}], owned_directories=[str(folder)])
    results, output = control.play(task)
    assert results[0]["unknown"] == [str(folder / "b")] and list(results[0]["kept_aside"]) == [str(folder / "a")]
    flat = " ".join(output.split())
    assert "was modified since accelmon.fleet wrote it" in flat and "left unchanged because" in flat


def test_requests_that_cannot_be_met_fail_in_one_line(control):
    path = str(control.folder / "etc" / "a")
    results, _output = control.play(
        config_set(control, files=[{"path": path, "content": "x", "owner": "accelmon-nobody-here"}]),
        config_set(control, files=[{"path": "a", "content": "x"}]),
        config_set(control, files=[{"path": path, "content": "x"}], validate=[{"argv": ["/nowhere/checker"]}]),
    )
    for result, message in zip(results, ("owner = accelmon-nobody-here: this host has no such user", "path = a: not a plain absolute path",
                                         "validate = /nowhere/checker: no such program on this host")):
        assert result["failed"] and result["msg"].startswith(message) and "\n" not in result["msg"]
    results, output = control.play(
        config_set(control, files=[{"path": path, "content": "x", "owner": "accelmon-nobody-here"}], validate=[{"argv": ["/nowhere/checker"]}]),
        options=["--check", "--diff"])
    assert results[0]["changed"] and "not validated" in " ".join(output.split())
