#!/bin/sh
# Installs the system packages that the Python wheels expect, only those missing, where it may (Debian and Ubuntu, as
# root or with passwordless sudo). Everywhere else it says what to install and goes on.
#
#     sh scripts/system_packages.sh [python]
set -u

python=${1:-python3}
[ "$(uname -s)" = Linux ] || exit 0 # on macOS everything comes with the wheels

missing_of() {
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || printf '%s ' "$package"
    done
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "Not Debian or Ubuntu: please make sure that libusb-1.0, libGL, libEGL (or OSMesa) and libgomp are installed."
    exit 0
fi

needed=$(missing_of libusb-1.0-0 libgl1 libgomp1 libegl1)
optional=$(missing_of libosmesa6) # no longer in the newest releases; EGL is enough there
own=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2] if sys.base_prefix == "/usr" else "")')
if [ -n "$own" ]; then # Debian's own Python comes in parts
    "$python" -c 'import ensurepip' 2>/dev/null || needed="$needed $own-venv"
fi
[ -n "$needed$optional" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    root=""
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    root="sudo -n"
else
    [ -z "$needed" ] || echo "Missing system packages; please run: sudo apt-get install -y $needed"
    exit 0
fi

export DEBIAN_FRONTEND=noninteractive
$root apt-get update -q || echo "The package lists could not be brought up to date; trying with those at hand."
if [ -n "$needed" ]; then
    # shellcheck disable=SC2086 - a list of words
    $root apt-get install -y -q --no-install-recommends $needed ||
        echo "Some system packages could not be installed ($needed); \`pocketworlds doctor\` will say what is missing."
fi
if [ -n "$optional" ]; then
    # shellcheck disable=SC2086
    $root apt-get install -y -q --no-install-recommends $optional >/dev/null 2>&1 || true
fi
