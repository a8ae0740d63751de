"""The one exception whose text is meant for the user."""


class ScenarioError(Exception):
    """A failure explained in one sentence: what was wrong, where, what to do.

    Command line tools print it without a traceback and exit 1; pytest shows it
    as the reason why a fixture could not be set up.
    """
