#!/usr/bin/env bash
# stack.sh, unstack.sh and clean.sh, with everything left out but what a plugin sees of them.
# The functions are devstack's own where DEVSTACK_DIR names one.
# Usage: WORLD=FOLDER run.bash stack|unstack|clean
# shellcheck disable=SC2034  # plugins read them
set -o errexit

export PHASE=settings
here=$(dirname "${BASH_SOURCE[0]}")
TOP_DIR=$WORLD/devstack
PATH=$WORLD/bin:$PATH

function source_libraries {
    if [[ -n ${DEVSTACK_DIR:-} ]]; then
        # shellcheck disable=SC1091  # another tree's
        source "$TOP_DIR/lib/glance"
    else
        GLANCE_ENABLE_QUOTAS=$(trueorfalse True GLANCE_ENABLE_QUOTAS)
        GLANCE_LIMIT_IMAGE_SIZE_TOTAL=${GLANCE_LIMIT_IMAGE_SIZE_TOTAL:-2000}
    fi
}

function phase {
    PHASE="$*"
    run_phase "$@"
}

function merge {
    merge_config_group "$TOP_DIR/local.conf" "$1"
}

function stack {
    phase override_defaults
    source_libraries
    phase source
    phase stack pre-install
    phase stack install
    phase stack post-config
    merge post-config
    merge extra
    phase stack extra
    merge post-extra
    phase stack test-config
    merge test-config
}

function unstack {
    phase override_defaults
    source_libraries
    load_plugin_settings
    phase unstack
}

# Which overrides no defaults, and calls unstack.sh.
function clean {
    (unstack)
    source_libraries
    load_plugin_settings
    phase clean
    rm -rf "$DATA_DIR"
}

# shellcheck disable=SC1091  # of another tree, or written here
if [[ -n ${DEVSTACK_DIR:-} ]]; then
    source "$TOP_DIR/functions"
    extract_localrc_section "$TOP_DIR/local.conf" "$TOP_DIR/localrc" "$TOP_DIR/.localrc.auto"
    source "$TOP_DIR/stackrc"
else
    # shellcheck source=trove/tests/unit/devstack/functions
    source "$here/functions"
    extract_localrc_section "$TOP_DIR/local.conf" "$TOP_DIR/localrc" "$TOP_DIR/.localrc.auto"
    source "$TOP_DIR/.localrc.auto"
fi

# Set by stack.sh itself, and what would change this machine.
SERVICE_PROJECT_NAME=service
VIRTUALENV_CMD=virtualenv
CLOUDS_YAML=/etc/openstack/clouds.yaml
NOVA_CONF=$WORLD/nova.conf

function install_package {
    echo "$PHASE install_package $*" >> "$WORLD/calls"
}

"$1"
