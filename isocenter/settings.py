"""One typed settings object, read once from `isocenter.toml` and `ISOCENTER_*`; wrong keys are named."""

import ipaddress
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator

from isocenter.inference_settings import InferenceSettings
from isocenter.node_settings import NodeSettings
from isocenter.routing.settings import (
    AvailabilitySettings,
    DestinationSettings,
    PrefetchSettings,
    RouteSettings,
    RoutingSettings,
    check_routing,
)
from isocenter.section import Port, Section

PREFIX = "ISOCENTER_"
DELIMITER = "__"
NOT_SETTINGS = frozenset({"ISOCENTER_TEST_DATA", "ISOCENTER_CONFIG"})


class SettingsError(Exception):
    """A setting is unknown, missing or wrong; the message names the key and the file or variable."""


class WebSettings(Section):
    """The HTTP edge."""

    host: str = ""
    """Address to listen on; empty means `host` of the whole."""
    port: Port = 8080
    processes: int = Field(default=1, ge=1, le=64)
    """Processes that share the port. What one of them does beside input and output takes one core."""
    base_url: str = ""
    """What clients see in front of us, e.g. `https://pacs.example.org`; empty: the request's own host."""
    cors_origins: tuple[str, ...] = ()
    deletion: bool = True
    """Clients may delete studies, series and instances."""
    delete_undo_hours: float = Field(default=24, ge=0, le=24 * 365)
    """How long what was deleted can be brought back; 0 removes it at once."""
    user_header: str = ""
    """Header in which a trusted reverse proxy puts who is logged in; empty: reviewers name themselves."""

    viewer_dir: Path | None = None
    """Where `isocenter viewer install` puts OHIF, served at `/viewer`; default `<data>/viewer`."""

    @field_validator("base_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")


class S3Settings(Section):
    """An S3-compatible object store."""

    endpoint: str
    """host:port, without a scheme."""
    bucket: str
    access_key: str
    secret_key: SecretStr
    region: str = "us-east-1"
    tls: bool = True


class StorageSettings(Section):
    """Where the objects are, and what happens to a second object under a known UID."""

    blobs: Literal["disk", "s3"] = "disk"
    dir: Path | None = None
    """Folder of the objects; default `<data>/objects`."""
    spool: Path | None = None
    """Folder for objects being received; default `<data>/spool`, best on the same file system as `dir`."""
    spool_reserve_mb: int = Field(default=256, ge=0)
    """Megabytes left free on the spool's disk: with less, nothing more is taken in."""
    duplicates: Literal["keep", "replace"] = "keep"
    s3: S3Settings | None = None

    @model_validator(mode="after")
    def _s3_is_complete(self) -> Self:
        if self.blobs == "s3" and self.s3 is None:
            raise ValueError('blobs = "s3" needs the section [storage.s3]')
        return self


class IndexSettings(Section):
    """The SQL database."""

    url: str = ""
    """SQLAlchemy URL; empty means SQLite in `<data>/index.sqlite`."""
    search_seconds: float = Field(default=20, gt=0)
    """A search that takes the database longer is stopped, and refused as too broad."""


class BrokerSettings(Section):
    """What carries Celery's messages."""

    url: str = "memory://"
    """`memory://`: the worker runs inside the process that plans the work; `redis://…`, `amqp://…`: many."""


class CommitmentSettings(Section):
    """Storage commitment: what is checked, and how peers are told."""

    same_association: bool = True
    """Answer on the association of the request while it is open; otherwise always on one of our own."""
    read_up_to_mb: int = Field(default=1024, ge=0)
    """Files up to this size are read again to compare their digest; of bigger ones the size alone."""
    max_attempts: int = Field(default=20, ge=1)
    """A peer that could not be told as often is given up."""


class ReviewSettings(Section):
    """What people say of findings."""

    organization: str = Field(default="not stated", min_length=1, max_length=64)
    """Who the reviewers work for: the Verifying Organization of signed reports."""


