"""What guests tell on their consoles of how far they have come."""

from datetime import UTC, datetime

from trove.tests.harness import milestones

CONSOLE = """\
Welcome to Debian GNU/Linux 13 (trixie)!
[60875.1] trove-guest-agent[49]: Eventlet is deprecated. It is currently being maintained
[60875.7] cloud-init[72]: Cloud-init v. 25.1.4 running 'init-local' at Thu, 26 Nov 2026 15:06:15 +0000. Up 60875.67 seconds.
[60876.5] cloud-init[72]: Cloud-init v. 25.1.4 running 'init' at Thu, 26 Nov 2026 15:06:16 +0000. Up 60876.47 seconds.
[60880.9] trove-guest-agent[49]: 2026-11-26 15:06:21,205.205 49 INFO trove.cmd.guest [-] Creating user and group
[60885.1] trove-guest-agent[49]: 2026-11-26 15:06:25,386.386 49 INFO trove.guestagent.utils.docker [None req-1 - -] Creating docker container, image: mysql:9.7
"""  # noqa: E501
AGAIN = CONSOLE.replace("15:06", "16:30")


def _second(text: str) -> float:
    return datetime.fromisoformat(f"2026-11-26T15:06:{text}").replace(tzinfo=UTC).timestamp()


def test_a_guest_tells_when_it_booted_its_agent_began_and_its_database():
    assert milestones.reached(CONSOLE.splitlines()) == {
        "boot": _second("15"),
        "agent": _second("21.205"),
        "container": _second("25.386"),
    }


def test_a_later_boot_is_no_milestone():
    both = (CONSOLE + AGAIN).splitlines()

    assert milestones.reached(both) == milestones.reached(CONSOLE.splitlines())


def test_a_guest_that_says_nothing_has_reached_nothing():
    assert milestones.reached(["", "Welcome!"]) == {}
