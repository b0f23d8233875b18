# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the tests and sum them up: what passed, what failed, and what was not run and why.

    tests/setup.sh [--lab] python tests/run.py [--all | --changed] [PART...]

Parts: lint build galaxy sanity molecule rules live units, and with --all also mutations, quiet, matrix, preview and grafana. Without a name, all of them run.
With --changed, lint, units and rules look only at what differs from the main branch and at what depends on it; see changed.py.
What can run side by side does; the output of each job comes in one piece when it ends, and until then in a log of its own.
"""

import argparse
import ast
import concurrent.futures
import contextlib
import fnmatch
import functools
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import xml.etree.ElementTree

import changed

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"), "accelmon")
PYTHON = "%d.%d" % sys.version_info[:2]
# Of this checkout alone; another one may be tested at the same time.
MINE = hashlib.sha256(ROOT.encode()).hexdigest()[:8]
LOGS = os.path.join(CACHE, "logs", "tests-" + MINE)
# Nothing that the parts start may take longer: a hang must end as a failure that is named. A busy machine is slow.
LIMIT_SECONDS = 4500
# Says what runs, so that nobody takes a long silence for a hang.
HEARTBEAT_SECONDS = 60
CORES = os.cpu_count() or 1
# Scenarios mostly wait for their hosts, and live rules for the next scrape, so there is one for each core, and half as many other jobs beside them.
LANES = {"waiting": CORES, "working": (CORES + 1) // 2}
# The others give way: what waits has to see what it waits for.
NICENESS = {"waiting": 0, "working": 10}
# The summary names so many failures of one command; the output above it has all.
LISTED_FAILURES = 20
# Code that runs on nodes has to be understood by this Python, the platform Python of EL 8.
OLDEST = (3, 6)
# (ansible-core, the Pythons its controller runs on) beside the one the tools are made with.
MATRIX = (("2.16", ("3.10", "3.11", "3.12")), ("2.17", ("3.10", "3.11", "3.12")), ("2.18", ("3.11", "3.12", "3.13")),
          ("2.20", ("3.12", "3.13")), ("2.21", ("3.12", "3.13")))
# What the unit tests need there beside ansible-core.
MATRIX_TOOLS = ("pytest", "pytest-xdist", "hypothesis>=6.100,<7")
# The scenarios of `make test`; `make test-all` runs every one.
USUAL_SCENARIOS = ["default", "prometheus"]
# Of these, without the tests that have this mark; `make test-all` runs them too, and so does molecule by hand.
COSTLY = "costly"
# Parts that a plain run leaves out.
EXTRA_PARTS = ("mutations", "quiet", "matrix", "preview", "grafana")
# Scenarios that need archives which make lab-cache builds, and which.
BUILT_FOR = {"airgap": "node_exporter,victoriametrics,vmutils,alertmanager", "release": "node_exporter,victoriametrics,vmutils",
             "all_smi": "all_smi,all_smi_mock"}
# What a fixture says of itself in its first words; "derived" is from documentation or public samples.
FIXTURE_KINDS = ("recorded", "derived", "guessed")


class Failed(Exception):
    """A part failed. The text says what."""


class Run:
    """What one invocation was asked for, and what it found out besides success: reasons for what was not run."""

    def __init__(self, everything, parts, paths=None):
        self.everything = everything
        self.parts = parts
        # What changed; None for all there is.
        self.paths = paths
        self.not_run = {}

    def skip(self, what, why):
        """Note that something was not run."""
        self.not_run[what, why] = True


class Job:
    """A part, or a piece of one that can run beside others: its name, what it does, how it ended."""

    # The job of each thread. Threads without one print on standard output.
    current = threading.local()
    # Set when somebody interrupts the run: nothing new starts.
    stopped = threading.Event()

    def __init__(self, name, work):
        self.name, self.work = name, work
        self.log = os.path.join(LOGS, name.replace(" ", "-") + ".log")
        self.begun = self.seconds = None
        self.failure = ""

    def run(self):
        """Do the work, note how long it took and why it failed."""
        self.begun = time.monotonic()
        try:
            self.work()
        except Failed as failure:
            self.failure = str(failure)
        except Exception as error:  # pylint: disable=broad-except
            # One of several threads; the others go on, and the summary names this one.
            self.failure = "%s: %s" % (type(error).__name__, error)
            say(traceback.format_exc())
        self.seconds = time.monotonic() - self.begun

    def last_line(self):
        """Return the last line in the log that has words, or "". Should the run be cut off, it is all that is seen of the job."""
        with open(self.log, "rb") as stream:
            stream.seek(max(0, os.path.getsize(self.log) - 4000))
            lines = stream.read().decode(errors="replace").splitlines()
        return next((line.rstrip(" *")[-120:] for line in reversed(lines) if re.search(r"\w", line)), "")

    @property
    def lane(self):
        """The lane that the job runs in beside others."""
        return "waiting" if self.name == "live" or self.name.startswith("molecule ") else "working"

    def run_logged(self):
        """Do the same beside others, with the output in the log."""
        with open(self.log, "w", encoding="utf-8") as stream:
            Job.current.stream, Job.current.niceness = stream, NICENESS[self.lane]
            self.run()


def say(text, end="\n"):
    """Print on the output of the job of this thread."""
    print(text, end=end, file=getattr(Job.current, "stream", sys.stdout), flush=True)


def environment(**more):
    """Return the environment for a part: nothing is written into the checkout or the home folder if it can be helped."""
    # pytest cuts the reasons in its summary at the width of what it takes for a terminal. Bytecode is kept, because otherwise every ansible-playbook
    # compiles the collection, and so does each of its workers.
    env = dict(os.environ, PYTHONPYCACHEPREFIX=os.path.join(CACHE, "bytecode", MINE), ANSIBLE_HOME=os.path.join(CACHE, "ansible-home"), ANSIBLE_NOCOWS="1",
               NO_COLOR="1", COLUMNS="160")
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env.update(more)
    return env


def command(argv, cwd=ROOT, env=None):
    """Run a command with its output on ours. Raise Failed, with what the output says of it, when it fails or hangs."""
    if Job.stopped.is_set():
        raise Failed("%s: was not started any more" % argv[0])
    say("$ " + " ".join(argv[:9]) + (" ..." if len(argv) > 9 else ""))
    try:
        process = subprocess.Popen(argv, cwd=cwd, env=env or environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except FileNotFoundError:
        raise Failed("%s: is not installed; run this through tests/setup.sh" % argv[0])
    with contextlib.suppress(ProcessLookupError):
        os.setpriority(os.PRIO_PROCESS, process.pid, os.nice(0) + getattr(Job.current, "niceness", 0))
    said = []
    # A thread, because what a killed command has started may keep the pipe open.
    output = getattr(Job.current, "stream", sys.stdout)
    reader = threading.Thread(target=relay, args=(process.stdout, output, said), daemon=True)
    reader.start()
    try:
        code = process.wait(timeout=LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise Failed("%s: took longer than %s seconds" % (argv[0], LIMIT_SECONDS))
    reader.join(timeout=10)
    if code != 0:
        raise Failed("\n".join(["%s: exit status %d" % (" ".join(argv[:4]), code)] + said[:LISTED_FAILURES]))


def relay(stream, output, said):
    """Pass a command's output on as it comes, and collect what its lines say of failures."""
    for line in stream:
        text = line.decode(errors="replace")
        output.write(text)
        output.flush()
        said.extend(failures_in(text))


