"""The viseme network in PyTorch: layers, training by Lightning, export to ONNX. Needs the extra ``train``."""

import hashlib
import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import lightning
import numpy as np
import onnx
import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from inference_workers.speech.articulation import CONTEXT
from inference_workers.speech.features import MELS
from inference_workers.speech.phones import UNLABELLED
from inference_workers.training.viseme import Examples
from schemas.vocabulary import VISEMES

CHANNELS: Final = 64
KERNEL: Final = 3
DILATIONS: Final = (1, 2, 4, 8)
CHUNK: Final = 256
"""Frames of one example in training."""
BATCH: Final = 48
RATE: Final = 3e-3
DECAY: Final = 0.01
DROPOUT: Final = 0.1
SMOOTHING: Final = 0.05
OPSET: Final = 17


class VisemeNet(nn.Module):
    """Dilated convolutions without padding: (n, MELS, t) frames to (n, 15, heads, t - CONTEXT + 1) logits.

    What a frame's answer depends on are it and the CONTEXT - 1 frames before it. Each layer but the first adds to what
    came in (a residual network). There is a head for each look-ahead; they share all else.
    """

    def __init__(self, heads: int, channels: int = CHANNELS) -> None:
        super().__init__()
        assert 1 + (KERNEL - 1) * sum(DILATIONS) == CONTEXT
        widths = [MELS, *[channels] * len(DILATIONS)]
        self.scale = 0.25
        self.layers = nn.ModuleList(
            nn.Conv1d(into, out, KERNEL, dilation=dilation)
            for into, out, dilation in zip(widths[:-1], widths[1:], DILATIONS, strict=True)
        )
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Conv1d(channels, len(VISEMES) * heads, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Logits."""
        x: Tensor = frames * self.scale
        for layer in self.layers:
            y = torch.relu(layer(x))
            x = y + x[:, :, -y.shape[2] :] if y.shape[1] == x.shape[1] else y
            x = self.dropout(x)
        logits: Tensor = self.head(x)
        return logits.unflatten(1, (len(VISEMES), -1))


class _Chunks(IterableDataset[tuple[Tensor, Tensor]]):
    """Random stretches of the examples, with noise and with bands and stretches of time blanked (SpecAugment)."""

    def __init__(self, frames: NDArray[np.float16], labels: NDArray[np.int8], steps: int, seed: int) -> None:
        self._frames, self._labels, self._steps, self._seed = frames, labels, steps, seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        random = np.random.default_rng(self._seed)
        self._seed += 1
        for _ in range(self._steps):
            starts = random.integers(0, len(self._frames) - CHUNK, BATCH)
            rows = starts[:, None] + np.arange(CHUNK)
            frames = self._frames[rows].astype(np.float32)
            frames += random.normal(0.0, 0.25, frames.shape).astype(np.float32)
            for each in frames:
                low = int(random.integers(0, MELS - 6))
                each[:, low : low + int(random.integers(0, 7))] = float(random.uniform(-3.0, 0.0))
            labels = self._labels[:, rows[:, CONTEXT - 1 :]].astype(np.int64).swapaxes(0, 1)
            yield torch.from_numpy(frames.transpose(0, 2, 1).copy()), torch.from_numpy(labels.copy())


class _Training(lightning.LightningModule):
    def __init__(self, heads: int, steps: int) -> None:
        super().__init__()
        self.net = VisemeNet(heads)
        self._steps = steps

    def training_step(self, batch: tuple[Tensor, Tensor], _number: int) -> Tensor:
        frames, labels = batch
        loss = nn.functional.cross_entropy(self.net(frames), labels, ignore_index=UNLABELLED, label_smoothing=SMOOTHING)
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> Any:
        chosen = torch.optim.AdamW(self.parameters(), lr=RATE, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(chosen, RATE, total_steps=self._steps, pct_start=0.1)
        return {"optimizer": chosen, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def fit(examples: Examples, *, epochs: int, seed: int, checkpoints: Path, say: Callable[[str], None]) -> VisemeNet:
    """Train on all but the held-out languages, a head for each look-ahead; resumes from ``checkpoints``."""
    lightning.seed_everything(seed, verbose=False)
    ours = ~examples.held_out
    frames, labels = examples.frames[ours], examples.labels[:, ours]
    steps = max(1, len(frames) // (BATCH * CHUNK))
    training = _Training(len(labels), steps * epochs)
    away_frames, away_labels = examples.frames[~ours], examples.labels[:, ~ours]

    class Progress(lightning.Callback):
        def on_train_epoch_end(self, trainer: lightning.Trainer, _module: lightning.LightningModule) -> None:
            epoch, loss = trainer.current_epoch + 1, float(trainer.callback_metrics["loss"])
            right = accuracies(training.net, away_frames, away_labels)
            told = ", ".join(f"{r:.3f} ({ms} ms)" for ms, r in zip(examples.look_aheads_ms, right, strict=True))
            say(f"epoch {epoch} of {epochs}: loss {loss:.3f}, accuracy on held-out languages by look-ahead {told}")

    saving = lightning.pytorch.callbacks.ModelCheckpoint(
        dirpath=checkpoints, every_n_epochs=1, save_on_train_epoch_end=True, save_last=True
    )
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=[Progress(), saving],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        deterministic=True,
    )
    last = checkpoints / "last.ckpt"
    data = DataLoader(_Chunks(frames, labels, steps, seed), batch_size=None)
    with warnings.catch_warnings():
        # Of Lightning's own code, and its advice on loaders of files: ours hold everything in memory.
        warnings.filterwarnings("ignore", message=".*LeafSpec")
        warnings.filterwarnings("ignore", category=PossibleUserWarning)
        warnings.filterwarnings("ignore", message="Checkpoint directory .* exists")  # it does when resuming
        trainer.fit(training, data, ckpt_path=str(last) if last.exists() else None)
    net = training.net
    net.eval()
    return net


def accuracies(net: VisemeNet, frames: NDArray[np.float16], labels: NDArray[np.int8]) -> list[float]:
    """Share of labelled frames that get their own viseme, for each head."""
    was = net.training
    net.eval()
    with torch.inference_mode():
        found = net(torch.from_numpy(frames.astype(np.float32).T[None]))[0].argmax(0).numpy()
    net.train(was)
    wanted = labels[:, CONTEXT - 1 :]
    known = wanted != UNLABELLED
    return [float((f[k] == w[k]).mean()) for f, w, k in zip(found, wanted, known, strict=True)]


def frequencies(labels: NDArray[np.int8]) -> NDArray[np.float64]:
    """Share of each viseme among the labelled frames, at least one frame each."""
    counts = np.maximum(np.bincount(labels[labels != UNLABELLED], minlength=len(VISEMES)), 1)
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares


def write_onnx(
    net: VisemeNet, head: int, frequency: NDArray[np.float64], balance: float, path: Path
) -> tuple[int, str]:
    """Write one head, ``frames`` (n, MELS, CONTEXT) to ``probabilities`` (n, 15); returns its bytes and SHA-256.

    ``balance``: 0 answers for speech in which visemes are as frequent as in training, 1 for speech in which all are
    alike (logit adjustment, Menon et al., ICLR 2021): rare ones, lips on lips or teeth, are those that people see.
    """

    class OneHead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            heads = net.head.out_channels // len(VISEMES)
            self.net = VisemeNet(1, net.head.in_channels)
            self.net.layers.load_state_dict(net.layers.state_dict())
            assert net.head.bias is not None
            assert self.net.head.bias is not None
            self.net.head.weight.data = net.head.weight.data[head::heads]
            shift = torch.from_numpy(balance * np.log(frequency)).to(torch.float32)
            self.net.head.bias.data = net.head.bias.data[head::heads] - shift

        def forward(self, frames: Tensor) -> Tensor:
            return torch.softmax(self.net(frames)[:, :, 0, 0], dim=1)

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Of its age, and of shapes that it takes for fixed: the test compares what the file answers.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            OneHead().eval(),
            (torch.zeros(2, MELS, CONTEXT),),
            buffer,
            input_names=["frames"],
            output_names=["probabilities"],
            dynamic_axes={"frames": {0: "n"}, "probabilities": {0: "n"}},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_from_string(buffer.getvalue())
    onnx.checker.check_model(model)
    data = model.SerializeToString(deterministic=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return len(data), hashlib.sha256(data).hexdigest()
