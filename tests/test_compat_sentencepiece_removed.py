"""Sampling with a seed that reproduces, and what sentencepiece had until 0.2.2: against the reference, exact
quantities, and the behaviour of those versions as it is documented."""

from __future__ import annotations

import doctest
import io
import math
import multiprocessing
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece as theirs
from conftest import SHARED
from models import KINDS
from sentencepiece import sentencepiece_model_pb2 as model_pb
from sentencepiece import sentencepiece_pb2 as pb

import viterbi_sampling.compat.sentencepiece as ours
from viterbi_sampling import Tokenizer

Processor = ours.SentencePieceProcessor
TEXTS = ["the river was high", "川の水 𓀀𓀀 x", "and the boats went by", "a  b"]
LONG = "and the boats went by " * 8
"""It has so many segmentations that no two of a few hundred samples are the same."""

SAMPLED = ["nmt_nfkc", "byte fallback", "user-defined", "whitespace as suffix", "no unknown piece"]


def processor_of(kind: str, **settings: Any) -> Any:
    return Processor(model_proto=KINDS[kind](), **settings)


# -- the seed --------------------------------------------------------------------------------------------------------


def test_same_seed_same_samples() -> None:
    """In calls for one text, in lists, at every number of threads, for every return type: one stream a row."""
    processor = processor_of("nmt_nfkc")
    lines = TEXTS * 3000  # enough bytes for several threads
    sampling: dict[str, Any] = {"enable_sampling": True, "nbest_size": -1, "alpha": 0.2}
    ours.set_random_generator_seed(11)
    expected = processor.encode(lines, num_threads=1, **sampling)
    for threads in (2, 3, -1):
        ours.set_random_generator_seed(11)
        assert processor.encode(lines, num_threads=threads, **sampling) == expected
    ours.set_random_generator_seed(11)
    assert [processor.encode(line, **sampling) for line in lines[:500]] == expected[:500]
    assert processor.encode(lines[500:600], **sampling) == expected[500:600]
    for kind, ids_of in (
        ("numpy", lambda row: row.tolist()),
        ("offset_mapping", lambda row: row["ids"]),
        ("proto", lambda row: [piece.id for piece in row.pieces]),
        (str, processor.piece_to_id),
        (bytes, processor.piece_to_id),
        ("serialized_proto", lambda row: [piece.id for piece in pb.SentencePieceText.FromString(row).pieces]),
    ):
        ours.set_random_generator_seed(11)
        rows = processor.encode(lines[:200], return_type=kind, **sampling)
        ids = [ids_of(row) for row in rows]
        assert ids == expected[:200]
        ours.set_random_generator_seed(11)
        assert [ids_of(processor.encode(line, return_type=kind, **sampling)) for line in lines[:20]] == ids[:20]


def test_no_two_rows_share_a_sample() -> None:
    """Of one text, whose segmentations are far more than the rows: in a list, across calls, and across processors."""
    text = LONG
    first, second = processor_of("nmt_nfkc"), processor_of("nmt_nfkc")
    ours.set_random_generator_seed(5)
    rows = first.encode([text] * 300, enable_sampling=True, alpha=0.0)
    rows += [second.encode(text, enable_sampling=True, alpha=0.0) for _ in range(300)]
    assert Tokenizer.from_bytes(KINDS["nmt_nfkc"]()).count_segmentations(text) > 10**20
    assert len({tuple(row) for row in rows}) == 600


def test_it_is_the_sample_of_the_tokenizer() -> None:
    """Row k after a seed is index k of that seed."""
    data = KINDS["nmt_nfkc"]()
    tokenizer = Tokenizer.from_bytes(data)
    processor = Processor(model_proto=data, enable_sampling=True, alpha=0.3)
    ours.set_random_generator_seed(9)
    expected = [tokenizer.sample(text, alpha=0.3, seed=9, index=i) for i, text in enumerate(TEXTS * 2)]
    assert processor.encode(TEXTS) + [processor.encode(text) for text in TEXTS] == expected


