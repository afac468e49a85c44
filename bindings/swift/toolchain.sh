#!/bin/sh
# Swift 6.0 for Linux, in a small Debian 13 of its own: makes it where it is missing, and runs a command in it.
# Needs root. Making it takes debootstrap, two minutes and 3.5 GB; afterwards it is quick.
#
#   bindings/swift/toolchain.sh                                   makes /opt/footpath-swift, or $FOOTPATH_SWIFT
#   bindings/swift/toolchain.sh run OUTSIDE=INSIDE... -- COMMAND  runs COMMAND with these folders visible
#
# What is mounted is so for the command only, in a namespace of its own: nothing stays mounted afterwards.
set -eu

root=${FOOTPATH_SWIFT:-/opt/footpath-swift}
ready=$root/.footpath-ready

# in_root OUTSIDE=INSIDE... -- COMMAND...
in_root() {
    unshare --mount --propagation private sh -eu -c '
        root=$1
        shift
        mount --bind /dev "$root/dev"
        mount --bind /proc "$root/proc"
        while [ "$1" != -- ]; do
            mkdir -p "$root/${1#*=}"
            mount --bind "${1%%=*}" "$root/${1#*=}"
            shift
        done
        shift
        exec chroot "$root" "$@"
    ' sh "$root" "$@"
}

[ "$(id -u)" = 0 ] || { echo "toolchain.sh: needs root" >&2; exit 1; }

if [ ! -e "$ready" ]; then
    export DEBIAN_FRONTEND=noninteractive
    command -v debootstrap >/dev/null || {
        apt-get update -qq
        apt-get install -qq --no-install-recommends debootstrap
    }
    # One that was cut short is begun again.
    rm -rf --one-file-system "$root"
    mkdir -p "$root"
    debootstrap --variant=minbase trixie "$root"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    # A proxy of this machine's is needed in there too.
    for file in /etc/apt/apt.conf.d/*proxy*; do
        [ ! -f "$file" ] || cp "$file" "$root/etc/apt/apt.conf.d/"
    done
    in_root -- apt-get update -qq
    in_root -- apt-get install -qq --no-install-recommends swiftlang libc6-dev
    in_root -- apt-get clean
    touch "$ready"
fi

[ "${1:-}" = run ] || exit 0
shift
in_root "$@"
