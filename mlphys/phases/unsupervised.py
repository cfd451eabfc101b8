"""Order without labels: principal components, an autoencoder's latent numbers, and persistent homology."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from mlphys import checks
from mlphys.lattices import Lattice
from mlphys.nets.autoencoder import VariationalAutoencoder
from mlphys.phases.data import Dataset, augment
from mlphys.phases.methods import pooled
from mlphys.stats import Estimate
from mlphys.train import Step, fit, minibatches


@dataclass(frozen=True)
class PrincipalComponents:
    """Orthonormal directions `components` `(k, width)` of largest variance about `mean` `(width,)`, in falling order.

    `explained` holds the share of the variance along each; width is n_sites, times the channels if there are any.
    """

    components: torch.Tensor
    mean: torch.Tensor
    explained: tuple[Estimate, ...]

    def project(self, x: torch.Tensor) -> torch.Tensor:
        """Coordinates of configurations along the components, `(samples, k)`."""
        return (x.flatten(1).to(self.mean) - self.mean) @ self.components.T


def principal_components(dataset: Dataset, k: int = 2) -> PrincipalComponents:
    """The first k principal components of all configurations; of each, the largest entry is positive.

    The errors of the explained shares are those of chains, to first order. Raises ValueError for k beyond the width, and for
    configurations that do not vary. Source: Wang 2016 (10.1103/PhysRevB.94.195105).

    >>> import mlphys as mp
    >>> from mlphys import phases
    >>> data = phases.sample(mp.Ising(mp.square(4)), [1.5, 3.5], samples=50, chains=4, pilot=500)
    >>> abs(principal_components(data).components[0] - 1 / 4).max() < 0.1  # of 16 sites: the magnetisation
    tensor(True)
    """
    x = dataset.x.flatten(1).double().cpu()
    if not 1 <= checks.whole("k", k, 1) <= x.shape[1]:
        raise ValueError(f"k={k!r} is not allowed: configurations have {x.shape[1]} components")
    mean = x.mean(0)
    x = x - mean
    _, vectors = torch.linalg.eigh(x.T @ x)
    components = vectors.T.flip(0)[:k]
    largest = components.gather(1, components.abs().argmax(1, keepdim=True))
    components = (components * largest.sign()).contiguous()
    squares, total = (x @ components.T).square().numpy(), x.square().sum(1).numpy()
    if total.sum() == 0:
        raise ValueError("dataset holds one configuration only: nothing varies")
    shares = squares.sum(0) / total.sum()
    scatter = (squares - shares * total[:, None]) / total.mean()
    explained = (Estimate(float(share), pooled(own, dataset).error) for share, own in zip(shares, scatter.T, strict=True))
    return PrincipalComponents(components, mean, tuple(explained))


def autoencode(
    dataset: Dataset, network: VariationalAutoencoder, steps: int,
    *, batch=128, rate=3e-3, symmetries=False, flip=False, seed=0,
) -> Iterator[Step]:
    """Train an autoencoder to raise the lower bound of the mean log p(x); the loss is minus the bound, in nats.

    The loss stays above the entropy of the data, exactly known where Z is. Options as in `learn`. Raises ValueError for bad
    arguments. Source, for the Ising and XY models: Wetzel 2017 (10.1103/PhysRevE.96.022140).

    >>> import mlphys as mp
    >>> from mlphys import nets, phases
    >>> ising = mp.Ising(mp.square(4))
    >>> data = phases.sample(ising, [1.5, 3.5], samples=50, chains=4, pilot=500)
    >>> network = nets.VariationalAutoencoder(ising.lattice, hidden=(16,))
    >>> for step in autoencode(data, network, steps=300):
    ...     pass
    >>> z, m = network.encode(data.x)[:, 0], data.x.double().mean(1)
    >>> abs(float(torch.corrcoef(torch.stack([z, m]))[0, 1])) > 0.9
    True
    """
    device = next(network.parameters()).device
    draw = minibatches(dataset.x.to(device), size=batch)

    def batches(generator):
        (x,) = draw(generator)
        noise = torch.randn(len(x), network.latent, generator=generator)
        return (augment(x, dataset.lattice, generator, flip) if symmetries else x), noise.to(device)

    return fit(network, lambda _, batch: -network.bound(*batch).mean(), batches, steps, seed, rate)


def depth(x: torch.Tensor, lattice: Lattice) -> torch.Tensor:
    """How deep each site of a configuration of ±1 spins lies in its domain, `(samples, n_sites)`.

    The steps along bonds to the nearest opposite spin less 1/2, negative in domains of the minority (of −1, where neither
    is one). Without any opposite spin, half the sum of the sides.
    """
    neighbours, farthest = torch.from_numpy(lattice.neighbours).long(), sum(lattice.shape) / 2
    minority = torch.where(x.double().sum(1, keepdim=True) < 0, 1, -1)
    sign = torch.where(x == minority, -1.0, 1.0)
    same = sign[:, neighbours] == sign[..., None]
    # Beside a wall a site is half a step deep; from site to site in a domain, one step deeper at most.
    reached = torch.where(same.all(2), farthest, 0.5)
    while bool(((nearer := reached[:, neighbours].where(same, farthest).amin(2) + 1) < reached).any()):
        reached = torch.minimum(reached, nearer)
    return sign * reached


def persistence(field: torch.Tensor, lattice: Lattice, edges) -> np.ndarray:
    """Persistent homology of {sites where field ≤ t} as t rises: histograms of births and deaths, per site.

    field: real values `(samples, n_sites)` on a square or cubic lattice: `depth`, or, of arrows, how far they turn;
    edges: rising bounds `(levels + 1,)` of the bins of t, the first and last of which take all that lies outside, what never
    dies included. Returns `(samples, dimensions, levels, levels)`: entry (s, 0, i, j) counts the connected components that
    are born in bin i and join an older one in bin j, (s, 1, i, j) the loops. Raises ValueError for other lattices. Needs the
    package gudhi. Source for spin systems: Cole, Loges, Shiu 2021 (10.1103/PhysRevB.104.104426).

    >>> from mlphys.lattices import square
    >>> field = torch.ones(1, 36)
    >>> field[0, [0, 14]] = -1.0  # two small domains, which merge at 1
    >>> persistence(field, square(6), [-2, 0, 2])[0, 0] * 36
    array([[0., 2.],
           [0., 0.]])
    """
    if lattice.name == "triangular":
        raise ValueError(f"lattice={lattice!r} is not allowed: the cells of a cubical complex have right angles")
    try:
        from gudhi import PeriodicCubicalComplex
    except ImportError:
        raise ImportError("persistence needs the package gudhi: pip install gudhi") from None
    edges, dimensions = np.asarray(edges, np.float64), len(lattice.shape)
    if edges.ndim != 1 or len(edges) < 2 or (np.diff(edges) <= 0).any():
        raise ValueError(f"edges={edges!r} are not allowed: give two rising numbers or more")
    heights, levels = field.reshape(len(field), *lattice.shape).double().cpu().numpy(), len(edges) - 1
    counts = np.zeros((len(heights), dimensions, levels, levels))
    for sample, vertices in enumerate(heights):
        # Sites are vertices and bonds are edges: what no bond joins stays apart.
        complex_ = PeriodicCubicalComplex(vertices=vertices, periodic_dimensions=[True] * dimensions)
        complex_.compute_persistence()
        for dimension in range(dimensions):
            pairs = complex_.persistence_intervals_in_dimension(dimension).reshape(-1, 2)
            born, died = np.clip(np.searchsorted(edges, pairs.T, side="right") - 1, 0, levels - 1)
            counts[sample, dimension] = np.bincount(born * levels + died, minlength=levels**2).reshape(levels, levels)
    return counts / lattice.n_sites
