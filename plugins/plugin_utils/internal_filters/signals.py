# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Internal filters about signals: files of rules, their groups, where alerts go, and what is compared."""
from __future__ import annotations

import base64
import json
import time

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.replay import RECORDED
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load, plain
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.filters import as_answer, as_filter, internal
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import alerting, answers as who, chosen, hosts as fleet, notified
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import compare, draining, errors, job, recording, report, rollups, routes, site_rules, vmui
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import label_value


def rule_files(paths, directory):
    """A site's own files of rules, [{"path", "src"}], in the directory of the backend."""
    try:
        return site_rules.site_files(paths, directory)
    except Problem as error:
        raise AnsibleFilterError(f"accelmon_rule_files: {error}") from None


def rollup_relabelling(services, directory):
    """How vmagent chooses what it writes to each of these storages, which are as the filter `vm_client` takes them, by files in the directory."""
    return rollups.relabelling(plain(services), str(directory))


def drain_verdicts(cluster):
    """Text of the file by which a Slurm controller asks for the verdicts about nodes of a cluster."""
    return draining.verdicts_file(str(cluster))


def fleet_hosts(groups):
    """Names of the hosts that the registry records. groups: the variable of this name."""
    return [str(host) for name in ("accelerator_nodes", "monitoring") for host in groups.get(name) or ()]


def rules_check(site, backend, program, recording, alerts):
    """The command line that checks the rule files, for `validate`. site: what `_rule_files` gave; the others as `site_rules.check_command` has them"""
    return site_rules.check_command(backend, program, recording, alerts, [one["path"] for one in site])


@as_filter
def alert_changes(hostvars, groups):
    """What hosts change of alerts for themselves, as the filter alert_rules takes it. hostvars, groups: the variables of these names."""
    return alerting.of_hosts(hostvars, fleet_hosts(groups))


@as_filter
def rules_checker(host_variables):
    """Path of the program that checks the rule files on a monitoring host, from its `hostvars` entry."""
    return alerting.checker(host_variables)


def choices_of_run(results):
    """What somebody chose instead of the inventory, as a run has it: see `chosen.of_run`. results: of fleet_choices on the monitoring hosts"""
    # What a host says is no template.
    return wrap_var(chosen.of_run(results, time.time()))


def alert_choices(hostvars, kept):
    """What somebody chose of alerts, as the filter alert_rules takes it.

    kept: the result of fleet_choices on the host itself, where no playbook has read the choices for the whole run
    """
    return chosen.of_run([{"item": "this host", **kept}], time.time())["alerts"] if kept.get("document") else alerting.choices(hostvars)


@as_answer
def changed_alert(document, hostvars, groups, user):
    """The choices with what change_alert.yml was asked for: see `chosen.changed_alert`. user: who runs it, if nothing else says so"""
    told, monitor = hostvars["localhost"], groups["monitoring"][0]
    declared = fleet.settings(hostvars[monitor], ["accelmon_alert_overrides", "accelmon_alert_presets"])
    return chosen.changed_alert(plain(document), told, declared, changed_by(told, user), time.time())


def rule_lines(loaded, alert):
    """The loaded rules of an alert, as alert_rule_info gives them, as text."""
    return [line for rule in plain(loaded) for line in (f"loaded: {alert}: for {rule['for']:g} s, severity {rule['severity']}", *rule["expr"].split("\n"))] \
        or [f"{alert} is not loaded: it is switched off"]


@as_filter
def rule_groups(host, hostvars, groups):
    """Names of the groups that the evaluator of rules on a monitoring host must have loaded. hostvars, groups: the variables of these names."""
    return alerting.group_names(hostvars, str(host), fleet_hosts(groups))


@as_filter
def alert_inputs(host, hostvars):
    """What the alerts of a monitoring host look at, as fleet_verify_info takes it. hostvars: the variable of this name."""
    return alerting.inputs(hostvars, str(host))


@as_filter
def alertmanager_files(options, source, version, node):
    """The files of Alertmanager's configuration, {"files", "secrets", "reload"} as the role service takes them.

    options: `receivers`, `later` ([{"from": second since 1970, "receivers"}], in their order), `template_files`,
             `webhook_urls`, `watchdog_urls`, `group_wait`, `group_interval`, `repeat_interval`, `grafana_url`
    source, version: where the program comes from; node: the fact accelmon_node
    """
    return routes.files(options, str(source), str(version), dict(node))


def expected_series(names):
    """Series that must be recorded wherever a source tells them; of these names, or all."""
    return [item for item in recording.expected_series() if not names or item["name"] in names]


