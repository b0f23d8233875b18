# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A mail with a page attached, sent as Alertmanager sends its own: through the same server, with the same addresses, password and TLS.

receiver: {to, from, smarthost, username?, password?, require_tls?, tls_config?} of a receiver of type email
"""
import contextlib
import re
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr

from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure

LOOPBACK = ("localhost", "127.0.0.1", "::1")
# The port at which a server speaks TLS from the beginning.
SUBMISSIONS = 465


def compose(receiver, subject, text, name, page):
    """The message. page: HTML, which is attached by a name"""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = receiver["from"], receiver["to"], subject
    message["Date"] = formatdate()
    # Without a domain, the name of this host would be looked up.
    message["Message-ID"] = make_msgid(domain=parseaddr(receiver["from"])[1].rpartition("@")[2] or "localhost")
    message.set_content(text)
    message.add_attachment(page, subtype="html", filename=name)
    return message


def _wrong(receiver, problem, fix, to=""):
    """Failure; a server's words are made one line. to: addresses that it concerns, if others got the mail"""
    words = " ".join(re.sub(r"[^!-~]+", " ", str(problem)).split())
    return Failure("smarthost = %s: the mail was not sent%s: %s; %s" % (receiver["smarthost"], " to %s" % to if to else "", words[:200], fix))


@contextlib.contextmanager
def _failing(receiver):
    fix = "check the receiver with test_notification.yml"
    try:
        yield
    except smtplib.SMTPRecipientsRefused as error:
        code, words = list(error.recipients.values())[0]
        raise _wrong(receiver, "%s %s" % (code, words.decode("ascii", "replace")), fix, ", ".join(sorted(error.recipients)))
    except smtplib.SMTPResponseException as error:
        words = error.smtp_error
        raise _wrong(receiver, "%s %s" % (error.smtp_code, words.decode("ascii", "replace") if isinstance(words, bytes) else words), fix)
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise _wrong(receiver, error, fix)


def _context(receiver):
    """What a server's certificate is checked by."""
    told = receiver.get("tls_config") or {}
    context = ssl.create_default_context(cafile=told.get("ca_file") or None)
    if told.get("insecure_skip_verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def send(message, receiver, seconds=30):
    """Send a message. Raises Failure where no recipient, or only some of them, get it."""
    host, _colon, port = receiver["smarthost"].rpartition(":")
    host, secure = host.strip("[]"), int(port) == SUBMISSIONS
    with _failing(receiver):
        kind, more = (smtplib.SMTP_SSL, {"context": _context(receiver)}) if secure else (smtplib.SMTP, {})
        with kind(host, int(port), local_hostname="localhost", timeout=seconds, **more) as server:
            server.ehlo()
            if not secure and receiver.get("require_tls", True):
                if not server.has_extn("starttls"):
                    raise _wrong(receiver, "the server has no STARTTLS", "set require_tls to false for this receiver, or use another server")
                server.starttls(context=_context(receiver))
                server.ehlo()
                secure = True
            if receiver.get("username"):
                if not secure and host not in LOOPBACK:
                    raise _wrong(receiver, "the password would be sent in plain text", "set require_tls to true for this receiver")
                server.login(receiver["username"], receiver["password"])
            refused = server.send_message(message)
            if refused:
                raise smtplib.SMTPRecipientsRefused(refused)
