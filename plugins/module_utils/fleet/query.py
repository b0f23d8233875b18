# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask a Prometheus-compatible storage and rule evaluator over HTTP.

Never uses a proxy: the storage is this host or a neighbour, and a proxy set for downloads must not see the queries.
Every error is a `Failure` with one line of plain text that names the URL and the cause.
"""
import errno
import json
import os
import socket
import ssl
import time
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.client import Access

# VictoriaMetrics hides the last 30 s unless told otherwise; Prometheus ignores the parameter.
LATENCY_OFFSET = "1s"
# Characters of a matcher that still fits into a query together with others.
LONGEST = 800


def instant(seconds):
    """A time as the APIs of Alertmanager and vmalert write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def explain(error):
    """One or two words for a failed connection: "refused", "timed out", "name does not resolve", ..."""
    if isinstance(error, URLError) and not isinstance(error, HTTPError):
        error = error.reason
    if isinstance(error, socket.timeout):
        return "timed out"
    if isinstance(error, socket.gaierror):
        return "name does not resolve"
    if isinstance(error, ssl.SSLError):
        return "TLS failed (%s)" % (getattr(error, "reason", None) or error)
    number = getattr(error, "errno", None)
    known = {
        errno.ECONNREFUSED: "refused",
        errno.ETIMEDOUT: "timed out",
        errno.EHOSTUNREACH: "no route to host",
        errno.ENETUNREACH: "no route to host",
        errno.ECONNRESET: "connection reset",
    }
    if number in known:
        return known[number]
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def one_line(text, limit=200):
    """`text` without line breaks and runs of blanks, cut to `limit` characters."""
    flat = " ".join(str(text).split())
    return flat if len(flat) <= limit else flat[:limit - 3] + "..."


def get_text(what, url, timeout, form=None, access=None, document=None, method=None):
    """The body of an answer.

    what: what the service is called in errors, "storage" or "rule evaluator"
    form: dict; sent as a POST, so that long queries fit
    access: a client.Access
    document: data; sent as JSON in a POST
    method: of a request that is neither GET nor POST
    """
    access = access or Access()
    body = urlencode(form).encode("ascii") if form is not None else None
    if document is not None:
        body = json.dumps(document).encode("utf-8")
    try:
        handlers = [ProxyHandler({})] + ([HTTPSHandler(context=access.context(urlsplit(url).hostname))] if url.startswith("https:") else [])
        request = Request(url, data=body, method=method)
        if document is not None:
            request.add_header("Content-Type", "application/json")
        for name, value in access.headers().items():
            request.add_unredirected_header(name, value)
        answer = build_opener(*handlers).open(request, timeout=timeout)
        try:
            return answer.read()
        finally:
            answer.close()
    except HTTPError as error:
        raise Failure("the %s at %s answers HTTP %d%s" % (what, url, error.code, _api_message(error)))
    except (OSError, ValueError) as error:
        raise Failure("cannot reach the %s at %s: %s" % (what, url, explain(error)))
    except Exception as error:  # http.client raises its own family for answers that are not HTTP
        raise Failure("the %s at %s does not speak HTTP: %s" % (what, url, one_line(error or type(error).__name__)))


def get_json(what, url, timeout, form=None, access=None):
    """The member `data` of the Prometheus API's answer; parameters as for `get_text`."""
    try:
        parsed = json.loads(get_text(what, url, timeout, form, access).decode("utf-8"))
        if parsed["status"] != "success":
            raise Failure("the %s at %s returned an error: %s" % (what, url, one_line(parsed.get("error", "no reason given"))))
        return parsed["data"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Failure("the %s at %s does not respond like the Prometheus API" % (what, url))


def _api_message(error):
    """": reason" from the body of an HTTP error, or "" when the body holds none."""
    try:
        return ": " + one_line(json.loads(error.read().decode("utf-8"))["error"])
    except Exception:  # any body, or a connection that breaks while it is read
        return ""


def _quoted(text):
    """A string of the query language, without its quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _pattern(name):
    """A regular expression for this name alone."""
    return "".join("\\" + char if char in "\\.+*?()|[]{}^$" else char for char in name)


def _one_of(chars):
    """A regular expression for any one of these characters."""
    if len(chars) == 1:
        return _pattern(chars[0])
    runs = []
    for char in sorted(chars):
        if runs and char.isalnum() and ord(char) == ord(runs[-1][-1]) + 1:
            runs[-1] += char
        else:
            runs.append(char)
    escaped = ["\\" + run if run in "\\]^-" else run for run in runs]
    return "[%s]" % "".join(run[0] + "-" + run[-1] if len(run) > 2 else run for run in escaped)


def _shared(names):
    """A regular expression for these names and no others, which says once what many of them begin or end with."""
    prefix = os.path.commonprefix(list(names))
    if prefix:
        return _pattern(prefix) + _shared(set(name[len(prefix):] for name in names))
    tails, heads = {}, {}
    for name in names - set([""]):
        tails.setdefault(name[0], set()).add(name[1:])
    for char in sorted(tails):
        heads.setdefault(_shared(tails[char]), []).append(char)
    choices = [_one_of(chars) + tail for tail, chars in heads.items()]
    if len(choices) == 1 and "" not in names:
        return choices[0]
    return "(?:%s)%s" % ("|".join(choices), "?" if "" in names else "") if choices else ""


def exactly(label, value):
    """A matcher of one value, which may be any text."""
    return '%s="%s"' % (label, _quoted(value))


def matcher(label, names):
    """A matcher of any of these names, safe in a query.

    Longer than LONGEST, the names stand there as one pattern of the same names: VictoriaMetrics refuses a query of more than 16 KB.
    """
    found = '%s=~"%s"' % (label, _quoted("|".join(_pattern(name) for name in sorted(names))))
    return found if len(found) <= LONGEST else '%s=~"%s"' % (label, _quoted(_shared(set(names))))


def roughly(label, names):
    """The same; if it would be longer than LONGEST, one that is shorter and matches further names, which differ in their last characters."""
    found = matcher(label, names)
    if len(found) <= LONGEST:
        return found
    for cut in range(1, max(len(name) for name in names) + 1):
        patterns = set(_pattern(name[:max(0, len(name) - cut)]) + "." * min(cut, len(name)) for name in names)
        found = '%s=~"%s"' % (label, _quoted("|".join(sorted(patterns))))
        if len(found) <= LONGEST:
            return found
    return '%s=~".*"' % label


def instant_query(storage_url, expression, timeout, now=None, access=None):
    """[(labels dict, value float)] of one instant query.

    now: seconds since the epoch, the time of evaluation; default the present
    """
    form = {
        "query": expression,
        "time": "%.3f" % (time.time() if now is None else now),
        "latency_offset": LATENCY_OFFSET,
    }
    return _query(storage_url, "query", "vector", form, lambda row: float(row["value"][1]), timeout, access)


def range_query(storage_url, expression, timeout, start, end, step, access=None):
    """[(labels dict, [(moment, value float)])]: the values of the expression at each step from start to end, in seconds since the epoch.

    start, end: multiples of step, or the two storages differ
    """
    # VictoriaMetrics moves start and end of what it may cache.
    form = {"query": expression, "start": start, "end": end, "step": "%ds" % step, "nocache": "1", "latency_offset": LATENCY_OFFSET}
    return _query(storage_url, "query_range", "matrix", form, lambda row: [(float(at), float(value)) for at, value in row["values"]], timeout, access)


def _query(storage_url, path, kind, form, read, timeout, access):
    """[(labels dict, what `read` makes of the row)] of a query."""
    url = storage_url.rstrip("/") + "/api/v1/" + path
    data = get_json("storage", url, timeout, form, access)
    try:
        if data["resultType"] != kind:
            raise Failure("the storage at %s returned a %s instead of a %s" % (url, data["resultType"], kind))
        return [(row["metric"], read(row)) for row in data["result"]]
    except (KeyError, TypeError, ValueError, IndexError):
        raise Failure("the storage at %s does not respond like the Prometheus API" % url)


def formatted(storage_url, expression, timeout, access=None):
    """The expression as Prometheus lays it out, for comparing; unchanged where the storage does not do that, as VictoriaMetrics."""
    try:
        return str(get_json("storage", storage_url.rstrip("/") + "/api/v1/format_query", timeout, {"query": expression}, access))
    except Failure:
        return expression


def loaded_alerts(rules_url, timeout, access=None):
    """[{alert, expr, for: seconds, severity}] of the collection's alerts that vmalert or Prometheus evaluates now."""
    url = rules_url.rstrip("/") + "/api/v1/rules"
    data = get_json("rule evaluator", url, timeout, access=access)
    try:
        return [{"alert": rule["name"], "expr": rule["query"], "for": float(rule.get("duration") or 0),
                 "severity": (rule.get("labels") or {}).get("severity", "")}
                for group in data["groups"] or [] if group["name"].startswith("accelmon_")
                for rule in group.get("rules") or [] if rule.get("type") == "alerting"]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Failure("the rule evaluator at %s does not respond like the Prometheus API" % url)


def rule_groups(rules_url, timeout, access=None):
    """[{name, rules: [{name, type, health, last_error, state}]}] of vmalert or Prometheus."""
    url = rules_url.rstrip("/") + "/api/v1/rules"
    data = get_json("rule evaluator", url, timeout, access=access)
    try:
        return [
            {
                "name": group["name"],
                "rules": [
                    {
                        "name": rule["name"],
                        "type": rule.get("type", ""),
                        "health": rule.get("health", ""),
                        "last_error": one_line(rule.get("lastError") or ""),
                        "state": rule.get("state", ""),
                    }
                    for rule in group.get("rules") or []
                ],
            }
            for group in data["groups"] or []
        ]
    except (KeyError, TypeError, AttributeError):
        raise Failure("the rule evaluator at %s does not respond like the Prometheus API" % url)


def firing(rules_url, timeout, access=None):
    """[{labels, annotations, since}] of the alerts that fire now, from vmalert or Prometheus. since: text of RFC 3339."""
    url = rules_url.rstrip("/") + "/api/v1/alerts"
    data = get_json("rule evaluator", url, timeout, access=access)
    try:
        return [{"labels": dict(alert["labels"]), "annotations": dict(alert.get("annotations") or {}), "since": str(alert.get("activeAt") or "")}
                for alert in data["alerts"] or [] if alert["state"] == "firing"]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Failure("the rule evaluator at %s does not respond like the Prometheus API" % url)


def received_alerts(alertmanager_url, name, timeout, access=None):
    """[labels dict] of the alerts of one name that an Alertmanager has, muted ones too."""
    url = alertmanager_url.rstrip("/") + "/api/v2/alerts"
    text = get_text("alertmanager", url + "?" + urlencode({"filter": 'alertname="%s"' % name}), timeout, access=access)
    try:
        return [dict(alert["labels"]) for alert in json.loads(text.decode("utf-8"))]
    except (KeyError, TypeError, ValueError):
        raise Failure("the Alertmanager at %s does not respond like its API" % url)


def grafana_health(grafana_url, timeout, access=None):
    """Raises Failure unless a Grafana answers and says that its database does. It answers everybody, so it is shown no password."""
    url = grafana_url.rstrip("/") + "/api/health"
    try:
        if json.loads(get_text("Grafana", url, timeout, access=access).decode("utf-8"))["database"] == "ok":
            return
    except (KeyError, TypeError, ValueError):
        pass
    raise Failure("the Grafana at %s does not respond like its API" % url)
