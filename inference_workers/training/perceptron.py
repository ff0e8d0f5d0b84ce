"""Small multi-layer perceptrons in numpy: one hidden layer, dropout, AdamW, label smoothing. Deterministic by seed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference_workers.probabilities import softmax

Array = NDArray[np.float64]

BETA_1: Final = 0.9
BETA_2: Final = 0.999


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a perceptron is trained."""

    hidden: int = 48
    epochs: int = 30
    batch: int = 64
    rate: float = 2e-3
    decay: float = 0.05
    input_dropout: float = 0.2
    hidden_dropout: float = 0.5
    smoothing: float = 0.1


@dataclass(slots=True)
class Perceptron:
    """``softmax(relu(x W1 + b1) W2 + b2)``; parameters in that order."""

    parameters: list[Array] = field(default_factory=list)

    def logits(self, inputs: Array) -> Array:
        """(n, features) to (n, classes)."""
        w1, b1, w2, b2 = self.parameters
        result: Array = np.maximum(inputs @ w1 + b1, 0.0) @ w2 + b2
        return result


@dataclass(frozen=True, slots=True)
class Wanted:
    """The class of each example, how much it weighs, and how many classes there are."""

    targets: NDArray[np.int64]
    weights: Array
    classes: int

    def smoothed(self, smoothing: float) -> Array:
        """(n, classes): 1 at the class, a share ``smoothing`` of it spread over all."""
        rows = np.full((len(self.targets), self.classes), smoothing / self.classes)
        rows[np.arange(len(self.targets)), self.targets] += 1.0 - smoothing
        return rows


def train(inputs: Array, wanted: Wanted, *, seed: int, recipe: Recipe) -> Perceptron:
    """A perceptron trained on standardised inputs (n, features).

    AdamW (Loshchilov & Hutter, "Decoupled Weight Decay Regularization", ICLR 2019), a cosine schedule.
    """
    random = np.random.default_rng(seed)
    features = inputs.shape[1]
    net = Perceptron(
        [
            random.normal(size=(features, recipe.hidden)) * np.sqrt(2.0 / features),
            np.zeros(recipe.hidden),
            random.normal(size=(recipe.hidden, wanted.classes)) * np.sqrt(1.0 / recipe.hidden),
            np.zeros(wanted.classes),
        ]
    )
    moments = [np.zeros_like(p) for p in net.parameters]
    squares = [np.zeros_like(p) for p in net.parameters]
    smoothed = wanted.smoothed(recipe.smoothing)
    steps = recipe.epochs * -(-len(inputs) // recipe.batch)
    step = 0
    for _ in range(recipe.epochs):
        order = random.permutation(len(inputs))
        for start in range(0, len(order), recipe.batch):
            rows = order[start : start + recipe.batch]
            gradients = _gradients(net, inputs[rows], smoothed[rows] * wanted.weights[rows, None], random, recipe)
            step += 1
            rate = recipe.rate * 0.5 * (1.0 + np.cos(np.pi * step / steps))
            for i, gradient in enumerate(gradients):
                moments[i] = BETA_1 * moments[i] + (1 - BETA_1) * gradient
                squares[i] = BETA_2 * squares[i] + (1 - BETA_2) * gradient**2
                update = moments[i] / (1 - BETA_1**step) / (np.sqrt(squares[i] / (1 - BETA_2**step)) + 1e-8)
                shrink = recipe.decay if net.parameters[i].ndim == 2 else 0.0
                net.parameters[i] = net.parameters[i] * (1 - rate * shrink) - rate * update
    return net


def _gradients(
    net: Perceptron, inputs: Array, wanted: Array, random: np.random.Generator, recipe: Recipe
) -> Sequence[Array]:
    """Of the mean cross-entropy; a row of ``wanted`` sums to its example's weight."""
    w1, b1, w2, b2 = net.parameters
    seen = inputs * (random.random(inputs.shape) >= recipe.input_dropout) / (1 - recipe.input_dropout)
    before = seen @ w1 + b1
    keep = (random.random(before.shape) >= recipe.hidden_dropout) / (1 - recipe.hidden_dropout)
    hidden = np.maximum(before, 0.0) * keep
    error = (softmax(hidden @ w2 + b2) * wanted.sum(axis=1, keepdims=True) - wanted) / len(inputs)
    back = (error @ w2.T) * keep * (before > 0)
    return seen.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(axis=0)
