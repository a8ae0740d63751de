"""Start Trove's task manager, which sees within two seconds that what it waits for has come.

By itself it looks ever more rarely, in the end twice a minute, and no option of its own
bounds that: an instance that was ready after 24 seconds counted as built after 36. Nothing
else about it is different. Run by the services' Python.
"""

import sys

# First: it has eventlet patch what is loaded after it.
from trove.cmd.taskmanager import main

# isort: split
from oslo_service.loopingcall import BackOffLoopingCall

LONGEST_PAUSE = 2  # seconds

_start = BackOffLoopingCall.start


def _start_promptly(call: BackOffLoopingCall, *, max_interval: float, **settings: float) -> object:
    return _start(call, max_interval=min(max_interval, LONGEST_PAUSE), **settings)


if __name__ == "__main__":
    BackOffLoopingCall.start = _start_promptly
    sys.exit(main())
