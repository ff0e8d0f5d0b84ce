import numpy as np

from inference_workers.probabilities import softmax
from inference_workers.training.perceptron import Recipe, Wanted, train

RECIPE = Recipe(hidden=16, epochs=40, batch=32, rate=5e-3, input_dropout=0.0, hidden_dropout=0.2)


def rings(count=600, seed=0):
    """Two classes that no line separates."""
    random = np.random.default_rng(seed)
    inputs = random.uniform(-2, 2, (count, 2))
    return inputs, (np.hypot(*inputs.T) > 1.4).astype(np.int64)


def test_it_learns_what_no_line_separates():
    inputs, targets = rings()
    net = train(inputs, Wanted(targets, np.ones(len(targets)), 2), seed=0, recipe=RECIPE)
    fresh, truth = rings(seed=1)
    assert (net.logits(fresh).argmax(axis=1) == truth).mean() > 0.93


def test_the_same_seed_gives_the_same_net():
    inputs, targets = rings(100)
    wanted = Wanted(targets, np.ones(len(targets)), 2)
    one, same, other = (train(inputs, wanted, seed=seed, recipe=RECIPE) for seed in (3, 3, 4))
    assert all((a == b).all() for a, b in zip(one.parameters, same.parameters, strict=True))
    assert not (one.parameters[0] == other.parameters[0]).all()


def test_weights_decide_where_examples_contradict():
    inputs = np.zeros((100, 2))
    targets = np.arange(100) % 2
    for favoured in (0, 1):
        weights = np.where(targets == favoured, 1.5, 0.5)
        net = train(inputs, Wanted(targets, weights, 2), seed=0, recipe=RECIPE)
        assert softmax(net.logits(np.zeros((1, 2))))[0].argmax() == favoured


def test_smoothing_spreads_a_share_over_all_classes():
    rows = Wanted(np.array([2, 0]), np.ones(2), 4).smoothed(0.2)
    np.testing.assert_allclose(rows, [[0.05, 0.05, 0.85, 0.05], [0.85, 0.05, 0.05, 0.05]])
