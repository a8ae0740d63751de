"""``trove-cloud``: a real OpenStack with Trove on this one machine."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from trove.tests.common import machine, proxies
from trove.tests.common.errors import ScenarioError
from trove.tests.embedded import clouds_yaml, hypervisor, lease, lifecycle, namespaces
from trove.tests.embedded.cloud import NAME_VARIABLE, Cloud, default_name
from trove.tests.embedded.components import COMPONENTS

_EXAMPLES = """\
examples:
  trove-cloud up                      start it, or attach to the running one
  trove-cloud shell                   a shell whose openstack command means it
  trove-cloud status                  every service, its memory and ports
  trove-cloud logs trove-taskmanager  what a service logged
  trove-cloud enter INSTANCE          a shell in a guest
  trove-cloud reset                   back to what it was at first
  trove-cloud down                    end it

Of a cloud that has ended one thing remains on purpose, until the next boot: a route that makes
its addresses unreachable, so that nothing meant for it is sent out.
"""
_MIB = 1 << 20


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="trove-cloud",
        description=__doc__.partition(": ")[2],
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--name",
        help="which cloud; several run side by side"
        f" (default: ${NAME_VARIABLE}, now {default_name()})",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    up = verbs.add_parser("up", help="start the cloud and write its clouds.yaml entries")
    up.add_argument(
        "--hypervisor",
        default=hypervisor.AUTO,
        choices=[hypervisor.AUTO, *hypervisor.KINDS],
        help="what runs the guests; auto takes the first of these that really runs a probe guest",
    )
    up.add_argument(
        "--services",
        metavar="NAME,...",
        default="",
        help=f"only these and what they need, of {', '.join(COMPONENTS)} (default: all)",
    )
    up.add_argument(
        "--network-isolation",
        choices=["on", "off"],
        help="whether Trove gives the tenant's network device to the database's container alone",
    )
    up.add_argument(
        "--lease",
        metavar="TIME",
        help="end the cloud when nobody has used it for so long, such as 8h; 0 is never"
        f" (default: ${lease.VARIABLE}, else {lease.USUAL})",
    )
    up.set_defaults(action=_up)

    down = verbs.add_parser("down", help="end the cloud and remove its folder")
    down.add_argument("--all", action="store_true", help="end every cloud of this home")
    down.set_defaults(action=_down)

    status = verbs.add_parser(
        "status", help="tell of each service whether it runs, its memory and ports"
    )
    status.add_argument("--json", action="store_true", help="for programs, with sizes in bytes")
    status.set_defaults(action=_status)

    logs = verbs.add_parser("logs", help="print the log of a service or a start-up task")
    logs.add_argument("service", metavar="SERVICE")
    logs.add_argument("--follow", "-f", action="store_true", help="go on as the log grows")
    logs.set_defaults(action=_logs)

    shell = verbs.add_parser("shell", help="a shell, or one command, with the cloud's environment")
    shell.add_argument("--inside", action="store_true", help="in the cloud's own namespaces")
    shell.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    shell.set_defaults(action=_shell)

    enter = verbs.add_parser("enter", help="a shell, or one command, as root in a guest")
    enter.add_argument(
        "server", metavar="SERVER", help="name or id; a guest is called as its instance"
    )
    enter.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    enter.set_defaults(action=_enter)

    reset = verbs.add_parser("reset", help="bring the cloud back to what it was at first")
    reset.set_defaults(action=_reset)
    prune = verbs.add_parser("prune", help="remove what nobody uses and can be made again")
    prune.set_defaults(action=_prune)
    verbs.add_parser("expire").set_defaults(action=_expire)  # for the watcher of the lease
    return parser


def _up(arguments: argparse.Namespace) -> int:
    cloud = _cloud(arguments)
    isolation = {"on": True, "off": False, None: None}[arguments.network_isolation]
    lifecycle.up(
        cloud,
        lifecycle.Wanted(
            hypervisor=arguments.hypervisor,
            services=[name for name in arguments.services.split(",") if name],
            network_isolation=isolation,
            lease=arguments.lease,
        ),
    )
    print(f"The cloud is up. Use it: openstack --os-cloud {cloud.user_cloud} …")
    print(f"As its administrator: --os-cloud {cloud.admin_cloud}")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    code = 0
    for cloud in lifecycle.known() if arguments.all else [_cloud(arguments)]:
        try:
            lifecycle.down(cloud)
        except ScenarioError as error:  # the others end nevertheless
            code = _failed(error)
    return code


def _status(arguments: argparse.Namespace) -> int:
    from trove.tests.embedded import inspection

    clouds = [_cloud(arguments)]
    if arguments.name is None and not os.environ.get(NAME_VARIABLE):
        clouds = lifecycle.known() or clouds
    facts = [inspection.describe(cloud) for cloud in clouds]
    if arguments.json:
        print(json.dumps({"clouds": facts}, indent=2))
    else:
        for fact in facts:
            _print_status(fact)
    return 0 if all(fact["state"] == "up" for fact in facts) else 1


def _print_status(facts: dict) -> None:
    from rich.console import Console
    from rich.table import Table

    if facts["state"] == "down":
        print(f"The cloud {facts['name']} is down.")
        return
    table = Table(box=None)
    for heading in ("service", "state", "uptime s", "PSS MiB", "RSS MiB", "ports"):
        table.add_column(heading, justify="left" if heading in ("service", "state") else "right")
    for service in facts["services"]:
        table.add_row(
            service["name"],
            service["state"],
            str(service["uptime"] or ""),
            *(f"{service[kind] / _MIB:.0f}" for kind in ("pss", "rss")),
            " ".join(str(port) for port in service["ports"][:4])
            + (" …" if len(service["ports"]) > 4 else ""),
        )
    Console().print(table)
    left = "for ever" if facts["lease"] is None else f"for {facts['lease'] / 3600:.1f} h"
    print(
        f"cloud {facts['name']} is {facts['state']}"
        + (f", series {facts['series']}" if "series" in facts else "")
        + (f", guests run by {facts['hypervisor']}" if "hypervisor" in facts else "")
        + f"; it may lie idle {left}"
    )
    print(f"memory {facts['memory']['pss'] / _MIB:.0f} MiB, all of it in {facts['folder']}")


def _logs(arguments: argparse.Namespace) -> int:
    cloud = _cloud(arguments)
    log = cloud.log(arguments.service)
    if not log.exists():
        known = ", ".join(sorted(path.stem for path in cloud.logs.glob("*.log")))
        raise ScenarioError(
            f"There is no log of {arguments.service!r}: "
            + (f"the known ones are {known}." if known else f"the cloud {cloud.name} is down.")
        )
    if arguments.follow:
        return subprocess.run(["tail", "-n", "+1", "-F", str(log)], check=False).returncode
    sys.stdout.write(log.read_text(errors="replace"))
    return 0


def _shell(arguments: argparse.Namespace) -> int:
    cloud = _cloud(arguments)
    init, settings = cloud.require_up()
    programs = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    if arguments.inside:
        programs.insert(0, f"{settings.venv}/bin")
    command = _command(arguments)
    if not command:
        command = [os.environ.get("SHELL") or "/bin/sh"]
        if Path(command[0]).name == "bash":
            # What the user's own start-up file says of the prompt comes last there.
            command.append("--norc")
    # One variable of another cloud is enough for `openstack` to mean that one.
    others = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    environment = {
        **others,
        "OS_CLOUD": cloud.user_cloud,
        clouds_yaml.VARIABLE: str(clouds_yaml.location()),
        NAME_VARIABLE: cloud.name,
        "PATH": os.pathsep.join(programs),
        "PS1": f"({cloud.name}{' inside' if arguments.inside else ''}) \\w \\$ ",
    }
    if arguments.inside:
        command = namespaces.enter(init, command)
    if not shutil.which(command[0], path=environment["PATH"]):
        raise ScenarioError(f"There is no program {command[0]!r} to run with cloud {cloud.name}.")
    return subprocess.run(command, env=environment, check=False).returncode


def _enter(arguments: argparse.Namespace) -> int:
    from trove.tests.embedded import guests

    inside = guests.enter(_cloud(arguments), arguments.server, _command(arguments))
    environment = {"TERM": os.environ.get("TERM", "dumb"), "PATH": os.defpath}
    return subprocess.run(inside, env=environment, check=False).returncode


def _command(arguments: argparse.Namespace) -> list[str]:
    """Return the command that the user gave to run, which may be none."""
    return arguments.command[arguments.command[:1] == ["--"] :]


def _reset(arguments: argparse.Namespace) -> int:
    lifecycle.reset(_cloud(arguments))
    return 0


def _prune(_arguments: argparse.Namespace) -> int:
    from trove.tests.embedded import pruning

    total = 0
    for folder, size in pruning.prune():
        total += size
        print(f"{size / _MIB:7.0f} MiB  {folder}", flush=True)
    print(f"{total / _MIB:7.0f} MiB  freed")
    return 0


def _expire(arguments: argparse.Namespace) -> int:
    lifecycle.expire(_cloud(arguments))
    return 0


def _cloud(arguments: argparse.Namespace) -> Cloud:
    """Return the cloud that the user means; that counts as using it."""
    cloud = Cloud(arguments.name) if arguments.name else Cloud()
    if arguments.verb != "expire":
        lease.renew(cloud)
    return cloud


def end_on_signals() -> None:
    """Have polite requests to end, a closed terminal's too, undo what was begun, as Ctrl-C does."""

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup wants it
        signal.signal(signal.SIGHUP, interrupt)


