"""Networks, as torch modules that take configurations of a lattice as the samplers make them."""

from mlphys.nets.autoencoder import VariationalAutoencoder
from mlphys.nets.autoregressive import Autoregressive, MaskedConvolution, Recurrent
from mlphys.nets.classifiers import Classifier, ConvolutionalNetwork, LogisticRegression, MultilayerPerceptron
from mlphys.nets.equivariant import EquivariantEnergy, EquivariantTransformer, LinearEffective
from mlphys.nets.gauge import GaugeCovariant
from mlphys.nets.jastrow import Jastrow
from mlphys.nets.message_passing import MessagePassing
from mlphys.nets.projected import ProjectedRBM
from mlphys.nets.rbm import RBM, TranslationRBM
from mlphys.nets.scores import ScoreConvolution, ScorePerceptron, ScorePotential
from mlphys.nets.symmetric import Symmetric, momentum
from mlphys.nets.unet import UNet
from mlphys.nets.vit import ViT
from mlphys.nets.wavefunctions import WaveFunction

__all__ = [
    "RBM",
    "Autoregressive",
    "Classifier",
    "ConvolutionalNetwork",
    "EquivariantEnergy",
    "EquivariantTransformer",
    "GaugeCovariant",
    "Jastrow",
    "LinearEffective",
    "LogisticRegression",
    "MaskedConvolution",
    "MessagePassing",
    "MultilayerPerceptron",
    "ProjectedRBM",
    "Recurrent",
    "ScoreConvolution",
    "ScorePerceptron",
    "ScorePotential",
    "Symmetric",
    "TranslationRBM",
    "UNet",
    "VariationalAutoencoder",
    "ViT",
    "WaveFunction",
    "momentum",
]
