# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the tests and sum them up: what passed, what failed, and what was not run and why.

    tests/setup.sh [--lab] python tests/run.py [--all] [PART...]

Parts: lint build sanity units rules molecule, and with --all also matrix. Without a name, all of them run.
"""

import argparse
import ast
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
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"), "accelmon")
PYTHON = "%d.%d" % sys.version_info[:2]
# Nothing that the parts start may take longer: a hang must end as a failure that is named.
LIMIT_SECONDS = 2700
# The summary names so many failures of one command; the output above it has all.
LISTED_FAILURES = 20
# Code that runs on nodes has to be understood by this Python, the platform Python of EL 8.
OLDEST = (3, 6)
# (ansible-core, the Pythons its controller runs on) beside the one the tools are made with.
MATRIX = (("2.16", ("3.10", "3.11", "3.12")), ("2.17", ("3.10", "3.11", "3.12")), ("2.18", ("3.11", "3.12", "3.13")),
          ("2.20", ("3.12", "3.13")), ("2.21", ("3.12", "3.13")))
# What the unit tests need there beside ansible-core.
MATRIX_TOOLS = ("pytest", "hypothesis>=6.100,<7")
# The scenarios of `make test`; `make test-all` runs every one.
USUAL_SCENARIOS = ["default", "prometheus"]
# Scenarios that need archives which make lab-cache builds, and which.
BUILT_FOR = {"release": "node_exporter,victoriametrics,vmutils", "all_smi": "all_smi,all_smi_mock"}
# What a fixture says of itself in its first words; "derived" is from documentation or public samples.
FIXTURE_KINDS = ("recorded", "derived", "guessed")


class Failed(Exception):
    """A part failed. The text says what."""


class Run:
    """What one invocation was asked for, and what it found out besides success: reasons for what was not run."""

    def __init__(self, everything, parts):
        self.everything = everything
        self.parts = parts
        self.not_run = []

    def skip(self, what, why):
        """Note that something was not run."""
        if (what, why) not in self.not_run:
            self.not_run.append((what, why))


def environment(**more):
    """Return the environment for a part: nothing is written into the checkout or the home folder if it can be helped."""
    # pytest cuts the reasons in its summary at the width of what it takes for a terminal.
    env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", ANSIBLE_HOME=os.path.join(CACHE, "ansible-home"), ANSIBLE_NOCOWS="1", NO_COLOR="1", COLUMNS="160")
    env.update(more)
    return env


def command(argv, cwd=ROOT, env=None):
    """Run a command with its output on ours. Raise Failed, with what the output says of it, when it fails or hangs."""
    print("$ " + " ".join(argv[:9]) + (" ..." if len(argv) > 9 else ""), flush=True)
    try:
        process = subprocess.Popen(argv, cwd=cwd, env=env or environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except FileNotFoundError:
        raise Failed("%s: is not installed; run this through tests/setup.sh" % argv[0])
    said = []
    # A thread, because what a killed command has started may keep the pipe open.
    reader = threading.Thread(target=relay, args=(process.stdout, said), daemon=True)
    reader.start()
    try:
        code = process.wait(timeout=LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise Failed("%s: took longer than %s seconds" % (argv[0], LIMIT_SECONDS))
    reader.join(timeout=10)
    if code != 0:
        raise Failed("\n".join(["%s: exit status %d" % (" ".join(argv[:4]), code)] + said[:LISTED_FAILURES]))


def relay(stream, said):
    """Print a command's output as it comes, and collect what its lines say of failures."""
    for line in stream:
        text = line.decode(errors="replace")
        sys.stdout.write(text)
        sys.stdout.flush()
        said.extend(failures_in(text))


def failures_in(line):
    """Return what a line of output says failed: tests as pytest sums them up, also inside of a task's result; a task's message; a place that sanity names."""
    tests = re.findall(r'(?:FAILED|ERROR) [^\s"\\]+\.py::.*?(?=\\n|"|$)', line.rstrip())
    tests += re.findall(r"^ERROR: \S+:\d+:\d+: .*", line.rstrip())
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


def lint(dummy):
    """Check form: YAML, Ansible content, the changelog, the documentation of plugins and roles, the labels of fixtures."""
    every(
        ["yamllint", "--strict", "."],
        ["ansible-lint", "--offline", "--profile", "production"],
        ["antsibull-changelog", "lint"],
        ["antsibull-docs", "lint-collection-docs", "--plugin-docs", ROOT],
        label_fixtures,
    )


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
    extra = sorted(set(os.listdir(folder)) & {"tests", "molecule", "lab", "benchmarks", "Makefile", ".ci", ".collections", ".cache"})
    if extra:
        raise Failed("the built collection holds %s; add it to build_ignore" % ", ".join(extra))


def sanity(run):
    """Run ansible-test sanity in a copy, because it needs a path ending in ansible_collections/NAMESPACE/NAME."""
    copy = copy_tracked(os.path.join(CACHE, "sanity", hashlib.sha256(ROOT.encode()).hexdigest()[:8], "ansible_collections", "accelmon", "fleet"))
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
    every(lambda: unit_tests(run), lambda: old_python(run))


def unit_tests(run, python=sys.executable, title="units"):
    """Run the unit tests with one Python, and note what it left out."""
    env = environment(PYTHONPATH=os.path.join(ROOT, ".collections"), ANSIBLE_COLLECTIONS_PATH=os.path.join(ROOT, ".collections"))
    # Some tests use real programs. The lab has them; its image is not built for the unit tests alone.
    if "rules" in run.parts or glob.glob(os.path.join(CACHE, "tools-*")):
        env.setdefault("ACCELMON_PROGRAMS", programs())
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.xml")
        try:
            command([python, "-m", "pytest", "-q", "-rfEs", "-p", "no:cacheprovider", "--junit-xml", report, "tests/unit"], env=env)
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
        print("%d files that run on nodes, parsed by %s" % (len(files), interpreter))
        script = "import ast, sys\nfor path in sys.argv[1:]: ast.parse(open(path, encoding='utf-8').read(), path)"
        command([interpreter, "-c", script, *files])
        # Modules themselves import parts of ansible-core, of which releases that know this Python are no longer installed here.
        names = [path[:-len(".py")].replace("/", ".") for path in files if path.startswith("plugins/module_utils/") and os.path.basename(path) != "__init__.py"]
        print("%d module_utils, imported by it" % len(names))
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
    print("%d files that run on nodes, parsed with the grammar of Python %s" % (len(files), version))


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


def rules(dummy):
    """Prove the alert and recording rules with the programs that evaluate them."""
    command([sys.executable, "tests/rules/run.py", "--programs", programs()])


def molecule(run):
    """Run the usual molecule scenarios; with --all every one."""
    every_one = sorted(os.path.basename(os.path.dirname(path)) for path in glob.glob(os.path.join(ROOT, "molecule/*/molecule.yml")))
    scenarios = USUAL_SCENARIOS + [name for name in every_one if run.everything and name not in USUAL_SCENARIOS]
    env = environment(MOLECULE_GLOB="molecule/*/molecule.yml", ANSIBLE_COLLECTIONS_PATH=os.path.join(ROOT, ".collections"))
    checks = []
    for scenario in scenarios:
        built = BUILT_FOR.get(scenario)
        if built and subprocess.call([sys.executable, os.path.join(ROOT, "lab", "cache.py"), "status", "--only", built]) != 0:
            run.skip("molecule scenario " + scenario, "its archives are not built; make lab-cache builds them")
            continue
        checks.append(functools.partial(command, ["molecule", "test", "--scenario-name", scenario], env=env))
    every(*checks)


def matrix(run):
    """Run the unit tests under other releases of ansible-core, each in an environment of its own."""
    failures = []
    for core, pythons in MATRIX:
        interpreter = next((path for path in map(find_python, pythons) if path), None)
        if not interpreter:
            run.skip("units under ansible-core " + core, "needs Python %s" % " or ".join(pythons))
            continue
        folder = os.path.join(CACHE, "venv-core-%s-%s" % (core, hashlib.sha256(" ".join((interpreter,) + MATRIX_TOOLS).encode()).hexdigest()[:8]))
        python = os.path.join(folder, "bin", "python")
        if not os.path.exists(os.path.join(folder, "complete")):
            shutil.rmtree(folder, ignore_errors=True)
            command([interpreter, "-m", "venv", folder])
            command([python, "-m", "pip", "install", "--quiet", "ansible-core~=%s.0" % core] + list(MATRIX_TOOLS))
            with open(os.path.join(folder, "complete"), "w", encoding="utf-8"):
                pass
        try:
            unit_tests(run, python, "units under ansible-core " + core)
        except Failed as failure:
            failures.append("ansible-core %s: %s" % (core, failure))
    if failures:
        raise Failed("; ".join(failures))


PARTS = {"lint": lint, "build": build, "sanity": sanity, "units": units, "rules": rules, "molecule": molecule, "matrix": matrix}


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
    if not run.everything:
        run.skip("molecule scenarios other than %s; units under other ansible-core releases" % ", ".join(USUAL_SCENARIOS), "make test-all runs them")
    if "molecule" in run.parts:
        run.skip("Ubuntu, Rocky and EL hosts", "their images need a registry; the lab's are Debian 12 and 13")
        run.skip("real accelerators", "simulated: below the vendor tool for NVIDIA, below sysfs for AMD")
        run.skip("limits on memory, CPU, tasks and priority of services", "containers do not enforce them; asserted as settings only")


def main(argv):
    """Run parts and print the summary. Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("parts", nargs="*", metavar="PART", choices=list(PARTS) + [[]], help=" ".join(PARTS))
    parser.add_argument("--all", action="store_true", help="every scenario and every ansible-core")
    options = parser.parse_args(argv)
    parts = options.parts or [name for name in PARTS if name != "matrix" or options.all]
    run = Run(options.all, parts)
    results = []
    for name in parts:
        print("\n=== %s" % name, flush=True)
        begin, why = time.monotonic(), ""
        try:
            PARTS[name](run)
        except Failed as failure:
            why = str(failure)
        results.append((name, why, time.monotonic() - begin))
    always_not_run(run)

    print("\n=== summary")
    for name, why, seconds in results:
        print("%-9s %-7s %5.0f s%s" % (name, "failed" if why else "passed", seconds, "  " + why.replace("\n", "\n  ") if why else ""))
    counted = fixtures()
    print("fixtures  %s" % ", ".join("%d %s" % (len(paths), kind) for kind, paths in counted.items() if paths or kind != "unlabelled"))
    print("NOT RUN")
    for what, why in run.not_run:
        print("  %s: %s" % (what, why))
    failed = sum(1 for dummy, why, dummy in results if why)
    print("%d passed, %d failed" % (len(results) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
