if [ -e /usr/lib/sysusers.d/@name@.conf ]; then systemd-sysusers @name@.conf || :; fi
systemd-tmpfiles --create @name@.conf || :
rm -rf /var/cache/tlsfleet/*
if [ "$1" -eq 1 ]; then
  systemctl enable --quiet @units@ || :
  touch /run/@name@.is-new
fi
:
