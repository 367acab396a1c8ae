# Sourced by the scripts: virtual environments with what is locked, one for each lock so that none changes another's.
# `environment LOCK` makes or brings up to date the one of requirements/LOCK.txt and puts it on the PATH: .venv for
# `development`, .cache/LOCK for others, the workspace's packages in it. `tool_environment NAME` makes .cache/NAME without
# them, for programs whose dependencies must not mix with ours.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"
source scripts/programs.sh
# Where it is set, every command that a test starts would compile all modules anew, for a second each.
unset PYTHONDONTWRITEBYTECODE

_uv() {
  if [ ! -x "$root/.cache/uv/bin/uv" ]; then
    programs python3 || return
    python3 -m venv "$root/.cache/uv"
    "$root/.cache/uv/bin/python" -m pip install --quiet --disable-pip-version-check uv
  fi
  "$root/.cache/uv/bin/uv" --quiet "$@"
}

_install() { # folder lock
  mkdir -p "$root/.cache"
  # Tests that run side by side may want the same environment.
  (
    flock 9
    stamp="$1/.installed"
    wanted="$(cat "$root/requirements/$2.txt" "$root"/core/pyproject.toml "$root"/plugins/*/pyproject.toml | sha256sum)"
    [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && exit
    [ -x "$1/bin/python" ] || _uv venv --python "$(command -v python3)" "$1" || exit
    _uv pip sync --python "$1/bin/python" --require-hashes "$root/requirements/$2.txt" || exit
    [ "$2" = "${3:-}" ] || _uv pip install --python "$1/bin/python" --no-deps --no-build-isolation \
      $(printf -- '-e %s ' "$root/core" "$root"/plugins/*/) || exit
    echo "$wanted" > "$stamp"
  ) 9> "$root/.cache/lock"
}

environment() {
  local folder="$root/.cache/$1"
  [ "$1" != development ] || folder="$root/.venv"
  _install "$folder" "$1"
  # What resolves and builds packages is there too, whoever made the environment.
  _uv --version > /dev/null
  export PATH="$folder/bin:$PATH"
}

tool_environment() {
  _install "$root/.cache/$1" "$1" "$1"
}
