"""Networks, as torch modules that take configurations of a lattice as the samplers make them."""

from mlphys.nets.autoencoder import VariationalAutoencoder
from mlphys.nets.classifiers import Classifier, ConvolutionalNetwork, LogisticRegression, MultilayerPerceptron
from mlphys.nets.wavefunctions import RBM, WaveFunction

__all__ = [
    "RBM",
    "Classifier",
    "ConvolutionalNetwork",
    "LogisticRegression",
    "MultilayerPerceptron",
    "VariationalAutoencoder",
    "WaveFunction",
]
