"""Networks, as torch modules that take configurations of a lattice as the samplers make them."""

from mlphys.nets.autoencoder import VariationalAutoencoder
from mlphys.nets.classifiers import Classifier, ConvolutionalNetwork, LogisticRegression, MultilayerPerceptron

__all__ = ["Classifier", "ConvolutionalNetwork", "LogisticRegression", "MultilayerPerceptron", "VariationalAutoencoder"]
