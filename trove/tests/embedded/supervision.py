"""Talk to the supervisor of a running cloud."""

import re
import xmlrpc.client
from pathlib import Path

from supervisor.xmlrpc import Faults, SupervisorTransport

from trove.tests.common.errors import ScenarioError

RUNNING = "RUNNING"
_HOPELESS = ("FATAL", "UNKNOWN")
_PATIENCE = 3
_HARMLESS = (Faults.ALREADY_STARTED, Faults.NOT_RUNNING)


class Supervisor:
    """The cloud's process supervisor, reached over its Unix socket.

    One object serves one thread.
    """

    def __init__(self, socket: Path) -> None:
        transport = SupervisorTransport(serverurl=f"unix://{socket}")
        self._begun: dict[str, set[int]] = {}
        self._server = xmlrpc.client.ServerProxy("http://supervisor", transport).supervisor

    def start(self, name: str) -> None:
        """Start a service without waiting for it; one that runs is left alone.

        Raises:
            ScenarioError: the supervisor can't; the text has its reason.
        """
        try:
            self._server.startProcess(name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode not in _HARMLESS:
                raise ScenarioError(
                    f"The service {name} can't be started: {fault.faultString}."
                ) from None

    def signal(self, name: str, signal: str) -> None:
        """Send a service a signal, named as kill(1) does."""
        self._server.signalProcess(name, signal)

    def lacking(self, name: str) -> str | None:
        """Return what a service is that does not run, or not for a second yet; else None."""
        state = self._server.getProcessInfo(name)["statename"]
        return None if state == RUNNING else f"it is {state}"

    def hopeless(self, name: str) -> str | None:
        """Return why a service will not come up, None while it still may."""
        info = self._server.getProcessInfo(name)
        self._begun.setdefault(name, set()).add(info["start"])
        if info["statename"] in _HOPELESS:
            return re.sub(r"\s+", " ", info["spawnerr"]) or f"it is {info['statename']}"
        ended = len(self._begun[name]) - 1
        return f"it ended {ended} times" if ended >= _PATIENCE else None

    def processes(self) -> list[dict]:
        """Return the supervisor's facts on every service."""
        return self._server.getAllProcessInfo()
