"""Encoding: texts to ids, pieces, arrays, offset mappings and messages; by the best segmentation or a sampled one."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

from viterbi_sampling.compat.sentencepiece.arguments import (
    PROTO_TYPES,
    ReturnType,
    flag,
    integer,
    inverse_temperature,
    is_return_type,
    nbest_count,
    number,
    one_text,
    return_type_of,
    texts_of,
    threads_of,
    utf8_of,
)
from viterbi_sampling.compat.sentencepiece.entry import Entry
from viterbi_sampling.compat.sentencepiece.options import Finish, apply_extra_options
from viterbi_sampling.compat.sentencepiece.plans import plan_of
from viterbi_sampling.compat.sentencepiece.protos import SentencePieceText
from viterbi_sampling.compat.sentencepiece.results import (
    array_of,
    mapping_of,
    of_message,
    of_serialized,
    refuse_in_messages,
    returns_bytes,
    strings,
)
from viterbi_sampling.compat.sentencepiece.unigram import BEST, Law, Tokens, Unigram
from viterbi_sampling.texts import annotate

MOST_PLANS = 64
"""How many kinds of calls a processor remembers the way of."""


class Wanted(NamedTuple):
    """The arguments of a call to Encode, checked, with the processor's own values in place of None."""

    return_type: ReturnType
    add_bos: bool
    add_eos: bool
    reverse: bool
    emit_unk_piece: bool
    samples: bool
    nbest_size: int
    alpha: float
    return_bytes: bool | None


