"""Exact Unigram tokenization: sentencepiece's ids, and random segmentations that are exact and reproducible."""

from viterbi_sampling.batch import Batch, Encoding, Segmentation
from viterbi_sampling.errors import ModelError
from viterbi_sampling.lattice import Lattice, Marginals
from viterbi_sampling.tokenizer import Tokenizer

__all__ = ["Batch", "Encoding", "Lattice", "Marginals", "ModelError", "Segmentation", "Tokenizer"]
__version__ = "0.1.0"
