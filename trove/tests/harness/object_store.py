"""Objects in Swift that Trove's guests have put there, told by how their names begin."""

from typing import Any

from trove.tests.harness.clients import Cloud


def beginning_with(cloud: Cloud, beginning: str) -> list[Any]:
    """Return the objects of a project whose names begin so, in any of its containers."""
    store = cloud.object_store
    return [
        found
        for container in list(store.containers())
        for found in store.objects(container.name, prefix=beginning)
    ]


def delete_beginning_with(cloud: Cloud, beginning: str) -> None:
    """Delete the objects of a project whose names begin so; containers stay."""
    for found in beginning_with(cloud, beginning):
        cloud.object_store.delete_object(found)


def delete_container(cloud: Cloud, name: str) -> None:
    """Delete a container with all that is in it.

    Raises:
        NotFoundException: there is none.
    """
    store = cloud.object_store
    for found in list(store.objects(name)):
        store.delete_object(found)
    store.delete_container(name)
