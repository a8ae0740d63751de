"""supervisord, which sleeps while nothing happens.

Runs as a script, by the services' interpreter. By itself supervisord may poll the number
of a connection that a client has closed, when that has become a pipe to a service. Where
the service closes its end, poll returns at once from then on, for a reason that is taken
for none: a processor is busy with that for as long as the cloud runs
(https://github.com/Supervisor/supervisor/issues/807).
"""

import select

from supervisor import poller, supervisord


class Poller(poller.PollPoller):
    """Polls no more what can be neither read nor written."""

    def _ignore_invalid(self, fd: int, eventmask: int) -> bool:
        if not eventmask & (self.READ | self.WRITE):
            eventmask |= select.POLLNVAL
        return super()._ignore_invalid(fd, eventmask)


if __name__ == "__main__":
    poller.Poller = Poller
    supervisord.main()
