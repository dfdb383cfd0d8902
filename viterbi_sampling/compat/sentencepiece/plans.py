"""Plans: the shortest way from one text to what a processor's usual calls return, decided once.

Most programs call a processor with the same arguments again and again; checking them each time would take
longer than encoding a short text.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from viterbi_sampling.compat.sentencepiece.arguments import ReturnType
from viterbi_sampling.compat.sentencepiece.batches import serialize_tokens
from viterbi_sampling.compat.sentencepiece.options import Finish
from viterbi_sampling.compat.sentencepiece.protos import SentencePieceText
from viterbi_sampling.compat.sentencepiece.results import array_of
from viterbi_sampling.compat.sentencepiece.unigram import Law, Tokens, Unigram
from viterbi_sampling.texts import annotate, encode, encode_array

Plan = Callable[[Any], Any]
"""From a text to a result; None where the text is one for the long way. TypeError for what is no text."""


def plan_of(unigram: Unigram, return_type: ReturnType, finish: Finish, law: Law) -> Plan | None:
    """The plan for a call, None where there is no short way."""
    if finish.emits or law.get("algorithm") == "nbest":
        return None
    encoder, strings = unigram.encoder, unigram.strings
    begin, end = finish.prefix_id, finish.suffix_id
    ids: Callable[[Any], list[int] | None]
    if finish.reverse:

        def ids(text: Any) -> list[int] | None:
            found = unigram.ids(text, law) if law else encode(encoder, text)
            return None if found is None else finish.ids(found)

    elif law:

        def ids(text: Any) -> list[int] | None:
            return unigram.ids(text, law, begin, end)

    elif begin < 0 and end < 0:
        ids = partial(encode, encoder)
    else:

        def ids(text: Any) -> list[int] | None:
            return encode(encoder, text, begin, end)

    if return_type is int:
        return ids
    if return_type is str or return_type is bytes:
        as_bytes = return_type is bytes
        if law:
            return None if finish.reverse else lambda text: unigram.pieces(text, law, begin, end, as_bytes)

        def pieces(text: Any) -> list[str] | list[bytes] | None:
            found = ids(text)
            return None if found is None else strings.pieces(found, as_bytes)

        return pieces
    if return_type == "numpy" and not law and not finish.reverse:
        return partial(encode_array, encoder, prefix_id=begin, suffix_id=end)
    if return_type == "numpy":

        def array(text: Any) -> Any:
            found = ids(text)
            return None if found is None else array_of(found)

        return array
    if return_type == "offset_mapping" and not law:

        def mapping(text: Any) -> dict[str, Any] | None:
            found = annotate(encoder, strings, text, isinstance(text, bytes))
            return None if found is None else {"ids": found[0], "pieces": found[1], "offsets": found[2]}

        return mapping
    if return_type in ("proto", "serialized_proto") and not law:

        def message(text: Any) -> SentencePieceText | bytes | None:
            data = text.encode("utf-8") if isinstance(text, str) else text
            found: Any = annotate(encoder, strings, data, True)
            if found is None:
                return None
            if return_type == "proto":
                return unigram.message(data, Tokens(*found))
            return serialize_tokens(data, found[0], found[1], found[2], unigram.values_of_bytes)

        return message
    return None
