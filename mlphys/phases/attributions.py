"""What a network uses: the sites that move its answer, and the physical quantities that its answer follows."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch

from mlphys.nets.classifiers import Classifier
from mlphys.phases.data import Dataset
from mlphys.phases.methods import outputs
from mlphys.phases.regression import deviation


def saliency(network: Classifier, x: torch.Tensor) -> torch.Tensor:
    """What each entry of x adds to the log odds to first order, x · ∂ log odds / ∂x; of the shape of x, in float.

    The first output counts. Source: gradient × input, Shrikumar et al. 2016 (arXiv:1605.01713).

    >>> from mlphys import nets, square
    >>> network = nets.LogisticRegression(square(4))
    >>> x = torch.ones(2, 16)
    >>> torch.allclose(saliency(network, x).sum(1), network.evaluate(x)[:, 0])  # what is linear adds up
    True
    """
    parameter = next(network.parameters())
    x = x.to(parameter).requires_grad_()
    (gradient,) = torch.autograd.grad(network(x)[:, 0].sum(), x)
    return (x * gradient).detach()


def attribution(network: Classifier, dataset: Dataset, quantities: Mapping[str, torch.Tensor | np.ndarray]) -> pd.DataFrame:
    """Correlation of the log odds with physical quantities at fixed temperature: what the answer follows.

    quantities: their values `(samples,)`, taken of the spins where the network is shown something else. Returns quantity,
    correlation, error, and `partial`, what is left of the correlation when all other quantities are held fixed, with
    `partial_error`. Deviations from the mean at each temperature are pooled; errors by jackknife over chains.

    >>> import mlphys as mp
    >>> from mlphys import nets, phases
    >>> ising = mp.Ising(mp.square(4))
    >>> data = phases.sample(ising, [2.0, 3.0], samples=50, chains=4, pilot=500)
    >>> linear = nets.LogisticRegression(ising.lattice)
    >>> linear.load_state_dict({"layer.weight": torch.ones(1, 16), "layer.bias": torch.zeros(1)})
    <All keys matched successfully>
    >>> attribution(linear, data, {"m": ising.magnetisation(data.x)}).correlation.round(6).tolist()
    [1.0]
    """
    columns = [outputs(network.evaluate, dataset)[:, 0], *(np.asarray(values, np.float64) for values in quantities.values())]
    deviations = deviation(np.stack(columns, axis=1), dataset)
    _, chain = np.unique(dataset.chain, return_inverse=True)
    moments = np.zeros((chain.max() + 1, len(columns), len(columns)))
    np.add.at(moments, chain, deviations[:, :, None] * deviations[:, None])
    plain, partial = _correlations(moments.sum(0))
    # Leaving out one chain at a time.
    others = np.stack([_correlations(left) for left in moments.sum(0) - moments])
    error, partial_error = np.sqrt((len(others) - 1) * others.var(0))
    names = {"quantity": list(quantities), "correlation": plain, "error": error}
    return pd.DataFrame({**names, "partial": partial, "partial_error": partial_error})


def _correlations(moments: np.ndarray) -> np.ndarray:
    """Correlations of the first variable with each other one `(2, others)`: plain, and with the rest held fixed."""
    inverse = np.linalg.pinv(moments)
    plain, precision = (each[0, 1:] / np.sqrt(each[0, 0] * each.diagonal()[1:]) for each in (moments, inverse))
    return np.stack([plain, -precision])