PROGRAM = """
import sys
import viterbi_sampling.compat.sentencepiece as spm
sp = spm.SentencePieceProcessor(model_file=sys.argv[1], enable_sampling=True, alpha=0.2)
spm.SetRandomGeneratorSeed(42)
print([sp.encode('the river was high') for _ in range(5)])
print(sp.sample_encode_and_score('the river', wor=True, num_samples=3))
"""


def test_the_same_in_every_process(tmp_path: Path) -> None:
    (tmp_path / "m.model").write_bytes(KINDS["nmt_nfkc"]())
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "m.model")]
    root = Path(__file__).resolve().parent.parent
    outputs = [subprocess.run(command, cwd=root, capture_output=True, check=True).stdout for _ in range(2)]
    assert outputs[0] == outputs[1] != b""


def _samples(queue: Any) -> None:
    processor = processor_of("nmt_nfkc", enable_sampling=True, alpha=0.0)
    queue.put([processor.encode(LONG) for _ in range(20)])


def test_children_of_a_fork_differ_without_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    from viterbi_sampling.compat.sentencepiece import randomness, unigram

    counter = randomness.RowCounter()
    monkeypatch.setattr(unigram, "ROWS", counter)
    parent = processor_of("nmt_nfkc", enable_sampling=True, alpha=0.0)
    parent.encode(LONG)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [context.Process(target=_samples, args=(queue,)) for _ in range(2)]
    for child in children:
        child.start()
    rows = [queue.get(timeout=60) for _ in children]
    for child in children:
        child.join()
    rows.append([parent.encode(LONG) for _ in range(20)])
    assert len({tuple(ids) for row in rows for ids in row}) == 60


@pytest.mark.parametrize("nbest_size", [-1, 4])
def test_the_law_of_samples(nbest_size: int) -> None:
    """Frequencies of 20,000 samples against exact probabilities, and against the library's: within 4.5 sigma each."""
    data = KINDS["nmt_nfkc"]()
    tokenizer = Tokenizer.from_bytes(data)
    text, alpha, draws = "the", 0.4, 20_000
    segmentations = tokenizer.nbest(text, 10**6 if nbest_size < 0 else nbest_size)
    weights = np.exp([alpha * (s.log_prob - segmentations[0].log_prob) for s in segmentations])
    law = {tuple(s.ids): w for s, w in zip(segmentations, weights / weights.sum(), strict=True)}
    ours.set_random_generator_seed(1)
    for module in (ours, theirs):
        processor = module.SentencePieceProcessor(model_proto=data)
        rows = processor.encode([text] * draws, enable_sampling=True, nbest_size=nbest_size, alpha=alpha)
        counts = Counter(map(tuple, rows))
        assert set(counts) <= set(law)
        for ids, probability in law.items():
            sigma = math.sqrt(draws * probability * (1 - probability)) + 1
            assert abs(counts[ids] - draws * probability) < 4.5 * sigma, (module, ids)


# -- SampleEncodeAndScore --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SAMPLED)
def test_scores_of_independent_samples(kind: str) -> None:
    """The score is the log-probability of the segmentation at this alpha."""
    processor, tokenizer = processor_of(kind), Tokenizer.from_bytes(KINDS[kind]())
    for text in TEXTS:
        for alpha in (0.0, 0.3, 1.0):
            results = processor.sample_encode_and_score(text, num_samples=8, alpha=alpha)
            assert len(results) == 8
            for ids, score in results:
                if processor.unk_id() not in ids or processor.unk_id() < 0:  # merged runs stand for several paths
                    assert score == pytest.approx(tokenizer.log_prob(text, ids, alpha=alpha), abs=1e-9)


@pytest.mark.parametrize("kind", SAMPLED)
def test_without_replacement(kind: str) -> None:
    """All different; all there are where there are fewer, each with inclusion probability 1; the best one first."""
    processor, tokenizer = processor_of(kind), Tokenizer.from_bytes(KINDS[kind]())
    for text in TEXTS:
        results = processor.sample_encode_and_score(text, num_samples=6, alpha=0.5, wor=True, include_best=True)
        assert len({tuple(ids) for ids, _ in results}) == len(results)
        assert results[0] == (tokenizer.nbest(text, 1)[0].ids, 0.0)
        assert all(score <= 0 for _, score in results)
    everything = tokenizer.nbest("of", 10**6)
    results = processor.sample_encode_and_score("of", num_samples=len(everything) + 5, alpha=0.5, wor=True)
    assert sorted(ids for ids, _ in results) == sorted(s.ids for s in everything)
    assert [score for _, score in results] == [0.0] * len(everything)


