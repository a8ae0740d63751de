"""The three commands for guest images: build, load, activate (``integration/bin``)."""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trove.tests.common import matrix, progress
from trove.tests.common.errors import ScenarioError
from trove.tests.common.matrix import Target
from trove.tests.harness import (
    clients,
    image_files,
    images,
    loading,
    reaper,
    store,
    sweeper,
    templates,
    verifying,
)
from trove.tests.harness.arguments import duration
from trove.tests.harness.clients import Cloud
from trove.tests.harness.images import GuestImage
from trove.tests.harness.run import Run
from trove.tests.harness.timeouts import Timeouts

BUILD = "trove-image-builder.bash"
LOAD = "load-trove-image.bash"
ACTIVATE = "activate-trove-image.bash"

_GIB = 1 << 30
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": _GIB, "t": 1 << 40}

_BUILD_EXAMPLES = f"""\
other verbs:
  {BUILD} list    what was built and is kept
  {BUILD} prune   remove some of it

examples:
  {BUILD} --datastore mariadb
  {BUILD} --datastore postgresql --version 15 --distro debian-bookworm --output pg15.qcow2
  {BUILD} --datastore mysql --explain     what would be built, and why
  {BUILD} --datastore mysql --verify      boot it, too, and talk SQL to it
  {BUILD} prune --unused-for 30d --keep 20G
"""
_LOAD_EXAMPLES = f"""\
The files that {BUILD} --output writes beside an image belong to it: its kernel, its
ramdisk, and the manifest that says what it is. An image without one needs --datastore,
--version and --distro, and --force, for nobody can tell which series it is of. From a
URL all of them are fetched; they are kept, and fetched again when they have changed.

examples:
  {LOAD} --datastore mariadb
  {LOAD} pg15.qcow2 --os-cloud devstack-admin
  {LOAD} https://images.example.org/trove/pg15.qcow2
  {LOAD} foreign.qcow2 --datastore mysql --version 8.4 --distro ubuntu-noble --force
"""
_ACTIVATE_EXAMPLES = f"""\
VERSION is the database's, such as 11.8, or the datastore version's full name. Which
datastore users get who name none is the server's to say (default_datastore of trove.conf).

examples:
  {ACTIVATE} mariadb 11.8
  {ACTIVATE} mariadb 11.8-debian-bookworm --os-cloud devstack-admin
"""


# What a command prints: for programs, and for people.
Outcome = tuple[dict[str, Any], str]


def main(argv: list[str] | None = None) -> int:
    """Run one of the commands, given by name; the exit code is not zero when it failed."""
    command, *words = sys.argv[1:] if argv is None else argv
    parse = {BUILD: _build_arguments, LOAD: _load_arguments, ACTIVATE: _activate_arguments}
    arguments = parse[command](words)
    try:
        result, sentence = arguments.action(arguments)
    except ScenarioError as error:
        print(f"{command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{command}: interrupted; nothing half-made was left.", file=sys.stderr)
        return 130
    print(json.dumps(result, indent=2) if arguments.json else sentence)
    return 0


def _parser(command: str, text: str, examples: str = "") -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=command,
        description=text,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print the result for programs")
    return parser


def _add_target(parser: argparse.ArgumentParser, *, required: bool) -> None:
    names = ", ".join(sorted(matrix.load().datastores))
    parser.add_argument("--datastore", required=required, metavar="NAME", help=f"of {names}")
    parser.add_argument("--version", help="of the datastore (default: its default version)")
    parser.add_argument("--distro", help="of the guest (default: the datastore's default one)")


def _add_cloud(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--os-cloud",
        metavar="NAME",
        help="an administrator's entry of clouds.yaml, or one that has a <name>-admin beside it "
        "(default: $OS_ADMIN_CLOUD, else $OS_CLOUD)",
    )


def _build_arguments(words: list[str]) -> argparse.Namespace:
    verb, *rest = words or [""]
    if verb == "list":
        parser = _parser(f"{BUILD} list", "Show what was built and is kept, newest use first.")
        parser.set_defaults(action=_list)
        return parser.parse_args(rest)
    if verb == "prune":
        return _prune_arguments(rest)
    parser = _parser(BUILD, "Build a guest image, or take one that is built.", _BUILD_EXAMPLES)
    _add_target(parser, required=True)
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the image there")
    parser.add_argument("--format", choices=image_files.FORMATS, help="of FILE (default: qcow2)")
    parser.add_argument(
        "--bootable",
        action="store_true",
        help="with partitions and a boot loader, for clouds that start no kernel of an image's",
    )
    parser.add_argument("--verify", action="store_true", help="boot it and talk SQL to it")
    parser.add_argument(
        "--explain", action="store_true", help="build nothing: say what would be, and why"
    )
    parser.set_defaults(action=_build)
    return parser.parse_args(words)


