#!/bin/sh
# install.sh FILE: installs the packages named in FILE that are missing; the package lists do not stay in the image.
set -eu
missing=
names=$(sed 's/#.*//' "$1")
for name in $names; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null || true)" = installed ] || missing="$missing $name"
done
[ -n "$missing" ] || exit 0
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086 # a list of names
apt-get install -q -y --no-install-recommends $missing
apt-get clean
rm -rf /var/lib/apt/lists/*
