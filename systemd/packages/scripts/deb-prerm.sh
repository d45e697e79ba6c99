#!/bin/sh
# Before the files of @name@ are replaced or removed. A program that runs loads parts of itself when
# it needs them, so it is stopped first; a change that it is in the middle of is finished or undone.
# The services that it looks after go on.
set -e
[ -d /run/systemd/system ] || exit 0
case "$(systemctl show --property=ActiveState --value @name@.service)" in
active | activating | reloading)
  touch /run/@name@.was-running
  systemctl stop --quiet @name@.service
  ;;
esac
[ "$1" != remove ] || systemctl stop @units@