def _prune_arguments(words: list[str]) -> argparse.Namespace:
    parser = _parser(f"{BUILD} prune", "Remove what was built and is not needed.")
    parser.add_argument(
        "--unused-for", type=duration, metavar="TIME", help="what nobody used for so long: 30d"
    )
    parser.add_argument(
        "--keep", type=_size, metavar="SIZE", help="the longest unused, beyond so much: 20G"
    )
    parser.set_defaults(action=_prune)
    arguments = parser.parse_args(words)
    if arguments.unused_for is None and arguments.keep is None:
        parser.error("say what may go: --unused-for TIME, --keep SIZE, or both")
    return arguments


def _load_arguments(words: list[str]) -> argparse.Namespace:
    text = "Load a guest image into Glance and register it in Trove; twice is the same as once."
    parser = _parser(LOAD, text, _LOAD_EXAMPLES)
    parser.add_argument(
        "file", nargs="?", metavar="FILE|URL", help="an image on disk, or elsewhere"
    )
    _add_target(parser, required=False)
    _add_cloud(parser)
    parser.add_argument("--bootable", action="store_true", help="the self-booting image")
    parser.add_argument("--force", action="store_true", help="even an image of another series")
    parser.add_argument(
        "--template-path",
        type=Path,
        metavar="FOLDER",
        help="put the version's configuration templates there: the server's template_path",
    )
    parser.set_defaults(action=_load)
    arguments = parser.parse_args(words)
    if arguments.file is None and arguments.datastore is None:
        parser.error("say what to load: FILE, URL, or --datastore NAME")
    return arguments


def _activate_arguments(words: list[str]) -> argparse.Namespace:
    text = "Make a version the one that users of its datastore get by default."
    parser = _parser(ACTIVATE, text, _ACTIVATE_EXAMPLES)
    parser.add_argument("datastore", metavar="DATASTORE")
    parser.add_argument("version", metavar="VERSION")
    _add_cloud(parser)
    parser.set_defaults(action=_activate)
    return parser.parse_args(words)


def _build(arguments: argparse.Namespace) -> Outcome:
    target = matrix.load().select(arguments.datastore, arguments.version, arguments.distro)
    if arguments.explain:
        return _explain(target, arguments.bootable)
    disk_format = arguments.format or "qcow2"
    if arguments.output:
        image_files.check_output(arguments.output, disk_format)
    begun = time.monotonic()
    image, reused = _ensure(target, arguments.bootable)
    if arguments.output:
        image = image_files.write(image, arguments.output, disk_format)
    result = {
        "name": image.name,
        "key": image.key,
        "reused": reused,
        "disk": str(image.disk),
        "format": image.disk_format,
        "kernel": str(image.kernel) if image.kernel else None,
        "ramdisk": str(image.ramdisk) if image.ramdisk else None,
        "kernel_command_line": image.kernel_command_line,
        "bytes": image.disk.stat().st_size,
        "manifest": image.manifest,
        "seconds": round(time.monotonic() - begun, 1),
    }
    sentence = f"{image.disk} ({_megabytes(result['bytes'])}): {'reused' if reused else 'built'}"
    if arguments.verify:
        verified = verifying.verify(image, target)
        result["verified"] = {"accelerator": verified.accelerator, "seconds": verified.seconds}
        sentence += f"; {verified}"
    return result, sentence


def _ensure(target: Target, bootable: bool) -> tuple[GuestImage, bool]:
    """Return the image, and whether it was there already."""
    recipes = images.recipes(target, bootable=bootable)
    there = _identity(recipes[-1].folder)
    if there:
        # Whether it is what was built is looked at once, when it is used.
        image = images.ensure_image(target, bootable=bootable)
    else:
        missing = [recipe for recipe in recipes if not recipe.folder.is_dir()]
        with progress.parts(f"guest image {target.name}", len(missing)):
            image = images.ensure_image(target, bootable=bootable)
    return image, there is not None and there == _identity(recipes[-1].folder)


def _identity(folder: Path) -> int | None:
    """Return what tells a folder from one of the same name that was made later."""
    return folder.stat().st_ino if folder.is_dir() else None


def _explain(target: Target, bootable: bool) -> Outcome:
    told, lines = [], []
    for recipe in images.recipes(target, bootable=bootable):
        reasons = store.why(recipe)
        told.append(
            {
                "kind": recipe.kind,
                "name": recipe.name,
                "key": recipe.key,
                "folder": str(recipe.folder),
                "needed": bool(reasons),
                "reasons": reasons,
            }
        )
        lines.append(f"{recipe}: {'to be built' if reasons else f'there ({recipe.folder})'}")
        lines += [f"    {reason}" for reason in reasons]
    return {"image": target.name, "layers": told}, "\n".join(lines)


