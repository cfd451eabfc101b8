"""Wave functions with a symmetry put in: any network, projected onto a representation of a group."""

import math

import numpy as np
import torch

from mlphys.checks import one_of
from mlphys.lattices import Lattice
from mlphys.nets.wavefunctions import WaveFunction


class Symmetric(WaveFunction):
    """Any wave function projected onto a one-dimensional representation: ψ'(x) = Σ_g χ(g)* ψ(x[g]) / |G|.

    permutations: the group, `(n_elements, n_sites)`, such as `lattice.translations` or `lattice.point_group`; characters:
    χ `(n_elements,)`, 1 if not given; flip: 1 or −1 to project onto that sign under x → −x as well. Then
    ψ'(x[g]) = χ(g) ψ'(x) and ψ'(−x) = flip ψ'(x). Wrapped twice, a wave function is projected twice: at momentum 0 onto
    the whole space group. log ψ' is real where ψ is positive and every character is 1, complex else. Where a
    representation makes ψ' vanish, chains may not get across: look at R-hat, and start several. Raises ValueError
    unless the permutations are a group and the characters a representation of it.
    Source: Nomura 2021 (10.1088/1361-648X/abe268).

    >>> import mlphys as mp
    >>> lattice = mp.square(4)
    >>> psi = Symmetric(mp.nets.RBM(16), lattice.point_group, flip=1)
    >>> x = torch.tensor([[1, -1, -1, 1, 1, 1, -1, 1, -1, 1, 1, -1, -1, 1, -1, -1]])
    >>> bool((psi.log_psi(x[:, lattice.point_group[3]]) - psi.log_psi(-x)).abs() < 1e-12)
    True
    """

    permutations: torch.Tensor
    weights: torch.Tensor

    def __init__(self, psi: WaveFunction, permutations, characters=None, flip: int | None = None):
        super().__init__()
        self.n_sites, self.psi = psi.n_sites, psi
        one_of("flip", flip, (None, 1, -1))
        permutations = np.asarray(permutations)
        characters = np.ones(len(permutations)) if characters is None else np.asarray(characters)
        _check_group(permutations, characters, psi.n_sites)
        signs = (1,) if flip is None else (1, flip)
        weights = np.concatenate([sign * characters.conj() for sign in signs])
        self.flips, self.positive = flip is not None, bool((weights == 1).all())
        self.batch = max(1, psi.batch // len(weights))
        for name, value in (("permutations", permutations.astype(np.int64)), ("weights", weights.astype(complex))):
            self.register_buffer(name, torch.from_numpy(value), persistent=False)

    def _images(self, x: torch.Tensor) -> torch.Tensor:
        images = x[:, self.permutations]
        return (torch.cat([images, -images], dim=1) if self.flips else images).flatten(0, 1)

    def log_psi(self, x):
        logs = self.psi.log_psi(self._images(x)).view(len(x), -1)
        if self.positive and not logs.is_complex():
            return logs.logsumexp(1) - math.log(len(self.weights))
        top = logs.real.detach().amax(1, keepdim=True)
        return top[:, 0] + (self.weights * (logs - top).exp()).mean(1).log()

    def _jacobian(self, x):
        return torch.cat([self._mean_jacobian(part) for part in x.to(self.device).split(max(1, self._batch() // 8))])

    def _mean_jacobian(self, x: torch.Tensor) -> torch.Tensor:
        """The mean over the images, each by its share in ψ', of what ψ itself knows how to derive."""
        images = self._images(x)
        logs = self.psi.log_psi_of(images).view(len(x), -1)
        shares = self.weights * (logs - logs.real.amax(1, keepdim=True)).exp()
        parts = self.psi._jacobian(images)
        each = parts[:, 0] if parts.shape[1] == 1 else torch.complex(parts[:, 0], parts[:, 1])
        each = each.view(*shares.shape, -1).to(shares.dtype)
        mean = torch.einsum("bg,bgp->bp", shares / shares.sum(1, keepdim=True), each)
        if parts.is_complex():
            return mean[:, None]
        real = self.positive and not logs.is_complex()
        return mean.real[:, None] if real else torch.stack([mean.real, mean.imag], dim=1)


def momentum(lattice: Lattice, numbers) -> np.ndarray:
    """Characters e^(ik·r) of `lattice.translations`, `(n_sites,)`, for k = 2π numbers / sides.

    numbers: a whole number for each axis. Real where they can be: at k = 0 and π. Raises ValueError for anything else.

    >>> from mlphys.lattices import chain
    >>> momentum(chain(4), (2,)).tolist()
    [1.0, -1.0, 1.0, -1.0]
    """
    numbers = np.asarray(numbers)
    if numbers.shape != (len(lattice.shape),) or not np.issubdtype(numbers.dtype, np.integer):
        raise ValueError(f"numbers={numbers.tolist()!r} is not allowed: give a whole number for each axis of {lattice!r}")
    # In quarter turns first, so that the characters of k = 0 and π are 1 and −1 exactly.
    quarters = 4 * (lattice.coordinates * numbers % lattice.shape / lattice.shape).sum(1)
    if np.allclose(quarters % 2, 0):
        return 1.0 - np.round(quarters) % 4
    return np.exp(0.5j * np.pi * quarters)


def _check_group(permutations: np.ndarray, characters: np.ndarray, n_sites: int) -> None:
    if permutations.shape[1:] != (n_sites,) or (np.sort(permutations) != np.arange(n_sites)).any():
        raise ValueError(f"permutations of shape {permutations.shape} are not allowed: each row must order {n_sites} sites")
    if characters.shape != permutations.shape[:1]:
        raise ValueError(f"characters has shape {characters.shape}: allowed is {permutations.shape[:1]}, one an element")
    number = {row.tobytes(): k for k, row in enumerate(permutations)}
    for first, character in zip(permutations, characters, strict=True):
        products = [number.get(row.tobytes(), -1) for row in first[permutations]]
        if -1 in products:
            raise ValueError(f"permutations is not a group: it lacks a product of the {len(permutations)} that are given")
        if not np.allclose(characters[products], character * characters):
            raise ValueError(f"characters={characters!r} do not represent the group: χ(gh) must be χ(g) χ(h)")
