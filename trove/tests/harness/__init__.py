"""What the fixtures stand on: a plain library that knows nothing of pytest."""

import logging

# Who wants to see what is logged sets that up, as pytest and the reaper do. For all others Python
# would print warnings to standard error, tracebacks and all.
logging.getLogger(__name__).addHandler(logging.NullHandler())
