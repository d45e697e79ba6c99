#!/usr/bin/env bash
# lab.sh - a lab of small hosts ("nodes") on one machine.
#
# A lab is one `unshare --mount --net --pid` process (the holder) and all that
# lives in its namespaces: a router network, one network namespace per node,
# and per node a systemd-nspawn container with real systemd as PID 1.  On the
# host itself there is only a state directory, two cgroups and the image; when
# the holder dies, the kernel takes everything else.
#
#   check               can a lab run here? exit 0 yes, 77 no (says why)
#   packages            the Debian packages that a lab needs and this host lacks, one a line
#   setup               install them (root; nothing else is changed on the host)
#   image               find or make the node image, print its path
#   up N                boot n1..nN, return when all of them are ready
#   run N -- CMD ...    up, CMD on host "ctl", down; exit status of CMD.  In CMD,
#                       this script's other verbs work on the lab it runs in
#   exec NODE CMD ...   CMD as root in a node, or on ctl (host's files, lab's network)
#   put FILE NODE:PATH  copy a file into a running node
#   get NODE:PATH FILE  copy a file out of it
#   cut NODE [PEER]     drop its packets silently: all, or only those it sends to PEER
#   lag NODE MS [PCT]   delay what it sends and receives by MS each way, lose PCT percent
#   heal                end every cut and lag
#   kill NODE           power off hard: SIGKILL to all of it, packets to it dropped
#   stop NODE           orderly poweroff
#   start NODE          boot it again, on the disk it had
#   freeze|thaw NODE    stop, continue every process of it
#   fill|drain NODE     leave no space on its disk, give it back
#   readonly|writable NODE DIR   DIR cannot be written, by running services neither; can again
#   ps                  nodes, addresses, PIDs of their systemd
#   down                end the lab, leave nothing
#   reap                end labs whose keeper was killed (up does this too)
#
# Environment: LAB_ID (default "lab"; one lab each), LAB_OWNER (a PID: the lab
# ends when that process does), LAB_STATE, LAB_CACHE (directories), LAB_DISK
# (size of a node's disk, 512m), LAB_TIMEOUT (seconds for one boot, 180),
# LAB_BIND (more nspawn --bind-ro= values, one a line), LAB_SHARE (a --bind= value: a
# directory of the host that all nodes write to), LAB_NODE (the Node binary
# that becomes /usr/bin/node in a node; default: the one npm installed here).
set -euo pipefail
shopt -s nullglob

ID=${LAB_ID:-lab}
STATE=${LAB_STATE:-/var/tmp/lab-state}
CACHE=${LAB_CACHE:-/var/cache/lab-image}
DISK=${LAB_DISK:-512m}
TIMEOUT=${LAB_TIMEOUT:-180}
S=$STATE/$ID                    # on the host: PID notes, logs; $S/disk is mounted inside the lab only
NET=10.77.0                     # exists only in the lab's own network namespaces
SUITE=bookworm
MIRROR=http://deb.debian.org/debian                     # unless the host's own apt knows another
PACKAGES=systemd,systemd-sysv,dbus,iproute2,procps,netbase,curl,openssl,ca-certificates,prometheus,prometheus-alertmanager,prometheus-node-exporter,influxdb
MASK="apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer
  e2scrub_reap.service fstrim.timer man-db.timer systemd-tmpfiles-clean.timer
  systemd-logind.service console-getty.service getty@.service getty.target
  systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-sysusers.service
  systemd-user-sessions.service systemd-journal-flush.service systemd-pstore.service
  systemd-firstboot.service systemd-resolved.service systemd-timesyncd.service
  systemd-udevd.service systemd-udev-trigger.service systemd-ask-password-console.path
  systemd-ask-password-wall.path dev-hugepages.mount remote-fs.target modprobe@.service"

die()  { echo "lab: $*" >&2; exit 1; }
skip() { echo "lab: not possible here: $*" >&2; exit 77; }

# --- what the host must have ----------------------------------------------------

