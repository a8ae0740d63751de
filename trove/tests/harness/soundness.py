"""Whether a cloud still answers: asked when a test has failed, before others are tried."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from keystoneauth1.exceptions import Forbidden
from openstack.exceptions import ForbiddenException

from trove.tests.harness.clients import Cloud

# Who may not ask at least got an answer.
_SOUND = (Forbidden, ForbiddenException)


class WorkersDownError(Exception):
    """A service answers, but has not heard of some of its workers for a while."""


def ailments(user: Cloud, admin: Cloud) -> list[str]:
    """Return what is wrong with a cloud, a phrase each; nothing if all its services answer.

    Each is asked for a little that its database must know; Nova and Cinder for their
    workers. They are asked side by side, so it takes as long as the slowest answer.

    Args:
        user: the cloud as the tests see it.
        admin: the cloud as its administrator sees it.
    """
    try:
        looks = _looks(user, admin)
    except Exception as error:
        # Which services there are is keystone's to say.
        return [_told("Keystone", error)]
    with ThreadPoolExecutor(len(looks)) as asking:
        answers = {name: asking.submit(look) for name, look in looks.items()}
    return [
        _told(name, error)
        for name, answer in answers.items()
        if (error := answer.exception()) and not isinstance(error, _SOUND)
    ]


def _looks(user: Cloud, admin: Cloud) -> dict[str, Callable[[], Any]]:
    looks: dict[str, tuple[str, Callable[[], Any]]] = {
        "Keystone": ("identity", lambda: list(admin.accounts.regions())),
        "Trove": ("database", user.trove.datastores.list),
        "Nova": ("compute", lambda: _see_workers(admin.compute.services())),
        "Cinder": ("block-storage", lambda: _see_workers(admin.block_storage.services())),
        "Neutron": ("network", lambda: next(iter(admin.network.networks()), None)),
        "Glance": ("image", lambda: next(iter(admin.image.images()), None)),
        "Swift": ("object-store", lambda: next(iter(user.object_store.containers()), None)),
        "Barbican": ("key-manager", lambda: next(iter(user.key_manager.secrets()), None)),
    }
    return {name: look for name, (type, look) in looks.items() if admin.has(type)}


def _told(name: str, error: BaseException) -> str:
    return f"{name}: {' '.join(str(error).split()) or type(error).__name__}"


def _see_workers(workers: Iterable[Any]) -> None:
    missing = sorted(
        {
            worker.binary
            for worker in workers
            if (worker.state, worker.status) == ("down", "enabled")
        }
    )
    if missing:
        raise WorkersDownError(f"nothing has been heard of {', '.join(missing)}")
