if [ "$1" -eq 0 ]; then
  if [ -d /run/systemd/system ]; then systemctl daemon-reload || :; fi
  if [ ! -d /usr/lib/tlsfleet ]; then rm -rf /var/cache/tlsfleet; fi
  if [ -e @state@ ]; then echo "@name@: kept @state@ (@holds@)"; fi
fi
:
