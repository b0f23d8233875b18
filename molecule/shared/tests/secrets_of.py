"""The secrets of a fleet, and where they may be found. For tests that look for them everywhere else."""

import json
import re

# Where secrets are meant to be, on the hosts. Nobody but root, or a service's group, may read what is there.
PLACES = ("/etc/accelmon/", "/var/lib/accelmon/secrets/")
READ = ("for f in $(find /etc/accelmon/secrets /etc/accelmon/web /var/lib/accelmon/secrets -type f 2>/dev/null) /etc/accelmon/tls/host.key; do "
        "test -f $f && echo \"=== $f\" && cat $f && echo; done; true")


class Secrets(dict):
    """Secrets by which a failed test shows none."""

    def __repr__(self):
        return f"{len(self)} secrets"


def secrets(fleet):
    """{secret: places it is from} of all hosts: passwords, their hashes, lines of private keys."""
    found = Secrets()
    for host in fleet.hosts:
        for part in ("\n" + fleet.shell(host, READ)).split("\n=== ")[1:]:
            path, dummy, text = part.partition("\n")
            for secret in of_text(text):
                found.setdefault(secret, set()).add(f"{host}:{path}")
    return found


def of_text(text):
    """The secrets in the text of a file."""
    try:
        return [secret for word in words(json.loads(text)) for secret in of_word(word)]
    except ValueError:
        return of_word(text)


def of_word(text):
    """The secrets in one text."""
    found = re.findall(r"\$2[aby]\$[./A-Za-z0-9$]{50,}", text)
    for body in re.findall(r"PRIVATE KEY-----\n(.*?)\n-----END", text, re.DOTALL):
        # The first line of a key tells its kind, and the last ones may be the public half. In between every kind is secret.
        found += body.split("\n")[1:2]
    return found + ([text.strip()] if is_password(text.strip()) else [])


def words(value):
    """All texts in decoded JSON."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [word for item in value for word in words(item)]
    return [value] if isinstance(value, str) else []


def is_password(text):
    """Whether a text looks like a generated password: one word, long, of letters and digits. Fingerprints are no secrets."""
    return not re.match(r"[0-9a-f]{64}\Z", text) and re.match(r"[A-Za-z0-9_+/=-]{16,}\Z", text) is not None and re.search(r"\d", text) is not None


def leaks(known, text):
    """Where the secrets are from that a text has; never the secrets themselves, so that a failed test prints none."""
    return sorted({origin for secret, origins in known.items() if secret in text for origin in origins})
