#!/bin/sh
# After the files of @name@ are gone. State stays but for a purge that is told to remove it: by the
# answer of who sits there, by TLSFLEET_PURGE=state, or by a file /etc/tlsfleet/purge-state.
set -e
[ ! -d /run/systemd/system ] || systemctl daemon-reload
[ "$1" = purge ] || exit 0

for unit in @units@; do rm -f "/etc/systemd/system/multi-user.target.wants/$unit"; done
rm -f /run/@name@.was-running
[ -d /usr/lib/tlsfleet ] || rm -rf /var/cache/tlsfleet
[ -e @state@ ] || exit 0

answer=no
if [ "$TLSFLEET_PURGE" = state ] || [ -e /etc/tlsfleet/purge-state ]; then
  answer=yes
elif [ -t 0 ] && [ "$DEBIAN_FRONTEND" != noninteractive ]; then
  printf '%s: remove %s (%s) for good? Type yes: ' @name@ @state@ '@holds@'
  read -r answer || answer=no
fi
if [ "$answer" = yes ]; then
  rm -rf @state@
  rmdir --ignore-fail-on-non-empty /var/lib/tlsfleet
else
  echo "@name@: kept @state@ (@holds@); remove it by hand, or purge with TLSFLEET_PURGE=state"
fi