# command=package; everything else that this script calls is essential in Debian
NEEDS="systemd-nspawn=systemd-container mmdebstrap=mmdebstrap ip=iproute2 unshare=util-linux
  nsenter=util-linux setpriv=util-linux flock=util-linux perl=perl-base openssl=openssl strace=strace"

packages() {
  local n
  for n in $NEEDS; do command -v "${n%=*}" >/dev/null || echo "${n#*=}"; done | sort -u
}

setup() {
  local missing
  [ "$(id -u)" = 0 ] || die "setup needs root"
  missing=$(packages)
  [ -n "$missing" ] || return 0
  command -v apt-get >/dev/null || die "no apt-get here; install by hand:" $missing
  export DEBIAN_FRONTEND=noninteractive
  echo "lab: apt-get update" >&2
  # a source that does not answer must not keep the others' packages away
  apt-get update -qq </dev/null >&2 || echo "lab: some package lists could not be renewed, going on" >&2
  echo "lab: apt-get install" $missing >&2
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 $missing </dev/null >&2 ||
    die "apt-get install failed:" $missing
}

mirror() {                      # where the host itself gets this suite from, else Debian's own address
  local m
  m=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 2>/dev/null |
    sed -n "s|^\(https\{0,1\}://[^ ]*\) $SUITE main\$|\1|p" | head -1) || true
  echo "${m:-$MIRROR}"
}

nodejs() {                      # the Node binary for the nodes: npm's own of this checkout, else the host's
  local b a
  case $(uname -m) in x86_64) a=x64 ;; aarch64) a=arm64 ;; *) a=none ;; esac
  for b in "${LAB_NODE:-}" "$(dirname "$0")/../../node_modules/node-linux-$a/bin/node" "$(command -v node || true)"; do
    if [ -n "$b" ] && [ -x "$b" ]; then readlink -f "$b"; return; fi
  done
}

# --- processes: a PID is trusted only together with its start time ------------

started() {                     # started PID: its start time; fails for none and for a zombie
  local s; { read -r s <"/proc/$1/stat"; } 2>/dev/null || return 1
  read -ra s <<<"${s##*) }"; [ "${s[0]}" != Z ] && echo "${s[19]}"
}
note()   { echo "$2 $(started "$2")" >"$1.new"; mv "$1.new" "$1"; }     # note FILE PID
alive()  {                      # alive FILE: does the process noted there still run? sets PID
  local t; [ -r "$1" ] && read -r PID t <"$1" && [ "$(started "$PID")" = "$t" ]
}
gone()   { while started "$1" >/dev/null; do sleep 0.01; done; }
holder() {                      # PID of the lab's PID 1, as seen from here
  if [ -n "${LAB_INSIDE:-}" ]; then echo 1; return; fi
  alive "$S/holder" || die "no lab $ID is up"; echo "$PID"
}
inlab()  { local h; h=$(holder); nsenter -t "$h" --mount --net --pid -- "$@"; }
self()   { inlab bash "$0" "$@"; }              # this script, on the lab's router

# --- cgroups: one tree per lab, in the v2 and in the name=systemd hierarchy ----

cgroots() {                     # the v2 one first
  local d
  for d in /sys/fs/cgroup/unified /sys/fs/cgroup /sys/fs/cgroup/systemd; do
    if [ -e "$d/cgroup.procs" ]; then echo "$d"; fi
  done
}
cg()      { local d; while read -r d; do echo "$d/lab.$ID/$1"; return; done < <(cgroots); }
cgenter() {                     # cgenter ID/SUB: moves this very process (0) there
  local d
  for d in $(cgroots); do
    mkdir -p "$d/lab.$1" && echo 0 >"$d/lab.$1/cgroup.procs" || return 1
  done
}
cgclean() {                     # cgclean ID: kill what still runs there, remove it
  local d _
  for d in $(cgroots); do
    for _ in $(seq 1500); do
      [ -d "$d/lab.$1" ] || break
      { echo 1 >"$d/lab.$1/cgroup.kill"; } 2>/dev/null || true
      find "$d/lab.$1" -depth -type d -exec rmdir {} \; 2>/dev/null || true
      [ ! -d "$d/lab.$1" ] || sleep 0.02
    done
  done
}

