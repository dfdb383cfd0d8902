"""The law of each public sampler, measured: `python bench/laws.py [SAMPLES]`.

One small lattice is given to every library that is installed; its samples are compared with the exact law
p ∝ exp(alpha · score), which enumeration gives. The table is Markdown.
"""

from __future__ import annotations

import base64
import importlib.metadata
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator

from viterbi_sampling import Tokenizer
from viterbi_sampling import reference as ref

COUNTS = {"a": 300, "b": 150, "c": 100, "ab": 90, "bc": 50, "abc": 15, "ca": 110, "cab": 20}
TOTAL = sum(COUNTS.values())
PIECES = {piece: math.log(count / TOTAL) for piece, count in COUNTS.items()}
TEXT = "abcabcab"
ALPHAS = (0.1, 0.5, 1.0, 2.0)

Draw = Callable[[float, int], Iterator[tuple[str, ...]]]


def ours(algorithm: str) -> Draw:
    tokenizer = Tokenizer.from_pieces(PIECES)
    names = list(PIECES)

    def draw(alpha: float, samples: int) -> Iterator[tuple[str, ...]]:
        batch = tokenizer.sample_batch([TEXT], n=samples, alpha=alpha, algorithm=algorithm, seed=1)
        return (tuple(names[id] for id in ids) for ids in batch.to_list())

    return draw


def sentencepiece_draw() -> Draw:
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto()
    model.pieces.add(piece="<unk>", type=2)
    for piece, score in PIECES.items():
        model.pieces.add(piece=piece, score=score)
    spec = model.normalizer_spec
    spec.add_dummy_prefix = spec.remove_extra_whitespaces = spec.escape_whitespaces = False
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())

    def draw(alpha: float, samples: int) -> Iterator[tuple[str, ...]]:
        for _ in range(samples):
            yield tuple(processor.encode(TEXT, return_type=str, enable_sampling=True, nbest_size=-1, alpha=alpha))

    return draw


def tokenizers_draw() -> Draw:
    import tokenizers

    def draw(alpha: float, samples: int) -> Iterator[tuple[str, ...]]:
        model = tokenizers.models.Unigram([("<unk>", -100.0), *PIECES.items()], unk_id=0, alpha=alpha)
        tokenizer = tokenizers.Tokenizer(model)
        for _ in range(samples):
            yield tuple(tokenizer.encode(TEXT).tokens)

    return draw


def bytepiece_draw() -> Draw:
    import bytepiece

    pieces = {
        base64.b64encode(piece.encode()).decode(): [id, piece, count]
        for id, (piece, count) in enumerate(COUNTS.items(), 3)
    }
    tokenizer = bytepiece.Tokenizer(pieces, seed=1)

    def draw(alpha: float, samples: int) -> Iterator[tuple[str, ...]]:
        for _ in range(samples):
            yield tuple(piece.decode() for piece in tokenizer.tokenize(TEXT, alpha=alpha))

    return draw


PEERS: dict[str, Callable[[], Draw]] = {
    "sentencepiece": sentencepiece_draw,
    "tokenizers": tokenizers_draw,
    "bytepiece": bytepiece_draw,
}


def main(samples: int) -> None:
    edges = ref.lattice(TEXT, {piece: (i, score) for i, (piece, score) in enumerate(PIECES.items())})
    names = list(PIECES)
    laws = {
        alpha: {tuple(names[e.token] for e in path): p for path, p in ref.law(edges, len(TEXT), alpha)}
        for alpha in ALPHAS
    }
    rows: dict[str, Draw] = {f"ours, `{name}`": ours(name) for name in ("perfect", "ffbs", "viterbi_sampling")}
    for name, make in PEERS.items():
        try:
            rows[f"{name} {importlib.metadata.version(name)}"] = make()
        except (ImportError, importlib.metadata.PackageNotFoundError) as error:
            print(f"{name} left out: {error}", file=sys.stderr)
    print(f"`{TEXT}`: {len(laws[1.0])} segmentations, {samples:,} samples; total variation from the exact law\n")
    print("| sampler | " + " | ".join(f"alpha {alpha:g}" for alpha in ALPHAS) + " |")
    print("|---" * (len(ALPHAS) + 1) + "|")
    chance = [sum(math.sqrt(2 * p * (1 - p) / (math.pi * samples)) for p in law.values()) / 2 for law in laws.values()]
    print("| (by chance, about) | " + " | ".join(f"{value:.4f}" for value in chance) + " |")
    for name, draw in rows.items():
        cells = []
        for alpha, law in laws.items():
            counts = Counter(draw(alpha, samples))
            keys = set(counts) | set(law)
            cells.append(f"{sum(abs(counts[key] / samples - law.get(key, 0.0)) for key in keys) / 2:.4f}")
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
