# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A report as a mail. Stubbed: the mail server, by a small one on loopback; its certificate is made here."""
import socket
import ssl
import subprocess

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import mail
from ansible_collections.accelmon.fleet.tests.unit.plugins.mail_server import mail_server

PAGE = "<!doctype html>\n<p>grün\n.\n" + "x" * 2000


def receiver(server, **more):
    return {"to": "ops@example.org, night@example.org", "from": "Accelerators <mon@example.org>", "smarthost": server.place, **more}


def send(told):
    mail.send(mail.compose(told, "Is everything all right? Yes.", "Alles gut ✓\n", "accelerators.html", PAGE), told, 10)


@pytest.fixture(name="certificate", scope="module")
def _certificate(tmp_path_factory):
    """Paths of a certificate for 127.0.0.1 and of its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = str(folder / "crt"), str(folder / "key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mail", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


@pytest.fixture(name="secure")
def _secure(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with mail_server(context) as server:
        yield server


def test_the_page_is_attached_and_comes_whole(secure, certificate):
    send(receiver(secure, username="mon", password="geheim", tls_config={"ca_file": certificate[0]}))
    (to, message), = secure.mails
    assert to == ["TO:<ops@example.org>", "TO:<night@example.org>"] and secure.users == [("mon", "geheim", True)]
    assert (message["From"], message["To"]) == ("Accelerators <mon@example.org>", "ops@example.org, night@example.org")
    assert message["Subject"] == "Is everything all right? Yes." and message["Message-ID"].endswith("@example.org>") and message["Date"]
    assert message.get_body().get_content() == "Alles gut ✓\n"
    (page,) = message.iter_attachments()
    assert (page.get_content_type(), page.get_filename(), page.get_content()) == ("text/html", "accelerators.html", PAGE + "\n")


def test_a_certificate_of_nobody_is_refused_unless_it_is_accepted(secure):
    with pytest.raises(Failure, match="smarthost = 127.0.0.1:.*the mail was not sent: .*certificate verify failed") as caught:
        send(receiver(secure))
    assert "\n" not in str(caught.value) and not secure.mails
    send(receiver(secure, tls_config={"insecure_skip_verify": True}))
    assert len(secure.mails) == 1


def test_without_tls_nothing_is_sent_unless_that_is_accepted():
    with mail_server() as server:
        with pytest.raises(Failure, match="the server has no STARTTLS; set require_tls to false"):
            send(receiver(server))
        send(receiver(server, require_tls=False))
        assert len(server.mails) == 1


def test_a_password_is_not_sent_in_plain_text_through_the_network(monkeypatch):
    monkeypatch.setattr(mail, "LOOPBACK", ())
    with mail_server() as server:
        with pytest.raises(Failure, match="the password would be sent in plain text; set require_tls to true"):
            send(receiver(server, require_tls=False, username="mon", password="geheim"))
        assert not server.users


@pytest.mark.parametrize("more,words", [
    ({"username": "mon", "password": "falsch"}, "the mail was not sent: 535 5.7.8 who are you?; check the receiver"),
    ({"to": "refused@example.org"}, "the mail was not sent to refused@example.org: 550 no such user"),
    ({"to": "ops@example.org, refused@example.org"}, "the mail was not sent to refused@example.org: 550 no such user")])
def test_what_the_server_says_is_told_in_one_line(more, words):
    with mail_server() as server:
        with pytest.raises(Failure) as caught:
            send(receiver(server, require_tls=False, **more))
    assert words in str(caught.value) and str(caught.value).isprintable() and "falsch" not in str(caught.value)


def test_a_server_that_is_not_there():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(Failure, match="the mail was not sent: .*refused; check the receiver with test_notification.yml"):
            mail.send(None, {"smarthost": "127.0.0.1:%d" % free.getsockname()[1]}, 5)