@as_filter
def replayed(interval):
    """What rules_replay needs to know of the recording layer.

    recordable: an expression that has a value wherever there is something to record as the series that it looks for
    stages: texts of rule files, to be evaluated over the past one after the other
    """
    return {"recordable": expected_series([RECORDED])[0]["told"], "stages": recording.replay_stages(plain(interval))}


def source_comparisons(only):
    """What fleet_compare_info asks the storage: of each source and series one question, in the unit of the series, whether or not the source is in charge.

    only: sources to compare; all if it is empty
    """
    asked = compare.comparisons()
    unknown = sorted(set(only) - set(asked["jobs"]))
    if unknown:
        raise AnsibleFilterError(f"source_comparisons: accelmon_compare_sources = {unknown[0]}: no such source; use some of {', '.join(sorted(asked['jobs']))}")
    if only:
        for part in [asked["present"], asked["jobs"]] + [item["from"] for item in asked["series"]]:
            for source in set(part) - set(only):
                del part[source]
        asked["series"] = [item for item in asked["series"] if len(item["from"]) > 1]
    return asked


@as_filter
def rehearsed_rules(host, hostvars, groups):
    """The alerts as the inventory has them for a monitoring host, as fleet_rehearsal_info takes them. hostvars, groups: the variables of these names."""
    return alerting.rehearsed(hostvars, str(host), fleet_hosts(groups))


@as_answer
def explanation(asked, output):
    """What an error code or an alert means: lines of a box, or a dictionary where the output is json."""
    if str(asked).strip() == "":
        raise Problem("there is nothing to explain; give a code or an alert's name, for example -e accelmon_explain=79, or a node with --limit",
                      "accelmon_explain", "")
    told = errors.explain(asked)
    return told if output == "json" else errors.box(told)


@as_filter
def findings(results, output):
    """What is wrong with nodes, from the results of asking the monitoring hosts: lines of text, or a dictionary where the output is json."""
    given = who.given(results)
    found = [dict(finding, monitoring_host=answer["item"]) for answer in given for finding in answer["findings"]]
    problems = [f"{answer['item']}: {problem}" for answer in given for problem in answer["problems"]] + who.silent(results)
    for finding in found:
        finding["errors"] = finding["errors"] and [dict(error, explained=errors.of_device(error)) for error in finding["errors"]]
    if output == "json":
        return {"findings": found, "problems": problems}
    return [line for finding in found for line in errors.finding_lines(finding) + [""]] + problems


@as_answer
def alert_routes(labels, hostvars, groups, output):
    """Who gets the alert with these labels: lines of text, or a dictionary where the output is json."""
    asked = notified.asked_for("accelmon_alert", labels, groups)
    monitors = list(groups.get("monitoring", ()))
    if not monitors:
        raise Problem("the group is empty or missing; put the host that scrapes the fleet into it", "monitoring", [])
    answer = notified.recipients(asked, hostvars, monitors)
    return answer if output == "json" else notified.lines(answer)


@as_answer
def silenced(labels, groups):
    """The labels of the alerts that somebody wants silent, checked against the inventory."""
    return notified.asked_for("accelmon_silence", labels, groups)


@as_filter
def receivers(host_variables, hostvars):
    """[{"name", "integration"}] of every receiver of a monitoring host, from its `hostvars` entry, with what somebody chose. hostvars: of this name"""
    return notified.integrations(host_variables, notified.channels(hostvars))


@as_filter
def chosen_receivers(declared, hostvars, kept, encoded, release):
    """{"receivers": those of a monitoring host, with what somebody chose instead of the inventory, "later": [{"from", "receivers"}] as choices end,
    "problems": [line] about what does not hold}.

    declared: alertmanager_receivers; kept: as in `alert_choices`; encoded: secrets, as fleet_secrets gives them, "" if there are none
    release: source and version of Alertmanager and the fact accelmon_node, see `routes.installed`
    """
    found = chosen.of_run([{"item": "this host", **kept}], time.time())["channels"] if kept.get("document") else notified.channels(hostvars)
    secrets = json.loads(base64.b64decode(encoded))["channels"] if encoded else {}
    (today, *later), problems = notified.staged(plain(declared), found, secrets, routes.installed(*release))
    return {"receivers": today["receivers"], "later": later, "problems": problems}


@as_answer
def changed_channel(document, hostvars, groups, user):
    """The choices with what change_channel.yml was asked for: see `chosen.changed_channel`. user: who runs it, if nothing else says so"""
    told, declared = hostvars["localhost"], fleet.setting(hostvars[groups["monitoring"][0]], "alertmanager_receivers")
    return chosen.changed_channel(plain(document), told, declared, changed_by(told, user), time.time())


