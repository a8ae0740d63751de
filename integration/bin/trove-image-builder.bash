#!/usr/bin/env bash
# The three commands for guest images: which one it is, its name tells image_commands.py.
set -euo pipefail

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
python=$here/python
if [ ! -x "$python" ]; then
    # Not installed, but called in the tree.
    python=${PYTHON:-python3}
    export PYTHONPATH=${here%/integration/bin}${PYTHONPATH:+:$PYTHONPATH}
fi
exec "$python" -m trove.tests.harness.image_commands "$(basename "${BASH_SOURCE[0]}")" "$@"
