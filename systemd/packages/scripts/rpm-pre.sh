# An upgrade stops the program before its files change, see deb-prerm.sh.
if [ "$1" -gt 1 ] && [ -d /run/systemd/system ]; then
  case "$(systemctl show --property=ActiveState --value @name@.service)" in
  active | activating | reloading)
    touch /run/@name@.was-running
    systemctl stop --quiet @name@.service
    ;;
  esac
fi
:
