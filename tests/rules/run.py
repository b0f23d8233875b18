# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prove rules and scrape configuration with the programs that will read them.

    tests/rules/run.py [--programs DIR] [--allow-missing] [--only CASES] [check] [unit] [day] [live] [hostile] [dashboards]

check  the checkers of Prometheus and VictoriaMetrics accept what we render
unit   cases/*.yml, evaluated by promtool and by vmalert-tool
day    a generated fleet that works, and a few faults in it (see day.py)
live   real scrapers and a real storage, on loopback (see live.py); a restart of vmalert (see restart.py)
hostile  the same, and nodes that mean harm (see hostile.py and doubled.py)
dashboards  every panel has data, and the same from both storages (see dashboard_answers.py)

Needs promtool, prometheus, vmalert, vmalert-tool, vmagent and victoria-metrics in DIR or on PATH. What cannot run is
printed as "not run" and counts as a failure unless --allow-missing is given.
"""

import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(os.path.dirname(HERE)), ".collections"), HERE]

# pylint: disable=wrong-import-position
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.alerts import alert_file, changes
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.error_series import INFO, info_rules
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.inputs import of_alerts as inputs_of_alerts
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.recording import recording_file
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.rollups import relabelling
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.scrape import scrape_file
import expositions

# libyaml, where it is there: the files have thousands of lines, and Python alone takes ten times as long.
LOADER, DUMPER = getattr(yaml, "CSafeLoader", yaml.SafeLoader), getattr(yaml, "CSafeDumper", yaml.SafeDumper)
STEP = "1m"
# A hang must end as a failure. The evaluation of all cases takes minutes, and many of them on a busy machine.
HANG_SECONDS = 2400
NO_ALERTS = ("health", "jobs", "labels", "layers", "messages", "pages", "quiet", "recording", "sources", "stragglers")
OPTIONS = {"node_exporter": "[::1]:9100", "cluster": "c1", "node": "mon",
           "stack": {"victoriametrics": "127.0.0.1:8428", "vmagent": "127.0.0.1:8429", "vmalert": "127.0.0.1:8880"}}
PLACE = {"url": "https://global.example:8428/api/v1/write", "user": "accelmon-site", "password_file": "/etc/accelmon/secrets/global_password", "ca_file": ""}
OVERRIDES = {"HostDown": {"for": "1h30m", "severity": "warning"}, "AcceleratorCollectorStale": {"threshold": "90s"},
             "ExporterDown": {"enabled": False}}


class Missing(Exception):
    """A program that is not there."""


class Programs:
    """Finds programs in one directory, or on PATH without one."""

    def __init__(self, directory=None):
        self.directory = directory

    def path(self, name):
        """Path of the program, else Missing."""
        found = shutil.which(name, path=self.directory)
        if not found:
            raise Missing(name)
        return found

    def run(self, name, *arguments, timeout=HANG_SECONDS, prefix=()):
        """Its output; raises AssertionError with the output when it fails or hangs. The prefix is a command that starts it."""
        try:
            done = subprocess.run([*prefix, self.path(name), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired as hang:
            raise AssertionError(f"{name}: took longer than {timeout} seconds") from hang
        assert done.returncode == 0, f"{name} {' '.join(arguments)}: {done.returncode}\n{done.stdout[-6000:]}"
        return done.stdout


def own_network():
    """A command that starts another in a network of its own, where this machine allows that.

    vmalert-tool listens on port 8880 and cannot be told another, which a running vmalert or `make demo` may have.
    """
    prefix = ["unshare", "--net", "--map-root-user", "sh", "-c", 'ip link set lo up && exec "$0" "$@"']
    try:
        possible = subprocess.run([*prefix, "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0
    except FileNotFoundError:
        possible = False
    return prefix if possible else []


def write(folder, name, text):
    """Path of a new file with the text."""
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as handle:
        handle.write(text)
    return path


def parsed(text):
    """The data of YAML text."""
    return yaml.load(text, Loader=LOADER)


def dumped(data):
    """YAML text of data, in its order."""
    return yaml.dump(data, Dumper=DUMPER, sort_keys=False)


def cases(name):
    """What cases/<name>.yml holds."""
    with open(os.path.join(HERE, "cases", f"{name}.yml"), encoding="utf-8") as handle:
        return parsed(handle)


def alert_cases():
    """{alert: its cases} from the files named like alerts."""
    names = [os.path.splitext(os.path.basename(path))[0] for path in glob.glob(os.path.join(HERE, "cases", "*.yml"))]
    return {name: cases(name) for name in sorted(names) if name not in NO_ALERTS}


def input_series(series):
    """The series of a case as the test files of both programs want them.

    Values are text: YAML would read an unquoted 0x20 (twenty-one zeros here) as a number.
    """
    assert all(isinstance(values, str) for values in series.values()), series
    return [{"series": name, "values": values} for name, values in series.items()]


def inputs(case):
    """{series: values} of a case: of the pages that it scrapes, what is recorded of the error codes that it names, and its own."""
    scraped = {name: " ".join([value] * 30) for scrape in case.get("scrapes", [])
               for name, value in expositions.series(expositions.page(scrape["page"]), scrape["job"], scrape["target"]).items()}
    recorded = {"%s{%s}" % (rule["record"], ",".join(f'{name}="{value}"' for name, value in rule["labels"].items())): "1x3000"
                for rule in info_rules() if "{kind} {code}".format(**rule["labels"]) in case.get("codes", ())}
    return {**scraped, **recorded, **case.get("series", {})}


def alert_tests(only=()):
    """{(name, how often rules are evaluated): tests} of alerts, in the form that promtool and vmalert-tool share. only: names of case files, all without any.

    A case that takes days says with `evaluated` that its rules are evaluated more rarely: each time costs a query. A time without `fires` expects
    that the alert does not fire then. An alert is evaluated alone, and those of "quiet" all together.
    """
    known = {alert["alert"]: alert for alert in load("alerts")["alerts"]}
    tests = {}
    for name, listed in alert_cases().items():
        if only and name not in only:
            continue
        fixed = {"severity": known[name]["severity"], "scope": known[name]["scope"]}
        for case in listed:
            expected = [{
                "eval_time": moment["at"],
                "alertname": name,
                "exp_alerts": [{"exp_labels": {**alert["labels"], **fixed}, "exp_annotations": {"summary": alert["summary"]}}
                               for alert in moment.get("fires", [])],
            } for moment in case["expect"]]
            tests.setdefault((name, case.get("evaluated", STEP)), []).append({
                "name": f"{name}: {case['name']}", "interval": case.get("interval", STEP), "input_series": input_series(inputs(case)),
                "alert_rule_test": expected})
    for case in cases("quiet") if not only or "quiet" in only else []:
        expected = [{"eval_time": moment, "alertname": name, "exp_alerts": []}
                    for moment in case["quiet"] for name in known if name != "Watchdog"]
        tests.setdefault(("quiet", case.get("evaluated", STEP)), []).append({
            "name": f"quiet: {case['name']}", "interval": case.get("interval", STEP), "input_series": input_series(case["series"]),
            "alert_rule_test": expected})
    return tests


def layer_parts():
    """[(name, how often they are evaluated, text of the rules, tests)] of cases/layers.yml: each case has rules made with its own options."""
    made = []
    for number, case in enumerate(cases("layers")):
        options = {**case["options"], "hosts": [changes(host, per_host=True) for host in case["options"].get("hosts", [])]}
        expected = [{"eval_time": moment["at"], "alertname": case["alert"],
                     "exp_alerts": [{"exp_labels": alert, "exp_annotations": case["annotations"]} for alert in moment.get("fires", [])]}
                    for moment in case["expect"]]
        groups = parsed(alert_file(**options))["groups"]
        rules = [{**rule, "annotations": {key: rule["annotations"][key] for key in case["annotations"]}}
                 for group in groups for rule in group["rules"] if rule["alert"] == case["alert"]]
        made.append((f"layers-{number}", STEP, dumped({"groups": [{"name": "layers", "rules": rules}]}),
                     [{"name": case["name"], "interval": STEP, "input_series": input_series(case["series"]), "alert_rule_test": expected}]))
    return made


def labelled(selector, labels):
    """A series as both programs want an expected one: the selector's labels and these."""
    name, _brace, fixed = selector.rstrip("}").partition("{")
    return "%s{%s}" % (name, ",".join(filter(None, [fixed] + [f'{key}="{value}"' for key, value in labels.items()])))


def source_cases():
    """The cases of sources.yml, stragglers.yml, jobs.yml and health.yml, in the form of recording.yml's one."""
    made = []
    for case in cases("sources") + cases("stragglers") + cases("jobs") + cases("health"):
        expect = {selector: {labelled(selector, case["names"][name]): value for name, value in samples.items()}
                  for selector, samples in case["expect"].items()}
        made.append({"name": case["name"], "interval": case.get("interval", STEP), "series": inputs(case), "at": case.get("at", "8m"), "expect": expect})
    return made


def page_variants():
    """[(node, job, text, devices by vendor)]: every page as it is, and some of them broken."""
    case = cases("pages")
    made = [(name, spec["job"], expositions.page(name), spec.get("devices", {})) for name, spec in case["pages"].items()]
    whole, broken = {entry[0]: entry for entry in made}, case["broken"]
    for name in broken["pages"]:
        _name, job, text, devices = whole[name]
        changed = [(f"values {value}", expositions.with_values(text, value)) for value in broken["values"]]
        changed += [(f"{label} {word}", expositions.with_label(text, label, word)) for label in broken["labels"] for word in broken["texts"]
                    if label not in broken["kept"].get(name, ())]
        made += [(f"{name} {what}", job, page, devices) for what, page in changed if page != text]
    return made


def page_case():
    """All pages at once, each from a node of its own, and broken ones too: as many devices as there are, and no value out of bounds."""
    scraped, counts = {}, {}
    for node, job, text, devices in page_variants():
        scraped.update(expositions.series(text, job, {"cluster": "c1", "node": node}))
        counts.update({labelled("node:accelerator_info:count", {"cluster": "c1", "node": node, "vendor": vendor}): count
                       for vendor, count in devices.items()})
    expect = {"node:accelerator_info:count": counts}
    for item in load("series")["devices"]:
        if "bounds" in item:
            lowest, highest = item["bounds"]
            above = item.get("zero") == "unread"
            expect[f"{item['name']} {'<=' if above else '<'} {lowest} or {item['name']} > {highest}"] = {}
    return {"name": "every page", "series": {name: " ".join([value] * 10) for name, value in scraped.items()}, "at": "8m", "expect": expect}


def documented_case():
    """The queries about labels in docs/series.md, in their order, and what they have to answer."""
    with open(os.path.join(os.path.dirname(os.path.dirname(HERE)), "docs", "series.md"), encoding="utf-8") as handle:
        section = handle.read().partition("\n## Labels of your own\n")[2].partition("\n## ")[0]
    queries, case = re.findall(r"```promql\n(.*?)```", section, re.DOTALL), cases("labels")
    assert len(queries) == len(case["expect"]), queries
    return {"name": "labels of the site", **case, "expect": dict(zip(queries, case["expect"]))}


def recording_cases():
    """The case of recording.yml and those in its form."""
    case = cases("recording")
    return [{**case, "name": "recording layer", "expect": {name: {name + labels: value for labels, value in samples.items()}
                                                           for name, samples in case["expect"].items()}}] + source_cases()


def recording_tests(kind, made):
    """Tests of the recording layer from cases; kind: promql_expr_test or metricsql_expr_test."""
    return [{"name": test["name"], "interval": test.get("interval", STEP), "input_series": input_series(test["series"]), kind: [{
        "expr": selector,
        "eval_time": test["at"],
        "exp_samples": [{"labels": name, "value": value} for name, value in samples.items()],
    } for selector, samples in test["expect"].items()]} for test in made]


def message_tests():
    """{alert: tests} of descriptions that look something up."""
    tests = {}
    for case in cases("messages"):
        tests.setdefault(case["alert"], []).append({
            "name": case["name"], "interval": STEP, "input_series": input_series(inputs(case)), "alert_rule_test": [
                {"eval_time": case["at"], "alertname": case["alert"], "exp_alerts": [
                    {"exp_labels": case["labels"], "exp_annotations": {"description": case["description"]}}]}]})
    return tests


def with_one_annotation(groups, alert, name):
    """A file with the rules of one alert of these groups, or of all for quiet, and the one annotation that the cases state; the checkers see the others."""
    rules = [{**rule, "annotations": {name: rule["annotations"][name]}} for group in groups for rule in group["rules"]
             if alert in ("quiet", rule["alert"])]
    return dumped({"groups": [{"name": alert, "rules": rules}]})


def rule_files(folder, backend):
    """Paths of all variants of rule files that we can write for a backend."""
    return [
        *[write(folder, f"recording-{interval}.yml", recording_file(interval, backend)) for interval in ("1s", "5s", "15s", "2m")],
        write(folder, "sites.yml", recording_file("15s", backend, ["east", "west"])),
        write(folder, "alerts.yml", alert_file({})),
        write(folder, "overridden.yml", alert_file(OVERRIDES)),
        write(folder, "layers.yml", alert_file(hosts=[{"HostDown": {"severity": "warning"}}], labels=["team"], runbook_url="https://wiki.example.com")),
        write(folder, "inputs.yml", input_file()),
        write(folder, "none.yml", alert_file({alert["alert"]: {"enabled": False} for alert in load("alerts")["alerts"]})),
    ]


def input_file():
    """Text of a file of rules with what verify asks about each reading."""
    readings = inputs_of_alerts("15s", {}, None)["readings"]
    return dumped({"groups": [{"name": "inputs", "rules": [{"record": name, "expr": reading["present"]} for name, reading in readings.items()]}]})


def check_rules_promtool(programs, folder):
    """promtool accepts all rule files."""
    programs.run("promtool", "check", "rules", *rule_files(folder, "prometheus"))


def check_rules_vmalert(programs, folder):
    """vmalert accepts all rule files, expressions and templates included."""
    programs.run("vmalert", "-dryRun", *[f"-rule={path}" for path in rule_files(folder, "victoriametrics")])


def check_scrape_promtool(programs, folder):
    """promtool accepts the scrape configuration for Prometheus."""
    path = write(folder, "prometheus.yml", scrape_file({**OPTIONS, "backend": "prometheus", "global_place": [PLACE]}))
    programs.run("promtool", "check", "config", path)


def check_scrape_vmagent(programs, folder):
    """vmagent accepts every key of the scrape configuration."""
    for interval in ("1s", "5s", "15s", "1m"):
        path = write(folder, f"vmagent-{interval}.yml", scrape_file({**OPTIONS, "scrape_interval": interval, "global_place": [PLACE]}))
        programs.run("vmagent", "-dryRun", "-promscrape.config.strictParse", f"-promscrape.config={path}",
                     "-remoteWrite.url=http://127.0.0.1:1/", f"-remoteWrite.url={PLACE['url']}", *rollup_arguments(folder))


def rollup_arguments(folder):
    """Arguments by which vmagent chooses what it writes to its own storage and to the global place, with the files that they name."""
    made = relabelling([{}, {"gets": "global"}], folder)
    for one in made["files"]:
        write(folder, os.path.basename(one["path"]), one["content"])
    return made["arguments"]


def with_constants(text, codes=("79",)):
    """Rules with what is known of a few error codes instead of all: they are alike, and each costs vmalert-tool a query for every moment."""
    groups = parsed(text)["groups"]
    return dumped({"groups": [{**group, "rules": [rule for rule in group["rules"] if rule.get("record") != INFO or rule["labels"]["code"] in codes]}
                              for group in groups]})


def unit_files(folder, kind, only):
    """Paths of the files of tests: each alert and what is recorded know nothing of each other, and are evaluated apart, at moments of the tests' own."""
    groups = parsed(alert_file({}))["groups"]
    parts = [(f"{name}-{evaluated}", evaluated, with_one_annotation(groups, name, "summary"), tests)
             for (name, evaluated), tests in alert_tests(only).items()]
    parts += layer_parts() if not only or "layers" in only else []
    if not only or "messages" in only:
        parts += [(f"message-{name}", STEP, with_one_annotation(groups, name, "description"), tests) for name, tests in message_tests().items()]
    if not only or "recording" in only:
        rules = with_constants(recording_file("15s"))
        # Each evaluation costs a query for every rule, so there are only as many as what is computed from recorded series needs. The pages and labels need
        # none of these.
        paces = {"2m": [], "1m": [], "4m": [page_case(), documented_case()]}
        for case in recording_cases():
            paces["1m" if int(case["at"].rstrip("m")) % 2 else "2m"].append(case)
        parts += [(f"recording-{pace}", pace, rules, recording_tests(kind, made)) for pace, made in paces.items()]
    paths = []
    for name, evaluated, text, tests in parts:
        test = {"rule_files": [write(folder, f"{name}.yml", text)], "evaluation_interval": evaluated, "tests": tests}
        paths.append(write(folder, f"test-{name}.yml", dumped(test)))
    return paths


def unit_promtool(programs, folder, only=()):
    """All cases hold in Prometheus."""
    programs.run("promtool", "test", "rules", *unit_files(folder, "promql_expr_test", only))


def unit_vmalert(programs, folder, only=()):
    """All cases hold in VictoriaMetrics."""
    files = [f"--files={path}" for path in unit_files(folder, "metricsql_expr_test", only)]
    # It keeps its data in a folder of a fixed name, which another run beside this one would take away.
    programs.run("vmalert-tool", "unittest", "--disableAlertgroupLabel", *files, prefix=[*own_network(), "env", f"TMPDIR={folder}"])


def live_vmagent(programs, folder):
    """Relabelling by vmagent, stored by VictoriaMetrics."""
    import live  # pylint: disable=import-outside-toplevel
    live.fleet(programs, folder, "vmagent")


def live_prometheus(programs, folder):
    """Relabelling by Prometheus."""
    import live  # pylint: disable=import-outside-toplevel
    live.fleet(programs, folder, "prometheus")


def restart_vmalert(programs, folder):
    """Alerts go on where they were after a restart of vmalert."""
    import restart  # pylint: disable=import-outside-toplevel
    restart.restarted(programs, folder)


def hostile_vmagent(programs, folder):
    """Nodes that forge, lead elsewhere and flood, scraped by vmagent."""
    import hostile  # pylint: disable=import-outside-toplevel
    hostile.nodes(programs, folder, "vmagent")


def hostile_prometheus(programs, folder):
    """Nodes that forge, lead elsewhere and flood, scraped by Prometheus."""
    import hostile  # pylint: disable=import-outside-toplevel
    hostile.nodes(programs, folder, "prometheus")


def doubled_vmagent(programs, folder):
    """A node that tells everything twice breaks no rule, scraped by vmagent."""
    import doubled  # pylint: disable=import-outside-toplevel
    doubled.fleet(programs, folder, "vmagent")


def doubled_prometheus(programs, folder):
    """A node that tells everything twice breaks no rule, scraped by Prometheus."""
    import doubled  # pylint: disable=import-outside-toplevel
    doubled.fleet(programs, folder, "prometheus")


def dashboards_answered(programs, folder):
    """Every panel of the dashboards has data, the same from both storages."""
    import dashboard_answers  # pylint: disable=import-outside-toplevel
    dashboard_answers.answered(programs, folder, cases("stragglers")[0]["series"])


def day_prometheus(programs, folder):
    """A generated day with a few faults raises exactly their alerts."""
    import day  # pylint: disable=import-outside-toplevel
    day.smoke(programs, folder)


STEPS = {
    "check": [check_rules_promtool, check_rules_vmalert, check_scrape_promtool, check_scrape_vmagent],
    "unit": [unit_promtool, unit_vmalert],
    "day": [day_prometheus],
    "live": [live_vmagent, live_prometheus, restart_vmalert],
    "hostile": [hostile_vmagent, hostile_prometheus, doubled_vmagent, doubled_prometheus],
    "dashboards": [dashboards_answered],
}


def main(arguments=None):
    """Runs the chosen steps; 0 when all of them ran and held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", metavar="STEP", help="check, unit, day, live, hostile, dashboards; all without any")
    parser.add_argument("--programs", metavar="DIR", help="where the programs are; PATH without it")
    parser.add_argument("--only", metavar="CASES", type=lambda names: names.split(","), default=[],
                        help="of the step unit: names of files in cases/, with commas between")
    parser.add_argument("--allow-missing", action="store_true", help="do not fail for what cannot run here")
    options = parser.parse_args(arguments)
    for step in options.steps:
        if step not in STEPS:
            parser.error(f"no step {step}; there are {', '.join(STEPS)}")
    programs = Programs(options.programs)
    failed = missing = 0
    for step in options.steps or STEPS:
        for test in STEPS[step]:
            what = re.sub(r"\.$", "", test.__doc__)
            with tempfile.TemporaryDirectory(prefix="accelmon-rules-") as folder:
                try:
                    test(programs, folder, *([options.only] if step == "unit" else []))
                    print(f"ok       {what}", flush=True)
                except Missing as error:
                    missing += 1
                    print(f"not run  {what}: {error} missing", flush=True)
                except (AssertionError, subprocess.TimeoutExpired) as error:
                    failed += 1
                    print(f"FAILED   {what}\n{error}", flush=True)
    return 1 if failed or (missing and not options.allow_missing) else 0


if __name__ == "__main__":
    sys.exit(main())