def failures_in(line):
    """Return what a line of output says failed: tests as pytest sums them up, also in a task's result; a task's message; a place that a linter names."""
    tests = re.findall(r'(?:FAILED|ERROR) [^\s"\\]+\.py::.*?(?=\\n|"|$)', line.rstrip())
    tests += re.findall(r"^(?:ERROR: )?\S+:\d+:\d+: .*", line.rstrip())
    # A task's result holds its output twice: whole, and by lines.
    return list(dict.fromkeys(tests)) or ["%s: %s" % found for found in re.findall(r'^fatal: \[(.*?)\]: .*?"msg": "((?:[^"\\]|\\.)*)"', line)]


def every(*checks):
    """Run several commands or functions, all of them even if one fails."""
    failures = []
    for check in checks:
        try:
            command(check) if isinstance(check, list) else check()
        except Failed as failure:
            failures.append(str(failure))
    if failures:
        raise Failed("\n".join(failures))


def tracked():
    """Return the paths of the files that git knows and that are there."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout.decode()
    return [path for path in listed.split("\0") if path and os.path.isfile(os.path.join(ROOT, path))]


def label_fixtures():
    """See that every fixture says where it comes from."""
    unlabelled = fixtures()["unlabelled"]
    if unlabelled:
        raise Failed("fixtures that do not say whether they are recorded, derived or guessed: " + " ".join(unlabelled))


def lint(run):
    """Check form: YAML, Ansible content, the changelog, the documentation of plugins and roles, the labels of fixtures."""
    every(*linters(run.paths), label_fixtures)


def linters(paths):
    """Return the commands that check the form of these paths, or of all there is without them."""
    yaml = ["yamllint", "--strict"]
    content = [sys.executable, "tests/lint.py", "--offline", "--profile", "production"]
    changes = ["antsibull-changelog", "lint"]
    documents = ["antsibull-docs", "lint-collection-docs", "--plugin-docs", ROOT]
    if paths is None:
        return [yaml + ["."], content, changes, documents]
    there = [path for path in paths if os.path.exists(os.path.join(ROOT, path))]
    files = [path for path in there if path.endswith((".yml", ".yaml"))]
    # A role is judged as a whole.
    roles = sorted({"/".join(path.split("/")[:2]) for path in there if re.match("roles/[^/]+/", path)})
    plays = [path for path in files if path.startswith(("playbooks/", "molecule/"))]
    checks = [yaml + files] if files else []
    checks += [content + roles + plays] if roles + plays else []
    checks += [changes] if any(path.startswith("changelogs/") for path in there) else []
    checks += [documents] if any(path.startswith(("plugins/", "roles/", "docs/", "meta/")) for path in there) else []
    return checks


def copy_tracked(folder):
    """Copy the tracked files, without the links to themselves, into a folder made anew. Return it."""
    shutil.rmtree(folder, ignore_errors=True)
    for path in tracked():
        if path.startswith(".collections/"):
            continue
        target = os.path.join(folder, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(os.path.join(ROOT, path), target, follow_symlinks=False)
    return folder


def build(dummy):
    """Build and install the collection, and see that it can be played: installed, and from the checkout with a home that cannot be written."""
    with tempfile.TemporaryDirectory() as folder:
        source = copy_tracked(os.path.join(folder, "source"))
        installed = environment(ANSIBLE_COLLECTIONS_PATH=os.path.join(folder, "installed"), ANSIBLE_HOME=os.path.join(folder, "home"))
        check = ["ansible-playbook", "--syntax-check", "-i", os.path.join(ROOT, "inventories", "example", "hosts.ini")]
        readonly = {key: value for key, value in environment(HOME="/proc/none").items() if key != "ANSIBLE_HOME"}
        every(
            lambda: command(["ansible-galaxy", "collection", "build", "--output-path", folder], cwd=source, env=installed),
            lambda: command(["ansible-galaxy", "collection", "install", "--offline", "-p", os.path.join(folder, "installed")]
                            + glob.glob(os.path.join(folder, "*.tar.gz")), cwd=folder, env=installed),
            lambda: command(check + ["accelmon.fleet." + name for name in playbooks()], cwd=folder, env=installed),
            lambda: no_tests(os.path.join(folder, "installed", "ansible_collections", "accelmon", "fleet")),
            lambda: command(check + ["site.yml"], env=readonly),
        )


def playbooks():
    """Return the names of all playbooks."""
    return sorted(os.path.splitext(os.path.basename(path))[0] for path in glob.glob(os.path.join(ROOT, "playbooks", "*.yml")))


def no_tests(folder):
    """See that an installed collection has nothing that only its contributors need."""
    extra = sorted(set(os.listdir(folder)) & {"tests", "molecule", "benchmarks", "Makefile", ".ci", ".collections", ".cache"})
    if extra:
        raise Failed("the built collection holds %s; add it to build_ignore" % ", ".join(extra))


def sanity(run):
    """Run ansible-test sanity in a copy, because it needs a path ending in ansible_collections/NAMESPACE/NAME."""
    copy = copy_tracked(os.path.join(CACHE, "sanity", MINE, "ansible_collections", "accelmon", "fleet"))
    # Without a work tree of its own ansible-test would look at every file, ignored ones too.
    command(["git", "init", "--quiet"], cwd=copy)
    command(["git", "add", "--all"], cwd=copy)
    home = os.path.join(CACHE, "sanity", "home")
    cached = os.path.join(home, ".ansible", "test", "cache", "get_pip_%s.py" % pip_of_ansible_test().replace(".", "_"))
    os.makedirs(os.path.dirname(cached), exist_ok=True)
    shutil.copy(os.path.join(HERE, "get_pip.py"), cached)
    pip_cache = os.environ.get("PIP_CACHE_DIR") or os.path.join(os.path.dirname(CACHE), "pip")
    for tool, test in (("shellcheck", "shellcheck"), ("pwsh", "pslint")):
        if not shutil.which(tool):
            run.skip("sanity: " + test, "%s is not installed" % tool)
    command(["ansible-test", "sanity", "--python", PYTHON, "--color", "no"], cwd=copy, env=environment(HOME=home, PIP_CACHE_DIR=pip_cache))


def pip_of_ansible_test():
    """Return the version of pip that ansible-test's cache file is named for."""
    import ansible_test._internal.python_requirements as requirements  # pylint: disable=import-outside-toplevel
    with open(requirements.__file__, encoding="utf-8") as stream:
        found = re.search(r"""\bpip=['"]([0-9.]+)['"]""", stream.read())
    if not found:
        raise Failed("cannot tell which pip this ansible-test wants; see %s" % requirements.__file__)
    return found.group(1)


