"""The protobuf module of this name in the sentencepiece library, which needs the protobuf library."""

from viterbi_sampling.compat.sentencepiece.library import library

library("sentencepiece_pb2")

from sentencepiece.sentencepiece_pb2 import *  # noqa: E402, F403
