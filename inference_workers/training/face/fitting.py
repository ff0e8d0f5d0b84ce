"""Fitting the network with PyTorch Lightning: recipe, loops, checkpoints.

Reproducible: the order of pictures, variations and dropout depend on the seed and the number of the step alone, so a
run that was interrupted and resumed is the run that was not (same machine, threads and versions).
"""

import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import lightning as L  # noqa: N812 - as its documentation writes it
import numpy as np
import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, Sampler

from inference_workers.training.face.augmentation import vary
from inference_workers.training.face.corpora import SIDE, Faces
from inference_workers.training.face.network import FaceEmotionNet
from schemas.vocabulary import EMOTIONS

Batch = tuple[Tensor, Tensor]

LAST: Final = "last"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the network is fitted. The rate rises, stays, and falls to 0 over the last ``cooling`` epochs.

    The pictures are smaller until then: most is learnt from them at two thirds of the cost, and the last epochs mend
    the difference (Touvron et al., "Fixing the train-test resolution discrepancy", NeurIPS 2019).
    """

    epochs: int = 30
    cooling: int = 17
    warming: int = 2
    batch: int = 128
    rate: float = 0.06
    momentum: float = 0.9
    decay: float = 5e-4
    smoothing: float = 0.1
    balance: float = 0.25
    """Exponent of a class's rarity that its pictures are weighted by: 0 not at all, 1 all classes alike."""
    averaging: float = 0.998
    """Decay a step of the averaged weights, which are the ones that are kept."""
    early_side: int = 40
    late_strength: float = 0.5
    """How much of the variation remains in the last epochs (augmentation.vary)."""
    seed: int = 0

    def of(self, epochs: int) -> "Recipe":
        """The recipe in other epochs, the phases in proportion."""
        share = epochs / self.epochs
        return replace(
            self, epochs=epochs, cooling=max(round(self.cooling * share), 1), warming=min(self.warming, epochs // 2)
        )

    def side(self, epoch: int) -> int:
        """Pixels of the pictures in an epoch."""
        return self.early_side if epoch < self.epochs - self.cooling else SIDE

    def strength(self, epoch: int) -> float:
        """How much pictures are spoilt in an epoch."""
        return 1.0 if epoch < self.epochs - self.cooling else self.late_strength

    def rate_factor(self, epoch: float) -> float:
        """Share of the full rate at a moment, in epochs since the start."""
        rising = (epoch + 0.01) / max(self.warming, 0.01)
        falling = (self.epochs - epoch) / max(self.cooling, 1)
        return max(min(rising, falling, 1.0), 0.0)


class FacesDataset(Dataset[Batch]):
    """Faces by lists of their numbers: a batch at once."""

    def __init__(self, faces: Faces) -> None:
        self.pictures = torch.from_numpy(faces.pictures)[:, None]
        self.labels = torch.from_numpy(faces.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: list[int]) -> Batch:
        return self.pictures[rows], self.labels[rows]


class Shuffled(Sampler[list[int]]):
    """Batches in an order that the seed and the epoch's number give; what does not fill a batch is left out.

    Of several processes each gets its share of every batch. ``step``, the training steps that were taken, tells the
    epoch: Lightning's own count of epochs is one less after a resumption.
    """

    def __init__(  # noqa: PLR0917 - as torch's own samplers
        self, count: int, batch: int, seed: int, step: Callable[[], int], rank: int = 0, processes: int = 1
    ) -> None:
        self.count, self.batch, self.seed = count, min(batch, count), seed
        self.step, self.rank, self.processes = step, rank, processes

    def __len__(self) -> int:
        return self.count // self.batch

    def __iter__(self) -> Iterator[list[int]]:
        order = np.random.default_rng([self.seed, self.step() // len(self)]).permutation(self.count)
        for i in range(len(self)):
            yield order[i * self.batch + self.rank : (i + 1) * self.batch : self.processes].tolist()


class InOrder(Sampler[list[int]]):
    """All, in order."""

    def __init__(self, count: int, batch: int) -> None:
        self.count, self.batch = count, batch

    def __len__(self) -> int:
        return (self.count + self.batch - 1) // self.batch

    def __iter__(self) -> Iterator[list[int]]:
        for start in range(0, self.count, self.batch):
            yield list(range(start, min(start + self.batch, self.count)))


class EmotionModule(L.LightningModule):
    """The network, its loss and its schedule."""

    def __init__(self, recipe: Recipe, counts: Sequence[int]) -> None:
        """``counts``: training pictures of each class."""
        super().__init__()
        self.save_hyperparameters({"recipe": asdict(recipe), "counts": list(counts)})
        self.recipe = recipe
        self.steps = max(sum(counts) // recipe.batch, 1)
        self.net = FaceEmotionNet().to(memory_format=torch.channels_last)
        rarity = (np.sum(counts) / np.maximum(counts, 1) / len(counts)) ** recipe.balance
        self.register_buffer("class_weights", torch.tensor(rarity, dtype=torch.float32))
        self.answers: list[Batch] = []

    def forward(self, pictures: Tensor) -> Tensor:
        """Mean logits of the pictures and their mirror images."""
        x = pictures.float().contiguous(memory_format=torch.channels_last)
        result: Tensor = 0.5 * (self.net(x).float() + self.net(x.flip(3)).float())
        return result

    @property
    def epoch(self) -> int:
        """The epoch by the steps that were taken."""
        return int(self.trainer.global_step) // self.steps

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        # By the step, not by the epoch: loaders draw numbers too, and when they do so is their affair.
        torch.manual_seed((self.recipe.seed * 1_009 + self.global_rank) * 1_000_003 + int(self.trainer.global_step))
        pictures, labels = batch
        varied = vary(pictures, self.recipe.side(self.epoch), self.recipe.strength(self.epoch))
        x = varied.contiguous(memory_format=torch.channels_last)
        loss = functional.cross_entropy(
            self.net(x).float(), labels, weight=self.class_weights, label_smoothing=self.recipe.smoothing
        )
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(labels))
        return loss

    def validation_step(self, batch: Batch, _index: int) -> None:
        pictures, labels = batch
        self.answers.append((self(pictures), labels))

    def on_validation_epoch_end(self) -> None:
        logits = torch.cat([logits for logits, _ in self.answers])
        labels = torch.cat([labels for _, labels in self.answers])
        self.answers.clear()
        right = logits.argmax(dim=1) == labels
        recalls = [right[labels == c].float().mean() for c in range(len(EMOTIONS)) if (labels == c).any()]
        self.log("accuracy", right.float().mean(), prog_bar=True, rank_zero_only=True)
        self.log("recall", torch.stack(recalls).mean(), prog_bar=True, rank_zero_only=True)
        self.log("loss", functional.cross_entropy(logits, labels), prog_bar=True, rank_zero_only=True)

    def configure_optimizers(self) -> dict[str, Any]:
        plain = [p for p in self.net.parameters() if p.ndim == 1]
        decayed = [p for p in self.net.parameters() if p.ndim > 1]
        optimizer = torch.optim.SGD(
            [{"params": decayed, "weight_decay": self.recipe.decay}, {"params": plain, "weight_decay": 0.0}],
            lr=self.recipe.rate,
            momentum=self.recipe.momentum,
            nesterov=True,
            fused=True,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self.recipe.rate_factor(step / self.steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Telling(Callback):
    """A line for each epoch."""

    def __init__(self, tell: Callable[[str], None] | None) -> None:
        self.tell = tell
        self.began_s = 0.0

    def on_train_epoch_start(self, trainer: Any, _module: Any) -> None:
        del trainer
        self.began_s = time.perf_counter()

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        if self.tell is not None and trainer.is_global_zero:
            found = {name: float(value) for name, value in trainer.callback_metrics.items()}
            self.tell(
                f"epoch {trainer.current_epoch + 1} of {module.recipe.epochs}: accuracy {found['accuracy']:.4f}, UAR "
                f"{found['recall']:.4f}, loss {found['loss']:.3f}; {time.perf_counter() - self.began_s:.0f} s"
            )


def precision() -> Any:
    """bfloat16 where the processor computes with it, else float32."""
    return "bf16-mixed" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "32-true"  # noqa: SLF001 - no other way


def fit(
    recipe: Recipe,
    train: Faces,
    validation: Faces,
    folder: Path,
    *,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
    processes: int = 1,
    progress: Callable[[str], None] | None = None,
) -> FaceEmotionNet | None:
    """Fit, with a checkpoint in ``folder`` each epoch; returns the network with averaged weights, ready to answer.

    ``resume``: go on from the folder's last checkpoint if it has one. ``processes``: share each batch among so many of
    one thread, which suits a machine that others use too; None in those that help. ``progress`` hears of each epoch; a
    bar is drawn on a terminal.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # it praises itself
    L.seed_everything(recipe.seed, verbose=False)
    module = EmotionModule(recipe, np.bincount(train.labels, minlength=len(EMOTIONS)).tolist())
    keeper = ModelCheckpoint(folder, filename=LAST, every_n_epochs=1, enable_version_counter=False)
    trainer = L.Trainer(
        accelerator="cpu",
        devices=processes,
        strategy="ddp" if processes > 1 else "auto",
        use_distributed_sampler=False,  # ours knows of the processes
        precision=precision(),
        max_epochs=recipe.epochs,
        callbacks=[EMAWeightAveraging(decay=recipe.averaging), keeper, Telling(progress), *callbacks],
        logger=False,
        enable_progress_bar=sys.stderr.isatty(),
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    last = folder / f"{LAST}.ckpt"
    order = Shuffled(
        len(train.labels), recipe.batch, recipe.seed, lambda: trainer.global_step, trainer.global_rank, processes
    )
    with warnings.catch_warnings():
        # Of Lightning's own code, and its advice on loaders of files: ours hold everything in memory.
        warnings.filterwarnings("ignore", message=".*LeafSpec")
        warnings.filterwarnings("ignore", category=PossibleUserWarning)
        warnings.filterwarnings("ignore", message="Checkpoint directory .* exists")  # it does when resuming
        trainer.fit(
            module,
            DataLoader(FacesDataset(train), sampler=order, batch_size=None),
            DataLoader(FacesDataset(validation), sampler=InOrder(len(validation.labels), 256), batch_size=None),
            ckpt_path=last if resume and last.exists() else None,
            weights_only=True,
        )
    return module.net.eval() if trainer.is_global_zero else None
