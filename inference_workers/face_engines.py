"""Which face engine a worker runs: made here from the settings, and reported in every record by name and version.

What an engine needs is imported when it is made: nothing else of the product loads a model runtime.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from inference_workers import face_chain, models
from inference_workers.engines import extras
from inference_workers.engines.face_fallback import FallbackFace
from inference_workers.engines.protocols import FaceDetector, FaceEngine, FaceHeads, FacePose
from runtime.clock import Clock
from runtime.errors import PrerequisiteError, SettingsError
from runtime.metrics import Metrics
from runtime.settings import Settings

if TYPE_CHECKING:
    from inference_workers.engines.face_emotion import FaceEmotion
    from inference_workers.engines.face_heads import HeadNetwork
    from inference_workers.engines.gains import Gains
    from inference_workers.engines.landmarker import Landmarker
    from inference_workers.engines.onnx_sessions import Execution

log = logging.getLogger(__name__)

PACKS: Final = Path("~/.insightface/models")
"""Where insightface keeps the packs that it fetched."""


def face_engine(settings: Settings) -> FaceEngine:
    """The engine that the settings name, with nothing behind it, loaded but not warmed up.

    Raises SettingsError, PrerequisiteError or ModelError if it cannot be made.
    """
    return MAKERS[settings.face_engine](settings)


def backed_face_engine(settings: Settings, clock: Clock, metrics: Metrics) -> FaceEngine:
    """The same, warmed up, and backed up by the embedded engine if it is another; raises as :func:`face_engine`.

    A server that does not answer now is no error: the embedded engine answers until it does.
    """
    engine = face_engine(settings)
    if settings.face_engine != "embedded":
        engine = FallbackFace(engine, _embedded(settings), clock, metrics)
    engine.warm_up()
    return engine


def emotion_network(settings: Settings) -> "FaceEmotion | None":
    """The network that tells emotions; None for the rule: asked for, or, which is said, because the file is missing."""
    from inference_workers.engines.face_emotion import FaceEmotion  # noqa: PLC0415

    if settings.face_emotion != "network":
        return None
    own = settings.face_emotion_weights
    try:
        return FaceEmotion(Path(own) if own else models.locate(settings, "face_emotion"), own=bool(own))
    except PrerequisiteError as error:
        log.warning("emotions of faces come from the rule over Action Units, which knows less: %s", error)
        return None


def landmarker(
    settings: Settings,
    emotion: "FaceEmotion | None" = None,
    *,
    gains: "Gains | None" = None,
    detector: FaceDetector | None = None,
    heads: FaceHeads | None = None,
    poses: FacePose | None = None,
    named: str = "",
) -> "Landmarker":
    """The default engine, with its own detector or another; the rest as :class:`Landmarker` says."""
    from inference_workers.engines.landmarker import Landmarker  # noqa: PLC0415

    if detector is None:
        from inference_workers.engines.onnx_sessions import Execution  # noqa: PLC0415
        from inference_workers.engines.yunet import YuNet  # noqa: PLC0415

        detector = YuNet(models.locate(settings, "yunet"), Execution.from_settings(settings))
    return Landmarker(
        models.locate(settings, "face_landmarker"), detector, emotion,
        most_faces=settings.most_faces, gains=gains, heads=heads, poses=poses, named=named,
    )  # fmt: skip


def _embedded(settings: Settings) -> FaceEngine:
    return landmarker(settings, emotion_network(settings))


def _onnx(settings: Settings) -> FaceEngine:
    """The default engine with the detector and the heads of a chain; what the chain does not say stays ours."""
    from inference_workers.engines.face_heads import ChainHeads  # noqa: PLC0415
    from inference_workers.engines.onnx_sessions import Execution  # noqa: PLC0415
    from inference_workers.engines.yunet import YuNet  # noqa: PLC0415

    if not settings.face_chain:
        raise SettingsError("the face engine onnx needs AFFECTSTREAM_FACE_CHAIN, a YAML file: see docs/face-chain.yaml")
    chain = face_chain.load(Path(settings.face_chain))
    execution = Execution.from_settings(settings)
    detector = None
    if chain.detector is not None:
        of = chain.detector
        detector = YuNet(of.file, execution, threshold=of.threshold, side=of.side)
    heads = ChainHeads(chain, lambda head: _network_of(settings, head, execution))
    emotion = None if heads.tells_emotions else emotion_network(settings)
    made = landmarker(settings, emotion, detector=detector, heads=heads, named=chain.named)
    log.info("faces: %s of %s; licence: %s", made.source, settings.face_chain, chain.licence)
    return made


def _network_of(settings: Settings, head: face_chain.Head, execution: "Execution") -> "HeadNetwork":
    """The network of a chain's head: its file's, or a server's."""
    if head.server is None:
        from inference_workers.engines.onnx_heads import OnnxNetwork  # noqa: PLC0415

        return OnnxNetwork(head, execution)
    module = extras.module_of("face chain's server", "inference_workers.engines.served_heads", "kserve")
    log.info("faces: crops of them go to %s; its model's licence is its operator's affair", head.server)
    made: HeadNetwork = module.ServedNetwork(
        head, timeout_s=settings.face_timeout_ms / 1e3, token=settings.face_token
    )  # fmt: skip
    return made


def _insightface(settings: Settings) -> FaceEngine:
    """The default engine on faces that insightface finds, with its pose where the pack has one."""
    module = extras.module_of("face engine insightface", "inference_workers.engines.insightface_pack", "insightface")
    from inference_workers.engines.onnx_sessions import Execution  # noqa: PLC0415

    pack = _pack(settings)
    found = module.InsightFace(pack, Execution.from_settings(settings))
    log.warning("faces: %s of %s; licence: %s", found.named, pack, module.LICENCE)
    return landmarker(
        settings, emotion_network(settings), detector=found, poses=found.poses, named=found.named
    )  # fmt: skip


def _pack(settings: Settings) -> Path:
    """The directory of insightface's files. A worker downloads none: insightface itself would."""
    given = settings.insightface_model
    if not given:
        raise SettingsError(
            "the face engine insightface needs AFFECTSTREAM_INSIGHTFACE_MODEL: a directory of its ONNX files, or the "
            f"name of a pack in {PACKS}"
        )
    for path in (Path(given).expanduser(), PACKS.expanduser() / given):
        if path.is_dir():
            return path
    raise PrerequisiteError(
        f"AFFECTSTREAM_INSIGHTFACE_MODEL: neither a directory {given} nor a pack {PACKS / given}; workers download "
        "none: fetch one yourself, as far as its licence lets you"
    )


MAKERS: Final[dict[str, Callable[[Settings], FaceEngine]]] = {
    "embedded": _embedded,
    "onnx": _onnx,
    "insightface": _insightface,
}
