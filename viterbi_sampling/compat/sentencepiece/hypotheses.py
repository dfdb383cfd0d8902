"""Several segmentations of a text: the n best, samples with their scores; and the entropy of a random one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from viterbi_sampling.compat.sentencepiece.arguments import (
    ReturnType,
    flag,
    integer,
    inverse_temperature,
    is_return_type,
    nbest_count,
    number,
    one_text,
    return_type_of,
    threads_of,
)
from viterbi_sampling.compat.sentencepiece.encoding import Encoding, Wanted
from viterbi_sampling.compat.sentencepiece.protos import (
    ImmutableNBestSentencePieceText,
    ImmutableSentencePieceText,
    NBestSentencePieceText,
    SentencePieceText,
)
from viterbi_sampling.compat.sentencepiece.results import array_of, refuse_in_messages
from viterbi_sampling.compat.sentencepiece.unigram import Tokens, Unigram

Scored = list[tuple[Tokens, float]]


class Hypotheses(Encoding):
    """NBestEncode, SampleEncodeAndScore, CalculateEntropy and their names."""

    def NBestEncode(
        self,
        input: Any,
        add_bos: bool | None = None,
        add_eos: bool | None = None,
        reverse: bool | None = None,
        emit_unk_piece: bool | None = None,
        nbest_size: int | None = None,
        return_type: ReturnType = None,
        out_type: ReturnType = None,
    ) -> Any:
        """The `nbest_size` best segmentations of a text, best first, or all where there are fewer.

        An `nbest_size` of 0 or below counts as 1. The other arguments are those of Encode. Exact for any text: there
        is no time-out and no cut. Messages hold the score of each, 0.0 for a single one. RuntimeError for an
        `nbest_size` above 512.
        """
        if is_return_type(add_bos):
            others = (add_eos, reverse, emit_unk_piece, nbest_size)
            return_type, add_bos = self._former_order(add_bos, others, return_type, out_type)
        kind = return_type_of(return_type, out_type, self._return_type)
        count = self._nbest_size if nbest_size is None else nbest_size
        count = max(1, count) if isinstance(count, int) else max(1, integer(count, "nbest_size"))
        if self._library is not None:
            return self._nbest_in_library(input, kind, (add_bos, add_eos, reverse, emit_unk_piece), count)
        wanted = self._ends_wanted(kind, add_bos, add_eos, reverse, emit_unk_piece)

        def best(unigram: Unigram, text: bytes) -> Scored:
            return unigram.best(text, nbest_count(integer(count, "nbest_size")))

        def one(text: Any) -> Any:
            if kind == "offset_mapping":
                raise ValueError("NBestEncode has no return_type='offset_mapping'")
            found = self._listed_by_ids(text, wanted, nbest_count(integer(count, "nbest_size")))
            return self._listed(text, wanted, best, False) if found is None else found

        return [one(text) for text in input] if isinstance(input, list) else one(input)

    def SampleEncodeAndScore(
        self,
        input: Any,
        out_type: ReturnType = None,
        add_bos: bool | None = None,
        add_eos: bool | None = None,
        reverse: bool | None = None,
        emit_unk_piece: bool | None = None,
        num_samples: int | None = None,
        alpha: float | None = None,
        wor: bool | None = None,
        include_best: bool | None = None,
        *,
        return_type: ReturnType = None,
    ) -> Any:
        """`num_samples` (1) random segmentations of a text, each with a score, as a list of pairs.

        alpha : the inverse temperature, 1.0
        wor : without replacement: all different, fewer than asked for where there are fewer. The score is then the log
            inclusion probability: to be among those drawn. Otherwise it is the log-probability of the segmentation
        include_best : with `wor`, the best segmentation comes first, with score 0.0

        The other arguments are those of Encode; messages hold the scores themselves. RuntimeError for numbers that
        cannot be. sentencepiece had this method until 0.2.2.

        Source: Kool, van Hoof and Welling 2019, "Stochastic beams and where to find them".
        """
        if self._library is not None:
            return self._removed("SampleEncodeAndScore")(
                input, out_type, add_bos, add_eos, reverse, emit_unk_piece, num_samples, alpha, wor, include_best
            )
        kind = return_type_of(return_type, out_type, self._return_type)
        samples = 1 if num_samples is None else integer(num_samples, "num_samples")
        temperature = inverse_temperature(1.0 if alpha is None else number(alpha, "alpha"))
        different = wor is not None and flag(wor, "wor")
        with_best = include_best is not None and flag(include_best, "include_best")
        if samples <= 0:
            raise RuntimeError(f"num_samples must be at least 1, got {samples}")
        if with_best and not different:
            raise RuntimeError("include_best goes with wor=True only")
        if kind == "offset_mapping":
            raise ValueError("SampleEncodeAndScore has no return_type='offset_mapping'")
        wanted = self._ends_wanted(kind, add_bos, add_eos, reverse, emit_unk_piece)

        def drawn(unigram: Unigram, text: bytes) -> Scored:
            if different:
                return unigram.different(text, samples, temperature, with_best)
            return unigram.samples(text, samples, temperature)

        if isinstance(input, list):
            return [self._listed(text, wanted, drawn, True) for text in input]
        return self._listed(input, wanted, drawn, True)

    def CalculateEntropy(self, input: Any, alpha: float, num_threads: int | None = None) -> Any:
        """The entropy in nats of a random segmentation of a text at inverse temperature `alpha`, or a list of them.

        sentencepiece had this method until 0.2.2.
        """
        if self._library is not None:
            return self._removed("CalculateEntropy")(input, alpha, num_threads)
        temperature = inverse_temperature(number(alpha, "alpha"))
        threads_of(self._num_threads if num_threads is None else num_threads, None)
        unigram = self._unigram()
        if isinstance(input, list):
            return [unigram.tokenizer.entropy(one_text(text), alpha=temperature) for text in input]
        return unigram.tokenizer.entropy(one_text(input), alpha=temperature)

    def _ends_wanted(self, kind: ReturnType, add_bos: Any, add_eos: Any, reverse: Any, emit_unk_piece: Any) -> Wanted:
        wanted = self._wanted(kind, add_bos, add_eos, reverse, emit_unk_piece, False, 1, 0.0, None)
        refuse_in_messages(kind, *wanted[1:5])
        return wanted

    def _listed(self, text: Any, wanted: Wanted, choose: Callable[[Unigram, bytes], Scored], with_scores: bool) -> Any:
        """The segmentations of one text that `choose` gives, as they are wanted."""
        unigram = self._unigram()
        checked = one_text(text)
        raw = checked.encode("utf-8") if isinstance(checked, str) else checked
        messages = [self._message(raw, tokens, score) for tokens, score in choose(unigram, raw)]
        if wanted.return_type in ("proto", "serialized_proto", "immutable_proto"):
            return nbest_of(messages, wanted.return_type)
        results = [self._of_message(message, wanted, False) for message in messages]
        if not with_scores:
            return results
        return [(result, message.score) for result, message in zip(results, messages, strict=True)]

    def _listed_by_ids(self, text: Any, wanted: Wanted, count: int) -> list[Any] | None:
        """The `count` best segmentations where their ids tell all that is wanted of them."""
        kind = wanted.return_type
        if self._encode_options or kind not in (int, "numpy", str, bytes):
            return None
        unigram = self._unigram()
        checked = one_text(text)
        raw = checked.encode("utf-8") if isinstance(checked, str) else checked
        finish = self._finish(wanted)
        rows = [finish.ids(ids) for ids in unigram.best_ids(raw, count)]
        if kind is int:
            return rows
        if kind == "numpy":
            return [array_of(ids) for ids in rows]
        pieces = [unigram.strings.pieces(ids, kind is bytes) for ids in rows]
        return None if None in pieces else pieces

    def _nbest_in_library(self, input: Any, kind: ReturnType, ends: tuple[Any, ...], count: int) -> Any:
        wire = "serialized_proto" if kind in ("proto", "immutable_proto") else kind
        wanted = self._ends_wanted(kind, *ends)
        result = self._library.NBestEncode(input, *wanted[1:5], nbest_size=count, return_type=wire)
        if wire == kind:
            return result
        if isinstance(input, list):
            return [nbest_of(NBestSentencePieceText.FromString(one).nbests[:], kind) for one in result]
        return nbest_of(NBestSentencePieceText.FromString(result).nbests[:], kind)

    # -- names -------------------------------------------------------------------------------------

    def NBestEncodeAsIds(self, input: Any, nbest_size: int | None = None, **kwargs: Any) -> Any:
        """NBestEncode to ids."""
        return self.NBestEncode(input=input, nbest_size=nbest_size, return_type=int, **kwargs)

    def NBestEncodeAsPieces(self, input: Any, nbest_size: int | None = None, **kwargs: Any) -> Any:
        """NBestEncode to pieces as str."""
        return self.NBestEncode(input=input, nbest_size=nbest_size, return_type=str, **kwargs)

    def NBestEncodeAsNumpy(self, input: Any, nbest_size: int | None = None, **kwargs: Any) -> Any:
        """NBestEncode to int32 arrays."""
        return self.NBestEncode(input=input, nbest_size=nbest_size, return_type="numpy", **kwargs)

    def NBestEncodeAsProto(self, input: Any, nbest_size: int | None = None, **kwargs: Any) -> Any:
        """NBestEncode to NBestSentencePieceText messages."""
        return self.NBestEncode(input=input, nbest_size=nbest_size, return_type="proto", **kwargs)

    def NBestEncodeAsSerializedProto(self, input: Any, nbest_size: int | None = None, **kwargs: Any) -> Any:
        """NBestEncode to serialized NBestSentencePieceText messages."""
        return self.NBestEncode(input=input, nbest_size=nbest_size, return_type="serialized_proto", **kwargs)

    def NBestEncodeAsImmutableProto(self, input: Any, nbest_size: int | None = None, **kwargs: Any) -> Any:
        """NBestEncode to ImmutableNBestSentencePieceText messages."""
        return self.NBestEncode(input=input, nbest_size=nbest_size, return_type="immutable_proto", **kwargs)

    def SampleEncodeAndScoreAsIds(
        self, input: Any, num_samples: int | None = None, alpha: float | None = None, **kwargs: Any
    ) -> Any:
        """SampleEncodeAndScore with ids."""
        return self.SampleEncodeAndScore(input=input, num_samples=num_samples, alpha=alpha, out_type=int, **kwargs)

    def SampleEncodeAndScoreAsPieces(
        self, input: Any, num_samples: int | None = None, alpha: float | None = None, **kwargs: Any
    ) -> Any:
        """SampleEncodeAndScore with pieces as str."""
        return self.SampleEncodeAndScore(input=input, num_samples=num_samples, alpha=alpha, out_type=str, **kwargs)

    def SampleEncodeAndScoreAsSerializedProto(
        self, input: Any, num_samples: int | None = None, alpha: float | None = None, **kwargs: Any
    ) -> Any:
        """SampleEncodeAndScore as a serialized NBestSentencePieceText message."""
        kwargs["out_type"] = "serialized_proto"
        return self.SampleEncodeAndScore(input=input, num_samples=num_samples, alpha=alpha, **kwargs)

    def SampleEncodeAndScoreAsImmutableProto(
        self, input: Any, num_samples: int | None = None, alpha: float | None = None, **kwargs: Any
    ) -> Any:
        """SampleEncodeAndScore as an ImmutableNBestSentencePieceText message."""
        kwargs["out_type"] = "immutable_proto"
        return self.SampleEncodeAndScore(input=input, num_samples=num_samples, alpha=alpha, **kwargs)

    nbest_encode = NBestEncode
    nbest_encode_as_ids = NBestEncodeAsIds
    nbest_encode_as_pieces = NBestEncodeAsPieces
    nbest_encode_as_numpy = NBestEncodeAsNumpy
    nbest_encode_as_proto = NBestEncodeAsProto
    nbest_encode_as_serialized_proto = NBestEncodeAsSerializedProto
    nbest_encode_as_immutable_proto = NBestEncodeAsImmutableProto
    sample_encode_and_score = SampleEncodeAndScore
    sample_encode_and_score_as_ids = SampleEncodeAndScoreAsIds
    sample_encode_and_score_as_pieces = SampleEncodeAndScoreAsPieces
    sample_encode_and_score_as_serialized_proto = SampleEncodeAndScoreAsSerializedProto
    sample_encode_and_score_as_immutable_proto = SampleEncodeAndScoreAsImmutableProto
    calculate_entropy = CalculateEntropy


def nbest_of(messages: list[SentencePieceText], return_type: ReturnType) -> Any:
    """Messages of one text as one message, of the type that is asked for."""
    if return_type == "immutable_proto":
        return ImmutableNBestSentencePieceText(ImmutableSentencePieceText.of(message) for message in messages)
    message = NBestSentencePieceText(messages)
    return message.SerializeAsString() if return_type == "serialized_proto" else message
