# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks a service of the stack on this very host. Programs of monitoring hosts have a copy of this file beside them: standard library only.

settings: {"password_file", "ca_file"}
"""
import base64
import contextlib
import json
import ssl
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

SECONDS = 60


class Failure(Exception):
    """One line: what is wrong; what to do."""


def ask(settings, url, document=None, method=None, timeout=SECONDS):
    """The answer of a service of this host to who has the password."""
    context = ssl.create_default_context(cafile=settings["ca_file"]) if url.startswith("https:") else None
    if context:
        context.check_hostname = False  # a service of this very host need not have its address in the certificate
    request = Request(url, data=None if document is None else json.dumps(document).encode(), method=method)
    if document is not None:
        request.add_header("Content-Type", "application/json")
    with contextlib.suppress(FileNotFoundError), open(settings["password_file"], encoding="utf-8") as stream:
        token = base64.b64encode(("accelmon:" + stream.read().strip()).encode()).decode()
        request.add_unredirected_header("Authorization", "Basic " + token)
    try:
        with build_opener(ProxyHandler({}), HTTPSHandler(context=context)).open(request, timeout=timeout) as answer:
            return answer.read().decode("utf-8")
    except HTTPError as error:
        raise Failure("%s answers HTTP %d; check its service" % (url, error.code)) from None
    except (OSError, ValueError, HTTPException) as error:
        raise Failure("%s does not answer (%s); check its service" % (url, getattr(error, "reason", None) or error)) from None


def asked(settings, url, read, **more):
    """What `read` finds in the JSON of an answer."""
    try:
        return read(json.loads(ask(settings, url, **more)))
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        raise Failure("%s does not answer as expected; check its service" % url) from None
