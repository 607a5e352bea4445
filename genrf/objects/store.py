"""One S3 server, asked with the credentials of the environment: buckets, single objects, conditional writes, links."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genrf.errors import InvalidInputError
from genrf.objects.failures import (
    ACCESS_KEY,
    ENDPOINT,
    SECRET_KEY,
    ConflictError,
    NotThereError,
    ObjectStoreError,
    explained,
    refusal_code,
    without_boto3,
)
from genrf.objects.location import Location

ATTEMPTS = 7
"""Times that a request is made before it has failed; with botocore's pauses between them that bridges half a minute."""
SECONDS_TO_CONNECT, SECONDS_TO_ANSWER = 5, 30
PART_BYTES = 8 * 2**20
"""Larger files travel in parts of this size, several at once."""
LONGEST_LINK_SECONDS = 7 * 24 * 3600
"""What the protocol's signatures allow."""
_REGION = "us-east-1"
"""What servers other than AWS expect where they are not set up with one."""
SHA256 = "sha256"
"""Name of the object's metadata that holds the SHA-256 of its content."""


def credentials(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Endpoint, keys and region as boto3's arguments; empty where none of our variables is set.

    Args:
        variables: in place of the environment's.

    Raises:
        InvalidInputError: if one of the two keys is set without the other, or the server's address holds a password.
    """
    endpoint, access, secret = (variables.get(name, "") for name in (ENDPOINT, ACCESS_KEY, SECRET_KEY))
    if bool(access) != bool(secret):
        given, lacking = (ACCESS_KEY, SECRET_KEY) if access else (SECRET_KEY, ACCESS_KEY)
        raise InvalidInputError(f"{lacking}: not set, though {given} is; set both or neither")
    if "@" in endpoint:
        # Not repeated: what stands before it is a secret.
        raise InvalidInputError(
            f"{ENDPOINT}: holds a name or a password, which S3 does not take there; set {ACCESS_KEY} and {SECRET_KEY}"
        )
    found = {"endpoint_url": endpoint, "aws_access_key_id": access, "aws_secret_access_key": secret}
    if endpoint:
        found["region_name"] = variables.get("AWS_DEFAULT_REGION") or _REGION
    return {name: value for name, value in found.items() if value}


@dataclass(frozen=True)
class StoredObject:
    """An object as it is listed."""

    location: Location
    bytes: int


@dataclass(frozen=True)
class Version:
    """The content of an object, and the mark by which a later writer says that it has seen it."""

    content: bytes
    etag: str


class ObjectStore:
    """A connection; made by `open_store`. Every method raises an `ObjectStoreError` of one line."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.endpoint = str(client.meta.endpoint_url)

    def check(self, location: Location, *, create: bool = False) -> bool:
        """Make sure that the bucket is there and that its objects may be listed.

        Args:
            create: make the bucket if there is none.

        Returns:
            Whether the bucket was made.
        """
        try:
            next(self.list(location), None)
        except NotThereError:
            if not create:
                raise
            region = self._client.meta.region_name
            where = {} if region == _REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
            with explained(Location(location.bucket), self.endpoint):
                try:
                    self._client.create_bucket(Bucket=location.bucket, **where)
                except self._client.exceptions.BucketAlreadyOwnedByYou:
                    return False
            return True
        return False

    def list(self, location: Location, *, after: str = "") -> Iterator[StoredObject]:
        """Objects below a location, in the order of their keys.

        Args:
            after: key from which on, itself left out.
        """
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=location.bucket, Prefix=location.prefix, StartAfter=after
        )
        with explained(location, self.endpoint):
            for page in pages:
                for item in page.get("Contents", []):
                    yield StoredObject(Location(location.bucket, item["Key"]), int(item["Size"]))

    def read(self, location: Location) -> Version | None:
        """The object's content, or None if there is no such object."""
        from botocore.exceptions import BotoCoreError

        try:
            with explained(location, self.endpoint):
                answer = self._client.get_object(Bucket=location.bucket, Key=location.key)
                return Version(answer["Body"].read(), answer["ETag"])
        except NotThereError as error:
            if refusal_code(error.__cause__) == "NoSuchKey":
                return None
            raise
        except (OSError, BotoCoreError) as error:
            raise ObjectStoreError(f"{location}: {self.endpoint} broke off: {error}") from error

    def write(self, location: Location, content: bytes, *, replacing: str | None = None) -> str:
        """Write a small object under a condition, so that nothing of another writer is lost.

        Args:
            replacing: mark of the `Version` that is replaced; None to write only where there is nothing.

        Returns:
            The mark of the new version.

        Raises:
            ConflictError: if the object is not, or no longer, as the condition says.
        """
        condition = {"IfMatch": replacing} if replacing is not None else {"IfNoneMatch": "*"}
        try:
            with explained(location, self.endpoint):
                answer = self._client.put_object(Bucket=location.bucket, Key=location.key, Body=content, **condition)
                return str(answer["ETag"])
        except ConflictError:
            # A write whose answer got lost is made again and then finds itself.
            found = self.read(location)
            if found is not None and found.content == content:
                return found.etag
            raise

    def sha256(self, location: Location) -> str:
        """The SHA-256 with which an object was uploaded; empty if it is not there or has none."""
        from botocore.exceptions import ClientError

        with explained(location, self.endpoint):
            try:
                answer = self._client.head_object(Bucket=location.bucket, Key=location.key)
            except ClientError as error:
                if refusal_code(error) == "404":
                    return ""
                raise
        return str(answer["Metadata"].get(SHA256, ""))

    def upload(self, path: Path, location: Location, sha256: str) -> None:
        """Send a file, in parts if it is large; an object is there whole or not at all."""
        with explained(location, self.endpoint):
            self._client.upload_file(
                str(path),
                location.bucket,
                location.key,
                ExtraArgs={"Metadata": {SHA256: sha256}},
                Config=_transfer(),
            )

    def download(self, location: Location, path: Path) -> None:
        """Fetch a file, in parts if it is large; ``path`` is written whole or not at all."""
        try:
            with explained(location, self.endpoint):
                self._client.download_file(location.bucket, location.key, str(path), Config=_transfer())
        except ObjectStoreError as error:
            if refusal_code(error.__cause__) == "404":
                raise NotThereError(f"{location}: there is no such object at {self.endpoint}") from error
            raise

    def link(self, location: Location, seconds: int) -> str:
        """A URL with which anyone can fetch the object for a while, without credentials."""
        if not 0 < seconds <= LONGEST_LINK_SECONDS:
            raise InvalidInputError(f"{location}: a link holds for more than 0 s and at most 7 days, not {seconds} s")
        with explained(location, self.endpoint):
            return str(
                self._client.generate_presigned_url(
                    "get_object", Params={"Bucket": location.bucket, "Key": location.key}, ExpiresIn=seconds
                )
            )


def open_store(attempts: int = ATTEMPTS, variables: Mapping[str, str] = os.environ) -> ObjectStore:
    """Connect to the server of the environment: `GENRF_S3_ENDPOINT` and its keys, else boto3's own chain.

    Raises:
        InvalidInputError: if the variables are not complete, or no URL.
        MissingToolError: if boto3 is not installed.
    """
    settings = credentials(variables)
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise without_boto3(error) from error
    config = Config(
        # Version 4 also in links: SeaweedFS and MinIO take it, and AWS takes nothing else.
        signature_version="s3v4",
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=SECONDS_TO_CONNECT,
        read_timeout=SECONDS_TO_ANSWER,
    )
    try:
        with explained(Location("s3"), settings.get("endpoint_url", "AWS")):
            return ObjectStore(boto3.session.Session().client("s3", config=config, **settings))
    except ValueError as error:
        raise InvalidInputError(
            f"{ENDPOINT}: expected a URL such as http://127.0.0.1:8333, got {settings.get('endpoint_url')!r}"
        ) from error


def _transfer() -> Any:
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=4)