class Settings(Section):
    """All of Isocenter's settings."""

    data: Path = Path("isocenter-data")
    """Folder for everything that has no place of its own: objects, index, spool."""
    host: str = "127.0.0.1"
    """Address both edges listen on."""
    insecure: bool = False
    """Listen beyond loopback although there is neither TLS nor authentication."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    node: NodeSettings = NodeSettings()
    web: WebSettings = WebSettings()
    storage: StorageSettings = StorageSettings()
    index: IndexSettings = IndexSettings()
    broker: BrokerSettings = BrokerSettings()
    inference: InferenceSettings = InferenceSettings()
    commitment: CommitmentSettings = CommitmentSettings()
    reviews: ReviewSettings = ReviewSettings()
    destinations: tuple[DestinationSettings, ...] = ()
    routes: tuple[RouteSettings, ...] = ()
    prefetch: tuple[PrefetchSettings, ...] = ()
    availability: tuple[AvailabilitySettings, ...] = ()
    routing: RoutingSettings = RoutingSettings()

    @model_validator(mode="after")
    def _safe_by_default(self) -> Self:
        edges = (("node", self.node.host, self.node.tls is not None), ("web", self.web.host, False))
        for edge, own, secure in edges:
            key, host = (f"{edge}.host", own) if own else ("host", self.host)
            if not (_is_loopback(host) or secure or self.insecure):
                raise ValueError(
                    f"{key} = {host!r} listens beyond this machine without TLS and authentication; "
                    "set insecure = true (ISOCENTER_INSECURE=1) if the network is trusted"
                )
        return self

    @model_validator(mode="after")
    def _routes_lead_somewhere(self) -> Self:
        peers = {peer.aet for peer in self.node.peers if peer.host}
        check_routing(self.destinations, self.routes, self.prefetch, self.availability, peers)
        return self

    @property
    def objects_dir(self) -> Path:
        """Folder of the disk blobs."""
        return self.storage.dir or self.data / "objects"

    @property
    def spool_dir(self) -> Path:
        """Folder of objects being received."""
        return self.storage.spool or self.data / "spool"

    @property
    def models_dir(self) -> Path:
        """Folder of the model packages that were added."""
        return self.inference.models_dir or self.data / "models"

    @property
    def viewer_dir(self) -> Path:
        """Folder of the OHIF viewer."""
        return self.web.viewer_dir or self.data / "viewer"

    @property
    def index_url(self) -> str:
        """SQLAlchemy URL of the index."""
        return self.index.url or f"sqlite:///{(self.data / 'index.sqlite').absolute()}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load_settings(
    config: Path | None, environment: Mapping[str, str], overrides: Mapping[str, Any] | None = None
) -> Settings:
    """The settings of file `config`, over them those of `environment`, over them `overrides`.

    `overrides` maps dotted keys (`node.port`) to values; None values are left out.

    Raises:
        SettingsError: a key is unknown or a value wrong; the message names it and where it stands.
    """
    values = _read_file(config) if config else {}
    where: dict[str, str] = {}
    for name, text in sorted(environment.items()):
        if name.startswith(PREFIX) and name not in NOT_SETTINGS:
            key = name.removeprefix(PREFIX).lower().replace(DELIMITER, ".")
            where[key] = name
            _put(values, key, _parsed(text))
    for key, value in (overrides or {}).items():
        if value is not None:
            where[key] = f"--{key.rpartition('.')[2]}"
            _put(values, key, value)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_explained(error, where, config)) from None


def _read_file(config: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{config}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{config}: is not TOML: {error}") from None


def _put(values: dict[str, Any], key: str, value: object) -> None:
    section, _, rest = key.partition(".")
    if not rest:
        values[section] = value
        return
    inner = values.setdefault(section, {})
    if not isinstance(inner, dict):
        raise SettingsError(f"{section} is not a section, so {key} cannot be set")
    _put(inner, rest, value)


def _parsed(text: str) -> object:
    """Lists and tables as TOML (`["a", "b"]`); anything else is left to the type of its key."""
    if text.lstrip().startswith(("[", "{")):
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text
    return text


def _explained(error: ValidationError, where: Mapping[str, str], config: Path | None) -> str:
    lines = []
    for each in error.errors():
        key = ".".join(str(part) for part in each["loc"])
        source = where.get(key) or (str(config) if config else "defaults")
        reason = (
            "unknown key" if each["type"] == "extra_forbidden" else each["msg"].removeprefix("Value error, ")
        )
        lines.append(f"{source}: {key}: {reason}" if key else f"{source}: {reason}")
    return "\n".join(lines)
