"""A pointer is moved by one writer at a time; the others are told where it points."""

from __future__ import annotations

import threading

import pytest

from genrf.objects import pointer as pointers
from genrf.objects.failures import ConflictError, ObjectStoreError
from genrf.objects.location import Location
from genrf.objects.store import ObjectStore
from tests.object_store import ObjectServer

pytestmark = pytest.mark.slow


def test_a_pointer_is_made_and_moved(store: ObjectStore, address: Location) -> None:
    assert pointers.read(store, address) is None
    made = pointers.move(store, address, Location("bundles", "one"), None)
    assert pointers.read(store, address) == made
    pointers.move(store, address, Location("bundles", "two"), made)
    seen = pointers.read(store, address)
    assert seen is not None
    assert seen.target == Location("bundles", "two")


def test_who_saw_an_older_version_moves_nothing(store: ObjectStore, address: Location) -> None:
    old = pointers.move(store, address, Location("bundles", "one"), None)
    pointers.move(store, address, Location("bundles", "two"), old)
    for seen in (old, None):
        with pytest.raises(ConflictError, match="points to s3://bundles/two by now, another writer was first"):
            pointers.move(store, address, Location("bundles", "three"), seen)


@pytest.mark.parametrize("exists", [False, True])
def test_of_many_writers_at_once_one_wins(object_store: ObjectServer, address: Location, exists: bool) -> None:
    store = object_store.store()
    seen = pointers.move(store, address, Location("bundles", "before"), None) if exists else None
    count = 8
    gate = threading.Barrier(count)
    won, told = [], []

    def write(number: int) -> None:
        own, target = object_store.store(), Location("bundles", str(number))
        gate.wait()
        try:
            won.append(pointers.move(own, address, target, seen))
        except ConflictError as error:
            told.append(str(error))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(told)) == (1, count - 1)
    assert pointers.read(store, address) == won[0]
    assert all(str(won[0].target) in message for message in told)


def test_the_same_move_again_finds_itself(store: ObjectStore, address: Location) -> None:
    """As when the answer to a write got lost and the client writes again."""
    made = pointers.move(store, address, Location("bundles", "one"), None)
    assert pointers.move(store, address, Location("bundles", "one"), None) == made


def test_an_object_that_is_no_pointer_is_refused(store: ObjectStore, address: Location) -> None:
    for number, content in enumerate((b"hello", b"\xff\xfe", b"")):
        store.write(address / str(number), content)
        with pytest.raises(ObjectStoreError, match="is no pointer"):
            pointers.read(store, address / str(number))