def test_inclusion_probabilities() -> None:
    """Weighted by p / inclusion, samples without replacement estimate expectations without bias.

    That is section 4 of Kool et al. Of 4,000 estimates of a quantity between 0 and 1 the mean is off by at most 4.5
    of its standard errors.
    """
    processor, tokenizer = processor_of("nmt_nfkc"), Tokenizer.from_bytes(KINDS["nmt_nfkc"]())
    text, alpha = "river", 0.5
    ours.set_random_generator_seed(77)
    exact = sum(
        math.exp(tokenizer.log_prob(text, s.ids, alpha=alpha)) * (len(s.ids) > 3) for s in tokenizer.nbest(text, 10**6)
    )
    estimates = []
    for _ in range(4000):
        rows = processor.sample_encode_and_score(text, num_samples=3, alpha=alpha, wor=True)
        estimates.append(
            sum(math.exp(tokenizer.log_prob(text, i, alpha=alpha) - score) for i, score in rows if len(i) > 3)
        )
    error = float(np.std(estimates)) / math.sqrt(len(estimates))
    assert abs(float(np.mean(estimates)) - exact) < 4.5 * error


def test_every_form_of_scored_samples() -> None:
    processor = processor_of("nmt_nfkc")

    def drawn(**options: Any) -> Any:
        ours.set_random_generator_seed(4)
        return processor.sample_encode_and_score(TEXTS[0], num_samples=4, alpha=0.4, **options)

    for wor in (False, True):
        ids = drawn(wor=wor)
        assert [(processor.piece_to_id(p), s) for p, s in drawn(wor=wor, out_type=str)] == ids
        assert drawn(wor=wor, out_type=str, reverse=True, add_bos=True)[0][0][0] == "<s>"
        message = drawn(wor=wor, out_type="immutable_proto")
        assert isinstance(message, ours.ImmutableNBestSentencePieceText)
        assert [([p.id for p in n.pieces], n.score) for n in message.nbests] == ids
        parsed = pb.NBestSentencePieceText.FromString(drawn(wor=wor, out_type="serialized_proto"))
        assert [[p.id for p in n.pieces] for n in parsed.nbests] == [i for i, _ in ids]
        np.testing.assert_allclose([n.score for n in parsed.nbests], [s for _, s in ids], rtol=1e-6)
    ours.set_random_generator_seed(4)
    both = processor.SampleEncodeAndScoreAsPieces(["the river", "was high"], 3, 0.4)
    assert [[processor.decode(pieces) for pieces, _ in row] for row in both] == [["the river"] * 3, ["was high"] * 3]


@pytest.mark.parametrize(
    "options", [{"num_samples": 0}, {"include_best": True}, {"alpha": -1.0}, {"alpha": math.inf}, {"alpha": math.nan}]
)
def test_scored_samples_refuse(options: dict[str, Any]) -> None:
    with pytest.raises(RuntimeError):
        processor_of("nmt_nfkc").sample_encode_and_score("the", **options)


def test_entropy() -> None:
    processor, tokenizer = processor_of("nmt_nfkc"), Tokenizer.from_bytes(KINDS["nmt_nfkc"]())
    for alpha in (0.0, 0.3, 1.0):
        for text in ["of", "the"]:
            law = np.exp([tokenizer.log_prob(text, s.ids, alpha=alpha) for s in tokenizer.nbest(text, 10**6)])
            assert processor.calculate_entropy(text, alpha) == pytest.approx(
                float(-(law * np.log(law)).sum()), abs=1e-9
            )
        expected = [tokenizer.entropy(text, alpha=alpha) for text in TEXTS]
        assert processor.CalculateEntropy(TEXTS, alpha=alpha, num_threads=3) == expected
    assert processor.calculate_entropy("", 1.0) == 0.0


# -- vocabularies ----------------------------------------------------------------------------------------------------


