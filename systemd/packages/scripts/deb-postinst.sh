#!/bin/sh
# After the files of @name@ are in place.
set -e
case "$1" in configure | abort-upgrade | abort-remove | abort-deconfigure) ;; *) exit 0 ;; esac

if [ -e /usr/lib/sysusers.d/@name@.conf ] && command -v systemd-sysusers >/dev/null; then
  systemd-sysusers @name@.conf
fi
if command -v systemd-tmpfiles >/dev/null; then
  systemd-tmpfiles --create @name@.conf
fi
# Compiled code of the version before.
rm -rf /var/cache/tlsfleet/*

command -v systemctl >/dev/null || exit 0
first=no
if [ "$1" = configure ] && [ -z "$2" ]; then first=yes; fi
# Once: who disables it afterwards is not overruled by an upgrade.
[ $first = no ] || systemctl enable --quiet @units@
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
# What was running runs again. At first the conditions of the unit decide.
if [ $first = yes ] || [ -e /run/@name@.was-running ]; then
  rm -f /run/@name@.was-running
  systemctl start @units@ || echo "@name@: it did not start, see: journalctl -u @name@" >&2
fi
