#!/bin/sh
# Installs what the benchmarks compare with (Debian and Ubuntu, as root); says what is missing otherwise.
set -eu
if command -v Orthanc >/dev/null && command -v storescp >/dev/null; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "The benchmarks compare with Orthanc and DCMTK. As root: apt-get install dcmtk orthanc orthanc-dicomweb" >&2
    exit 1
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends dcmtk orthanc orthanc-dicomweb >/dev/null
