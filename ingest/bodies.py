"""What the edge's HTTP interface takes and answers (pydantic); docs/protocol.md describes it."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from ingest.sessions import ON_DEVICE
from runtime.tokens import Scope
from schemas.fusion_config import MappingName
from schemas.vocabulary import Modality

GROUP: Final = r"^[\w][\w .+-]{0,63}$"
"""Groups are words of the deployment's own."""


class ConsentBody(BaseModel):
    """What may be processed; nothing is, unless it is said here."""

    model_config = ConfigDict(extra="forbid", strict=True)

    audio: bool = False
    video: bool = False
    store_raw: bool = Field(default=False, description="Raw media may be kept beyond the log's retention.")
    fairness: bool = Field(default=False, description="Errors may be compared by the group that is declared.")


class OnDeviceBody(BaseModel):
    """What the client analyses itself: the edge then takes features of it only, and refuses media of it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    face: bool = False
    speech: bool = False

    def scopes(self) -> frozenset[Scope]:
        """What the session's token says of it."""
        wanted = {Modality.FACE: self.face, Modality.SPEECH: self.speech}
        return frozenset(ON_DEVICE[modality] for modality, on_device in wanted.items() if on_device)


class CalibrationBody(BaseModel):
    """What is known of the person's face, by Action Unit; those left out are neither shifted nor scaled."""

    model_config = ConfigDict(extra="forbid")

    au_neutral: dict[str, float] = Field({}, description="Intensity in the neutral face, 0 to 1.")
    au_gain: dict[str, float] = Field(
        {}, description="Factor on what exceeds it, 0 to 10; by default such that an intensity of 1 stays 1."
    )


class SessionBody(BaseModel):
    """A session to start."""

    model_config = ConfigDict(extra="forbid")

    consent: ConsentBody = ConsentBody()
    on_device: OnDeviceBody = OnDeviceBody()
    timeline: Literal["live", "recorded"] = "live"
    mapping: MappingName = "blend"
    parameters: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(
        {}, description="Fusion parameters that differ from the deployment's."
    )
    calibration: CalibrationBody | None = Field(None, description="Null: learned, unless calibration_seconds is 0.")
    subject: Annotated[str, Field(max_length=128)] | None = Field(None, description="Pseudonymous id of the person.")
    group: Annotated[str, Field(pattern=GROUP)] | None = Field(
        None, description="The group that the person says to belong to; needs consent.fairness."
    )
    experiments: bool = Field(default=True, description="Whether the session may be given a variant.")


class SessionAnswer(BaseModel):
    """A session that has started."""

    session_id: str
    token: str
    expires_at_s: int
    media_url: str
    avatar_url: str | None
    whip_url: str | None
    ice_servers: list[dict[str, Any]] = Field(description="As in RTCConfiguration.iceServers.")


class ResetAnswer(BaseModel):
    """From when on the calibration is learned anew: event time, microseconds since the epoch."""

    captured_at_us: int


class ClientConfig(BaseModel):
    """Where a page finds the other services; empty if this edge was not told."""

    egress_url: str
    analytics_url: str