# --- can a lab run here? --------------------------------------------------------

check() {
  local t out id=probe-$$
  [ "$(id -u)" = 0 ] || skip "needs root"
  t=$(packages | xargs)
  [ -z "$t" ] || skip "missing packages: $t (lab.sh setup installs them)"
  [ -n "$(cgroots)" ] || skip "no cgroup hierarchy under /sys/fs/cgroup"
  # the real thing in small: each kind of object a lab needs, and a container that runs `true`
  out=$(
    cgenter "$id/probe" 2>/dev/null || { echo "FAILED: make a cgroup"; exit 1; }
    # shellcheck disable=SC2016
    exec unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private -- bash -c '
      try() { "$@" 2>&1 || { echo "FAILED: $*"; exit 1; }; }
      try mount -t tmpfs none /run; mkdir /run/u /run/w /run/m
      try mount -t overlay ov -o lowerdir=/,upperdir=/run/u,workdir=/run/w /run/m
      try ip netns add probe
      try ip link add probe0 type veth peer name eth0 netns probe
      try ip rule add pref 100 from 10.77.0.9 blackhole
      try systemd-nspawn -q --register=no --keep-unit --directory=/run/m --private-network --pipe true
      ' 2>&1 </dev/null
  ) || { cgclean "$id"; skip "$(tail -2 <<<"${out:-unshare failed}" | tr '\n' ' ')"; }
  cgclean "$id"
}

# --- the image: a minimal Debian, made once, never changed ----------------------

image() {
  local key dir
  key=$(echo "1 $SUITE $PACKAGES $MASK" | sha256sum | cut -c1-12)
  dir=$CACHE/$key
  if [ ! -d "$dir" ]; then
    command -v mmdebstrap >/dev/null || skip "missing packages: mmdebstrap (lab.sh setup installs them)"
    mkdir -p "$CACHE"
    echo "lab: making the node image, once a machine, about a minute" >&2
    (flock 8; [ -d "$dir" ] || make_image "$dir") 8>"$CACHE/.lock"
  fi
  echo "$dir"
}

make_image() {
  local r=$1.tmp u
  rm -rf --one-file-system "$r"
  unshare --mount --pid --fork --kill-child --mount-proc --propagation private -- \
    mmdebstrap --quiet --variant=minbase --mode=root --include="$PACKAGES" \
    --aptopt='APT::Install-Recommends "false"' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$SUITE" "$r" "$(mirror)" </dev/null >"$1.log" 2>&1 ||
    { tail -5 "$1.log" >&2; die "mmdebstrap failed, see $1.log"; }
  mkdir -p "$r"/etc/systemd/{system,system.conf.d,journald.conf.d}
  for u in $MASK; do ln -sfn /dev/null "$r/etc/systemd/system/$u"; done
  printf '[Manager]\nShowStatus=no\nDefaultTimeoutStopSec=10s\n' >"$r/etc/systemd/system.conf.d/lab.conf"
  printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=32M\n' >"$r/etc/systemd/journald.conf.d/lab.conf"
  # Only the tests about them start these.
  rm -f "$r"/etc/systemd/system/multi-user.target.wants/prometheus-{alertmanager,node-exporter}.service
  : >"$r/etc/resolv.conf"
  rm -f "$r/usr/sbin/policy-rc.d"
  mv "$r" "$1"                  # so a half-made image is never taken for one
}

# --- on the lab's router (run there through self) --------------------------------

lab_init() {                    # lab_init N: by the holder, once
  local i
  mount -t tmpfs -o mode=755 run /run                   # nspawn's and ip's own state stays in here
  mkdir -p "$S/disk"; mount -t tmpfs -o mode=755,size=1m disk "$S/disk"
  ip link set lo up
  echo 1 >/proc/sys/net/ipv4/ip_forward
  { echo "127.0.0.1 localhost"; echo "$NET.2 ctl"
    for i in $(seq "$1"); do echo "$(addr "n$i") n$i"; done; } >"$S/disk/hosts"
  mount --bind "$S/disk/hosts" /etc/hosts
  for i in ctl $(seq -f 'n%.0f' "$1"); do wire "$i"; done
}

