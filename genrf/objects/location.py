"""Where an object or a folder of objects is: ``s3://bucket/key``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from genrf.errors import InvalidInputError

SCHEME = "s3://"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class Location:
    """A bucket, and a key in it or the beginning of keys; no key means the bucket itself."""

    bucket: str
    key: str = ""

    @classmethod
    def parse(cls, text: str) -> Location:
        """Read ``s3://bucket/key``; a slash at the end means nothing.

        Raises:
            InvalidInputError: if it is anything else, or no bucket can have that name.
        """
        if not text.startswith(SCHEME):
            raise InvalidInputError(f"{text}: expected s3://BUCKET/KEY")
        bucket, _, key = text.removeprefix(SCHEME).partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise InvalidInputError(
                f"{text}: bucket {bucket!r}: expected 3 to 63 small letters, digits, hyphens and dots, such as s3://bundles/nightly"
            )
        key = key.rstrip("/")
        if any(part in ("", ".", "..") for part in key.split("/")) and key:
            raise InvalidInputError(f"{text}: key {key!r}: expected names with single slashes between them")
        return cls(bucket, key)

    @property
    def prefix(self) -> str:
        """What the keys of a folder's objects begin with."""
        return f"{self.key}/" if self.key else ""

    def __truediv__(self, name: str) -> Location:
        return Location(self.bucket, f"{self.prefix}{name}")

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}" if self.key else f"{SCHEME}{self.bucket}"
