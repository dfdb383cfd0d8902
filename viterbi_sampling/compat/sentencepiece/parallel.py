"""ParallelEncode: one long text. Here that is Encode itself, which needs no chunks to be fast."""

from __future__ import annotations

from typing import Any

from viterbi_sampling.compat.sentencepiece.arguments import ReturnType, integer, return_type_of, threads_of
from viterbi_sampling.compat.sentencepiece.encoding import Encoding
from viterbi_sampling.compat.sentencepiece.results import of_serialized


class ParallelEncoding(Encoding):
    """ParallelEncode and its names."""

    def ParallelEncode(
        self,
        input: Any,
        add_bos: bool | None = None,
        add_eos: bool | None = None,
        reverse: bool | None = None,
        emit_unk_piece: bool | None = None,
        chunk_len: int | None = None,
        num_threads: int | None = None,
        thread_pool: Any = None,
        return_type: ReturnType = None,
        out_type: ReturnType = None,
    ) -> Any:
        """What Encode gives without sampling; `chunk_len` must be given, and changes nothing.

        No offset mappings, as in sentencepiece. ValueError for a `chunk_len` that is not positive.
        """
        kind = return_type_of(return_type, out_type, self._return_type)
        threads = self._num_threads if num_threads is None else num_threads
        if not isinstance(threads, int):
            raise TypeError(f"num_threads must be int, not {type(threads).__name__}")
        if not isinstance(chunk_len, int) or chunk_len <= 0:
            raise ValueError(f"chunk_len must be a positive int, got {chunk_len!r}")
        texts = input if isinstance(input, list) else [input]
        if kind == "offset_mapping" and texts:
            raise ValueError("ParallelEncode has no return_type='offset_mapping'; Encode has")
        if texts:
            integer(chunk_len, "chunk_len")
            threads_of(threads, thread_pool)
        ends = {"add_bos": add_bos, "add_eos": add_eos, "reverse": reverse, "emit_unk_piece": emit_unk_piece}
        results = [self._encode_whole(text, kind, chunk_len, ends) for text in texts]
        return results if isinstance(input, list) else results[0]

    def _encode_whole(self, text: Any, kind: ReturnType, chunk_len: int, ends: dict[str, Any]) -> Any:
        if isinstance(text, list):
            raise TypeError("input must be str or bytes, or a list of them, not a list of lists")
        if self._library is None:
            return self.Encode(text, enable_sampling=False, return_type=kind, **ends)
        wire = "serialized_proto" if kind in ("proto", "immutable_proto") else kind
        given = {name: getattr(self, "_" + name) if value is None else value for name, value in ends.items()}
        return of_serialized(self._library.ParallelEncode(text, chunk_len=chunk_len, return_type=wire, **given), kind)

    def ParallelEncodeAsIds(self, input: Any, **kwargs: Any) -> Any:
        """ParallelEncode to ids."""
        return self.ParallelEncode(input=input, return_type=int, **kwargs)

    def ParallelEncodeAsPieces(self, input: Any, **kwargs: Any) -> Any:
        """ParallelEncode to pieces as str."""
        return self.ParallelEncode(input=input, return_type=str, **kwargs)

    def ParallelEncodeAsNumpy(self, input: Any, **kwargs: Any) -> Any:
        """ParallelEncode to int32 arrays."""
        return self.ParallelEncode(input=input, return_type="numpy", **kwargs)

    def ParallelEncodeAsProto(self, input: Any, **kwargs: Any) -> Any:
        """ParallelEncode to SentencePieceText messages."""
        return self.ParallelEncode(input=input, return_type="proto", **kwargs)

    parallel_encode = ParallelEncode
    parallel_encode_as_ids = ParallelEncodeAsIds
    parallel_encode_as_pieces = ParallelEncodeAsPieces
    parallel_encode_as_numpy = ParallelEncodeAsNumpy
    parallel_encode_as_proto = ParallelEncodeAsProto
