"""Folders travel whole: verified, continued after a kill, one content an address."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from genrf.errors import InvalidInputError
from genrf.objects.failures import ConflictError, NotThereError, ObjectStoreError
from genrf.objects.folders import CONTENTS, contents_of, links, missing_from, pull, push, whole
from genrf.objects.location import Location
from genrf.objects.pointer import move
from genrf.objects.store import ObjectStore
from tests.object_store import ObjectServer, object_server
from tests.objects.conftest import files, written

pytestmark = pytest.mark.slow


def test_a_folder_comes_back_as_it_was(store: ObjectStore, address: Location, bundle: Path, tmp_path: Path) -> None:
    assert push(store, bundle, address).sent == 3
    assert pull(store, address, tmp_path / "back").sent == 3
    assert files(tmp_path / "back") == files(bundle)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "bundle"]


def test_no_folder_lies_in_another(store: ObjectStore, address: Location, bundle: Path, tmp_path: Path) -> None:
    push(store, bundle, address / "outer")
    other = written(tmp_path / "other", b"5678")
    with pytest.raises(ConflictError, match=r"lies in .*outer, which holds a folder; choose an address beside it"):
        push(store, other, address / "outer/sub/deeper")
    push(store, other, address / "beside/inner")
    with pytest.raises(ConflictError, match="beside/inner in it holds a folder"):
        push(store, bundle, address / "beside")
    pull(store, address / "outer", tmp_path / "back")
    assert files(tmp_path / "back") == files(bundle)


def test_what_is_there_does_not_travel_again(
    store: ObjectStore, address: Location, bundle: Path, tmp_path: Path
) -> None:
    push(store, bundle, address)
    assert push(store, bundle, address).sent == 0
    pull(store, address, tmp_path / "back")
    assert pull(store, address, tmp_path / "back").sent == 0


def test_a_link_to_a_folder_is_refused_rather_than_left_out(
    store: ObjectStore, address: Location, bundle: Path, tmp_path: Path
) -> None:
    latest = tmp_path / "latest"
    latest.mkdir()
    (latest / "summary.json").write_text("{}")
    (latest / "bundle").symlink_to(bundle, target_is_directory=True)
    with pytest.raises(InvalidInputError, match=f"latest/bundle: is a link to a folder.*push {bundle} itself"):
        push(store, latest, address)
    assert list(store.list(address)) == []


def test_a_file_with_the_name_of_the_list_of_contents_is_refused(
    store: ObjectStore, address: Location, bundle: Path
) -> None:
    (bundle / CONTENTS).write_text("{}")
    with pytest.raises(InvalidInputError, match="has the name of the list of contents"):
        push(store, bundle, address)


def test_a_pointer_is_no_address_to_push_to(store: ObjectStore, address: Location, bundle: Path) -> None:
    push(store, bundle, address / "first")
    move(store, address / "latest", address / "first", None)
    with pytest.raises(ConflictError, match="is a pointer or another object"):
        push(store, bundle, address / "latest")


def test_an_address_holds_one_content_for_ever(
    store: ObjectStore, address: Location, bundle: Path, tmp_path: Path
) -> None:
    push(store, bundle, address)
    with pytest.raises(ConflictError, match="is taken by another folder"):
        push(store, written(tmp_path / "other", b"other"), address)
    pull(store, address, tmp_path / "back")
    assert files(tmp_path / "back") == files(bundle)


def test_of_two_writers_one_wins_and_the_other_is_told(
    object_store: ObjectServer, address: Location, tmp_path: Path
) -> None:
    folders = [written(tmp_path / f"writer-{number}", str(number).encode()) for number in range(4)]
    gate = threading.Barrier(len(folders))
    won, told = [], []

    def write(folder: Path) -> None:
        own = object_store.store()
        gate.wait()
        try:
            push(own, folder, address)
            won.append(folder)
        except ConflictError:
            told.append(folder)

    threads = [threading.Thread(target=write, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(told)) == (1, 3)
    pull(object_store.store(), address, tmp_path / "back")
    assert files(tmp_path / "back") == files(won[0])


def test_an_upload_that_was_killed_is_no_folder_and_is_continued(
    object_store: ObjectServer, store: ObjectStore, address: Location, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    for number in range(24):
        (folder / f"{number:02d}.bin").write_bytes(os.urandom(6_000_000))
    command = [sys.executable, "-m", "genrf", "objects", "push", str(folder), str(address)]
    process = subprocess.Popen(command, env={**os.environ, **object_store.variables}, start_new_session=True)
    while len([stored for stored in store.list(address) if not stored.location.key.endswith(CONTENTS)]) < 2:
        assert process.poll() is None, "ended before anything arrived"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    missing = missing_from(store, address, contents_of(store, address))
    assert 0 < len(missing) < 24, "killed too late"
    with pytest.raises(NotThereError, match="its upload was not finished"):
        pull(store, address, tmp_path / "back")
    assert not (tmp_path / "back").exists()
    # The server may finish one more that it had all of.
    assert 0 < push(store, folder, address).sent <= len(missing)
    pull(store, address, tmp_path / "back")
    assert files(tmp_path / "back") == files(folder)


def test_a_pull_that_was_stopped_fetches_what_is_missing(
    store: ObjectStore, address: Location, bundle: Path, tmp_path: Path
) -> None:
    push(store, bundle, address)
    partial = tmp_path / ".back.partial"
    (partial / "models").mkdir(parents=True)
    (partial / "models" / "large.onnx").write_bytes((bundle / "models" / "large.onnx").read_bytes())
    (partial / "manifest.json").write_bytes(b"half")
    (partial / "manifest.json.3f2a").write_bytes(b"left by a kill")
    assert pull(store, address, tmp_path / "back").sent == 2
    assert files(tmp_path / "back") == files(bundle)


def test_a_file_that_was_changed_behind_its_back_is_not_taken(
    object_store: ObjectServer, store: ObjectStore, address: Location, bundle: Path, tmp_path: Path
) -> None:
    push(store, bundle, address)
    (tmp_path / "evil").write_bytes(b"fir5t")
    store.upload(tmp_path / "evil", address / "manifest.json", "")
    with pytest.raises(ObjectStoreError, match=r"manifest\.json: is not what was pushed"):
        pull(store, address, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_name_that_leads_outside_is_refused(store: ObjectStore, address: Location, tmp_path: Path) -> None:
    listed = {"format": 1, "files": {"../../outside": {"sha256": "0" * 64, "bytes": 1}}}
    store.write(address / CONTENTS, json.dumps(listed).encode())
    with pytest.raises(ObjectStoreError, match="outside the folder"):
        pull(store, address, tmp_path / "back")


@pytest.mark.parametrize(
    "listed", [b"nonsense", b"[]", b'{"format": 9, "files": {}}', b'{"format": 1, "files": {"a": 1}}']
)
def test_a_list_of_contents_that_is_none_is_one_line(
    store: ObjectStore, address: Location, tmp_path: Path, listed: bytes
) -> None:
    store.write(address / CONTENTS, listed)
    with pytest.raises(ObjectStoreError) as caught:
        pull(store, address, tmp_path / "back")
    assert "\n" not in str(caught.value)


def test_what_is_in_the_way_is_replaced_only_if_asked(
    store: ObjectStore, address: Location, bundle: Path, tmp_path: Path
) -> None:
    push(store, bundle, address)
    own = written(tmp_path / "own", b"own")
    with pytest.raises(InvalidInputError, match="has something else"):
        pull(store, address, own)
    assert (own / "manifest.json").read_bytes() == b"own"
    pull(store, address, own, overwrite=True)
    assert files(own) == files(bundle)


def test_a_bucket_that_is_not_there_is_not_made_by_a_push(store: ObjectStore, bundle: Path) -> None:
    """SeaweedFS would make it by the first upload."""
    for _ in range(2):
        with pytest.raises(NotThereError, match="there is no such bucket"):
            push(store, bundle, Location("misspelt", "bundle"))


def test_nothing_to_push_is_refused(store: ObjectStore, address: Location, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="has no files"):
        push(store, tmp_path, address)
    with pytest.raises(InvalidInputError, match="no such folder"):
        push(store, tmp_path / "nowhere", address)


def test_links_need_no_credentials_until_they_expire(store: ObjectStore, address: Location, bundle: Path) -> None:
    push(store, bundle, address)
    long, short = links(store, address, 600), links(store, address, 1)
    assert {name: urllib.request.urlopen(url).read() for name, url in long.items()} == files(bundle)
    refused = None
    while refused is None:
        try:
            urllib.request.urlopen(short["manifest.json"]).read()
        except urllib.error.HTTPError as error:
            refused = error
    assert refused.code == 403
    assert b"expired" in refused.read()
    with pytest.raises(InvalidInputError, match="at most 7 days"):
        links(store, address, 8 * 24 * 3600)


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """A server that a test may lose."""
    server = object_server(tmp_path_factory.mktemp("own-server"))
    yield server
    server.lose()


def test_a_server_that_is_lost_for_a_while_only_takes_longer(
    own_server: ObjectServer, address: Location, bundle: Path, tmp_path: Path
) -> None:
    coming_back = threading.Thread(target=own_server.start)
    done = []

    def lose_it_once(file: int, files: int) -> None:
        done.append(file)
        if file == 1:
            own_server.lose()
            coming_back.start()

    store = own_server.store(attempts=9)
    for number in range(8):
        (bundle / f"more-{number}").write_bytes(os.urandom(1000))
    push(store, bundle, address, lose_it_once)
    coming_back.join()
    assert done[-1] == 11
    pull(store, address, tmp_path / "back")
    assert files(tmp_path / "back") == files(bundle)


def test_a_server_that_is_gone_for_good_is_one_line_and_nothing_is_half_written(
    own_server: ObjectServer, address: Location, bundle: Path, tmp_path: Path
) -> None:
    store = own_server.store(attempts=2)
    push(store, bundle, address)

    def lose_it(file: int, files: int) -> None:
        own_server.lose()

    (bundle / "manifest.json").write_bytes(b"second")
    for act in (
        lambda: pull(store, address, tmp_path / "back", progress=lose_it) and pull(store, address, tmp_path / "more"),
        lambda: push(store, bundle, address / "second"),
        lambda: whole(store, address),
        lambda: links(store, address, 60),
    ):
        with pytest.raises(
            ObjectStoreError, match=r"cannot be reached, several attempts over; start the server"
        ) as caught:
            act()
        assert "\n" not in str(caught.value)
        assert str(address) in str(caught.value)
    assert not (tmp_path / "more").exists()
    own_server.start()
    pull(own_server.store(), address, tmp_path / "more")
