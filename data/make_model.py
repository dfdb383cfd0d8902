"""Make default.model again: `python data/make_model.py CORPORA` (needs the sentencepiece library, 10 minutes).

CORPORA is the folder of the texts that README.md in this folder lists with their licences. The
result depends on the version of sentencepiece (0.2.3 made the bundled file) and on nothing else.

The model is lossless: no text is changed by it, so decode(encode(text)) == text.
- Nothing is normalized, no space is added or removed, and bytes stand in for unknown characters.
- sentencepiece's trainer needs spaces spelled U+2581, and its decoder turns every U+2581 of a piece
  into a space, so a U+2581 in a text would be lost. After training, the pieces are therefore
  spelled with real spaces, and the model says so (escape_whitespaces = false): no piece holds a
  U+2581, and one in a text becomes three byte pieces.
- The trainer reads lines. Line ends are spelled U+240A for it, and turned back after it.
"""

import lzma
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

VOCAB_SIZE = 32000
CHARACTER_COVERAGE = 0.9997
SPACE, LINE_END, TAB = "\u2581", "\u240a", "\u2409"
SPELLED = str.maketrans({SPACE: " ", LINE_END: "\n", TAB: "\t"})

# (file, bytes to take): prose and documents in passages of some lines
PASSAGES = [
    ("en_classics.md.txt.xz", 9_000_000),
    ("en_tinyshakespeare.txt.xz", 300_000),
    ("zh_four_novels.txt.xz", 2_500_000),
    ("ja_wagahaiwa_nekodearu.txt.xz", 1_100_000),
    ("react_docs_zh.md.txt.xz", 2_500_000),
    ("react_docs_ja.md.txt.xz", 3_000_000),
    ("react_docs_ko.md.txt.xz", 3_000_000),
    ("react_docs_ru.md.txt.xz", 1_100_000),
]
# (file, bytes of each language or text to take): one sentence a line, after a tab
SENTENCES = [
    ("tatoeba_laser_v1.tsv.xz", 40_000),
    ("udhr.tsv.xz", 20_000),
    ("bible_mix.tsv.xz", 250_000),
]


def passages(text: str, wanted: int, rng: random.Random) -> Iterator[str]:
    """Passages of 1 to 8 lines from all over the text, about `wanted` bytes of them."""
    lines = text.split("\n")
    taken = 0
    starts = list(range(0, len(lines), 8))
    rng.shuffle(starts)
    for start in starts:
        if taken >= wanted:
            return
        passage = "\n".join(lines[start : start + rng.randint(1, 8)])
        taken += len(passage.encode("utf-8"))
        yield passage


def sentences(text: str, wanted: int, rng: random.Random) -> Iterator[str]:
    """Lines of each language, about `wanted` bytes of each."""
    groups: dict[str, list[str]] = {}
    for line in text.split("\n"):
        name, _, sentence = line.partition("\t")
        if sentence:
            groups.setdefault(name, []).append(sentence)
    for name in sorted(groups):
        group = groups[name]
        rng.shuffle(group)
        taken = 0
        for sentence in group:
            if taken >= wanted:
                break
            taken += len(sentence.encode("utf-8"))
            yield sentence


def training_texts(corpora: Path) -> Iterator[str]:
    rng = random.Random(20261123)
    for files, take in ((PASSAGES, passages), (SENTENCES, sentences)):
        for name, wanted in files:
            with lzma.open(corpora / name, "rt", encoding="utf-8", newline="\n") as file:
                text = file.read()
            for passage in take(text, wanted, rng):
                clean = "".join(passage.split(SPACE)).replace("\r", "").replace("\0", "")
                yield clean.replace("\n", LINE_END).replace("\t", TAB)


def main() -> None:
    corpora, target = Path(sys.argv[1]), Path(__file__).parent / "default.model"
    trained = target.with_suffix(".trained")
    with trained.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=training_texts(corpora),
            model_writer=file,
            model_type="unigram",
            vocab_size=VOCAB_SIZE,
            character_coverage=CHARACTER_COVERAGE,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            allow_whitespace_only_pieces=True,
            byte_fallback=True,
            split_digits=True,
            max_sentence_length=100_000,
            num_threads=2,
            pad_id=3,
        )
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(trained.read_bytes())
    trained.unlink()
    for piece in model.pieces:
        piece.piece = piece.piece.translate(SPELLED)
    model.normalizer_spec.escape_whitespaces = False
    model.trainer_spec.ClearField("input")
    target.write_bytes(model.SerializeToString())
    print(f"{target}: {len(model.pieces)} pieces, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
