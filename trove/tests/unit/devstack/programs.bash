#!/usr/bin/env bash
# Every program that the plugin calls, under its own name. What it is asked is noted.
# FAILS names one that fails, and SAYS what it says then.
set -euo pipefail

name=$(basename "$0")
echo "$PHASE $name $*" >> "$WORLD/calls"

function option {
    local name=$1
    shift
    while [[ $# -gt 0 && $1 != "$name" ]]; do
        shift
    done
    echo "${2:-}"
}

if [[ ${FAILS:-} == "$name" ]]; then
    printf '%s\n' "[    1 s] working ..." "$SAYS" >&2
    exit 1
fi

case $name in
    sudo)
        while [[ $1 == -* ]]; do
            shift
        done
        exec "$@"
        ;;
    id)
        [[ $* == -u ]] || exec /usr/bin/id "$@"
        echo "${STACK_UID:-1000}"
        ;;
    jq)
        sed -n 's/.*"version": "\(.*\)".*/\1/p' "${*: -1}"
        ;;
    bindep)
        echo package-of-"${*: -1}"
        ;;
    virtualenv)
        mkdir -p "$1/bin"
        ln -sf "$0" "$1/bin/python"
        ;;
    python)
        if [[ $* == *--editable* ]]; then
            mkdir -p "$(option --editable "$@")/trove_scenario.egg-info"
            for command in trove-image-builder load-trove-image activate-trove-image; do
                ln -sf "$WORLD/bin/sudo" "$(dirname "$0")/$command.bash"
            done
        fi
        ;;
    load-trove-image.bash)
        mkdir -p "$(option --template-path "$@")/mysql"
        version=$(option --version "$@")
        echo "{\"version\": \"${version:-newest}-$(option --distro "$@")\"}"
        ;;
    openstack)
        case "$*" in
            *"flavor show "*) grep -qx "${*: -1}" "$WORLD/flavors" ;;
            *"flavor create "*) echo "${*: -1}" >> "$WORLD/flavors" ;;
            *"network show "*) grep -qx "${*: -1}" "$WORLD/networks" ;;
        esac
        ;;
esac