def units(run):
    """Run the unit tests, and see that an old Python understands what runs on nodes."""
    tests = ["tests/unit"] if run.paths is None else concerned(run, "tests/unit/", "test_*.py")
    checks = [lambda: unit_tests(run, tests)] if tests else []
    every(*checks, lambda: old_python(run))


def concerned(run, folder, pattern):
    """Return the programs below a folder that the changed paths concern."""
    there = sorted(path for path in set(tracked() + run.paths)
                   if path.startswith(folder) and fnmatch.fnmatch(os.path.basename(path), pattern) and os.path.isfile(os.path.join(ROOT, path)))
    found = changed.concerned(ROOT, there, run.paths)
    say("%s: %d of %d programs are concerned" % (folder, len(found), len(there)))
    return found


def unit_tests(run, tests, python=sys.executable, title="units"):
    """Run unit tests with one Python, and note what it left out."""
    env = environment(PYTHONPATH=os.path.join(ROOT, ".collections"), ANSIBLE_COLLECTIONS_PATH=os.path.join(ROOT, ".collections"))
    # Some tests use real programs. The lab has them; its image is not built for the unit tests alone.
    if "rules" in run.parts or glob.glob(os.path.join(CACHE, "tools-*")):
        env.setdefault("ACCELMON_PROGRAMS", programs())
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.xml")
        try:
            # A file's tests stay together, because they share what is costly to make, and in the order of tests/unit/conftest.py. One process more than
            # cores, because the slowest wait for programs.
            command([python, "-m", "pytest", "-q", "-rfEs", "-p", "no:cacheprovider", "--numprocesses", str(CORES + 1), "--dist", "loadfile",
                     "--no-loadscope-reorder", "--junit-xml", report, *tests], env=env)
        finally:
            if os.path.exists(report):
                reasons = [skipped.get("message") for skipped in xml.etree.ElementTree.parse(report).iter("skipped")]
                for reason in sorted(set(reasons)):
                    run.skip("%s: %d tests" % (title, reasons.count(reason)), reason)


