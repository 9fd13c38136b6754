# Sourced by incus.sh and lxd.sh: starting, configuring and ending a container daemon of the tests' own. The two programs have
# the same commands under different names. Whoever sources this has private-apt.sh sourced before, and sets
#   script     its own name, for messages
#   daemon     the program that serves, with its path or found on the PATH
#   client     the program that asks it
#   admin      the words before init and shutdown, an array: (incus admin) or (lxd)
#   home       its directory: state, socket, logs; outside of /root, where the containers' users could not reach it
#   subnet, network   the bridge's addresses, and its name
#   lock       a file that runs of the script take turns by
cache=${RECOUP_TEST_CACHE:-$HOME/.cache/recoup-test}
image=recoup-test-debian
claims=/run/lock/recoup-test.d # what living tests use: terraform-provider/internal/guesttest/claim.go, tests/system/claim.py

say() { echo "$script: $*" >&2; }
refuse() { say "$*"; exit 1; }

answers() { [ -S "$home/unix.socket" ] && timeout 10 "$client" query /1.0 >/dev/null 2>&1; }

# The ids that root may give to the containers' users: one range. The daemons map every range of root's to the containers'
# id 0, and Debian's package of LXD gives root its own user's range beside the one that root has: with both, no container of
# a daemon that starts from then on can be started.
one_range_of_ids() {
  local file
  for file in /etc/subuid /etc/subgid; do
    grep -q '^root:' "$file" 2>/dev/null || echo root:1000000:1000000000 >>"$file"
    [ "$(grep -c '^root:' "$file")" -gt 1 ] || continue
    sed -n 's/^_lxd:/root:/p' "$file" | grep -vxFf - "$file" >"$file.recoup" || true
    if grep -q '^root:' "$file.recoup"; then cat "$file.recoup" >"$file"; fi
    rm -f "$file.recoup"
    [ "$(grep -c '^root:' "$file")" = 1 ] || say "root has several ranges in $file: containers will not start until there is one"
  done
}

daemon_lives() {
  local pid
  pid=$(cat "$home/recoup.pid" 2>/dev/null || true)
  [ -n "$pid" ] && [ "$(basename "$(readlink "/proc/$pid/exe")")" = "$(basename "$daemon")" ]
}

start_daemon() {
  local tries
  one_range_of_ids
  mkdir -p -m 711 "$home"
  mkdir -p -m 700 "$home/client"
  # One that is only too busy to answer must not get a second one beside it.
  if ! daemon_lives; then
    # Without descriptors of this script's: a caller that reads our output would wait for the daemon's end.
    setsid "$daemon" --group root --logfile "$home/recoup.log" </dev/null >"$home/recoup.output" 2>&1 9>&- &
    echo $! >"$home/recoup.pid"
  fi
  for tries in $(seq 60); do
    if answers; then
      # Beside builds that take all processors, the daemon would wait so long for its turns that its own requests time out.
      echo -15 >"/proc/$(cat "$home/recoup.pid")/autogroup" 2>/dev/null || true
      return 0
    fi
    kill -0 "$(cat "$home/recoup.pid")" 2>/dev/null || break
    sleep 0.5
  done
  tail -n 20 "$home/recoup.log" "$home/recoup.output" >&2 || true
  refuse "$daemon does not answer on $home/unix.socket; its log is above"
}

# configure_daemon [SETTING]: one of the server's own, as YAML. Not twice: changing the profile, even to the same, is refused while a
# container that has it is coming or going.
configure_daemon() {
  "$client" profile device get default eth0 network >/dev/null 2>&1 || "${admin[@]}" init --preseed >&2 <<PRESEED
config: {${1:-}}
storage_pools:
- name: default
  driver: dir
networks:
- name: $network
  type: bridge
  config:
    ipv4.address: ${subnet%.*}.1/24
    ipv4.dhcp.ranges: ${subnet%.*}.200-${subnet%.*}.250
    ipv4.nat: "false"
    ipv6.address: none
    # This machine's packet filter stays as it is.
    ipv4.firewall: "false"
    ipv6.firewall: "false"
profiles:
- name: default
  devices:
    root: {type: disk, path: /, pool: default}
    eth0: {type: nic, name: eth0, network: $network}
PRESEED
  import_image "$image" incus-image
}

import_image() { # ALIAS DIRECTORY: of the cache
  "$client" image info "$1" >/dev/null 2>&1 ||
    "$client" image import "$cache/$2/metadata.tar.gz" "$cache/$2/rootfs.tar.gz" --alias "$1" >&2
}

# Whether a name is a test's, test-12345678 or begins so, and nobody holds it any more.
left_behind() {
  local name
  name=$(grep -oE '^test-[0-9a-f]{8}' <<<"$1") || return 1
  mkdir -p "$claims"
  flock -n "$claims/$name" true && rm -f "$claims/$name"
}

# Removes what runs that were killed have left: it holds addresses and memory.
sweep() {
  local name project
  for project in $("$client" project list --format csv | sed 's/[ ,].*//'); do # "default (current),YES,…"
    for name in $("$client" list --project "$project" --format csv --columns n); do
      if [ "$project" = default ]; then left_behind "$name"; else left_behind "$project"; fi || continue
      "$client" delete --force --project "$project" "$name" >&2 || true
    done
    ! left_behind "$project" || "$client" project delete "$project" >&2 || true
  done
  for name in $("$client" network list --format csv | sed -n 's/^\([^,]*\),bridge,YES,.*/\1/p'); do
    ! left_behind "$name" || "$client" network delete "$name" >&2 || true
  done
}

stop_daemon() {
  local pid tries
  if answers; then
    "$client" list --format csv --columns n | xargs -r "$client" delete --force >&2 || true
    "$client" profile device remove default eth0 >/dev/null 2>&1 || true
    "$client" network delete "$network" >&2 || true
    "${admin[@]}" shutdown --timeout 60 >&2 || true
  fi
  if daemon_lives; then
    pid=$(cat "$home/recoup.pid")
    kill "$pid" 2>/dev/null || true
    for tries in $(seq 40); do kill -0 "$pid" 2>/dev/null || break; sleep 0.25; done
    kill -9 "$pid" 2>/dev/null || true
  fi
  rm -f "$home/recoup.pid"
  # What the daemon leaves mounted would keep the cache from being removed.
  awk -v dir="$home/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount -l || true
}

# begin ARGUMENTS-OF-THE-SCRIPT: returns where the daemon is to be started. `impossible` prints why it cannot run here.
begin() {
  local reason
  mkdir -p "$cache"
  exec 9>"$lock"
  flock 9
  case ${1:-} in
    --stop) stop_daemon; exit ;;
    --possible | '')
      reason=$(impossible)
      [ -z "$reason" ] || refuse "$reason"
      [ -z "${1:-}" ] || exit 0 ;;
    *) refuse "usage: $script [--possible|--stop]" ;;
  esac
}
