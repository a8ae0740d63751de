#!/bin/bash
#
# The phases of the plugin, which stands beside Trove's own: README.md says what it is for.

_XTRACE_TROVE_SCENARIO=$(set +o | grep xtrace)
set +o xtrace

# shellcheck source=devstack/lib/trove-scenario
source "$(dirname "${BASH_SOURCE[0]}")/lib/trove-scenario"

case "$1 ${2:-}" in
    "stack pre-install")
        check_trove_scenario
        install_trove_scenario_packages
        ;;
    "stack install")
        echo_summary "Installing Trove's scenario tests"
        install_trove_scenario
        check_trove_guest_images
        ;;
    "stack post-config")
        configure_trove_for_scenario
        ;;
    "stack extra")
        echo_summary "Loading Trove's guest images"
        load_trove_guest_images
        echo_summary "Preparing the cloud for Trove's scenario tests"
        prepare_cloud_for_trove_scenario
        ;;
    "stack test-config")
        write_trove_scenario_rc
        tell_trove_scenario_tests
        ;;
    "unstack "*)
        unconfigure_trove_scenario
        ;;
    "clean "*)
        uninstall_trove_scenario
        ;;
esac

$_XTRACE_TROVE_SCENARIO