def _list(_arguments: argparse.Namespace) -> Outcome:
    entries = store.entries()
    lines = [
        f"{_megabytes(each.size):>9}  used {_day(each.used_at)}  built in {each.seconds:5.0f} s"
        f"  {each.kind} {each.folder.name}"
        for each in entries
    ]
    lines.append(f"{_megabytes(sum(each.size for each in entries)):>9}  in all")
    return {"entries": [_entry(each) for each in entries]}, "\n".join(lines)


def _prune(arguments: argparse.Namespace) -> Outcome:
    removed = store.prune(arguments.unused_for, arguments.keep)
    lines = [f"{_megabytes(each.size):>9}  {each.kind} {each.folder.name}" for each in removed]
    lines.append(f"{_megabytes(sum(each.size for each in removed)):>9}  freed")
    return {"removed": [_entry(each) for each in removed]}, "\n".join(lines)


def _load(arguments: argparse.Namespace) -> Outcome:
    if arguments.datastore:
        # Names that nobody knows are told before anything is fetched.
        _target(arguments, None)
    image = image_files.read(_disk(arguments.file)) if arguments.file else None
    target = _target(arguments, image)
    if image and not arguments.force:
        loading.check_purpose(target, image)
        loading.check_series(target, image)
    with _provisioning(arguments.os_cloud) as (admin, run):
        if image is None:
            image, _ = _ensure(target, arguments.bootable)
        known = loading.find_image(admin, target, image.key)
        version = loading.load(admin, image, target, run.journal, Timeouts())
    put = templates.install(target, arguments.template_path)
    result = {
        "image_id": version.image_id,
        "uploaded": known is None,
        "datastore": version.datastore,
        "version": version.name,
        "version_id": version.id,
        "templates": [str(file) for file in put],
    }
    how = "loaded" if known is None else "was there already"
    return result, f"{version.datastore} {version.name}: image {version.image_id} {how}"


def _activate(arguments: argparse.Namespace) -> Outcome:
    with _provisioning(arguments.os_cloud) as (admin, _run):
        version = loading.find_version(admin, arguments.datastore, arguments.version)
        loading.activate(admin, version)
    result = {
        "datastore": version.datastore,
        "version": version.name,
        "version_id": version.id,
    }
    return result, f"{version.datastore} {version.name} is what users of {version.datastore} get"


def _disk(place: str) -> Path:
    """Return an image's disk, fetched if it is elsewhere."""
    return image_files.download(place) if "://" in place else Path(place)


def _target(arguments: argparse.Namespace, image: GuestImage | None) -> Target:
    """Return the cell of the matrix that an image is for: what is said, else what it says."""
    said = (arguments.datastore, arguments.version, arguments.distro)
    if image is None:
        return matrix.load().select(*said)
    facts = (image.manifest.get(name) for name in ("datastore", "datastore_version", "distro"))
    chosen = [word or fact for word, fact in zip(said, facts, strict=True)]
    # An image that says nothing is none of the default version: users would get it for that.
    if not all(chosen[:1] if image.manifest else chosen):
        raise ScenarioError(
            f"{arguments.file} has no manifest beside it: say what it is for with --datastore, "
            "--version and --distro."
        )
    return matrix.load().select(*chosen)


@contextmanager
def _provisioning(name: str | None) -> Iterator[tuple[Cloud, Run]]:
    """Log in as a cloud's administrator; what an earlier, killed command left goes first."""
    admin = clients.connect(_administrator(name))
    run = Run.new()
    lock = run.own()
    try:
        with clients.explained(admin.name):
            sweeper.sweep_after_ended_runs(admin, admin, Timeouts())
            run.journal.header(user=admin.name, admin=admin.name, identity=admin.identity)
            reaper.watch(run)
            yield admin, run
    finally:
        lock.release()


def _administrator(name: str | None) -> str:
    """Return the entry to log in with: an option's, whatever the environment names."""
    if not name and (admin := os.environ.get("OS_ADMIN_CLOUD")):
        return admin
    name = clients.named_cloud(name)
    if name is None:
        raise ScenarioError("Which cloud? Name one with --os-cloud or OS_CLOUD.")
    return clients.administrator(name)


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d+)([kmgt]?)(i?b)?", text.lower())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 500M or 20G")
    return int(found[1]) * _UNITS[found[2]]


def _entry(entry: store.Entry) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "name": entry.name,
        "folder": str(entry.folder),
        "bytes": entry.size,
        "seconds": entry.seconds,
        "made_at": entry.made_at,
        "used_at": entry.used_at,
    }


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


if __name__ == "__main__":
    sys.exit(main())
