"""The real tokenizer.json files over whole corpora: no text may differ from what tokenizers 0.23.3 makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from test_huggingface import CORPORA, FILES, lines_of, peer_of

from viterbi_sampling import Tokenizer

pytestmark = [pytest.mark.shared, pytest.mark.whole]
AT_ONCE = 5_000
"""Encodings of the library are large; so many are held at a time."""
LINES_TOGETHER = 20
OFFSETS_EVERY = 4


def texts_of(corpus: Path) -> list[str]:
    """All lines of a corpus, then all of them again, some of them in one text, with their newlines."""
    lines = lines_of(corpus)
    joined = ("\n".join(lines[i : i + LINES_TOGETHER]) for i in range(0, len(lines), LINES_TOGETHER))
    return [*lines, *joined]


def parts(texts: list[str]) -> Iterator[list[str]]:
    remaining = iter(texts)
    while part := list(islice(remaining, AT_ONCE)):
        yield part


@pytest.mark.parametrize("corpus", CORPORA, ids=lambda corpus: corpus.name.split(".")[0])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.split(".")[0])
def test_no_text_of_any_corpus_differs(file: Path, corpus: Path) -> None:
    content = file.read_text(encoding="utf-8")
    peer, tokenizer = peer_of(content), Tokenizer.from_bytes(content.encode("utf-8"))
    texts = texts_of(corpus)
    different = []
    for part in parts(texts):
        wanted = [encoding.ids for encoding in peer.encode_batch_fast(part, add_special_tokens=False)]
        found = tokenizer.encode_batch(part).to_list()
        assert len(found) == len(wanted) == len(part)
        different += [text for text, a, b in zip(part, wanted, found, strict=True) if a != b]
    # Offsets, tokens and text of a part of them: the library takes several times as long.
    chosen = texts[::OFFSETS_EVERY]
    for part in parts(chosen):
        wanted_encodings = peer.encode_batch(part, add_special_tokens=False)
        batch = tokenizer.encode_batch(part, with_offsets=True)
        decoded = tokenizer.decode_batch(batch)
        assert batch.spans is not None
        for i, (text, encoding) in enumerate(zip(part, wanted_encodings, strict=True)):
            spans = batch.spans[batch.offsets[i] : batch.offsets[i + 1]].tolist()
            same = spans == [list(span) for span in encoding.offsets] and decoded[i] == peer.decode(encoding.ids)
            if not same or tokenizer.encode_with_offsets(text).pieces != encoding.tokens:
                different.append(text)
    print(f"{file.name} {corpus.name}: {len(different)} of {len(texts)} texts, offsets of {len(chosen)}, differ")
    assert not different, (len(different), [ascii(text[:200]) for text in different[:3]])
