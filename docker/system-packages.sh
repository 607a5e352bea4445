#!/bin/sh
# Install ngspice and its library from the distribution's packages where they are missing; say what to do where that fails.
set -eu

missing=""
command -v ngspice > /dev/null 2>&1 || missing="ngspice"
PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2> /dev/null | grep -q 'libngspice\.so\.0' || missing="$missing libngspice0"
[ -n "$missing" ] || exit 0

explain() {
    echo "setup: missing:$(printf ' %s' $missing). $1 Install them with: apt-get install $(echo $missing)" >&2
    exit 3
}

command -v apt-get > /dev/null 2>&1 || explain "This is not a Debian or Ubuntu system; take ngspice 39 or newer, with its shared library, from your distribution."
if [ "$(id -u)" -eq 0 ]; then
    as_root=""
elif command -v sudo > /dev/null 2>&1 && sudo -n true 2> /dev/null; then
    as_root="sudo -n"
else
    explain "Installing them needs root or sudo without a password."
fi

echo "Installing$(printf ' %s' $missing) from the distribution's packages"
export DEBIAN_FRONTEND=noninteractive
install() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing > /dev/null; }
install 2> /dev/null || { $as_root apt-get update -qq && install; } || explain "apt-get could not install them."
