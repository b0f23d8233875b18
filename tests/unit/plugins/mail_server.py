# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A mail server on loopback for tests, which keeps what it gets. It is as small as the client of the standard library allows."""
import base64
import contextlib
import email
import email.policy
import socketserver
import threading


class _Session(socketserver.StreamRequestHandler):
    timeout = 30

    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        server = self.server
        self.say("220 mail")
        secure, to = False, []
        while True:
            word, _blank, rest = self.rfile.readline().decode().strip().partition(" ")
            word = word.upper()
            if word == "EHLO":
                self.say("250-mail")
                if server.context and not secure:
                    self.say("250-STARTTLS")
                self.say("250 AUTH PLAIN")
            elif word == "STARTTLS":
                self.say("220 go ahead")
                self.request = server.context.wrap_socket(self.request, server_side=True)
                self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", buffering=0)
                secure = True
            elif word == "AUTH":
                user, password = base64.b64decode(rest.split()[1]).decode().split("\0")[1:]
                server.users.append((user, password, secure))
                self.say("235 welcome" if password == "geheim" else "535 5.7.8 who are\x1b you?")
            elif word == "RCPT":
                refused = "refused" in rest
                to += [] if refused else [rest]
                self.say("550 no such user" if refused else "250 ok")
            elif word == "DATA":
                self.say("354 go ahead")
                lines = [line[1:] if line.startswith(b".") else line for line in iter(self.rfile.readline, b".\r\n")]
                text = b"".join(lines).replace(b"\r\n", b"\n")
                server.mails.append((to, email.message_from_bytes(text, policy=email.policy.default)))
                self.say("250 ok")
            else:
                self.say("221 bye" if word in ("QUIT", "") else "250 ok")
                if word in ("QUIT", ""):
                    return


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        """A client that hangs up is none."""


@contextlib.contextmanager
def mail_server(context=None):
    """A server: its `place`, the `mails` that it got, [(recipients, message)], and the `users` that signed in, [(name, password, with TLS)].

    context: for STARTTLS, which it otherwise does not offer
    """
    with _Server(("127.0.0.1", 0), _Session) as server:
        server.context, server.mails, server.users = context, [], []
        server.place = "127.0.0.1:%d" % server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
