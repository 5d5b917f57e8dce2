#!/bin/sh
# Installs the real programs the tests talk to (Debian and Ubuntu, as root); says what is missing otherwise.
set -eu
packages="curl nodejs npm dcmtk dicom3tools postgresql redis-server radosgw ceph-mon ceph-osd chromium"
programs="curl node npm chromium storescu dciodvfy redis-server radosgw ceph-mon ceph-osd"
missing=""
for program in $programs; do command -v "$program" >/dev/null || missing="$missing $program"; done
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing initdb"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Missing for the tests:$missing. As root: apt-get install $packages" >&2
    [ -z "${CI:-}" ] || exit 1
    echo "Tests that need them will be skipped, and say so." >&2
    exit 0
fi
echo "Installing what the tests talk to: $packages"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
