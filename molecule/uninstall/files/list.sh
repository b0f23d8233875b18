#!/bin/sh
# Everything that the collection could leave on a host: files with owner and mode, those in /etc with their contents; users, groups, units.
# Left out: what the package manager, systemd, the lab and the playbooks' own connection keep.
{
    find /etc /opt /usr/local /var /run /srv \
        \( -path '/etc/*-' -o -path /etc/mtab -o -path /etc/ld.so.cache -o -path /etc/resolv.conf -o -path /etc/hosts -o -path /etc/.pwd.lock \
        -o -path '/etc/rc?.d' -o -path '/etc/init.d/.depend*' \
        -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/lib/systemd -o -path /var/lib/ucf -o -path /var/cache -o -path /var/log \
        -o -path /var/backups -o -path /var/tmp -o -path /var/spool -o -path /var/run -o -path /var/lock \
        -o -path /run/systemd -o -path /run/log -o -path /run/user -o -path /run/udev -o -path /run/lock -o -path /run/dbus -o -path /run/sudo \
        -o -path '/run/motd*' -o -path '/run/*.lock' -o -path '/run/*.pid' -o -path '*/__pycache__' \) -prune \
        -o -printf '%p %y %m %u:%g %l\n'
    find /var/cache /var/log /run -name '*accelmon*' ! -path '/run/log/*' ! -path '/var/log/journal/*' -printf '%p %y\n'
    find /etc -type f ! -name '*-' ! -name passwd ! -name group ! -name shadow ! -name gshadow ! -name ld.so.cache ! -path '/etc/init.d/.depend*' \
        ! -name hosts ! -name resolv.conf -exec sha256sum {} +
    sed 's/:.*//; s/^/user /' /etc/passwd
    sed 's/:.*//; s/^/group /' /etc/group
    systemctl list-units --all --no-legend --plain 'accelmon-*' | sed 's/^/unit /'
} 2>/dev/null | LC_ALL=C sort -u
