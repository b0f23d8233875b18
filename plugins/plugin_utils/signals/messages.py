# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The templates of notifications, in the language of Alertmanager, for each way that receivers read text.

An alert's labels may come from a node, which is a stranger: every value is brought to one line, cut and, where a receiver would act on it,
escaped. A group has one alert name and one error code, so that the first alert's explanation stands for all; a whole message has less than
4,096 characters, which is what Telegram and Discord take.
"""

import re

LISTED = 10
DESCRIPTION, ACTION, SUMMARY, NAME, LINK = 400, 250, 80, 40, 120

# Milliseconds that a dashboard shows, with the beginning of the alert in the middle.
AROUND = 2 * 3600 * 1000

# Flavour: (what is done to a value after it was cut, what ends a line). Ampersands first: they are in what the others become.
FLAVOURS = {
    "plain": ((), "\n"),
    # <…> are links and mentions, such as <!channel>.
    "slack": ((("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")), "\n"),
    # Links are [text](address).
    "discord": (((r"\]\(", "] ("),), "\n"),
    "teams": (((r"\]\(", "] ("),), "\n\n"),
}


def shown(value, most, escapes):
    """The template of a value, on one line, of at most so many characters, escaped."""
    steps = [r"reReplaceAll `[\s\p{C}]+` ` `", f"reReplaceAll `^(.{{{most - 1}}})..+$` `${{1}}…`"]
    steps += [f"reReplaceAll `{pattern}` `{instead}`" for pattern, instead in escapes]
    return "{{ " + " | ".join([value, *steps]) + " }}"


def optional(value, most, escapes, before="", after="", otherwise=""):
    """The template of a value that may be missing, with what stands around it, or of what stands there otherwise."""
    return f"{{{{ with {value} }}}}{before}{shown('.', most, escapes)}{after}{{{{ else }}}}{otherwise}{{{{ end }}}}"


def subject(escapes):
    """One line: how bad it is, what it is and where."""
    name = shown(".CommonLabels.alertname", NAME, escapes)
    return "".join((
        '{{ if eq .Status "firing" }}[', optional(".CommonLabels.severity", 20, escapes, otherwise="firing"),
        "]{{ else }}[resolved]{{ end }} {{ if eq (len .Alerts) 1 }}", optional("(index .Alerts 0).Annotations.summary", SUMMARY, escapes, otherwise=name),
        "{{ else }}", name, ": {{ with .Alerts.Firing }}{{ len . }} firing{{ end }}{{ if and .Alerts.Firing .Alerts.Resolved }}, {{ end }}",
        "{{ with .Alerts.Resolved }}{{ len . }} resolved{{ end }}",
        *(optional(f".CommonLabels.{label}", NAME, escapes, before=f", {label} ") for label in ("node", "rack", "cluster")), "{{ end }}"))


def listed(escapes):
    """One alert of the list: what it is, the node, device, rack and job, and since when."""
    places = (("node", "node", NAME), ("index", "device", 12), ("pci_bus_id", "PCI", 16), ("rack", "rack", 24), ("job_id", "job", 20))
    return "".join((
        "- ", optional(".Annotations.summary", SUMMARY, escapes, otherwise=shown(".Labels.alertname", NAME, escapes)),
        *(optional(f".Labels.{label}", most, escapes, before=f", {word} ") for label, word, most in places),
        ', since {{ .StartsAt.UTC.Format "2006-01-02 15:04" }} UTC'))


def silence(end):
    """The link to a new silence for what all alerts of the message have in common; none where a value has signs that an address has not."""
    others = ("cluster", "rack", "node")
    matchers = "".join(f"{{{{ with .CommonLabels.{label} }}}}%2C{label}%3D%22{{{{ . | reReplaceAll ` ` `%20` }}}}%22{{{{ end }}}}" for label in others)
    return (f'{{{{ if and (eq .Status "firing") ({plain_values(("alertname", *others), 160)}) }}}}'
            f"Silence: {{{{ .ExternalURL }}}}/#/silences/new?filter=%7Balertname%3D%22{{{{ .CommonLabels.alertname }}}}%22{matchers}%7D{end}{{{{ end }}}}")


def plain_values(names, most):
    """The condition that these labels, as far as all alerts of the message have them in common, are short and have no signs that an address has not."""
    return rf'match `^[\w.: -]{{0,{most}}}$` (printf "{"%s" * len(names)}" {" ".join(f".CommonLabels.{name}" for name in names)})'


def dashboard(url, escapes, end):
    """The link to the dashboard of the device, else of the node, else of the fleet, at the time when the first alert began; none without Grafana's url."""
    if not url:
        return ""
    more = "&"
    for pattern, instead in escapes:
        more = re.sub(pattern, instead, more)

    def board(name, *labels):
        values = "".join(f"{{{{ with .CommonLabels.{label} }}}}{more}var-{label}={{{{ urlquery . }}}}{{{{ end }}}}" for label in labels)
        return f"accelmon-{name}?time={{{{ (index $shown 0).StartsAt.UnixMilli }}}}{more}time.window={AROUND}{values}"

    return "".join((f"{{{{ if {plain_values(('cluster', 'rack', 'node', 'vendor', 'index'), 100)} }}}}Dashboard: {url.rstrip('/')}/d/",
                    "{{ if and .CommonLabels.node .CommonLabels.index }}", board("accelerator", "cluster", "node", "vendor", "index"),
                    "{{ else if .CommonLabels.node }}", board("node", "cluster", "node"),
                    "{{ else }}", board("fleet", "cluster", "rack"), "{{ end }}", end, "{{ end }}"))


def text(escapes, end, grafana_url=""):
    """The message: which, why, what to do, and links."""
    lines = [f"{{{{ range $number, $alert := $shown }}}}{{{{ if lt $number {LISTED} }}}}{listed(escapes)}{end}{{{{ end }}}}{{{{ end }}}}",
             f"{{{{ if gt (len $shown) {LISTED} }}}}and {{{{ len (slice $shown {LISTED}) }}}} more{end}{{{{ end }}}}",
             "{{ with index $shown 0 }}",
             optional(".Annotations.description", DESCRIPTION, escapes, before=end, after=end),
             optional(".Annotations.action", ACTION, escapes, before=f"{end}What to do: ", after=end),
             optional(".Annotations.runbook_url", LINK, escapes, before=f"{end}Runbook: ", after=end),
             optional(".GeneratorURL", LINK, escapes, before="Source: ", after=end),
             "{{ end }}", dashboard(grafana_url, escapes, end), silence(end)]
    return "{{ $shown := .Alerts.Firing }}{{ if not $shown }}{{ $shown = .Alerts }}{{ end }}" + "".join(lines)


def templates(grafana_url=""):
    """Text of the file with all templates: accelmon.FLAVOUR.subject and accelmon.FLAVOUR.text. grafana_url: where people open Grafana; "" without it."""
    parts = ["{{/* Managed by accelmon.fleet. */}}\n"]
    for flavour, (escapes, end) in FLAVOURS.items():
        for name, body in (("subject", subject(escapes)), ("text", text(escapes, end, grafana_url))):
            parts.append(f'{{{{ define "accelmon.{flavour}.{name}" }}}}{body}{{{{ end }}}}\n')
    return "".join(parts)
