# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys and certificates by the openssl program (1.1.1 or newer), and what is to be known of them.

Times are seconds since 1970. Certificates are PEM text. A key is given to openssl as a file or through a pipe, never as
an argument. No setting of the host's own openssl.cnf has a say.
"""
import calendar
import ipaddress
import os
import re
import time

from ansible_collections.accelmon.fleet.plugins.module_utils import command
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure

KEY_DAYS = 397
AUTHORITY_DAYS = 3650
# A host whose clock is behind must not refuse a certificate that was made just now.
CLOCK_SKEW = 3600
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\Z")
CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.S)
PUBLIC_KEY = re.compile("-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----\n?", re.S)
USAGES = {"TLS Web Server Authentication": "serverAuth", "TLS Web Client Authentication": "clientAuth"}

SETTINGS = """[req]
distinguished_name = name
prompt = no
string_mask = utf8only
[name]
CN = %(name)s
[ca]
default_ca = authority
[authority]
database = %(folder)s/index.txt
new_certs_dir = %(folder)s
rand_serial = yes
default_md = sha256
policy = policy
unique_subject = no
copy_extensions = none
email_in_dn = no
string_mask = utf8only
x509_extensions = extensions
[policy]
commonName = supplied
[extensions]
%(extensions)s
"""


# For one call of openssl, which takes milliseconds: only a host that is about to fail needs longer.
SECONDS = 60


def openssl(arguments, data=b"", program="openssl"):
    """(status, output, errors) of one call; output is bytes, errors text."""
    # The last two: openssl 3 would trust what the host itself trusts beside a given authority.
    environment = {"OPENSSL_CONF": os.devnull, "SSL_CERT_DIR": os.devnull, "SSL_CERT_FILE": os.devnull}
    try:
        status, output, errors = command.run_bytes([program] + list(arguments), SECONDS, data, environment=environment)
    except OSError as error:
        raise Failure("openssl: cannot be run (%s); install the package openssl" % error.strerror)
    if status is None:
        raise Failure("openssl: %s did not finish within %d s; check what the host is waiting for" % (arguments[0], SECONDS))
    return status, output, errors.decode("utf-8", "replace")


def reason(status, errors):
    """The line of openssl's errors that says most, without its numbers and places in the source."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    for line in lines:
        told = re.match(r"(?:[0-9A-F]+:)?error:[0-9A-F]+:(.*)", line)
        if told:
            words = [word for word in told.group(1).split(":") if word and not re.match(r"[\w./-]+\.[ch]$|\d+$", word)]
            return ": ".join(words)
    return lines[-1] if lines else "status %d" % status


def must(arguments, what, data=b""):
    """Output of a call that has to succeed."""
    status, output, errors = openssl(arguments, data)
    if status:
        raise Failure("%s: openssl: %s; fix this on the host" % (what, reason(status, errors)))
    return output


def new_key():
    """A new private key, EC P-256, as PEM bytes."""
    return must(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:named_curve"],
                "cannot create a key")


def public_key(key_file):
    """The public half of the private key in a file, as PEM text; Failure if that holds no usable key."""
    # An empty passphrase instead of a question at the terminal, which nobody would answer.
    status, output, errors = openssl(["pkey", "-in", key_file, "-pubout", "-passin", "pass:"])
    if status:
        raise Failure("no private key without a passphrase in it (%s)" % reason(status, errors))
    return output.decode("ascii")


def same_name(text):
    """A DNS name or address as it is compared: lower case, addresses in one form."""
    text = text.strip().strip("[]")
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text.lower().rstrip(".")