def _failed(error: ScenarioError) -> int:
    """Say why a verb has failed; return its exit code."""
    print(f"trove-cloud: {error}", file=sys.stderr)
    return 1


def _interrupted(arguments: argparse.Namespace) -> int:
    """Say that a verb was interrupted, and whether its clouds are gone; return its exit code."""
    cloud = Cloud(arguments.name) if arguments.name else Cloud()
    clouds = lifecycle.known() if getattr(arguments, "all", False) else [cloud]
    left = any(each.folder.exists() for each in clouds)
    words = "interrupted" if left else "interrupted; nothing was left behind"
    print(f"trove-cloud: {words}.", file=sys.stderr)
    return 130


def main() -> int:
    """Run one verb; the exit code is not zero when it failed."""
    arguments = _parser().parse_args()
    end_on_signals()
    proxies.bypass()  # also for what `shell` runs
    try:
        # Nobody else sees enough of a cloud to tell anything of it.
        machine.require_root(lifecycle.SUBJECT)
        code = arguments.action(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Who reads has read enough, as `trove-cloud status | head` does. What is left in
        # the buffer has no place to go when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ScenarioError as error:
        return _failed(error)
    except KeyboardInterrupt:
        return _interrupted(arguments)


if __name__ == "__main__":
    sys.exit(main())
