"""One contender of `bench_diffusion.py`, in a process of its own and perhaps another interpreter.

    python tests/benchmarks/diffusion_steps.py CONTENDER DATA STEPS

DATA holds κ and configurations `(samples, n_sites)`, written by torch. A line of input asks for so many steps of training,
`train 10`, of STEPS in all, or for 64 configurations, `sample multistep 20 1`: method, steps, seed. Each is answered by a
line of JSON: CPU seconds (of every step), losses, or ⟨|M|⟩, V M², φ², S/V of every configuration. All is this library's but
for the network of diffusers: the steps, the batches, the noise, the loss, and a last layer that starts from zero.
"""

import json
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

COUPLING, BATCH = 0.022, 64


def unet(lattice):
    """Four levels of 16 to 128 channels."""
    from mlphys.nets import UNet

    return UNet(lattice, channels=16, levels=4)


def wide_unet(lattice):
    """Three levels of 32 to 128 channels, the library's default."""
    from mlphys.nets import UNet

    return UNet(lattice)


def convolution(lattice):
    """A small network, odd and equivariant under translations."""
    from mlphys.nets import ScoreConvolution

    return ScoreConvolution(lattice)


def potential(lattice):
    """Another, equivariant under all symmetries of the lattice."""
    from mlphys.nets import ScorePotential

    return ScorePotential(lattice)


def diffusers(lattice):
    """Three levels of 16 to 64 channels, two or three residual blocks each, no attention; its own zero padding."""
    from diffusers import UNet2DModel

    class Told(torch.nn.Module):
        def __init__(self, channels=(16, 32, 64)):
            super().__init__()
            blocks = {f"{way}_block_types": (f"{way.title()}Block2D",) * len(channels) for way in ("down", "up")}
            self.inner = UNet2DModel(
                sample_size=lattice.shape[0], in_channels=1, out_channels=1, block_out_channels=channels, layers_per_block=1,
                norm_num_groups=8, time_embedding_dim=96, add_attention=False, **blocks,
            )  # fmt: skip
            for parameter in self.inner.conv_out.parameters():
                torch.nn.init.zeros_(parameter)

        def forward(self, x, level):
            # Levels between −1.5 and 1.5 as the times between 0 and 1000 that its waves are made for.
            return self.inner(x.reshape(-1, 1, *lattice.shape), 500 + 330 * level[:, 0]).sample.reshape(x.shape)

    torch.manual_seed(1)
    return Told()


# With the learning rate each starts from.
CONTENDERS = {
    "mlphys U-Net, 4 levels": (unet, 3e-3),
    "mlphys U-Net, 3 levels": (wide_unet, 3e-3),
    "diffusers UNet2D": (diffusers, 3e-3),
    "mlphys ScoreConvolution": (convolution, 1e-2),
    "mlphys ScorePotential": (potential, 1e-2),
}


class Contender:
    """A network, what it learns from, and how far it has come."""

    def __init__(self, name, data, steps):
        import mlphys as mp

        build, rate = CONTENDERS[name]
        side = round(data["x"].shape[1] ** 0.5)
        self.field = mp.Phi4.from_kappa(mp.square(side), data["kappa"], COUPLING)
        network, process = build(self.field.lattice), mp.diffusion.VariancePreserving()
        self.parameters = sum(parameter.numel() for parameter in network.parameters())
        score = mp.diffusion.Preconditioned(process, network, data["x"].std().item())
        self.model = mp.diffusion.DiffusionModel(process, score, side**2)
        self.steps = mp.diffusion.fit(
            self.model, data["x"], steps, seed=1, batch=BATCH, rate=lambda step: rate * max(0.01, 1 - step / steps),
            matching="energy", hamiltonian=self.field,
        )  # fmt: skip

    def train(self, count):
        """CPU seconds and losses of the next `count` steps."""
        cpu, losses = [], []
        for _ in range(int(count)):
            began = time.process_time()
            losses.append(next(self.steps).loss)
            cpu.append(time.process_time() - began)
        return {"cpu": cpu, "losses": losses}

    def sample(self, method, steps, seed):
        """CPU seconds of 64 configurations, and what was measured on each."""
        began = time.process_time()
        x, _ = self.model.sample(64, int(seed), method, int(steps), probes=0)
        cpu, x = time.process_time() - began, x.double()
        mean, action = x.mean(1), self.field.energy(x) / x.shape[1]
        values = torch.stack([mean.abs(), x.shape[1] * mean**2, (x**2).mean(1), action], 1)
        return {"cpu": [cpu], "values": values.tolist()}


if __name__ == "__main__":
    # What a library prints must not come between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    torch.set_num_threads(1)
    contender = Contender(sys.argv[1], torch.load(sys.argv[2]), int(sys.argv[3]))
    print(json.dumps({"parameters": contender.parameters}), file=answers, flush=True)
    for line in sys.stdin:
        task, *arguments = line.split()
        print(json.dumps(getattr(contender, task)(*arguments)), file=answers, flush=True)
