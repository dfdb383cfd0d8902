"""The protobuf module of this name in the sentencepiece library, which needs the protobuf library."""

from viterbi_sampling.compat.sentencepiece.library import library

_module = library("sentencepiece_pb2", "sentencepiece.sentencepiece_pb2")
globals().update({name: value for name, value in vars(_module).items() if not name.startswith("_")})
