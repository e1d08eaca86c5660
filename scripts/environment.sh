# Sourced by the other scripts. `environment LOCK FOLDER` sets $python to the interpreter of a virtual environment
# that holds what LOCK lists, and makes it where it is missing, half made or made from another LOCK.
# The stamp is written last, so that an interrupted installation is begun anew; a good one costs one `cmp`.

root=$(dirname "$(readlink -f "$0")")/..
root=$(cd "$root" && pwd -P)

fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

environment() {
  folder=$root/$2
  if ! ready "$1" && ! writable; then
    # Another user's checkout, or a read-only one.
    folder=${XDG_CACHE_HOME:-${HOME:-}/.cache}/anongw/$(printf %s "$folder" | cksum | tr ' ' -)
  fi
  ready "$1" || make "$1"
  python=$folder/bin/python
}

# -x follows the link: an interpreter that was removed, or is another user's own, does not count.
ready() { cmp -s "$root/$1" "$folder/.stamp" && [ -x "$folder/bin/python" ]; }

writable() { if [ -e "$folder" ]; then [ -w "$folder" ]; else [ -w "$root" ]; fi; }

make() {
  find_python
  mkdir -p "$folder" 2>/dev/null || fail "cannot write to $root or $folder; set XDG_CACHE_HOME to a folder of yours"
  exec 9<"$folder" # two at once: the second waits, and finds it done
  flock -w 600 9 || fail "another installation into $folder does not end"
  if ! ready "$1"; then
    printf '%s: installing into %s, this once\n' "${0##*/}" "$folder" >&2
    # 9<&-: whoever outlives us must not hold the lock. -I: the caller's PYTHON* variables are not for us.
    "$found" -I -m venv --clear "$folder" 9<&- &&
      "$folder/bin/python" -I -m pip install -q --disable-pip-version-check --root-user-action=ignore --no-input \
        --require-hashes --no-deps -r "$root/$1" 9<&- >&2 ||
      fail "the installation failed, for the reason above; it needs the network. Run it again."
    echo '*' >"$folder/.gitignore"
    cp "$root/$1" "$folder/.stamp"
  fi
  exec 9<&-
}

find_python() {
  found= bare=
  for name in python3.13 python3.12 python3.11 python3; do
    "$name" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
    bare=$name
    if "$name" -I -c 'import ensurepip, venv' 2>/dev/null; then
      found=$name
      return
    fi
  done
  [ -z "$bare" ] || fail "$bare cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv"
  fail "Python 3.11 or later is needed; found: $(python3 --version 2>/dev/null || echo none)"
}
