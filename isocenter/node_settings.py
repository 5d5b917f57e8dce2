"""The settings of the DIMSE edge: section [node], with peers, TLS and user identity."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, IPvAnyNetwork, SecretStr, field_validator, model_validator

from dicom_node.passcodes import is_hash
from isocenter.section import AETitle, Port, Section

PeerService = Literal["store", "find", "move", "get", "commit", "worklist", "mpps", "ups", "availability"]


class Peer(Section):
    """A DICOM application entity we know: who it is, where it listens, what it may do."""

    aet: AETitle
    host: str = ""
    """Name or address where it listens; empty: nothing can be sent to it."""
    port: Port = 104
    addresses: tuple[IPvAnyNetwork, ...] = ()
    """Addresses and networks its associations come from; any other is refused."""
    services: tuple[PeerService, ...] | None = None
    """What it may use beyond verification; None means everything."""
    sop_classes: tuple[str, ...] | None = None
    """UIDs of storage SOP classes it may use; None means all."""
    transfer_syntaxes: tuple[str, ...] | None = Field(default=None, min_length=1)
    """UIDs of transfer syntaxes of stored objects that it may use, and is sent; None means all."""
    max_associations: int | None = Field(default=None, ge=1)
    """Associations at a time; None means as many as the node takes."""
    rejected: bool = False
    """It finds and retrieves what rejection notes take out of use, too."""
    tls: bool = False
    """Where it listens it speaks TLS."""
    certificate: str = ""
    """Subject of its certificate, e.g. `CN=ct01,O=Example Hospital`; what is left out may be anything."""

    @field_validator("certificate")
    @classmethod
    def _is_a_subject(cls, value: str) -> str:
        if value:
            from dicom_node.subject import parsed  # noqa: PLC0415 - few have certificates to parse

            parsed(value)
        return value


class NodeTls(Section):
    """TLS of the DIMSE edge (PS3.15 B.12)."""

    certificate: Path
    """Our certificate and those that lead to its authority, PEM."""
    key: Path
    """Private key of the certificate, PEM."""
    ca: Path | None = None
    """Certificates of the authorities that peers' certificates come from, PEM; None: those of the system."""
    client_certificates: Literal["required", "optional", "none"] = "required"

    @model_validator(mode="after")
    def _clients_have_an_authority(self) -> Self:
        if self.client_certificates != "none" and self.ca is None:
            raise ValueError(
                'client certificates are checked against `ca`: set it, or client_certificates = "none"'
            )
        return self


class NodeUser(Section):
    """A user as user identity negotiation names one."""

    name: str = Field(min_length=1)
    passcode: SecretStr | None = None
    """What `isocenter password` prints; None: the name alone is believed."""

    @field_validator("passcode")
    @classmethod
    def _is_hashed(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not is_hash(value.get_secret_value()):
            raise ValueError("is not a line that `isocenter password` prints")
        return value


class NodeJwt(Section):
    """JSON Web Tokens as user identity."""

    key: SecretStr
    """Public key of who signs them, PEM; or the secret shared with him."""
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    issuer: str
    audience: str

    @field_validator("algorithms")
    @classmethod
    def _sign(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or "none" in {each.lower() for each in value}:
            raise ValueError("tokens must be signed")
        return value


class NodeIdentity(Section):
    """User identity negotiation (PS3.7 D.3.3.7)."""

    required: bool = False
    """Refuse associations of peers that do not name a user we know."""
    users: tuple[NodeUser, ...] = ()
    jwt: NodeJwt | None = None

    @model_validator(mode="after")
    def _required_can_be_met(self) -> Self:
        if self.required and not self.users and self.jwt is None:
            raise ValueError("required = true needs users or [node.identity.jwt]")
        return self


class NodeSettings(Section):
    """The DIMSE edge."""

    aet: AETitle = "ISOCENTER"
    host: str = ""
    """Address to listen on; empty means `host` of the whole."""
    port: Port = 11112
    processes: int = Field(default=1, ge=1, le=64)
    """Processes that share the port. Associations in one of them take turns at one core for all but input and
    output; limits of peers count in each."""
    peers: tuple[Peer, ...] = ()
    require_known_peers: bool = False
    """Refuse associations from AE titles and addresses that are not in `peers`."""
    require_called_aet: bool = True
    """Refuse associations that call another AE title than `aet`."""
    max_associations: int = Field(default=64, ge=1)
    private_sop_classes: tuple[str, ...] = ()
    """UIDs of private storage SOP classes to accept."""
    patient_study_only: bool = False
    """Offer the retired Patient/Study Only information model."""
    max_pdu: int = Field(default=1 << 20, ge=4096, le=1 << 24)
    """Bytes of the longest PDU that peers may send."""
    artim_seconds: float = Field(default=30, gt=0)
    """How long a peer may take to ask for its association, and to leave (PS3.8 9.1.5)."""
    idle_seconds: float = Field(default=60, gt=0)
    """How long an association may be silent."""
    dimse_seconds: float = Field(default=60, gt=0)
    """How long a peer may take to answer a sub-operation."""
    drain_seconds: float = Field(default=10, ge=0)
    """How long associations may go on when the node stops."""
    tls: NodeTls | None = None
    identity: NodeIdentity = NodeIdentity()