def node_programs():
    """Return the Python files that run on nodes: modules, what they import, and programs that roles install."""
    return [path for path in tracked()
            if path.endswith(".py") and (path.startswith(("plugins/modules/", "plugins/module_utils/")) or re.match(r"roles/[^/]+/files/", path))]


def old_python(run):
    """See that the oldest Python of a node parses the code that runs there, and has all that module_utils import."""
    version = "%d.%d" % OLDEST
    interpreter = find_python(version)
    files = node_programs()
    if interpreter:
        say("%d files that run on nodes, parsed by %s" % (len(files), interpreter))
        script = "import ast, sys\nfor path in sys.argv[1:]: ast.parse(open(path, encoding='utf-8').read(), path)"
        command([interpreter, "-c", script, *files])
        # Modules themselves import parts of ansible-core, of which releases that know this Python are no longer installed here.
        names = [path[:-len(".py")].replace("/", ".") for path in files if path.startswith("plugins/module_utils/") and os.path.basename(path) != "__init__.py"]
        say("%d module_utils, imported by it" % len(names))
        script = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module('ansible_collections.accelmon.fleet.' + name)"
        command([interpreter, "-B", "-c", script, *names], env=environment(PYTHONPATH=os.path.join(ROOT, ".collections")))
        return
    run.skip("units: node programs under a real Python %s" % version, "no such Python here; parsed with this Python's %s grammar instead" % version)
    for path in files:
        with open(os.path.join(ROOT, path), encoding="utf-8") as stream:
            try:
                ast.parse(stream.read(), path, feature_version=OLDEST)
            except SyntaxError as error:
                raise Failed("%s:%s: not understood by Python %s: %s" % (path, error.lineno, version, error.msg))
    say("%d files that run on nodes, parsed with the grammar of Python %s" % (len(files), version))


