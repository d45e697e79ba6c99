if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || :
  # What was running runs again. At first the conditions of the units decide.
  start=
  if [ -e /run/@name@.was-running ]; then start=@name@.service; fi
  if [ -e /run/@name@.is-new ]; then start='@units@'; fi
  if [ -n "$start" ]; then
    systemctl start $start || echo "@name@: it did not start, see: journalctl -u @name@" >&2
  fi
fi
rm -f /run/@name@.was-running /run/@name@.is-new
:
