"""What goes wrong with S3 is one line that names place, cause and remedy, and never a secret."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from genrf.cli import app
from genrf.errors import InvalidInputError
from genrf.objects.failures import ACCESS_KEY, ENDPOINT, SECRET_KEY
from genrf.objects.location import Location
from genrf.objects.store import credentials
from tests.object_store import BUCKET, ObjectServer


def objects(*arguments: str) -> tuple[int, str, str]:
    """Exit code, output and error output of `genrf objects`."""
    result = CliRunner().invoke(app, ["objects", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def environment(object_store: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> ObjectServer:
    for name, value in object_store.variables.items():
        monkeypatch.setenv(name, value)
    return object_store


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({ACCESS_KEY: "nobody"}, f"the server knows no such access key; correct {ACCESS_KEY}"),
        ({SECRET_KEY: "hunter2"}, f"the secret key is not that of the access key; correct {SECRET_KEY}"),
        ({ACCESS_KEY: "", SECRET_KEY: ""}, f"no credentials; set {ACCESS_KEY} and {SECRET_KEY}"),
        (
            {ENDPOINT: "http://127.0.0.1:9"},
            f"cannot be reached, several attempts over; start the server, or correct {ENDPOINT}",
        ),
        ({ENDPOINT: "http://nowhere.invalid"}, "cannot be reached"),
        ({ENDPOINT: "127.0.0.1"}, f"{ENDPOINT}: expected a URL such as"),
        ({ACCESS_KEY: ""}, f"{ACCESS_KEY}: not set, though {SECRET_KEY} is"),
    ],
)
def test_each_mistake_has_its_line(
    environment: ObjectServer, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    code, output, errors = objects("check", f"s3://{BUCKET}/bundle")
    assert code != 0
    assert said in errors
    assert errors.count("\n") == 1
    assert not any(secret in output + errors for secret in ("hunter2", environment.variables[SECRET_KEY]))


@pytest.mark.slow
def test_http_and_https_mistaken_for_each_other_is_said(
    environment: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENDPOINT, environment.platform.endpoint.replace("http:", "https:"))
    assert "or its http or https" in objects("check", f"s3://{BUCKET}")[2]


@pytest.mark.slow
def test_a_clock_that_is_wrong_is_said(environment: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore.auth

    now = botocore.auth.get_current_datetime
    monkeypatch.setattr(
        botocore.auth,
        "get_current_datetime",
        lambda *given, **named: now(*given, **named) + datetime.timedelta(hours=1),
    )
    assert "clock and the server's differ too much" in objects("check", f"s3://{BUCKET}")[2]


@pytest.mark.slow
def test_a_bundle_goes_up_is_pointed_to_and_comes_down(environment: ObjectServer, bundle: Path, tmp_path: Path) -> None:
    assert "no such bucket" in objects("check", "s3://new-bucket")[2]
    assert objects("check", "s3://new-bucket", "--create")[1].startswith("s3://new-bucket: made")
    assert (
        objects("push", str(bundle), "s3://new-bucket/one")[1]
        == "s3://new-bucket/one: 3 files, 3 sent, the others were there\n"
    )
    assert "s3://new-bucket/one: whole, 3 files" in objects("check", "s3://new-bucket/one")[1]
    assert objects("point", "s3://new-bucket/latest", "s3://new-bucket/two")[0] == 1
    assert objects("point", "s3://new-bucket/latest")[0] == 1
    assert objects("point", "s3://new-bucket/latest", "s3://new-bucket/one")[0] == 0
    assert objects("pull", "s3://new-bucket/latest", "--output", str(tmp_path / "back"))[0] == 0
    assert (tmp_path / "back" / "manifest.json").read_bytes() == b"first"
    code, output, _ = objects("link", "s3://new-bucket/latest", "--hours", "1")
    assert code == 0
    assert [line.split()[0] for line in output.splitlines()] == [
        "manifest.json",
        "models/empty.bin",
        "models/large.onnx",
    ]
    assert environment.variables[SECRET_KEY] not in output


@pytest.mark.parametrize(
    "text", ["bundles/x", "s3://", "s3://UPPER/x", "s3://ab", "s3://bundles//x", "s3://bundles/a/../b"]
)
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="expected"):
        Location.parse(text)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidInputError) as caught:
        credentials({ENDPOINT: "http://name:secret@127.0.0.1:9"})
    assert str(caught.value).startswith(f"{ENDPOINT}: holds a name or a password")
    assert "secret@" not in str(caught.value)


def test_addresses_are_read_and_written() -> None:
    for text in ("s3://bundles", "s3://bundles/nightly/42"):
        assert str(Location.parse(text)) == text
    assert Location.parse("s3://bundles/") == Location("bundles")


def test_a_region_is_assumed_for_servers_that_are_not_those_of_aws() -> None:
    assert credentials({}) == {}
    assert credentials({ENDPOINT: "http://s3.lan"}) == {"endpoint_url": "http://s3.lan", "region_name": "us-east-1"}
    assert credentials({ENDPOINT: "http://s3.lan", "AWS_DEFAULT_REGION": "eu"})["region_name"] == "eu"


def test_nothing_of_s3_is_imported_before_it_is_asked_for() -> None:
    code = (
        "import sys, genrf.cli, genrf.objects.folders, genrf.objects.pointer, genrf.objects.records; "
        "print(*({'boto3', 'botocore', 's3transfer'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("\n", "")
