#!/usr/bin/env bash
# Installs what the project needs, and nothing that is there already: Debian packages (as root, or through sudo) and the pinned
# Python packages in .venv. Ends by touching .venv/.ready, which `make` compares with the files the environment is made from.
set -euo pipefail
cd "$(dirname "$0")/.."
# dpkg refuses to work without its helpers, which lie there.
export PATH="$PATH:/usr/sbin:/sbin"

say() { printf 'setup: %s\n' "$*"; }
die() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "'$*' needs root, and there is no sudo here. Run scripts/setup.sh once as root, then again as yourself."
    fi
}

installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
        apt-get install -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends "$@" >/dev/null
}

install_debian_packages() {
    local wanted missing=() name
    mapfile -t wanted < <(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' scripts/debian-packages.txt)
    for name in "${wanted[@]}"; do
        installed "$name" || missing+=("$name")
    done
    ((${#missing[@]})) || return 0
    command -v apt-get >/dev/null || die "these packages are missing and there is no apt-get to install them: ${missing[*]}"
    say "Debian packages: ${missing[*]}"
    # A package list that is there and knows all names is good enough; refreshing it takes time and a mirror.
    if ! apt-get install -s --no-install-recommends "${missing[@]}" >/dev/null 2>&1; then
        as_root apt-get update -qq
    fi
    if [[ " ${missing[*]} " == *" postgresql-"* ]]; then
        install_without_main_cluster "${missing[@]}"
    elif ! apt_install "${missing[@]}"; then
        as_root apt-get update -qq
        apt_install "${missing[@]}"
    fi
}

# The tests make their own cluster. Debian would create and start one of the system's: forbid it for this installation only.
install_without_main_cluster() {
    local drop_in=/etc/postgresql-common/createcluster.d/rollout-setup.conf status=0
    installed postgresql-common || apt_install postgresql-common || {
        as_root apt-get update -qq
        apt_install postgresql-common
    }
    as_root mkdir -p "${drop_in%/*}"
    echo 'create_main_cluster = false' | as_root tee "$drop_in" >/dev/null
    apt_install "$@" || status=$?
    as_root rm -f "$drop_in"
    return "$status"
}

python_of_the_project() {
    local candidate
    # Debian's own build starts twice as fast as a pyenv build; python3.11 on PATH is the second choice.
    for candidate in /usr/bin/python3 python3.11; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    die "no Python 3.11 with venv found (tried /usr/bin/python3 and python3.11). Debian 12 has it: apt-get install python3 python3-venv"
}

install_python_packages() {
    local python made_with
    python=$(python_of_the_project)
    made_with=$(.venv/bin/python -c 'import os, sys; print(os.path.realpath(sys._base_executable))' 2>/dev/null || true)
    if [[ $made_with != $(realpath "$(command -v "$python")") ]]; then
        say "virtual environment with $python"
        "$python" -m venv --clear .venv
    fi
    say "Python packages of requirements.lock"
    .venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
    .venv/bin/pip install --quiet --disable-pip-version-check --no-deps -e .
    # Without bytecode every process of Ansible would compile what it imports.
    .venv/bin/python -m compileall -q -j 2 .venv/lib >/dev/null || true
}

newest_input() { find requirements.lock pyproject.toml scripts/setup.sh scripts/debian-packages.txt -newer .venv/.ready -print -quit; }

install_debian_packages
if [[ ! -e .venv/.ready || -n $(newest_input) ]]; then
    rm -f .venv/.ready
    install_python_packages
fi
touch .venv/.ready
say "ready"