def test_set_vocabulary_is_a_model_with_unused_pieces() -> None:
    """The library gives the same for the model with the same types and scores; single characters stay."""
    data = KINDS["user-defined, bytes, control"]()
    processor = Processor(model_proto=data)
    allowed = processor.id_to_piece(list(range(0, len(processor), 3)))
    assert processor.set_vocabulary(allowed) is True
    model = model_pb.ModelProto.FromString(data)
    for piece in model.pieces:
        if piece.type == 1 and len(piece.piece) > 1 and piece.piece not in allowed:
            piece.type = 5
    expected = theirs.SentencePieceProcessor(model_proto=model.SerializeToString())
    assert processor.encode(TEXTS) == expected.encode(TEXTS)
    assert model_pb.ModelProto.FromString(processor.serialized_model_proto()) == model
    assert processor.is_unused(list(range(len(processor)))) == expected.is_unused(list(range(len(processor))))
    assert pickle.loads(pickle.dumps(processor)).encode(TEXTS) == expected.encode(TEXTS)
    assert processor.reset_vocabulary() is True
    assert processor.encode(TEXTS) == theirs.SentencePieceProcessor(model_proto=data).encode(TEXTS)
    kept = model_pb.ModelProto.FromString(processor.serialized_model_proto()).pieces
    assert [piece.type for piece in kept] == [piece.type for piece in model_pb.ModelProto.FromString(data).pieces]


