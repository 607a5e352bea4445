"""A platform on this machine: a real S3 server (SeaweedFS) and an MLflow server that keeps its artifacts there.

What both have stored, their logs and what runs are in ``runs/platform/``. Its file ``environment`` names both to a shell, with
the secret: only its owner reads it, as ``keys.json``, where the access key and its secret are, made once.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from genrf.errors import GenRFError, InvalidInputError
from genrf.objects.failures import ACCESS_KEY, ENDPOINT, SECRET_KEY
from genrf.objects.location import Location
from genrf.objects.store import open_store
from pipelines.services import HOST, Service

ROOT = Path("runs") / "platform"
DATABASE = "GENRF_MLFLOW_DATABASE"
"""Environment variable: URL of the database with MLflow's runs, such as ``postgresql://user:password@host/mlflow``; SQLite by
default."""
_DATABASES = ("postgresql://", "postgresql+", "sqlite:///")
BUCKETS = ("datasets", "bundles", "feedback", "mlflow")
FIRST_PORT = 9400
_GRPC = 10_000
"""SeaweedFS's servers talk to each other on ports that much above their own."""

app = typer.Typer(
    help="An S3 server (SeaweedFS) and an MLflow server on it, on this machine; make run PLATFORM=1 runs the pipeline on them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Folder = Annotated[Path, typer.Option(help="Folder of everything that it keeps.")]
Port = Annotated[
    int,
    typer.Option(
        min=1024, max=50_000, help="First of five ports, and of five more 10,000 above; S3 has it, MLflow the next."
    ),
]


@dataclass(frozen=True)
class Platform:
    """Where the servers are and what they are called by."""

    folder: Path
    port: int

    @property
    def object_store(self) -> Service:
        """SeaweedFS, with all its parts in one process."""
        s3, master, volume, filer = self.port, self.port + 2, self.port + 3, self.port + 4
        ports = {"s3.port": s3, "master.port": master, "volume.port": volume, "filer.port": filer}
        options = {
            **ports,
            **{f"{name}.grpc": port + _GRPC for name, port in ports.items()},
            # Catalogs for tables, on ports of their own.
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.config": self.folder / "identities.json",
            "dir": self.folder / "objects",
            "ip": HOST,
            "ip.bind": HOST,
            "master.telemetry": "false",
            "volume.preStopSeconds": 1,
            # A bucket takes several volumes; the default of eight is used up by the second bucket.
            "volume.max": 200,
            "master.volumeSizeLimitMB": 256,
        }
        return Service(
            name="s3",
            command=[_program("weed"), "server", "-s3", *(f"-{name}={value}" for name, value in options.items())],
            folder=self.folder,
            ports=[each + above for each in ports.values() for above in (0, _GRPC)],
            health=f"{self.endpoint}/healthz",
        )

    @property
    def mlflow(self) -> Service:
        """MLflow's server; clients send artifacts through it and need no credentials of the store."""
        keys = self.keys()
        options = {"host": HOST, "port": self.port + 1, "workers": 1, "artifacts-destination": "s3://mlflow/artifacts"}
        return Service(
            name="mlflow",
            command=[_program("mlflow"), "server", *(f"--{name}={value}" for name, value in options.items())],
            folder=self.folder,
            ports=[self.port + 1],
            health=f"{self.tracking_uri}/health",
            environment={
                "MLFLOW_BACKEND_STORE_URI": os.environ.get(DATABASE)
                or f"sqlite:///{self.folder.resolve() / 'mlflow.db'}",
                "MLFLOW_S3_ENDPOINT_URL": self.endpoint,
                "AWS_ACCESS_KEY_ID": keys["access_key"],
                "AWS_SECRET_ACCESS_KEY": keys["secret_key"],
                "AWS_DEFAULT_REGION": "us-east-1",
                # It takes six times as long to start with, and nothing here has jobs.
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                "MLFLOW_DISABLE_TELEMETRY": "true",
            },
        )

    @property
    def services(self) -> tuple[Service, ...]:
        """In the order in which they start."""
        return (self.object_store, self.mlflow)

    @property
    def endpoint(self) -> str:
        """URL of the S3 server."""
        return f"http://{HOST}:{self.port}"

    @property
    def tracking_uri(self) -> str:
        """URL of MLflow."""
        return f"http://{HOST}:{self.port + 1}"

    @property
    def environment(self) -> Path:
        """The file to source."""
        return self.folder / "environment"

    def variables(self) -> dict[str, str]:
        """What a process needs to use both."""
        keys = self.keys()
        return {
            ENDPOINT: self.endpoint,
            ACCESS_KEY: keys["access_key"],
            SECRET_KEY: keys["secret_key"],
            "GENRF_DVC_REMOTE": f"s3://{BUCKETS[0]}/genrf",
            "MLFLOW_TRACKING_URI": self.tracking_uri,
        }

    def keys(self) -> dict[str, str]:
        """The access key and its secret, made on the first call.

        Raises:
            InvalidInputError: if the file with them is damaged.
        """
        path = self.folder / "keys.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            made = {"access_key": f"genrf-{secrets.token_hex(6)}", "secret_key": secrets.token_urlsafe(30)}
            write_private(path, json.dumps(made))
        try:
            keys = json.loads(path.read_text(encoding="utf-8"))
            return {name: str(keys[name]) for name in ("access_key", "secret_key")}
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidInputError(
                f"{path}: holds no keys; make platform-stop, remove it, and start again: new ones are made"
            ) from error

    def prepare(self) -> None:
        """Make what the S3 server needs before it starts: its folder, and the file of who may use it."""
        (self.folder / "objects").mkdir(parents=True, exist_ok=True)
        keys = self.keys()
        credentials = [{"accessKey": keys["access_key"], "secretKey": keys["secret_key"]}]
        identities = [{"name": "genrf", "credentials": credentials, "actions": ["Admin"]}]
        write_private(self.folder / "identities.json", json.dumps({"identities": identities}))

    def start(self) -> list[str]:
        """Start what does not run, make the buckets, write the file to source; returns the names of what was started."""
        database = os.environ.get(DATABASE)
        if database and not database.startswith(_DATABASES):
            # Not repeated: it may hold a password.
            raise InvalidInputError(f"{DATABASE}: expected an address that begins with {' or '.join(_DATABASES)}")
        self.prepare()
        variables = self.variables()
        started: list[Service] = []
        try:
            for service in self.services:
                if service.start():
                    started.append(service)
                if service.name == "s3":
                    store = open_store(variables=variables)
                    for bucket in BUCKETS:
                        store.check(Location(bucket), create=True)
        except BaseException:
            for service in reversed(started):
                service.stop()
            raise
        write_private(
            self.environment, "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
        )
        return [service.name for service in started]

    def stop(self) -> list[str]:
        """Stop what runs, the last started first; returns the names of what was stopped."""
        self.environment.unlink(missing_ok=True)
        return [trace.name for trace in reversed(_traces(self.folder)) if trace.stop()]


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, from its first byte on."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@app.command()
def start(folder: Folder = ROOT, port: Port = FIRST_PORT) -> None:
    """Start both servers and wait until they answer; what runs already is left as it is."""
    with _one_line_errors(), _alone(folder):
        platform = Platform(folder, _port_of(folder, port))
        started = platform.start()
        (folder / "port").write_text(f"{platform.port}\n")
        typer.echo(f"started: {', '.join(started) or 'nothing, both run already'}")
        _show(platform)


@app.command()
def status(folder: Folder = ROOT) -> None:
    """Say what runs; ends with exit code 1 unless both servers answer."""
    with _one_line_errors():
        platform = Platform(folder, _port_of(folder, FIRST_PORT))
        services = platform.services if any(trace.running for trace in _traces(folder)) else ()
        well = bool(services)
        for service in services:
            state = "healthy" if service.running and service.healthy else "no answer" if service.running else "stopped"
            well = well and state == "healthy"
            typer.echo(f"{service.name}: {state} (log: {service.log})")
        if not well:
            raise GenRFError(f"{folder}: the platform does not run; make platform starts it")
        _show(platform)


@app.command()
def stop(folder: Folder = ROOT) -> None:
    """Stop both servers with all their processes; what they stored stays."""
    with _one_line_errors(), _alone(folder):
        stopped = Platform(folder, FIRST_PORT).stop()
        typer.echo(f"stopped: {', '.join(stopped) or 'nothing, neither ran'}")


def _show(platform: Platform) -> None:
    typer.echo(f"S3      {platform.endpoint}  (buckets {', '.join(BUCKETS)})")
    typer.echo(f"MLflow  {platform.tracking_uri}")
    typer.echo(f"use it: . {platform.environment}     (holds the secret key; make run PLATFORM=1 does so)")


def _port_of(folder: Path, wanted: int) -> int:
    """The port of the servers that run, else the one that is wanted."""
    try:
        known = int((folder / "port").read_text())
    except (OSError, ValueError):
        return wanted
    return known if any(trace.running for trace in _traces(folder)) else wanted


def _traces(folder: Path) -> list[Service]:
    """Both servers as far as their records go, which is enough to see and to stop what runs, whatever became of the keys."""
    return [Service(name=name, command=(), folder=folder, ports=(), health="") for name in ("s3", "mlflow")]


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let no other start or stop run meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except GenRFError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        _fail(f"{error.filename or 'platform'}: {error.strerror or error}", 1)


def _fail(message: str, code: int) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code)


if __name__ == "__main__":
    app()