addr() {
  case $1 in
    ctl) echo "$NET.2" ;;
    n[1-9]*) echo "$NET.$((10 + ${1#n}))" ;;
    *) die "no node $1" ;;
  esac
}

wire() {                        # wire NODE: a network namespace, on a cable of its own to the router
  ip netns add "$1"
  ip link add "$1" type veth peer name eth0 netns "$1"
  ip link set "$1" up
  ip addr add "$NET.1/32" dev "$1"
  ip route add "$(addr "$1")/32" dev "$1"
  ip -n "$1" link set lo up
  ip -n "$1" link set eth0 up
  ip -n "$1" addr add "$(addr "$1")/32" dev eth0
  ip -n "$1" route add default via "$NET.1" dev eth0 onlink
}

boot() {                        # boot NODE IMAGE: nspawn in the background
  local d=$S/disk/$1 b args=()
  if [ ! -d "$d" ]; then
    mkdir "$d"
    mount -t tmpfs -o "mode=755,size=$DISK" "disk-$1" "$d"
    mkdir "$d"/{upper,work,root}
    mount -t overlay "root-$1" -o "lowerdir=$2,upperdir=$d/upper,workdir=$d/work" "$d/root"
    echo "$1" >"$d/root/etc/hostname"
    echo "$ID/$1" | md5sum | cut -c1-32 >"$d/root/etc/machine-id"
  fi
  b=$(nodejs); if [ -n "$b" ]; then args+=("--bind-ro=${b//:/\\:}:/usr/bin/node"); fi
  while IFS= read -r b; do if [ -n "$b" ]; then args+=("--bind-ro=$b"); fi; done <<<"${LAB_BIND:-}"
  if [ -n "${LAB_SHARE:-}" ]; then args+=("--bind=$LAB_SHARE"); fi
  (
    cgenter "$ID/$1"
    # the payload gets pure cgroup v2, as on a real Debian 12, even where the host's layout is hybrid
    export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
    # in the node's network from the start: with --network-namespace-path, its /sys would show the router's
    exec setsid nsenter --net="/run/netns/$1" systemd-nspawn --quiet --register=no --keep-unit \
      --directory="$d/root" --machine="$1" --console=read-only --capability=CAP_NET_ADMIN \
      --resolv-conf=off --timezone=off --link-journal=no --bind-ro="$S/disk/hosts:/etc/hosts" \
      "${args[@]}" --boot </dev/null >>"$S/$1.log" 2>&1
  ) &
  until grep -qs 'populated 1' "$(cg "$1")/cgroup.events"; do sleep 0.01; done
}

# Preferences of the routing rules that make a fault: 50, 60 lag; 90 powered off; 100 cut.
rule()   { ip rule del "$@" 2>/dev/null || true; ip rule add "$@"; }
unrule() { while ip rule del "$@" 2>/dev/null; do :; done; }

drop() {                        # drop PREF NODE [PEER]
  local a; a=$(addr "$2")
  if [ -n "${3:-}" ]; then rule pref "$1" from "$a" to "$(addr "$3")" blackhole
  else rule pref "$1" from "$a" blackhole; rule pref "$1" to "$a" blackhole; fi
}

