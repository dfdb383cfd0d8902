"""The comparison with sentencepiece itself: whatever it says about a text, the tokenizer says too."""

from __future__ import annotations

from collections.abc import Sequence

import sentencepiece

from viterbi_sampling import Tokenizer


def both(data: bytes) -> tuple[Tokenizer, sentencepiece.SentencePieceProcessor]:
    return Tokenizer.from_bytes(data), sentencepiece.SentencePieceProcessor(model_proto=data)


def assert_same_ids(
    tokenizer: Tokenizer, processor: sentencepiece.SentencePieceProcessor, texts: Sequence[str | bytes]
) -> None:
    expected = processor.encode(list(texts), num_threads=2)
    actual = tokenizer.encode_batch(texts).to_list()
    for text, want, got in zip(texts, expected, actual, strict=True):
        assert got == want, (text[:200], want[:50], got[:50])


def assert_same(
    tokenizer: Tokenizer, processor: sentencepiece.SentencePieceProcessor, texts: Sequence[str | bytes]
) -> None:
    """Ids, pieces, offsets, normalized text and decoded text agree on every text, in single and in batch form."""
    assert_same_ids(tokenizer, processor, texts)
    batch = tokenizer.encode_batch(texts, with_offsets=True)
    mappings = processor.encode(list(texts), return_type="offset_mapping", num_threads=2)
    decoded = tokenizer.decode_batch(batch)
    assert batch.spans is not None
    for i, (text, mapping) in enumerate(zip(texts, mappings, strict=True)):
        encoding = tokenizer.encode_with_offsets(text)
        pieces = [piece.decode("utf-8") if isinstance(piece, bytes) else piece for piece in mapping["pieces"]]
        assert encoding.ids == mapping["ids"], text
        assert encoding.pieces == pieces, text
        assert encoding.offsets == mapping["offsets"], text
        assert batch.spans[batch.offsets[i] : batch.offsets[i + 1]].tolist() == [list(o) for o in mapping["offsets"]]
        normalized = processor.normalize(text)
        assert tokenizer.normalize(text) == (normalized.decode() if isinstance(normalized, bytes) else normalized), text
        assert decoded[i] == processor.decode(mapping["ids"]), text