@as_filter
def channel_secrets(document, hostvars, groups):
    """The secret that change_channel.yml was given, as fleet_secrets takes it. document: the choices after the change"""
    before = plain(hostvars["localhost"]["accelmon_choices"]["document"])["channels"]
    declared = fleet.setting(hostvars[groups["monitoring"][0]], "alertmanager_receivers")
    return chosen.channel_secrets(hostvars["localhost"], declared, before, plain(document)["channels"])


def changed_by(told, user):
    """Who changes something, by localhost's `hostvars` entry."""
    return label_value(fleet.setting(told, "accelmon_change_by") or str(told.get("awx_user_name") or user))


@as_answer
def mail_receiver(host_variables, name):
    """A receiver of type email of a monitoring host, from its `hostvars` entry, as the module report_mail takes it."""
    return notified.mail_receiver(host_variables, name)


def silence_lines(silences):
    """Silences as text, one line each."""
    return [f"{one['labels']} until {one['ends']} ({one['by']}: {one['comment']})" for one in silences]


def delivery_lines(tests):
    """What became of the tests of each monitoring host, {host: [test]}, as text; one line each."""
    return [f"{host}: {one['receiver']} ({one['integration']}): " + ("delivered" if one["delivered"] else f"not delivered: {one['error']}")
            for host, several in tests.items() for one in several] or ["there are no receivers; set alertmanager_receivers"]


def views(_nothing):
    """What fleet_report_info asks the storage."""
    return load("views")


def vmui_files(directory):
    """The pages of vmui, as files of a service in this directory."""
    return [{"path": f"{directory}/{name}", "content": page} for name, page in vmui.pages().items()]


def report_text(document, output):
    """A report, as fleet_report_info returns it, as a page, or as JSON where the output is json."""
    document = plain(document)
    return report.page(document) if output == "html" else json.dumps(document, indent=1, sort_keys=True) + "\n"


def report_paths(results, directory):
    """{monitoring host: path} of the pages that are kept, from the results of fleet_report_info; none where nothing is installed yet."""
    return {result["item"]: f"{directory}/report.html" for result in results if result["report"]["clusters"]}


def report_lines(document, kept):
    """The answer of a report, and where its page is kept, as text."""
    host = document["monitoring_host"]
    where = [f"report: {host}:{kept[host]}"] if host in kept else []
    return [report.ANSWERS[document["answer"]["state"]], *document["answer"]["reasons"], *where]


def report_of(results, host):
    """The report of one monitoring host, from the results of fleet_report_info."""
    return next(result["report"] for result in results if result["item"] == host)


def fullest_report(results):
    """Of the reports of several monitoring hosts, the first of those that could ask most."""
    return min((result["report"] for result in results), key=lambda document: len(document["problems"]))


def report_stats(results, kept, file):
    """What a workflow gets: the answer, and the paths of the page on monitoring hosts and, if asked for, on the control node."""
    return {**fullest_report(results)["answer"], "kept": kept, "file": file}


def job_views(interval):
    """What fleet_job_info asks the storage, at this scrape interval."""
    return job.views(str(interval))


def job_problems(results, asked):
    """Why no monitoring host has a report of the job, one line each; none if one has. results: of fleet_job_info; asked: the job's id"""
    if any(result["report"] for result in results):
        return []
    return [str(Problem(result["problem"], "accelmon_job", plain(asked), result["item"])) for result in results]


def job_report(results):
    """Of the reports of several monitoring hosts, the first of those that could ask most."""
    return fullest_report([result for result in results if result["report"]])


def job_text(document, output, path):
    """The report of a job for a file: JSON where the output is json, text where the file is called so, else a page."""
    document = plain(document)
    if output == "json":
        return report_text(document, output)
    return "\n".join(job.lines(document)) + "\n" if path.endswith(".txt") else job.page(document)


def job_lines(document):
    """The report of a job as lines of text."""
    return job.lines(plain(document))


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return internal(rule_files, rules_check, rollup_relabelling, drain_verdicts, alert_changes, rules_checker, choices_of_run, alert_choices,
                        changed_alert, changed_channel, channel_secrets, chosen_receivers, rule_lines, alert_inputs, rule_groups, alertmanager_files,
                        expected_series, replayed, source_comparisons, rehearsed_rules, explanation, findings, alert_routes, silenced,
                        receivers, silence_lines, delivery_lines, views, mail_receiver, report_text, report_paths, report_lines, report_of, fullest_report,
                        report_stats, job_views, job_problems, job_report, job_text, job_lines, vmui_files)
