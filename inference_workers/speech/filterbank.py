"""SenseVoice's features of sound: Kaldi's log-mel filterbank, low frame rate, mean and variance normalisation.

As FunASR's WavFrontend does it, without torch: frames of 25 ms every 10 ms, 7 neighbours stacked every 6 frames, then
shifted and scaled by the model's own statistics (``am.mvn``). Never dithered: the same sound gives the same features.
"""

from pathlib import Path
from typing import Annotated, Final, Literal

import kaldi_native_fbank as knf
import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runtime.errors import ModelError

Samples = NDArray[np.float32]
Features = NDArray[np.float32]

FULL_SCALE: Final = 32_768.0
"""Kaldi counts in 16-bit samples."""


class FrontendConf(BaseModel):
    """What of a model's ``config.yaml`` the features depend on; its defaults are SenseVoiceSmall's."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    fs: Literal[16_000] = 16_000
    window: str = "hamming"
    n_mels: Annotated[int, Field(ge=1, le=512)] = 80
    frame_length: float = 25.0
    frame_shift: float = 10.0
    lfr_m: Annotated[int, Field(ge=1, le=64)] = 7
    lfr_n: Annotated[int, Field(ge=1, le=64)] = 6

    @classmethod
    def of(cls, config: Path) -> "FrontendConf":
        """Read a model's ``config.yaml``; raises ModelError."""
        try:
            raw = yaml.safe_load(config.read_text(encoding="utf-8"))
            return cls.model_validate(raw["frontend_conf"])
        except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, KeyError, ValidationError) as error:
            raise ModelError(f"{config} does not describe SenseVoice's features: {error}") from error


class Filterbank:
    """Features of windows. Stateless."""

    def __init__(self, conf: FrontendConf, statistics: Path) -> None:
        """``statistics``: the model's ``am.mvn``. Raises ModelError."""
        self._conf = conf
        self.size = conf.n_mels * conf.lfr_m
        self._shift, self._scale = _statistics(statistics, self.size)
        options = knf.FbankOptions()
        options.frame_opts.samp_freq = conf.fs
        options.frame_opts.dither = 0.0
        options.frame_opts.window_type = conf.window
        options.frame_opts.frame_length_ms = conf.frame_length
        options.frame_opts.frame_shift_ms = conf.frame_shift
        options.mel_opts.num_bins = conf.n_mels
        options.energy_floor = 0.0
        self._options = options

    def __call__(self, window: Samples) -> Features:
        """Features, one row each 60 ms, of samples in -1..1."""
        bank = knf.OnlineFbank(self._options)
        bank.accept_waveform(self._conf.fs, (window * FULL_SCALE).tolist())
        bank.input_finished()
        frames = np.stack([bank.get_frame(n) for n in range(bank.num_frames_ready)])
        return (stacked(frames, self._conf.lfr_m, self._conf.lfr_n) + self._shift) * self._scale


def stacked(frames: Features, count: int, every: int) -> Features:
    """Low frame rate: each row holds ``count`` frames around every ``every``-th one; the ends are repeated."""
    before = (count - 1) // 2
    rows = -(-len(frames) // every)
    places = np.arange(rows)[:, None] * every + np.arange(count)[None, :] - before
    return np.ascontiguousarray(frames[np.clip(places, 0, len(frames) - 1)].reshape(rows, -1))


def _statistics(path: Path, size: int) -> tuple[Features, Features]:
    """Shift and scale of Kaldi's text form: the bracketed numbers after AddShift and after Rescale."""
    found: dict[str, Features] = {}
    try:
        words = path.read_text(encoding="utf-8").split()
        for name in ("<AddShift>", "<Rescale>"):
            opening = words.index("[", words.index(name))
            values = words[opening + 1 : words.index("]", opening)]
            found[name] = np.asarray([float(value) for value in values], np.float32)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ModelError(f"{path} does not hold the features' statistics: {error}") from error
    if any(len(values) != size for values in found.values()):
        raise ModelError(f"{path} holds statistics of {len(found['<AddShift>'])} features, not of {size}")
    return found["<AddShift>"], found["<Rescale>"]
