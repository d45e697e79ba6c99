# State and the services that it looks after stay.
if [ "$1" -eq 0 ] && [ -d /run/systemd/system ]; then
  systemctl --no-reload disable --now --quiet @units@ || :
fi
:
