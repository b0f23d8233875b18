# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Silences, and tests of receivers, through Alertmanager's API.

That the API takes an alert says nothing about its delivery: Alertmanager counts attempts and failures by kind of receiver, and writes the error of
a receiver into its log.
"""
import calendar
import json
import re
import time

from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import query

WHAT = "alertmanager"
# Alertmanager may move the beginning of a silence to its own now.
TOLERANCE = 5
ATTEMPTS, FAILURES = "alertmanager_notification_requests_total", "alertmanager_notification_requests_failed_total"
SAMPLE = re.compile(r'(\w+)\{([^}]*)\} ([0-9.e+-]+)$', re.MULTILINE)
ADDRESS = re.compile(r'(https?://)(?:[^/\s"\\@]*@)?([^/\s"\\]+)[^\s"\\]*')


def seconds_of(text):
    """Seconds since the epoch of a time that the API wrote."""
    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))


class Api(object):
    """The API of the first of several Alertmanagers that answers; they share silences."""

    def __init__(self, urls, timeout, access):
        self.timeout, self.access, self.url = timeout, access, None
        problem = Failure("no alertmanager is known; run site.yml")
        for url in urls:
            try:
                query.get_text(WHAT, url.rstrip("/") + "/-/ready", timeout, access=access)
                self.url = url.rstrip("/")
                return
            except Failure as error:
                problem = error
        raise problem

    def ask(self, path, document=None, method=None):
        """The text of an answer."""
        return query.get_text(WHAT, self.url + path, self.timeout, access=self.access, document=document, method=method).decode("utf-8", "replace")

    def silences(self):
        """Silences that are active or will be, as the API has them."""
        try:
            return [one for one in json.loads(self.ask("/api/v2/silences")) if one["status"]["state"] != "expired"]
        except (ValueError, TypeError, KeyError):
            raise Failure("the %s at %s does not respond like its API" % (WHAT, self.url))


def is_about(silence, labels):
    """Whether a silence is about alerts with just these labels."""
    found = set((one["name"], one["value"], one.get("isRegex", False), one.get("isEqual", True)) for one in silence["matchers"])
    return found == set((name, value, False, True) for name, value in labels.items())


def is_same(silence, comment, author, length):
    """Whether a silence was asked for in these words, for this long."""
    lasts = seconds_of(silence["endsAt"]) - seconds_of(silence["startsAt"])
    return (silence["comment"], silence["createdBy"]) == (comment, author) and abs(lasts - length) <= TOLERANCE


def shown(silence):
    """{id, labels, ends, comment, by, state} of a silence; labels: text as amtool writes it."""
    signs = {(False, True): "=", (False, False): "!=", (True, True): "=~", (True, False): "!~"}
    labels = ["%s%s%s" % (one["name"], signs[(one.get("isRegex", False), one.get("isEqual", True))], json.dumps(one["value"]))
              for one in silence["matchers"]]
    return {"id": silence["id"], "labels": ", ".join(sorted(labels)), "ends": silence["endsAt"][:19] + "Z", "comment": silence["comment"],
            "by": silence["createdBy"], "state": silence["status"]["state"]}


def create(api, labels, comment, author, length, check_mode=False, now=None):
    """(changed, what was done) of a silence for alerts with these labels, from now for a length in seconds."""
    found = [one for one in api.silences() if is_about(one, labels)]
    for one in found:
        if is_same(one, comment, author, length):
            return False, "already silent until %s" % shown(one)["ends"]
    begins = time.time() if now is None else now
    wanted = {"matchers": [{"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in sorted(labels.items())],
              "startsAt": query.instant(begins), "endsAt": query.instant(begins + length), "comment": comment, "createdBy": author}
    if found:
        wanted["id"] = found[0]["id"]
    if not check_mode:
        api.ask("/api/v2/silences", wanted)
    return True, "%s until %s" % ("silence changed, now" if found else "silent", wanted["endsAt"])


def expire(api, labels, check_mode=False):
    """(changed, what was done) about the end of the silences for alerts with just these labels."""
    found = [one for one in api.silences() if is_about(one, labels)]
    for one in found:
        if not check_mode:
            api.ask("/api/v2/silence/" + one["id"], method="DELETE")
    return bool(found), "no longer silent" if found else "was not silent"


def counts(text):
    """{integration: (attempts, failed attempts)} of Alertmanager's own metrics."""
    found = {}
    for name, labels, value in SAMPLE.findall(text):
        kind = re.search(r'(?:^|,)integration="([^"]*)"', labels)
        if kind and name in (ATTEMPTS, FAILURES):
            pair = found.setdefault(kind.group(1), [0, 0])
            pair[name == FAILURES] += float(value)
    return dict((kind, tuple(pair)) for kind, pair in found.items())


def own_error(log, receiver):
    """What a receiver said last in Alertmanager's log when it refused a notification; "" if nothing. Addresses are cut: they hold secrets."""
    error = ""
    for entry in log.splitlines():
        found = re.search(r'\berr="((?:[^"\\]|\\.)*)"|\berr=(\S+)', entry)
        text = (found.group(1) or found.group(2) or "") if found else ""
        if text and (" receiver=%s " % receiver in entry or text.startswith(receiver + "/")):
            error = ADDRESS.sub(r"\1\2/…", text.replace('\\"', "'"))
    return query.one_line(error, 300)


def probe(receiver, host, now):
    """The alert that goes to one receiver alone, and ends after a minute."""
    return {
        "labels": {"alertname": "NotificationTest", "severity": "info", "accelmon_test": receiver, "monitoring_host": host, "at": query.instant(now)},
        "annotations": {
            "summary": "Test of the receiver %s from %s" % (receiver, host),
            "description": "Somebody ran test_notification.yml. Nothing is wrong.", "action": "Nothing."},
        "startsAt": query.instant(now), "endsAt": query.instant(now + 60)}


def deliver(api, receiver, integration, host, log, wait, sleep=time.sleep):
    """{"receiver", "integration", "delivered", "error"} of a test through one receiver.

    log: function of a time that returns Alertmanager's log since then; wait: seconds to wait for an attempt
    """
    began = time.time()
    before = counts(api.ask("/metrics")).get(integration, (0, 0))
    api.ask("/api/v2/alerts", [probe(receiver, host, began)])
    result = {"receiver": receiver, "integration": integration, "delivered": False, "error": ""}
    succeeded = 0
    while time.time() < began + wait:
        sleep(1)
        after = counts(api.ask("/metrics")).get(integration, (0, 0))
        result["error"] = own_error(log(began), receiver)
        if result["error"]:
            return result
        succeeded += after[0] - before[0] > after[1] - before[1]
        # Seen twice: a failure is counted, and logged, a moment after the attempt.
        if succeeded > 1:
            result["delivered"] = True
            return result
    result["error"] = "no attempt succeeded within %d s, and the log gives no reason; look at it: journalctl -u accelmon-alertmanager" % wait
    return result
