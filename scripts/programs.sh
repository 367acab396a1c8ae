# Sourced by environment.sh: what the scripts and tests call besides Python packages, and the Debian package that brings it.
# `programs` sees to all of them, `programs NAME...` to some: root gets from Debian what is missing; everybody else, and
# whoever has no apt-get, is told in one line. Nothing else runs before. `engine` starts dockerd unless an engine answers.

# tests/machine/test_programs.py compares this list with what is called.
_packages="
python3           python3-venv
git               git
openssl           openssl
docker            docker.io
dockerd           docker.io
docker-compose    docker-compose
mmdebstrap        mmdebstrap
iptables          iptables
iptables-restore  iptables
ip                iproute2
mount             mount
umount            mount
strace            strace
ps                procps
"

programs() {
  local missing packages
  missing="$(_missing "$@")"
  [ -n "$missing" ] || return 0
  packages="$(for name in $missing; do _package "$name"; done | sort -u | tr '\n' ' ')"
  if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    echo "Installing from Debian: $packages" >&2
    # What it complains of is seen; what is missing then is said below.
    apt-get -qq update >&2 && DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 \
      install --no-install-recommends $packages > /dev/null || true
    missing="$(_missing "$@")"
    [ -n "$missing" ] || return 0
  fi
  echo "Missing here: $(echo $missing). Root gets them on Debian by: apt-get install ${packages% }" >&2
  return 1
}

engine() {
  docker info > /dev/null 2>&1 && return
  if [ "$(id -u)" != 0 ]; then
    echo "No Docker engine answers. Start one, or run this as root, which installs and starts it." >&2
    exit 1
  fi
  echo "Starting dockerd (its log: /var/log/dockerd.log)" >&2
  setsid dockerd > /var/log/dockerd.log 2>&1 < /dev/null &
  local dockerd=$!
  until docker info > /dev/null 2>&1; do
    if ! kill -0 "$dockerd" 2> /dev/null; then
      echo "dockerd has ended; its log says why: /var/log/dockerd.log" >&2
      exit 1
    fi
    sleep 0.5
  done
}

_missing() {
  local name
  for name in ${*:-$(awk 'NF { print $1 }' <<< "$_packages")}; do
    _there "$name" || echo "$name"
  done
}

_there() {
  case "$1" in
    # Debian's Python makes no virtual environments without another package.
    python3) python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; return ;;
    # An engine elsewhere, and Docker's plugin, do as well.
    dockerd) docker info > /dev/null 2>&1 && return ;;
    docker-compose) docker compose version > /dev/null 2>&1 && return ;;
  esac
  PATH="$PATH:/usr/sbin:/sbin" command -v "$1" > /dev/null
}

_package() {
  awk -v name="$1" '$1 == name { print $2 }' <<< "$_packages"
}
