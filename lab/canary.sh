#!/bin/sh
# Runs in a lab host as root. Fails unless systemd's sandboxing really acts here: without the right privileges systemd
# leaves it out without a word, and every test of a sandboxed service would pass for the wrong reason.
run() { systemd-run --quiet --wait --collect "$@" >/dev/null 2>&1; }
fail() { echo "$1" >&2; exit 1; }
connect='import socket; socket.create_connection(("127.0.0.1", 22), 2).close()'

run true || fail "systemd-run does not work at all"
rm -f /etc/lab-canary
if run -p ProtectSystem=strict touch /etc/lab-canary; then
  rm -f /etc/lab-canary
  fail "ProtectSystem=strict has no effect"
fi
touch /tmp/lab-canary
if run -p PrivateTmp=yes test -e /tmp/lab-canary; then
  rm -f /tmp/lab-canary
  fail "PrivateTmp=yes has no effect"
fi
rm -f /tmp/lab-canary
run python3 -c "$connect" || fail "cannot connect to the host's own ssh"
if run -p IPAddressDeny=any python3 -c "$connect"; then
  fail "IPAddressDeny=any has no effect"
fi
if run -p PrivateNetwork=yes grep -q eth0: /proc/net/dev; then
  fail "PrivateNetwork=yes has no effect"
fi
