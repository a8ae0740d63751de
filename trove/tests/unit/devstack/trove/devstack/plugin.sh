#!/bin/bash
#
# Of Trove's own plugin what matters to the one beside it.

case "$1 ${2:-}" in
    "stack post-config")
        mkdir -p "$TROVE_CONF_DIR"
        rm -f "$TROVE_CONF"
        iniset "$TROVE_CONF" DEFAULT control_exchange trove
        iniset "$TROVE_CONF" DEFAULT agent_call_low_timeout "$TROVE_AGENT_CALL_LOW_TIMEOUT"
        iniset "$TROVE_GUESTAGENT_CONF" mariadb docker_image "$TROVE_DATABASE_IMAGE_MARIADB"
        ;;
    "stack extra")
        if [[ ${TROVE_ENABLE_IMAGE_BUILD,,} != false ]]; then
            echo "$PHASE trovestack build-image" >> "$WORLD/calls"
        fi
        echo "$PHASE start_trove" >> "$WORLD/calls"
        ;;
    "unstack "*)
        rm -rf "${TROVE_CONF_DIR:?}"/*
        ;;
esac