class Encoding(Entry):
    """What Encode does, and the methods that fix its return type."""

    def _encode(
        self,
        input: Any,
        add_bos: Any,
        add_eos: Any,
        reverse: Any,
        emit_unk_piece: Any,
        enable_sampling: Any,
        nbest_size: Any,
        alpha: Any,
        num_threads: Any,
        thread_pool: Any,
        return_type: ReturnType,
        out_type: ReturnType,
        return_bytes: Any,
        key: tuple[Any, ...] | None,
    ) -> Any:
        """What Encode gives for these arguments; `key` is what a plan for them is kept by, if one may be."""
        if is_return_type(add_bos):
            return_type, add_bos = self._former_order(
                add_bos, (add_eos, reverse, emit_unk_piece), return_type, out_type
            )
        wanted = self._wanted(
            return_type_of(return_type, out_type, self._return_type),
            add_bos,
            add_eos,
            reverse,
            emit_unk_piece,
            enable_sampling,
            nbest_size,
            alpha,
            return_bytes,
        )
        if num_threads is None:
            num_threads = self._num_threads
        if not isinstance(num_threads, int):
            raise TypeError(f"num_threads must be int, not {type(num_threads).__name__}")
        if self._library is not None:
            threads = threads_of(num_threads, thread_pool) if isinstance(input, list) else 1
            return self._encode_in_library(input, wanted, threads)
        if isinstance(input, list):
            texts = texts_of(input)
            threads = threads_of(num_threads, thread_pool)
            return self._encode_texts(texts, wanted, threads) if texts else []
        result = self._encode_text(one_text(input), wanted)
        if key is not None:
            self._add_plan(key, wanted)
        return result

    @staticmethod
    def _former_order(add_bos: Any, others: tuple[Any, ...], return_type: ReturnType, out_type: ReturnType) -> Any:
        """(return_type, add_bos) of ``encode(text, str)``: until 0.2.0 the type was the second argument."""
        if any(other is not None for other in others) or return_type is not None or out_type is not None:
            raise TypeError(f"add_bos must be a bool, not {add_bos!r}; give the return type as return_type")
        return add_bos, None

    def _wanted(
        self,
        return_type: ReturnType,
        add_bos: Any,
        add_eos: Any,
        reverse: Any,
        emit_unk_piece: Any,
        enable_sampling: Any,
        nbest_size: Any,
        alpha: Any,
        return_bytes: Any,
    ) -> Wanted:
        if return_bytes is not None and return_type != "offset_mapping":
            raise ValueError("return_bytes goes with return_type='offset_mapping' only")
        enable_sampling = self._enable_sampling if enable_sampling is None else enable_sampling
        nbest_size = self._nbest_size if nbest_size is None else nbest_size
        alpha = self._alpha if alpha is None else alpha
        if enable_sampling is True and (nbest_size in (None, 0, 1) or alpha is None):
            raise ValueError(
                "enable_sampling needs alpha, and an nbest_size above 1 (samples from so many segmentations) "
                f"or below 0 (samples from all); got nbest_size={nbest_size!r}, alpha={alpha!r}"
            )
        emit_unk_piece = self._emit_unk_piece if emit_unk_piece is None else emit_unk_piece
        wanted = Wanted(
            return_type,
            flag(self._add_bos if add_bos is None else add_bos, "add_bos"),
            flag(self._add_eos if add_eos is None else add_eos, "add_eos"),
            flag(self._reverse if reverse is None else reverse, "reverse"),
            return_type not in (int, "numpy") and flag(emit_unk_piece, "emit_unk_piece"),
            flag(enable_sampling, "enable_sampling"),
            integer(nbest_size, "nbest_size"),
            number(alpha, "alpha"),
            None if return_bytes is None else flag(return_bytes, "return_bytes"),
        )
        refuse_in_messages(wanted.return_type, *wanted[1:5])
        return wanted

    def _law(self, unigram: Unigram, wanted: Wanted) -> Law:
        if not wanted.samples:
            return BEST
        alpha = inverse_temperature(wanted.alpha)
        return unigram.law(nbest_count(wanted.nbest_size), alpha)

    # -- one text ----------------------------------------------------------------------------------

    def _encode_text(self, text: str | bytes, wanted: Wanted) -> Any:
        unigram = self._unigram()
        law = self._law(unigram, wanted)
        kind = wanted.return_type
        if self._encode_options:
            return self._with_options([text], law, 1, wanted)[0]
        if kind is int:
            finish = self._finish(wanted)
            if finish.in_engine:
                return unigram.ids(text, law, finish.prefix_id, finish.suffix_id)
            return finish.ids(unigram.ids(text, law))
        if kind == "offset_mapping" and not law:
            as_bytes = isinstance(text, bytes)
            if wanted.return_bytes in (None, as_bytes):
                found = annotate(unigram.encoder, unigram.strings, text, as_bytes)
                if found is not None:
                    return {"ids": found[0], "pieces": found[1], "offsets": found[2]}
        return self._encode_texts([text], wanted, 1)[0]

    def _add_plan(self, key: tuple[Any, ...], wanted: Wanted) -> None:
        """Keep the shortest way to what a call with the arguments `key` wants, if there is one."""
        if self._encode_options:
            return
        unigram = self._unigram()
        plan = plan_of(unigram, wanted.return_type, self._finish(wanted), self._law(unigram, wanted))
        if plan is not None:
            if len(self._plans) >= MOST_PLANS:
                self._plans = {}
            self._plans[key] = plan

    def _finish(self, wanted: Wanted) -> Finish:
        return Finish(self._unigram(), *wanted[1:5])

    # -- rows of texts -----------------------------------------------------------------------------

    def _encode_texts(self, texts: list[str | bytes], wanted: Wanted, threads: int) -> list[Any]:
        unigram = self._unigram()
        law = self._law(unigram, wanted)
        kind = wanted.return_type
        if self._encode_options:
            return self._with_options(texts, law, threads, wanted)
        if kind in PROTO_TYPES:
            if kind == "offset_mapping":
                return unigram.mappings(texts, law, threads, returns_bytes(texts, wanted.return_bytes))
            if kind == "serialized_proto":
                return unigram.serialized(utf8_of(texts), law, threads)
            return [of_message(message, kind) for message in self._messages(texts, law, threads)]
        finish = self._finish(wanted)
        if finish.in_engine:
            ends = finish.prefix_id, finish.suffix_id
            if kind is int:
                return unigram.id_rows(texts, law, threads, *ends)
            if kind == "numpy":
                ids, offsets = unigram.arrays(texts, law, threads, *ends)
                ids.flags.writeable = False
                bounds = offsets.tolist()
                return [ids[a:b] for a, b in pairwise(bounds)]
            return unigram.piece_rows(texts, law, threads, *ends, kind is bytes)
        if kind is int or kind == "numpy":
            rows = [finish.ids(ids) for ids in unigram.id_rows(texts, law, threads, -1, -1)]
            return rows if kind is int else [array_of(row) for row in rows]
        pieces: Any = unigram.piece_rows(texts, law, threads, -1, -1, True)
        finished = [finish.pieces(row) for row in pieces]
        return finished if kind is bytes else [strings(row) for row in finished]

    def _messages(self, texts: list[str | bytes], law: Law, threads: int) -> list[SentencePieceText]:
        unigram = self._unigram()
        raw = utf8_of(texts)
        rows = unigram.tokens(raw, law, threads)
        return [self._message(text, tokens) for text, tokens in zip(raw, rows, strict=True)]

    def _message(self, text: bytes, tokens: Tokens, score: float | None = None) -> SentencePieceText:
        """A segmentation as a message, after the extra options."""
        unigram = self._unigram()
        message = unigram.message(text, tokens, score)
        if not self._encode_options:
            return message
        return SentencePieceText(text, apply_extra_options(self._encode_options, list(message.pieces), unigram), score)

    def _with_options(self, texts: list[str | bytes], law: Law, threads: int, wanted: Wanted) -> list[Any]:
        as_bytes = returns_bytes(texts, wanted.return_bytes)
        return [self._of_message(message, wanted, as_bytes) for message in self._messages(texts, law, threads)]

    def _of_message(self, message: SentencePieceText, wanted: Wanted, as_bytes: bool) -> Any:
        """What a call returns for a segmentation that is given as a message."""
        kind = wanted.return_type
        if kind == "offset_mapping":
            return mapping_of(message, as_bytes)
        if kind in PROTO_TYPES:
            return of_message(message, kind)
        finish = self._finish(wanted)
        if kind is int or kind == "numpy":
            ids = finish.ids([piece.id for piece in message.pieces])
            return ids if kind is int else array_of(ids)
        pieces = finish.pieces([piece.piece_as_bytes for piece in message.pieces])
        return pieces if kind is bytes else strings(pieces)

    def _encode_in_library(self, input: Any, wanted: Wanted, threads: int) -> Any:
        """A call with all arguments given, so that the library's own values do not matter."""
        kind = wanted.return_type
        given = wanted._asdict() | {"enable_sampling": wanted.samples, "num_threads": threads}
        del given["samples"]
        given["return_type"] = "serialized_proto" if kind in ("proto", "immutable_proto") else kind
        result = self._library.Encode(input, **given)
        return of_serialized(result, kind)

    # -- names -------------------------------------------------------------------------------------

    def EncodeAsIds(self, input: Any, **kwargs: Any) -> Any:
        """Encode to ids."""
        return self.Encode(input=input, return_type=int, **kwargs)

    def EncodeAsPieces(self, input: Any, **kwargs: Any) -> Any:
        """Encode to pieces as str."""
        return self.Encode(input=input, return_type=str, **kwargs)

    def EncodeAsNumpy(self, input: Any, **kwargs: Any) -> Any:
        """Encode to int32 arrays."""
        return self.Encode(input=input, return_type="numpy", **kwargs)

    def EncodeAsOffsetMapping(self, input: Any, **kwargs: Any) -> Any:
        """Encode to dicts of ids, pieces and offsets."""
        return self.Encode(input=input, return_type="offset_mapping", **kwargs)

    def EncodeAsProto(self, input: Any, **kwargs: Any) -> Any:
        """Encode to SentencePieceText messages."""
        return self.Encode(input=input, return_type="proto", **kwargs)

    def EncodeAsSerializedProto(self, input: Any, **kwargs: Any) -> Any:
        """Encode to serialized SentencePieceText messages."""
        return self.Encode(input=input, return_type="serialized_proto", **kwargs)

    def EncodeAsImmutableProto(self, input: Any, **kwargs: Any) -> Any:
        """Encode to ImmutableSentencePieceText messages."""
        return self.Encode(input=input, return_type="immutable_proto", **kwargs)

    def SampleEncodeAsIds(
        self, input: Any, nbest_size: int | None = None, alpha: float | None = None, **kwargs: Any
    ) -> Any:
        """Sample ids."""
        return self._sample(int, input, nbest_size, alpha, kwargs)

    def SampleEncodeAsPieces(
        self, input: Any, nbest_size: int | None = None, alpha: float | None = None, **kwargs: Any
    ) -> Any:
        """Sample pieces as str."""
        return self._sample(str, input, nbest_size, alpha, kwargs)

    def SampleEncodeAsNumpy(
        self, input: Any, nbest_size: int | None = None, alpha: float | None = None, **kwargs: Any
    ) -> Any:
        """Sample int32 arrays."""
        return self._sample("numpy", input, nbest_size, alpha, kwargs)

    def SampleEncodeAsProto(
        self, input: Any, nbest_size: int | None = None, alpha: float | None = None, **kwargs: Any
    ) -> Any:
        """Sample SentencePieceText messages."""
        return self._sample("proto", input, nbest_size, alpha, kwargs)

    def SampleEncodeAsSerializedProto(
        self, input: Any, nbest_size: int | None = None, alpha: float | None = None, **kwargs: Any
    ) -> Any:
        """Sample serialized SentencePieceText messages."""
        return self._sample("serialized_proto", input, nbest_size, alpha, kwargs)

    def SampleEncodeAsImmutableProto(
        self, input: Any, nbest_size: int | None = None, alpha: float | None = None, **kwargs: Any
    ) -> Any:
        """Sample ImmutableSentencePieceText messages."""
        return self._sample("immutable_proto", input, nbest_size, alpha, kwargs)

    def _sample(self, kind: ReturnType, input: Any, nbest_size: Any, alpha: Any, kwargs: dict[str, Any]) -> Any:
        return self.Encode(
            input=input, nbest_size=nbest_size, alpha=alpha, return_type=kind, enable_sampling=True, **kwargs
        )

    encode_as_ids = EncodeAsIds
    encode_as_pieces = EncodeAsPieces
    encode_as_numpy = EncodeAsNumpy
    encode_as_offset_mapping = EncodeAsOffsetMapping
    encode_as_proto = EncodeAsProto
    encode_as_serialized_proto = EncodeAsSerializedProto
    encode_as_immutable_proto = EncodeAsImmutableProto
    sample_encode_as_ids = SampleEncodeAsIds
    sample_encode_as_pieces = SampleEncodeAsPieces
    sample_encode_as_numpy = SampleEncodeAsNumpy
    sample_encode_as_proto = SampleEncodeAsProto
    sample_encode_as_serialized_proto = SampleEncodeAsSerializedProto
    sample_encode_as_immutable_proto = SampleEncodeAsImmutableProto