def is_address(text):
    """Whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
        return True
    except ValueError:
        return False


def alternative_names(names):
    """The value of subjectAltName. Whoever would smuggle another extension in by a name is refused."""
    entries = []
    for name in sorted(set(same_name(name) for name in names)):
        if is_address(name):
            entries.append("IP:%s" % name)
        elif HOST_NAME.match(name) and len(name) <= 253:
            entries.append("DNS:%s" % name)
        else:
            raise Failure("names = %s: neither a host name nor an IP address; correct it" % name)
    if not entries:
        raise Failure("names = []: a certificate needs at least one name; add one")
    return ", ".join(entries)


def request(folder, key_file):
    """A request for a certificate, as PEM text. It proves the key; its name means nothing.

    folder: a directory of root alone, for the settings
    """
    settings = os.path.join(folder, "request.cnf")
    with open(settings, "w") as stream:
        stream.write(SETTINGS % {"name": "accelmon", "folder": folder, "extensions": ""})
    return must(["req", "-new", "-sha256", "-config", settings, "-key", key_file], "cannot create a certificate request").decode("ascii")


def check_request(text):
    """Raises Failure unless a request is whole, signed by its own key, and that key EC P-256."""
    status, output, errors = openssl(["req", "-verify", "-noout", "-pubkey"], text.encode("ascii", "replace"))
    # Some releases say here that the signature is good.
    key = PUBLIC_KEY.search(output.decode("ascii", "replace"))
    if status or not key:
        raise Failure("not a request signed by its own key (%s)" % reason(status, errors))
    told = must(["pkey", "-pubin", "-noout", "-text_pub"], "cannot read the key of the request", key.group(0).encode("ascii"))
    if b"prime256v1" not in told:
        raise Failure("its key is not EC P-256")


def moment(seconds):
    """A time as openssl ca wants it."""
    return time.strftime("%y%m%d%H%M%SZ", time.gmtime(seconds))


def issue(folder, request_text, name, extensions, key_file, certificate_file=None, days=KEY_DAYS, now=None):
    """A certificate, as PEM text. Its name and extensions are those given here; of the request only the key counts.

    folder: an empty directory of root alone
    certificate_file: of the authority; None for a certificate that signs itself with `key_file`
    """
    now = time.time() if now is None else now
    for file_name, text in (("index.txt", ""), ("request.pem", request_text),
                            ("settings.cnf", SETTINGS % {"name": "accelmon", "folder": folder, "extensions": extensions})):
        with open(os.path.join(folder, file_name), "w") as stream:
            stream.write(text)
    arguments = ["ca", "-batch", "-notext", "-config", os.path.join(folder, "settings.cnf"), "-in", os.path.join(folder, "request.pem"),
                 "-subj", "/CN=%s" % name, "-startdate", moment(now - CLOCK_SKEW), "-enddate", moment(now + days * 86400),
                 "-keyfile", key_file] + (["-cert", certificate_file] if certificate_file else ["-selfsign"])
    text = must(arguments, "cannot create a certificate for %s" % name).decode("ascii")
    found = CERTIFICATE.findall(text)
    if not found:
        raise Failure("cannot create a certificate for %s: openssl returned none; check openssl on this host" % name)
    return found[0]


def leaf_extensions(names, client):
    """Extensions of a host's certificate, as strict checkers want them."""
    return "\n".join([
        "basicConstraints = critical, CA:FALSE",
        "keyUsage = critical, digitalSignature",
        "extendedKeyUsage = serverAuth" + (", clientAuth" if client else ""),
        "subjectAltName = " + alternative_names(names),
        "subjectKeyIdentifier = hash",
        "authorityKeyIdentifier = keyid:always",
    ])


AUTHORITY_EXTENSIONS = "\n".join([
    "basicConstraints = critical, CA:TRUE, pathlen:0",
    "keyUsage = critical, keyCertSign, cRLSign",
    "subjectKeyIdentifier = hash",
    "authorityKeyIdentifier = keyid:always",
])


def parse_time(text):
    """'Nov 21 06:10:46 2026 GMT' as seconds."""
    found = re.match(r"(\w{3}) +(\d+) (\d\d):(\d\d):(\d\d)(?:\.\d+)? (\d{4}) GMT\Z", text.strip())
    if not found or found.group(1) not in MONTHS:
        raise Failure("%s: not a time in openssl's format; check openssl on this host" % text.strip())
    month, day, hour, minute, second, year = found.groups()
    return calendar.timegm((int(year), MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second)))


def read_certificate(text):
    """{"from", "until", "names", "usages", "public_key", "subject", "issuer"} of the first certificate in a text.

    names, usages: sets. Failure if there is none that can be read.
    """
    found = CERTIFICATE.findall(text)
    if not found:
        raise Failure("no PEM certificate in it")
    status, output, errors = openssl(
        ["x509", "-noout", "-subject", "-issuer", "-dates", "-pubkey", "-ext", "subjectAltName,extendedKeyUsage", "-nameopt", "RFC2253"],
        found[0].encode("ascii", "replace"))
    if status and b"BEGIN PUBLIC KEY" not in output:
        raise Failure("no readable certificate in it (%s)" % reason(status, errors))
    return parse_certificate(output.decode("utf-8", "replace"))


def parse_certificate(told):
    """What `read_certificate` gives, from openssl's words."""
    def line(start):
        found = re.search(r"^%s=(.*)$" % start, told, re.M)
        return found.group(1).strip() if found else ""

    def extension(title):
        found = re.search(r"^ *X509v3 %s:.*\n(.*)$" % title, told, re.M)
        return [word.strip() for word in found.group(1).split(",")] if found else []

    key = PUBLIC_KEY.search(told)
    names = set(same_name(word.partition(":")[2]) for word in extension("Subject Alternative Name") if word.startswith(("DNS:", "IP Address:")))
    return {"from": parse_time(line("notBefore")), "until": parse_time(line("notAfter")), "names": names,
            "usages": set(USAGES.get(word, word) for word in extension("Extended Key Usage")),
            "public_key": key.group(0) if key else "", "subject": line("subject"), "issuer": line("issuer")}


def earliest_end(bundle):
    """When the first certificate of a bundle ends."""
    found = CERTIFICATE.findall(bundle)
    if not found:
        raise Failure("no PEM certificate in it")
    return min(read_certificate(text)["until"] for text in found)


def trusted(certificate_file, bundle_file, usage=""):
    """"" if the authorities in a file vouch for a certificate now, else openssl's reason. What the host itself trusts does not count.

    usage: serverAuth, clientAuth or "" for any
    """
    arguments = ["verify", "-CAfile", bundle_file, "-no-CApath"]
    if usage:
        arguments += ["-purpose", {"serverAuth": "sslserver", "clientAuth": "sslclient"}[usage]]
    # Certificates between the host's and the authority's come with the host's own.
    status, output, errors = openssl(arguments + ["-untrusted", certificate_file, certificate_file])
    if not status:
        return ""
    told = re.search(r"error \d+ at \d+ depth lookup: ?(.*)", output.decode("utf-8", "replace") + errors)
    return told.group(1).strip() if told else reason(status, errors)
