"""What goes wrong with S3, each as one line that names place, cause and remedy, and never a secret."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from genrf.errors import GenRFError, MissingToolError
from genrf.objects.location import Location

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

ENDPOINT, ACCESS_KEY, SECRET_KEY = "GENRF_S3_ENDPOINT", "GENRF_S3_ACCESS_KEY", "GENRF_S3_SECRET_KEY"
"""Environment variables: the server's URL and the credentials. Unset, boto3's own chain applies, which ends at AWS."""


class ObjectStoreError(GenRFError):
    """The store cannot be reached, or refuses."""


class NotThereError(ObjectStoreError):
    """There is no such object, folder or bucket."""


class ConflictError(ObjectStoreError):
    """Somebody else wrote first; nothing was overwritten."""


_CREDENTIALS = f"set {ACCESS_KEY} and {SECRET_KEY}"
_CAUSES = {
    "NoSuchBucket": "there is no such bucket; genrf objects check s3://{bucket} --create makes it",
    "InvalidAccessKeyId": f"the server knows no such access key; correct {ACCESS_KEY}",
    "SignatureDoesNotMatch": f"the secret key is not that of the access key; correct {SECRET_KEY}",
    "AccessDenied": f"the access key may not do this; {_CREDENTIALS} to one that may",
    "403": f"refused; {_CREDENTIALS} to an access key that may do this",
    "RequestTimeTooSkewed": "this machine's clock and the server's differ too much; set the clock right",
    "RequestExpired": "this machine's clock and the server's differ too much; set the clock right",
    "BucketAlreadyExists": "another account owns a bucket of that name; choose another name",
    "InvalidBucketName": "the server accepts no such name of a bucket; choose another",
    "404": "no S3 server answers here, or not under this path; correct {endpoint}",
    "SlowDown": "the server is overloaded; try again later",
    "QuotaExceeded": "the bucket's quota is used up; remove something or raise it",
}
_MISSING = ("NoSuchBucket", "NoSuchKey")


@contextlib.contextmanager
def explained(location: Location, endpoint: str) -> Iterator[None]:
    """Turn what boto3 raises in the block into an `ObjectStoreError` that names `location`.

    Args:
        endpoint: URL of the server, for the message.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as NoConnectionError

    try:
        yield
    except ClientError as error:
        raise _refusal(error, location, endpoint) from error
    except (HTTPClientError, NoConnectionError) as error:
        raise ObjectStoreError(f"{location}: {_unreachable(error, endpoint)}") from error
    except (BotoCoreError, Boto3Error) as error:
        # boto3 wraps what its transfers raise, in this block.
        cause = error.__context__
        if isinstance(cause, ClientError):
            raise _refusal(cause, location, endpoint) from error
        raise ObjectStoreError(f"{location}: {_trouble(error)}") from error


def refusal_code(error: object) -> str:
    """S3's code for why it refused, such as ``NoSuchKey``; empty for any other error."""
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def _refusal(error: ClientError, location: Location, endpoint: str) -> ObjectStoreError:
    code, said = refusal_code(error), str(error.response["Error"].get("Message", "")) or "no reason given"
    if code == "NoSuchKey":
        return NotThereError(f"{location}: there is no such object at {endpoint}")
    if code in ("PreconditionFailed", "ConditionalRequestConflict"):
        return ConflictError(f"{location}: somebody else wrote it in the meantime; look at it and try again")
    text = _CAUSES.get(code, f"the server answers {code}: {_one_line(said)}").format(
        bucket=location.bucket, endpoint=ENDPOINT
    )
    kind = NotThereError if code in _MISSING else ObjectStoreError
    return kind(f"{location} at {endpoint}: {text}")


def _unreachable(error: Exception, endpoint: str) -> str:
    kind = type(error).__name__
    if kind == "SSLError":
        return f"{endpoint} does not speak TLS with a certificate that is trusted; correct {ENDPOINT}, or its http or https"
    if kind in ("ConnectTimeoutError", "ReadTimeoutError"):
        return f"{endpoint} does not answer in time, several attempts over; is it overloaded, or behind a firewall?"
    return f"{endpoint} cannot be reached, several attempts over; start the server, or correct {ENDPOINT}"


def _trouble(error: Exception) -> str:
    kind = type(error).__name__
    if kind in ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"):
        return f"no credentials; {_CREDENTIALS}"
    if kind == "NoRegionError":
        return f"no region; set {ENDPOINT} to a server's URL, or AWS_DEFAULT_REGION"
    return _one_line(str(error))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]


def without_boto3(error: ImportError) -> MissingToolError:
    """The error for where the extra is not installed."""
    return MissingToolError(
        f"{error.name}: not installed, and s3:// needs it; pip install 'genrf-circuit-diffuser[storage]'"
    )