def test_load_vocabulary(tmp_path: Path) -> None:
    processor, other = processor_of("nmt_nfkc"), processor_of("nmt_nfkc")
    text = " ".join(TEXTS)
    first, second, *_ = (piece for piece in other.encode(text, out_type=str) if len(piece) > 2)
    (tmp_path / "v").write_text(f"{first}\t50\n{second}\n", encoding="utf-8")
    assert processor.load_vocabulary(str(tmp_path / "v"), 10) is True
    other.set_vocabulary([first])
    assert processor.encode(TEXTS, out_type=str) == other.encode(TEXTS, out_type=str)
    assert first in processor.encode(text, out_type=str)
    assert second not in processor.encode(text, out_type=str)
    processor.load_vocabulary(str(tmp_path / "v"), 1)
    assert {first, second} <= set(processor.encode(text, out_type=str))
    (tmp_path / "v").write_text("a\tmany\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match="line 1"):
        processor.load_vocabulary(str(tmp_path / "v"), 1)
    with pytest.raises(RuntimeError, match="nofile"):
        processor.load_vocabulary(str(tmp_path / "nofile"), 1)


# -- normalizer and options ------------------------------------------------------------------------------------------

FLAGS = ("add_dummy_prefix", "remove_extra_whitespaces", "escape_whitespaces")


@pytest.mark.parametrize("flags", [dict(zip(FLAGS, bits, strict=True)) for bits in np.ndindex(2, 2, 2)], ids=str)
def test_override_normalizer_spec(flags: dict[str, Any]) -> None:
    """The library gives the same for the model with these flags."""
    data = KINDS["nmt_nfkc"]()
    processor = Processor(model_proto=data)
    model = model_pb.ModelProto.FromString(data)
    for name, value in flags.items():
        assert processor.override_normalizer_spec(**{name: bool(value)}) is True
        if getattr(model.normalizer_spec, name) != bool(value):
            setattr(model.normalizer_spec, name, bool(value))
    expected = theirs.SentencePieceProcessor(model_proto=model.SerializeToString())
    texts = [*TEXTS, "  a  b ", "\u2581x"]
    assert processor.encode(texts, out_type=str) == expected.encode(texts, out_type=str)
    assert processor.decode(processor.encode(texts)) == expected.decode(expected.encode(texts))
    assert model_pb.ModelProto.FromString(processor.serialized_model_proto()) == model


def test_override_normalizer_spec_refuses() -> None:
    with pytest.raises(RuntimeError, match="colour"):
        processor_of("nmt_nfkc").override_normalizer_spec(colour=True)
    with pytest.raises(ValueError, match="add_dummy_prefix"):
        processor_of("nmt_nfkc").override_normalizer_spec(add_dummy_prefix="maybe")


def test_encode_extra_options() -> None:
    """Applied in their order, to every return type, before what the call itself asks for."""
    processor, other = processor_of("nmt_nfkc"), processor_of("nmt_nfkc")
    text = "the 𓀀 river"
    ids, pieces = other.encode(text), other.encode(text, out_type=str)
    bos, eos = other.bos_id(), other.eos_id()
    assert processor.encode(text) == ids  # so that a plan exists that must go
    assert processor.set_encode_extra_options("reverse:bos:eos") is True
    assert processor.encode(text) == [bos, *ids[::-1], eos]
    assert processor.encode([text]) == [[bos, *ids[::-1], eos]]
    assert processor.encode(text, out_type=str, add_bos=True) == ["<s>", "<s>", *pieces[::-1], "</s>"]
    assert [p.id for p in processor.encode(text, out_type="proto").pieces] == [bos, *ids[::-1], eos]
    assert processor.encode(text, out_type="offset_mapping")["ids"] == [bos, *ids[::-1], eos]
    assert processor.encode(text, out_type="numpy").tolist() == [bos, *ids[::-1], eos]
    assert processor.nbest_encode(text, nbest_size=2)[0] == [bos, *ids[::-1], eos]
    assert processor.set_encode_extra_options("bos:reverse:unk") is True
    replaced = ["<unk>" if piece == "𓀀" else piece for piece in pieces]
    assert "<unk>" in replaced
    assert processor.encode(text, out_type=str) == [*replaced[::-1], "<s>"]
    assert processor.set_encode_extra_options("") is True
    assert processor.encode(text) == ids
    assert processor.set_encode_extra_options(":eos:") is True
    assert processor.encode(text) == [*ids, eos]
    with pytest.raises(RuntimeError, match="backwards"):
        processor.set_encode_extra_options("backwards")
    assert processor.encode(text) == ids
    with pytest.raises(RuntimeError, match="<s>"):
        processor_of("no bos, eos").set_encode_extra_options("bos")


def test_decode_extra_options() -> None:
    processor = processor_of("nmt_nfkc")
    pieces = processor.encode("the river", out_type=str)
    assert processor.set_decode_extra_options("reverse:bos") is True
    assert processor.decode(pieces[::-1]) == processor.decode(processor.piece_to_id(pieces[::-1])) == "the river"


# -- messages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["nmt_nfkc", "byte fallback"])
def test_immutable_messages(kind: str) -> None:
    """Their positions count characters: pieces are slices of the text."""
    processor = processor_of(kind)
    for text in [*TEXTS, "吾輩は猫である。ＡＢＣ 123 ﬁ"]:
        message = processor.encode(text, out_type="immutable_proto")
        assert isinstance(message, ours.ImmutableSentencePieceText)
        assert message == processor.EncodeAsImmutableProto(text)
        assert hash(message) == hash(processor.encode_as_immutable_proto(text))
        assert message.text == text == message.text_as_bytes.decode()
        assert [p.id for p in message.pieces] == processor.encode(text)
        assert [p.piece for p in message.pieces] == processor.encode(text, out_type=str)
        assert [message.text[p.begin : p.end] for p in message.pieces] == [p.surface for p in message.pieces]
        assert all(
            p.piece_as_bytes.decode() == p.piece and p.surface_as_bytes.decode() == p.surface for p in message.pieces
        )
        assert message.pieces[::-1] == list(reversed(message.pieces))
        assert message.pieces[-1] == message.pieces[len(message.pieces) - 1]
        with pytest.raises(IndexError):
            message.pieces[len(message.pieces)]
        assert pickle.loads(pickle.dumps(message)) == message
        decoded = processor.decode(processor.encode(text), out_type="immutable_proto")
        assert decoded.text == processor.decode(processor.encode(text))
        assert decoded == processor.DecodeIdsAsImmutableProto(processor.encode(text))
        nbest = processor.nbest_encode(text, nbest_size=4, out_type="immutable_proto")
        assert nbest == processor.NBestEncodeAsImmutableProto(text, 4)
        assert [[p.id for p in n.pieces] for n in nbest.nbests] == processor.nbest_encode(text, nbest_size=4)
        assert nbest.nbests[::-1] == list(reversed(nbest.nbests))
        assert str(message.pieces[0]).startswith("piece: ")
        assert str(message).startswith("text: ")
        assert "nbests" in str(nbest)


def test_messages_in_ascii_are_the_serialized_ones() -> None:
    processor = processor_of("nmt_nfkc")
    text = TEXTS[0]
    assert processor.encode_as_serialized_proto(text) == processor.encode_as_immutable_proto(text).SerializeAsString()
    assert processor.encode_as_serialized_proto(text) == processor.encode_as_proto(text).SerializeToString()
    assert (
        processor.nbest_encode_as_serialized_proto(text, 5)
        == processor.nbest_encode_as_immutable_proto(text, 5).SerializeAsString()
    )
    assert (
        processor.decode_ids_as_serialized_proto([20, 30])
        == processor.decode_ids_as_immutable_proto([20, 30]).SerializeAsString()
    )
    assert (
        processor.decode_pieces_as_serialized_proto(["foo", "bar"])
        == processor.decode_pieces_as_immutable_proto(["foo", "bar"]).SerializeAsString()
    )
    for data in (processor.encode_as_serialized_proto(text), processor.nbest_encode_as_serialized_proto(text, 5)):
        kind = pb.SentencePieceText if data == processor.encode_as_serialized_proto(text) else pb.NBestSentencePieceText
        assert kind.FromString(data).SerializeToString() == data


# -- programs --------------------------------------------------------------------------------------------------------


@pytest.mark.shared
def test_the_documented_examples() -> None:
    """The sessions of sentencepiece's Python README, with the model that they use, in both generations of the API."""
    path = str(SHARED / "models" / "sentencepiece" / "google_en_1k.model")
    results = []
    for spm in (theirs, ours):
        sp: Any = spm.SentencePieceProcessor()
        log: list[Any] = [sp.Load(path), sp.EncodeAsPieces("This is a test"), sp.EncodeAsIds("This is a test")]
        log += [sp.DecodePieces(log[1]), sp.DecodeIds(log[2]), sp.NBestEncodeAsPieces("This is a test", 5)]
        log += [sp.GetPieceSize(), sp.IdToPiece(2), sp.PieceToId("</s>"), len(sp), sp["</s>"]]
        for _ in range(10):
            log.append(sp.DecodePieces(sp.SampleEncodeAsPieces("This is a test", -1, 0.1)))
            log.append(sp.DecodeIds(sp.SampleEncodeAsIds("This is a test", 64, 0.5)))
        sp = spm.SentencePieceProcessor(model_file=path)
        log += [sp.encode("This is a test"), sp.encode(["This is a test", "Hello world"], out_type=int)]
        log += [sp.encode(["This is a test", "Hello world"], out_type=str), sp.decode([284, 47, 11, 4, 15, 400])]
        log += [sp.decode([[284, 47, 11, 4, 15, 400], [151, 88, 21, 887]]), sp.decode(["▁", "This", "▁", "is"])]
        log += [sp.get_piece_size(), sp.id_to_piece([2, 3]), sp.piece_to_id(["<s>", "</s>"]), sp.tokenize("hello")]
        log += [sp.encode("This is a test", add_bos=True, add_eos=True, reverse=True, out_type=str)]
        log += [sp.normalize("ＫＡＤＯＫＡＷＡABC"), sp.normalize(["ＫＡＤＯＫＡＷＡABC", "㍻"], with_offsets=True)]
        sp = spm.SentencePieceProcessor(model_file=path, add_bos=True, add_eos=True, out_type=str)
        log += [sp.encode("hello world"), sp.encode("hello world", add_bos=False, add_eos=True)]
        model = io.BytesIO()
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(TEXTS * 30), model_writer=model, vocab_size=40, hard_vocab_limit=False, minloglevel=2
        )
        log.append(spm.SentencePieceProcessor(model_proto=model.getvalue()).encode(TEXTS, out_type=str))
        results.append(log)
    assert results[1] == results[0]


def test_the_page_on_migrating() -> None:
    page = Path(__file__).resolve().parent.parent / "docs" / "migrating.md"
    results = doctest.testfile(str(page), module_relative=False)
    assert results.attempted >= 12
    assert results.failed == 0