def find_python(version):
    """Return the path of a Python of this version that works, or None. A shim on PATH may name one that is not selected."""
    pyenv = os.environ.get("PYENV_ROOT") or os.path.join(os.path.expanduser("~"), ".pyenv")
    for path in ["python" + version] + sorted(glob.glob(os.path.join(pyenv, "versions", version + ".*", "bin", "python"))):
        try:
            done = subprocess.run([path, "-c", "import sys; print(sys.executable)"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        except OSError:
            continue
        if done.returncode == 0:
            return done.stdout.decode().strip()
    return None


def programs():
    """Return a folder with promtool, vmalert-tool, VictoriaMetrics and others, from the lab's packages."""
    done = subprocess.run([sys.executable, os.path.join(ROOT, "lab", "lab.py"), "tools"], stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise Failed("the lab cannot provide promtool and vmalert-tool; see above")
    return done.stdout.decode().strip()


def rules(run):
    """Prove the alert and recording rules with the programs that evaluate them; after a change only if it concerns them, and without the generated day."""
    if run.paths is None or concerned(run, "tests/rules/", "run.py"):
        command([sys.executable, "tests/rules/run.py", "--programs", programs(), "check", "unit", *(["day"] if run.paths is None else [])])


def live(run):  # pylint: disable=unused-argument
    """Have them scrape simulated nodes, evaluate what comes and answer the dashboards."""
    command([sys.executable, "tests/rules/run.py", "--programs", programs(), "live", "hostile", "dashboards"])


def mutations(run):  # pylint: disable=unused-argument
    """Weaken the alerts about devices: their cases have to notice."""
    command([sys.executable, "tests/rules/mutations.py", "--programs", programs()])


def quiet(run):  # pylint: disable=unused-argument
    """Replay a generated day: nothing may fire, and with faults exactly their alerts."""
    command([sys.executable, "tests/rules/day.py", "--programs", programs()])


def scenarios(run):
    """Return the molecule scenarios to run: the usual ones; with --all every one whose archives are there."""
    every_one = sorted(os.path.basename(os.path.dirname(path)) for path in glob.glob(os.path.join(ROOT, "molecule/*/molecule.yml")))
    wanted = USUAL_SCENARIOS + [name for name in every_one if run.everything and name not in USUAL_SCENARIOS]
    for scenario in [name for name in wanted if name in BUILT_FOR]:
        status = [sys.executable, os.path.join(ROOT, "lab", "cache.py"), "status", "--only", BUILT_FOR[scenario]]
        if subprocess.call(status) != 0:
            run.skip("molecule scenario " + scenario, "its archives are not built; make lab-cache builds them")
            wanted.remove(scenario)
    return wanted


def molecule(run, scenario):
    """Run a molecule scenario, in a lab of its own."""
    chosen = {} if run.everything else {"PYTEST_ADDOPTS": "-m 'not %s'" % COSTLY}
    command(["molecule", "test", "--scenario-name", scenario],
            env=environment(MOLECULE_GLOB="molecule/*/molecule.yml", ANSIBLE_COLLECTIONS_PATH=os.path.join(ROOT, ".collections"), **chosen))


def galaxy(run):
    """See what Galaxy, ansible-builder and a new user make of the built collection; with --all also what galaxy-importer says, which lints it all again."""
    python = virtual_environment("galaxy", sys.executable, ["--requirement", os.path.join(HERE, "galaxy", "requirements.txt")])
    command([python, "-m", "pytest", "-q", "-rfEs", "-p", "no:cacheprovider", *([] if run.everything else ["-m", "not " + COSTLY]), "tests/galaxy"])


def virtual_environment(name, interpreter, wanted):
    """Return the Python of a virtual environment, made once for each state of what is wanted: arguments of pip."""
    texts = [interpreter, *wanted]
    for path in filter(os.path.isfile, wanted):
        with open(path, encoding="utf-8") as stream:
            texts.append(stream.read())
    folder = os.path.join(CACHE, "venv-%s-%s" % (name, hashlib.sha256(" ".join(texts).encode()).hexdigest()[:8]))
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(os.path.join(folder, "complete")):
        shutil.rmtree(folder, ignore_errors=True)
        command([interpreter, "-m", "venv", folder])
        command([python, "-m", "pip", "install", "--quiet", *wanted])
        with open(os.path.join(folder, "complete"), "w", encoding="utf-8"):
            pass
    return python


def matrix(run):
    """Run the unit tests under other releases of ansible-core, each in an environment of its own."""
    failures = []
    for core, pythons in MATRIX:
        interpreter = next((path for path in map(find_python, pythons) if path), None)
        if not interpreter:
            run.skip("units under ansible-core " + core, "needs Python %s" % " or ".join(pythons))
            continue
        python = virtual_environment("core-" + core, interpreter, ["ansible-core~=%s.0" % core, *MATRIX_TOOLS])
        try:
            unit_tests(run, ["tests/unit"], python, "units under ansible-core " + core)
        except Failed as failure:
            failures.append("ansible-core %s: %s" % (core, failure))
    if failures:
        raise Failed("; ".join(failures))


def preview(run):
    """Draw the dashboards, the report and vmui's pages, and look for what nobody could read."""
    pictures = os.path.join(CACHE, "preview-pictures")
    vmui = ["--vmui"]
    if subprocess.call([sys.executable, os.path.join(ROOT, "lab", "cache.py"), "status", "--only", "victoriametrics"]) != 0:
        run.skip("pictures of vmui", "Debian's VictoriaMetrics has none; make lab-cache builds one")
        vmui = []
    command([sys.executable, "dashboards/preview/preview.py", "--programs", programs(), "--pictures", pictures,
             "--modules", os.path.join(os.environ["ACCELMON_PREVIEW"], "node_modules"), *vmui])
    say("pictures are in " + pictures)


def grafana():
    """Run Grafana's own image with the files of its role."""
    command([sys.executable, "tests/grafana_image.py", "--programs", programs()])


# In the order in which they begin: what needs no image first, while the scenarios build theirs; last what can use every core, which are free once
# the scenarios have ended. Molecule has a job for each scenario.
PARTS = {"lint": lint, "build": build, "galaxy": galaxy, "sanity": sanity, "molecule": None, "rules": rules, "live": live, "units": units,
         "mutations": mutations, "quiet": quiet, "matrix": matrix, "preview": None, "grafana": None}
# What is quick, and worth it before each commit.
CHECKS = ["lint", "units", "rules"]


def jobs_of(run):
    """Return the jobs of the wanted parts: one each, but one for each scenario of molecule."""
    jobs = []
    for name in run.parts:
        if name == "molecule":
            jobs += [Job("molecule " + scenario, functools.partial(molecule, run, scenario)) for scenario in scenarios(run)]
        elif name == "preview":
            # Set by tests/setup.sh --preview.
            if os.environ.get("ACCELMON_PREVIEW"):
                jobs.append(Job(name, functools.partial(preview, run)))
        elif name == "grafana":
            if os.environ.get("GRAFANA_IMAGE"):
                jobs.append(Job(name, grafana))
        else:
            jobs.append(Job(name, functools.partial(PARTS[name], run)))
    return jobs


def side_by_side(jobs):
    """Run jobs, several at a time, and print the output of each when it ends."""
    os.makedirs(LOGS, exist_ok=True)
    print("%d jobs, side by side; until they end their output is in %s" % (len(jobs), LOGS), flush=True)
    lanes = {name: concurrent.futures.ThreadPoolExecutor(number) for name, number in LANES.items()}
    try:
        waiting = {lanes[job.lane].submit(job.run_logged): job for job in jobs}
        while waiting:
            ended = concurrent.futures.wait(waiting, HEARTBEAT_SECONDS, concurrent.futures.FIRST_COMPLETED).done
            for future in ended:
                report(waiting.pop(future))
            if not ended:
                for job in waiting.values():
                    if job.begun:
                        print("... %s runs for %.0f s: %s" % (job.name, time.monotonic() - job.begun, job.last_line()), flush=True)
    except BaseException:
        # The commands were interrupted as well.
        Job.stopped.set()
        raise
    finally:
        for lane in lanes.values():
            lane.shutdown(cancel_futures=True)


def report(job):
    """Print what a job that has ended wrote to its log."""
    print("\n=== %s: %s after %.0f s" % (job.name, "failed" if job.failure else "passed", job.seconds))
    with open(job.log, encoding="utf-8") as stream:
        shutil.copyfileobj(stream, sys.stdout)
    sys.stdout.flush()


def fixtures():
    """Return {kind: [paths]} of the test fixtures by what they say of themselves, and "unlabelled" ones."""
    found = {kind: [] for kind in FIXTURE_KINDS + ("unlabelled",)}
    for path in tracked():
        if not re.search(r"(^|/)fixtures/", path) or path.endswith((".py", "README.md")):
            continue
        labels = [os.path.join(ROOT, path)]
        # A file in a format without comments, or a folder that stands for a file system, is labelled by the README beside or above it.
        folder = os.path.dirname(path)
        while "fixtures" in folder:
            labels.append(os.path.join(ROOT, folder, "README.md"))
            folder = os.path.dirname(folder)
        for label in labels:
            if os.path.exists(label):
                with open(label, "rb") as stream:
                    head = stream.read(400).decode(errors="replace").lower()
                said = re.search("|".join(FIXTURE_KINDS), head)
                if said:
                    found[said.group()].append(path)
                    break
        else:
            found["unlabelled"].append(path)
    return found


def always_not_run(run):
    """Note what no machine like this one can run."""
    if run.paths is not None:
        run.skip("all else than lint, units and rules of %d changed files" % len(run.paths), "make test runs it")
    elif not run.everything:
        run.skip("molecule scenarios other than %s, and the tests marked %s; weakened alerts; a quiet day; units under other ansible-core releases"
                 % (", ".join(USUAL_SCENARIOS), COSTLY), "make test-all runs them")
    if run.paths is None and not os.environ.get("ACCELMON_PREVIEW"):
        run.skip("pictures of the dashboards and the report", "make preview draws them; it needs node and Chromium")
    if run.paths is None and not os.environ.get("GRAFANA_IMAGE"):
        run.skip("a real Grafana", "set GRAFANA_IMAGE to its image with the digest, and run make test-all where it can be pulled")
    if "molecule" in run.parts:
        run.skip("Ubuntu, Rocky and EL hosts", "their images need a registry; the lab's are Debian 12 and 13")
        run.skip("real accelerators", "simulated: below the vendor tool for NVIDIA, below sysfs for AMD; make hardware checks real ones")
        run.skip("limits on memory, CPU, tasks and priority of services", "containers do not enforce them; asserted as settings only")


def main(argv):
    """Run parts and print the summary. Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("parts", nargs="*", metavar="PART", choices=list(PARTS) + [[]], help=" ".join(PARTS))
    much = parser.add_mutually_exclusive_group()
    much.add_argument("--all", action="store_true", help="every scenario and every ansible-core")
    much.add_argument("--changed", action="store_true", help="lint, units and rules of what differs from the main branch")
    options = parser.parse_args(argv)
    parts = options.parts or (CHECKS if options.changed else [name for name in PARTS if name not in EXTRA_PARTS or options.all])
    run = Run(options.all, parts, changed.changed(ROOT) if options.changed else None)
    begin = time.monotonic()
    # Most of what the run before left there is of programs that tests wrote.
    shutil.rmtree(os.path.join(CACHE, "bytecode", MINE), ignore_errors=True)
    jobs = jobs_of(run)
    if len(jobs) > 1:
        side_by_side(jobs)
    else:
        for job in jobs:
            print("\n=== %s" % job.name, flush=True)
            job.run()
    always_not_run(run)
    summary(jobs, run.not_run, time.monotonic() - begin)
    return 1 if any(job.failure for job in jobs) else 0


def summary(jobs, not_run, seconds):
    """Print what passed, what failed and why, and what was not run."""
    print("\n=== summary")
    for job in jobs:
        why = "  " + job.failure.replace("\n", "\n  ") if job.failure else ""
        print("%-21s %-7s %5.0f s%s" % (job.name, "failed" if job.failure else "passed", job.seconds, why))
    print("%-29s %5.0f s" % ("all", seconds))
    counted = fixtures()
    print("%-21s %s" % ("fixtures", ", ".join("%d %s" % (len(paths), kind) for kind, paths in counted.items() if paths or kind != "unlabelled")))
    print("NOT RUN")
    for what, why in not_run:
        print("  %s: %s" % (what, why))
    failed = sum(1 for job in jobs if job.failure)
    print("%d passed, %d failed" % (len(jobs) - failed, failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