lag() {                         # lag NODE MS PCT: through a tunnel device that is slow (no netem needed)
  local dev="lag-$1" a table
  a=$(addr "$1"); table=$((1000 + ${a##*.}))
  ip link del "$dev" 2>/dev/null || true                # which ends its perl, too
  ip tuntap add dev "$dev" mode tun
  # shellcheck disable=SC2016
  setsid perl -e '
    use strict; use Time::HiRes "time"; my ($dev, $ms, $loss) = @ARGV; my @queue;
    open(my $tun, "+<", "/dev/net/tun") or die; ioctl($tun, 0x400454ca, pack("a16 S x22", $dev, 0x1001)) or die;
    while (1) {
      my $wait = @queue ? $queue[0][0] - time : undef; $wait = 0 if defined $wait && $wait < 0;
      my $ready = ""; vec($ready, fileno($tun), 1) = 1;
      if (select($ready, undef, undef, $wait) > 0) {
        sysread($tun, my $packet, 65535) or exit;
        push @queue, [time + $ms / 1000, $packet] if rand(100) >= $loss;
      }
      while (@queue && $queue[0][0] <= time) { syswrite($tun, (shift @queue)->[1]) }
    }' "$dev" "$2" "$3" </dev/null >/dev/null 2>&1 &
  ip link set "$dev" up
  ip route replace default dev "$dev" table "$table"
  rule pref 50 iif "$dev" lookup main
  rule pref 60 iif "$1" lookup "$table"
  rule pref 60 to "$a" lookup "$table"
}

heal() {
  local d
  unrule pref 50; unrule pref 60; unrule pref 100
  # not /sys/class/net: that /sys still shows the host's network namespace
  for d in $(ip -o link | grep -o 'lag-n[0-9]*'); do ip link del "$d"; done
}

# --- from outside a node ----------------------------------------------------------

# Tests ask nodes hundreds of times: what is on this way starts no program of its own. Files of the kernel
# are read in one go: `read` goes back to the end of each line and reads on, while what lies before it
# may be shorter or longer by then.
status() {                      # status PID KEY: sets VALUE, of /proc/PID/status; fails where it is gone
  local lines line
  { mapfile -t lines <"/proc/$1/status"; } 2>/dev/null || return 1
  for line in "${lines[@]}"; do
    if [[ $line == "$2:"* ]]; then VALUE=${line#*:[[:space:]]}; return 0; fi
  done
  return 1
}
leader() {                      # leader NODE: PID of its systemd, as seen from here
  local p pids VALUE
  { mapfile -t pids <"$(cg "$1")/payload/init.scope/cgroup.procs"; } 2>/dev/null || return 1
  for p in "${pids[@]}"; do
    if status "$p" NSpid && [[ $VALUE =~ [[:space:]]1$ ]]; then echo "$p"; return; fi
  done
  return 1
}

enter() {                       # enter NODE: sets IN, the words before a command to run there
  local p caps c VALUE set=-all
  if [ "$1" = ctl ]; then
    p=$(holder); IN=(nsenter -t "$p" --mount --pid --net="/proc/$p/root/run/netns/ctl" -- setpriv --pdeathsig KILL)
    return
  fi
  p=$(leader "$1") || die "$1 is not running"
  # nsenter alone keeps the host's capabilities, and `date -s` in a node would set the machine's
  # clock.  So: no more of them than the node's own systemd has.
  status "$p" CapBnd || die "$1 is not running"
  caps=$((0x$VALUE))
  for c in {0..62}; do if (( caps >> c & 1 )); then set+=,+cap_$c; fi; done
  # pdeathsig: nsenter forks, and passes no signal on
  IN=(nsenter -t "$p" --all -- setpriv --pdeathsig KILL --bounding-set="$set" --inh-caps=-all --
    env -i HOME=/root LANG=C.UTF-8 TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
}
innode() { local IN; enter "$1"; shift; "${IN[@]}" "$@"; }

await() {                       # await NODE: until its boot is done
  local p='' st end=$((SECONDS + TIMEOUT))
  until p=$(leader "$1") && [ -S "/proc/$p/root/run/systemd/private" ]; do
    holder >/dev/null
    if [ $SECONDS -ge $end ] || grep -qs 'populated 0' "$(cg "$1")/cgroup.events"; then
      die "$1 did not boot: $(tail -3 "$S/$1.log")"
    fi
    sleep 0.02
  done
  st=$(innode "$1" timeout "$TIMEOUT" systemctl is-system-running --wait) || true
  case $st in
    running) ;;
    degraded) echo "lab: $1 is degraded: $(innode "$1" systemctl --failed --plain --no-legend | cut -d' ' -f1 | xargs)" >&2 ;;
    *) die "$1 came up as '${st:-?}': $(tail -3 "$S/$1.log")" ;;
  esac
}

frozen() {                      # frozen NODE 0|1: the kernel stops its processes one by one
  local d; d=$(cg "$1")/payload
  echo "$2" >"$d/cgroup.freeze"
  until grep -qx "frozen $2" "$d/cgroup.events"; do sleep 0.01; done
}
fill() {                        # less than is in use is refused, and it grows while it is measured: leave some, use it up
  local d=$S/disk/$1
  mount -o "remount,size=$(($(df --output=used -k "$d" | tr -dc 0-9) + 8192))k" "$d"
  ! cat /dev/zero 2>/dev/null >"$d/ballast"
}
is_node() { [ -d "/proc/$(holder)/root$S/disk/${1:?which node?}" ] || die "no node $1"; }

# --- a lab's life, from the host ----------------------------------------------------

locked() {                      # locked FUNCTION: one at a time, for all labs of this state directory
  mkdir -p "$STATE"
  (flock 9; "$1") 9>"$STATE/.lock"
}

keeper() {                      # keeper N IMAGE OWNER BORN: outside the lab; ends it with its owner, cleans up
  local owner=$3 born=$4 u
  note "$S/keeper" $BASHPID; MINE=$(<"$S/keeper")
  (
    cgenter "$ID/holder"
    # pdeathsig, kill-child: kill any link of this chain, and the kernel kills the rest of it
    exec setpriv --pdeathsig KILL unshare --mount --net --pid --fork --kill-child=KILL --mount-proc \
      --propagation private -- bash "$0" __holder "$1" "$2" </dev/null >"$S/holder.log" 2>&1
  ) &
  u=$!
  until [ -e "$S/ready" ] || ! kill -0 $u 2>/dev/null; do sleep 0.01; done
  if [ ! -e "$S/ready" ]; then : >"$S/failed"; return; fi
  note "$S/holder" "$(tr -d ' ' <"/proc/$u/task/$u/children")"       # unshare's one child
  while kill -0 $u 2>/dev/null && { [ "$owner" = 0 ] || [ "$(started "$owner")" = "$born" ]; }; do sleep 0.3; done
  locked end_mine
}
end_mine() { if [ "$(cat "$S/keeper" 2>/dev/null)" = "$MINE" ]; then end_lab "$ID"; fi; }

end_lab() {                     # end_lab ID: from its state directory and cgroups alone; needs the lock
  local d=$STATE/$1
  if alive "$d/keeper" && [ "$PID" != $$ ]; then kill -KILL "$PID" 2>/dev/null || true; fi
  if alive "$d/holder"; then kill -KILL "$PID" 2>/dev/null || true; fi
  cgclean "$1"
  rm -rf --one-file-system "$d"
}

reap() {
  local d
  for d in "$STATE"/*/; do
    d=$(basename "$d")
    if ! alive "$STATE/$d/keeper"; then echo "lab: reaping $d" >&2; end_lab "$d"; fi
  done
  for d in $(cgroots | sed 's|$|/lab.probe-*|'); do     # of a check that was killed
    if ! started "${d##*-}" >/dev/null; then cgclean "probe-${d##*-}"; fi
  done
}

claim() {                       # until the keeper runs, this process stands for it
  reap
  [ ! -e "$S" ] || die "lab $ID is up already"
  mkdir "$S"; note "$S/keeper" $$
}

up() {
  local n=$1 img i end owner=${LAB_OWNER:-0} born=
  [ "$owner" = 0 ] || born=$(started "$owner") || die "no process $owner to own the lab"
  check
  img=$(image)
  locked claim
  setsid bash "$0" __keeper "$n" "$img" "$owner" "$born" </dev/null >"$S/keeper.log" 2>&1 &
  disown
  end=$((SECONDS + TIMEOUT))
  until [ -e "$S/holder" ]; do
    if [ -e "$S/failed" ] || [ $SECONDS -ge $end ]; then
      cat "$S"/*.log >&2; locked down; die "the lab did not start"
    fi
    sleep 0.02
  done
  for i in $(seq "$n"); do await "n$i"; done
}

down() { if [ -d "$S" ]; then end_lab "$ID"; fi; }

run() {
  local n=$1 rc=0; shift
  trap 'locked down' EXIT; trap 'exit 130' INT; trap 'exit 143' TERM
  LAB_OWNER=$$ up "$n"
  # in the background, as bash runs a trap only once the foreground command has ended
  bash "$0" exec ctl env LAB_INSIDE=1 LAB_ID="$ID" LAB_STATE="$STATE" "$@" <&0 &
  wait $! || rc=$?
  exit $rc
}

cmd=${1:-}; shift || true
case $cmd in
  check|image|packages|setup) "$cmd" ;;
  up)    up "${1:?how many nodes?}" ;;
  run)   [ "${2:-}" = -- ] || die "run N -- CMD"; n=$1; shift 2; run "$n" "$@" ;;
  down|reap) locked "$cmd" ;;
  ps)
    h=$(holder)
    for i in "/proc/$h/root$S/disk"/n*/; do i=$(basename "$i"); echo "$i $(addr "$i") $(leader "$i" || echo -)"; done ;;
  exec)  enter "${1:?which node?}"; shift; exec "${IN[@]}" "$@" ;;
  put)   innode "${2%%:*}" sh -c 'cat >"$1"' sh "${2#*:}" <"$1" ;;
  get)   innode "${1%%:*}" cat "${1#*:}" >"$2" ;;
  cut)   is_node "$1"; self __drop 100 "$@" ;;
  lag)   is_node "$1"; self __lag "$1" "${2:?how many ms?}" "${3:-0}" ;;
  heal)  self __heal ;;
  kill)  is_node "$1"; p=$(leader "$1") || die "$1 is not running"; self __drop 90 "$1"; kill -KILL "$p"; gone "$p" ;;
  stop)  is_node "$1"; p=$(leader "$1") || exit 0; kill -RTMIN+4 "$p"; gone "$p" ;;
  start) is_node "$1"; ! leader "$1" >/dev/null || die "$1 is running"; self __start "$1"; await "$1" ;;
  freeze) is_node "$1"; frozen "$1" 1 ;;
  thaw)   is_node "$1"; frozen "$1" 0 ;;
  fill)  is_node "$1"; self __fill "$1" ;;
  drain) is_node "$1"; inlab rm -f "$S/disk/$1/ballast"; inlab mount -o "remount,size=$DISK" "$S/disk/$1" ;;
  readonly)                     # a new read-only mount reaches running services; a remount would not
    p=$(leader "$1") || die "$1 is not running"
    nsenter -t "$p" --mount --pid sh -c 'mkdir -p /run/empty; mount -t overlay -o "ro,lowerdir=$1:/run/empty" ro "$1"' sh "${2:?which directory?}" ;;
  writable) p=$(leader "$1") || die "$1 is not running"; nsenter -t "$p" --mount --pid umount "${2:?which directory?}" ;;

  __keeper) keeper "$@" ;;
  __holder)                     # the lab's PID 1: sets it up, then only reaps orphans
    lab_init "$1"
    for i in $(seq "$1"); do boot "n$i" "$2"; done
    : >"$S/ready"
    while :; do sleep infinity & wait $! || true; done ;;
  __drop)  drop "$@" ;;
  __fill)  fill "$@" ;;
  __lag)   lag "$@" ;;
  __heal)  heal ;;
  __start) unrule pref 90 from "$(addr "$1")"; unrule pref 90 to "$(addr "$1")"; boot "$1" - ;;
  *) sed -n '/^#   [a-z]/,/^#$/s/^#   //p' "$0" >&2; exit 2 ;;
esac
