"""The Python API of sentencepiece 0.2.3, and what 0.2.3 removed of it, on this package's engine.

    import viterbi_sampling.compat.sentencepiece as spm

docs/migrating.md lists what differs, and which call of sentencepiece is which call of Tokenizer.
"""

from viterbi_sampling.compat.sentencepiece.arguments import ThreadPool
from viterbi_sampling.compat.sentencepiece.library import (
    ConvertToFlatbuffer,
    SentencePieceNormalizer,
    SentencePieceTrainer,
    SetDataDir,
    SetMinLogLevel,
    SetNBestTimeout,
    convert_to_flatbuffer,
    set_data_dir,
    set_min_log_level,
    set_nbest_timeout,
)
from viterbi_sampling.compat.sentencepiece.processor import SentencePieceProcessor
from viterbi_sampling.compat.sentencepiece.protos import (
    ImmutableNBestSentencePieceText,
    ImmutableSentencePieceText,
    ImmutableSentencePieceText_ImmutableSentencePiece,
)
from viterbi_sampling.compat.sentencepiece.randomness import SetRandomGeneratorSeed, set_random_generator_seed

__version__ = "0.2.3"
"""The version of sentencepiece whose API this is."""

__all__ = [
    "ConvertToFlatbuffer",
    "ImmutableNBestSentencePieceText",
    "ImmutableSentencePieceText",
    "ImmutableSentencePieceText_ImmutableSentencePiece",
    "SentencePieceNormalizer",
    "SentencePieceProcessor",
    "SentencePieceTrainer",
    "SetDataDir",
    "SetMinLogLevel",
    "SetNBestTimeout",
    "SetRandomGeneratorSeed",
    "ThreadPool",
    "convert_to_flatbuffer",
    "set_data_dir",
    "set_min_log_level",
    "set_nbest_timeout",
    "set_random_generator_seed",
]
