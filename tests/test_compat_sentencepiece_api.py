"""The names, signatures and errors of sentencepiece 0.2.3, against the library itself."""

from __future__ import annotations

import inspect
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sentencepiece as theirs
from models import KINDS

import viterbi_sampling.compat.sentencepiece as ours

REMOVED = (
    "Init SetVocabulary LoadVocabulary ResetVocabulary SetEncodeExtraOptions SetDecodeExtraOptions "
    "OverrideNormalizerSpec CalculateEntropy SampleEncodeAndScore SampleEncodeAndScoreAsIds "
    "SampleEncodeAndScoreAsPieces SampleEncodeAndScoreAsSerializedProto "
    "SampleEncodeAndScoreAsImmutableProto EncodeAsSerializedProto EncodeAsImmutableProto "
    "SampleEncodeAsSerializedProto SampleEncodeAsImmutableProto NBestEncodeAsSerializedProto "
    "NBestEncodeAsImmutableProto DecodeIdsAsSerializedProto DecodeIdsAsImmutableProto "
    "DecodePiecesAsSerializedProto DecodePiecesAsImmutableProto"
)
"""The methods of 0.2.0 and 0.2.1 that 0.2.3 has no more."""


def snake_case(name: str) -> str:
    spelled = "".join("_" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(name))
    return spelled.replace("n_best", "nbest")


def public(thing: Any) -> list[str]:
    return [
        name for name in dir(thing) if not name.startswith("_") and not isinstance(getattr(thing, name), ModuleType)
    ]


def test_every_name_of_the_module() -> None:
    assert len(public(theirs)) >= 14
    for name in [*public(theirs), "__version__"]:
        assert hasattr(ours, name), name
    assert ours.__version__ == theirs.__version__


@pytest.mark.parametrize("name", ["SentencePieceProcessor", "SentencePieceTrainer", "SentencePieceNormalizer"])
def test_every_method_and_its_signature(name: str) -> None:
    """The same parameters in the same order, with the same defaults; of the kinds, only that more is allowed."""
    their_class, our_class = getattr(theirs, name), getattr(ours, name)
    checked = 0
    for method in [*public(their_class), "__init__", "__len__", "__getitem__"]:
        if not hasattr(their_class, method) or getattr(their_class, method) is getattr(object, method, None):
            continue
        their_method, our_method = getattr(their_class, method), getattr(our_class, method)
        expected = [(p.name, p.default, p.kind) for p in inspect.signature(their_method).parameters.values()]
        actual = [(p.name, p.default, p.kind) for p in inspect.signature(our_method).parameters.values()]
        assert actual == expected, method
        checked += 1
    assert checked >= {"SentencePieceProcessor": 75, "SentencePieceTrainer": 2, "SentencePieceNormalizer": 6}[name]


def test_every_removed_method() -> None:
    for name in REMOVED.split():
        method = getattr(ours.SentencePieceProcessor, name)
        assert getattr(ours.SentencePieceProcessor, snake_case(name)) is method, name
        assert not hasattr(theirs.SentencePieceProcessor, name), name


def test_aliases_are_one_method() -> None:
    for name in public(ours.SentencePieceProcessor):
        if name[0].isupper():
            alias = getattr(ours.SentencePieceProcessor, snake_case(name))
            assert alias == getattr(ours.SentencePieceProcessor, name), name


# -- errors ----------------------------------------------------------------------------------------------------------


class Given:
    """What the expressions below are about, in one of the two libraries."""

    def __init__(self, module: Any, tmp_path: Path) -> None:
        def processor(kind: str) -> Any:
            return module.SentencePieceProcessor(model_proto=KINDS[kind]())

        path = tmp_path / "some.model"
        path.write_bytes(KINDS["nmt_nfkc"]())
        self.names = {
            "spm": module,
            "np": np,
            "Path": Path,
            "path": str(path),
            "data": KINDS["nmt_nfkc"](),
            "sp": processor("nmt_nfkc"),
            "bytes_": processor("byte fallback"),
            "bare": processor("no bos, eos"),
            "no_unk": processor("no unknown piece"),
            "new": module.SentencePieceProcessor(),
            "size": len(processor("nmt_nfkc")),
        }

    def __call__(self, expression: str) -> Any:
        """The value of an expression, or the exception that it raises."""
        try:
            return plain(eval(expression, dict(self.names)))
        except Exception as error:
            return error


def plain(value: Any) -> Any:
    """A value of either library for comparison."""
    if hasattr(value, "SerializeToString"):
        return value.SerializeToString()
    if isinstance(value, np.ndarray):
        return ("array", value.tolist(), value.dtype, value.flags.writeable)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, theirs.SentencePieceProcessor | ours.SentencePieceProcessor):
        return "a processor"
    return value


EXPRESSIONS = r"""
new.encode("a")|new.encode(["a"])|new.encode([])|new.encode("a", return_type=str)|new.encode("a", add_bos=True)
new.decode([1])|new.decode([])|new.decode(["a"])|new.nbest_encode("a")|new.normalize("a")|new.normalize(b"a")
new.normalize("a", with_offsets=True)|new.piece_size()|len(new)|new.id_to_piece(0)|new.piece_to_id("a")
new.get_score(0)|new.unk_id(), new.bos_id(), new.eos_id(), new.pad_id()|new.serialized_model_proto()
new.is_unknown(0)|new["a"]|spm.SentencePieceProcessor("nofile")
spm.SentencePieceProcessor(model_file=path, model_proto=data)|spm.SentencePieceProcessor(model_proto=b"garbage")
spm.SentencePieceProcessor(model_proto=b"")|spm.SentencePieceProcessor(model_proto=5)
spm.SentencePieceProcessor(model_file=5)|spm.SentencePieceProcessor(model_file=Path(path))
spm.SentencePieceProcessor(model_file=path.encode())|spm.SentencePieceProcessor(model_proto=bytearray(data))
spm.SentencePieceProcessor(model_proto=data[:5000])|new.Load()|new.load("")|new.load_from_file(None)
new.load_from_serialized_proto(b"")|new.load_from_file(filename="")|sp.load_from_file(filename=path)
sp.load_from_serialized_proto(serialized=data)|sp.load(path)|sp.Load(model_proto=data)
spm.SentencePieceProcessor.from_file("nofile")|spm.SentencePieceProcessor.from_file(path, model_proto=b"x")
spm.SentencePieceProcessor.from_file(path, out_type=str).encode("the river")
spm.SentencePieceProcessor.from_proto(data, add_bos=True).encode("the river")
spm.SentencePieceProcessor.from_proto(data, model_file="x")
spm.SentencePieceProcessor(model_file=path, out_type="x")
spm.SentencePieceProcessor(model_file=path, out_type=float)
spm.SentencePieceProcessor(model_file=path, out_type=int, return_type=int)
spm.SentencePieceProcessor(path, None, str, True, True, True).encode("the river")
spm.SentencePieceProcessor(path, num_threads="x").encode("a")
spm.SentencePieceProcessor(path, alpha="x").encode("a")
spm.SentencePieceProcessor(path, nbest_size=None).encode("a")
spm.SentencePieceProcessor(path, alpha=None).encode("a")
spm.SentencePieceProcessor(path, nbest_size=None).nbest_encode("a")
spm.SentencePieceProcessor(path, alpha=None, enable_sampling=True).encode("a")
spm.SentencePieceProcessor(path, nbest_size=1, enable_sampling=True).encode("a")
spm.SentencePieceProcessor(path, add_bos=None).encode("a")
spm.SentencePieceProcessor(path, add_bos="x").encode("a")
spm.SentencePieceProcessor(path, out_type="proto").decode([5])
spm.SentencePieceProcessor(path, out_type=bytes).decode([5])|sp.encode("a", out_type=int, return_type=int)
sp.encode("a", out_type=float)|sp.encode("a", out_type="x")|sp.encode(("a", "b"))|sp.encode(None)|sp.encode(5)
sp.encode(bytearray(b"a"))|sp.encode([bytearray(b"a")])|sp.encode([1])|sp.encode([None])|sp.encode([["a"]])
sp.encode(["a", b"b"])|sp.encode(np.array(["a"]))|sp.encode({"a"})
sp.encode(["a", b"b"], out_type="offset_mapping")|sp.encode([b"a", "b"], out_type="offset_mapping")
sp.encode("\ud800")|sp.encode(["\ud800"])|sp.encode("\ud800", out_type=str)
sp.encode("\ud800", out_type="proto")|sp.encode(["\ud800"], out_type="proto")
sp.encode(["\ud800"], out_type="offset_mapping")|sp.encode("\ud800", add_bos=True)
sp.encode("a", num_threads="x")|sp.encode("a", num_threads=None)|sp.encode("a", num_threads=1.0)
sp.encode("a", num_threads=True)|sp.encode("a", num_threads=2**40)|sp.encode(["a"], num_threads=2**40)
sp.encode(["a"], num_threads=0)|sp.encode(["a"], num_threads=-5)|sp.encode(["a"], num_threads=np.int64(2))
sp.encode(["a"], thread_pool=5)|sp.encode("a", thread_pool=5)|sp.encode(["a"], thread_pool=spm.ThreadPool(2))
sp.encode("a", add_bos=1)|sp.encode("a", add_bos="x")|sp.encode("a", add_bos=[])|sp.encode("a", add_bos=0.5)
sp.encode("a", add_bos=np.True_)|sp.encode("a", reverse="x")|sp.encode("a", emit_unk_piece="x")
sp.encode("a", emit_unk_piece="x", out_type=str)|sp.encode("a", enable_sampling="x")
sp.encode("a", enable_sampling=1, nbest_size=0)|sp.encode("a", enable_sampling=1, nbest_size=1)
sp.encode("a", enable_sampling=True, nbest_size=0)|sp.encode("a", enable_sampling=True, nbest_size=1)
sp.encode("a", enable_sampling=True, nbest_size=513)|sp.encode("a", enable_sampling=True, nbest_size=2.5)
sp.encode("a", enable_sampling=True, nbest_size="x")|sp.encode("a", nbest_size="x")
sp.encode("a", nbest_size=513)|sp.encode("a", alpha="x")|sp.encode("a", alpha=-1)|sp.encode("a", alpha=True)
sp.encode("a", alpha="0.5")|sp.encode("a", alpha=np.float32(0.5))|sp.encode("a", nbest_size=np.int64(5))
sp.encode("a", nbest_size=True)|sp.encode("a", enable_sampling=True, alpha=-1)
sp.encode("a", enable_sampling=True, alpha=float("nan"))
sp.encode("a", enable_sampling=True, alpha=float("inf"))|sp.encode("a", enable_sampling=True, alpha=1e300)
sp.encode(["a"], enable_sampling=True, alpha=-1.0, nbest_size=5)|sp.encode([], enable_sampling=True, alpha=-1.0)
sp.encode("", enable_sampling=True, alpha=-1.0)|sp.encode("", enable_sampling=True)
sp.encode("  ", enable_sampling=True)|sp.encode("", enable_sampling=True, nbest_size=5, out_type=str)
sp.encode(["", " "], enable_sampling=True)|sp.encode("a", return_bytes=True)|sp.encode("a", return_bytes=False)
sp.encode("a", return_bytes=True, out_type="offset_mapping")
sp.encode(b"a", return_bytes=False, out_type="offset_mapping")
sp.encode("a", return_bytes="x", out_type="offset_mapping")
sp.encode("a", add_bos=True, out_type="offset_mapping")|sp.encode("a", add_bos=True, out_type="proto")
sp.encode("a", emit_unk_piece=True, out_type="serialized_proto")
sp.encode(["a"], reverse=True, out_type="serialized_proto")
sp.encode([], reverse=True, out_type="serialized_proto")|sp.encode(5, reverse=True, out_type="serialized_proto")
sp.encode("a", bogus=1)|sp.encode("the river", True)|sp.encode("the river", True, False, True)
sp.encode_as_ids("a", return_type=str)|sp.encode_as_ids("a", out_type=str)|sp.encode_as_ids(["a"], add_bos=True)
sp.sample_encode_as_ids("a", 0, 0.1)|sp.sample_encode_as_ids("a", -1, 0.1, enable_sampling=False)
bare.encode("a", add_bos=True)|bare.encode("a", add_eos=True, out_type=str)|bare.encode(["a"], add_bos=True)
bare.encode([], add_bos=True)|bare.encode("a", add_bos=True, out_type="proto")
bare.nbest_encode("a", add_bos=True)|bare.parallel_encode("a", add_bos=True, chunk_len=5)
no_unk.encode("☃", out_type=str, emit_unk_piece=True)|sp.decode(None)|sp.decode("")|sp.decode(b"")|sp.decode([])
sp.decode(())|sp.decode([[]])|sp.decode([[], [5]])|sp.decode([[], ["a"]])|sp.decode([], out_type=bytes)
sp.decode([], out_type="proto")|sp.decode([[]], out_type=bytes)|sp.decode([], out_type="offset_mapping")
sp.decode(None, out_type="offset_mapping")|sp.decode([["a"], []], out_type=bytes)
sp.decode([5, 6], out_type="numpy")|sp.decode([5, 6], out_type=int)|sp.decode(5)|sp.decode(True)|sp.decode("a")
sp.decode(b"a")|sp.decode(1.5)|sp.decode([1.5])|sp.decode([None])|sp.decode([5, "a"])|sp.decode(["a", 5])
sp.decode(["a", b"b"])|sp.decode([b"a", "b"])|sp.decode([[b"a"], ["b"]])|sp.decode([["a"], [5]])
sp.decode([[5], ["a"]])|sp.decode([5, [6]])|sp.decode([[5], 6])|sp.decode({5, 6})|sp.decode({5: 1})
sp.decode((5, 6))|sp.decode(((5, 6), (7,)))|sp.decode(range(5, 8))|sp.decode(np.array([5, 6]))
sp.decode(np.array([5, 6], dtype=np.int8))|sp.decode(np.array([5, 6], dtype=np.uint64))
sp.decode(np.array([[5, 6], [7, 8]]))|sp.decode(np.array([5.0, 6]))|sp.decode(np.array([]))
sp.decode(np.array([], dtype=np.int32))|sp.decode(np.array(5))|sp.decode(np.int32(5))
sp.decode(np.array([[[5]]]))|sp.decode([np.array([5, 6]), np.array([7])])|sp.decode(np.array(["a", "b"]))
sp.decode([-1])|sp.decode([size])|sp.decode(size)|sp.decode([2**31])|sp.decode([2**40])
sp.decode(np.array([2**40]))|sp.decode([[size]])|sp.decode(np.array([True, False]))
sp.decode([5, size], out_type="proto")|sp.decode([5, -1], out_type=bytes)|sp.decode([1.5], out_type="proto")
sp.decode([5], return_type=str, out_type=str)|sp.decode([5], num_threads="x")|sp.decode([[5]], thread_pool=5)
sp.decode([5], return_bytes=True)|sp.decode([5], return_bytes=True, out_type="offset_mapping")
sp.decode([b"a"], out_type="offset_mapping")
sp.decode(["▁the", "▁zzzz", "<unk>", "<s>", "zz"], out_type="offset_mapping")|sp.decode(["zzz", "▁", "▁the"])
sp.decode([0, 1, 2, 5, 0])|sp.decode([0, 1, 2, 5, 0], out_type="offset_mapping")
sp.decode([0, 1, 2, 5, 0], out_type="proto")|sp.decode([0, 1, 2, 5, 0], out_type=bytes)|sp.decode(["\ud800"])
bytes_.decode(["<0xE8>", "a"], out_type="offset_mapping")|bytes_.decode(["<0xE8>", "a"], out_type="proto")
sp.decode_ids([5])|sp.decode_ids(["a"])|sp.decode_pieces([5])|sp.decode_ids([5], None, out_type=bytes)
sp.decode_ids_as_proto([5], out_type=bytes)|sp.decode_ids_as_proto(["a"])|sp.decode_pieces_as_proto(["a", "☃"])
sp.nbest_encode("the", nbest_size=513)|sp.nbest_encode("the", nbest_size="x")
sp.nbest_encode("the", nbest_size=2.5)|sp.nbest_encode("the", nbest_size=-3)|sp.nbest_encode("")
sp.nbest_encode("", nbest_size=3)|sp.nbest_encode("", nbest_size=3, out_type="proto")
sp.nbest_encode("a", nbest_size=3, out_type="offset_mapping")
sp.nbest_encode([], nbest_size=3, out_type="offset_mapping")
sp.nbest_encode("a", nbest_size=2, out_type="proto", add_bos=True)|sp.nbest_encode(("a",))
sp.nbest_encode(["the", 5])|sp.nbest_encode("a", out_type="x")|sp.nbest_encode("a", num_threads=1)
sp.nbest_encode_as_ids("a", 2, return_type=str)|sp.nbest_encode("the", nbest_size=1, out_type="proto")
sp.parallel_encode("a")|sp.parallel_encode("a", chunk_len=0)|sp.parallel_encode("a", chunk_len=2.5)
sp.parallel_encode("a", chunk_len=True)|sp.parallel_encode("a", chunk_len=2**40)
sp.parallel_encode(5, chunk_len=10)|sp.parallel_encode("a", chunk_len=10, out_type="proto", add_bos=True)
sp.parallel_encode("", chunk_len=10)|sp.parallel_encode("a", chunk_len=10, out_type="offset_mapping")
sp.parallel_encode("a", chunk_len=10, num_threads="x")
sp.parallel_encode([], chunk_len=10, out_type="offset_mapping")
sp.parallel_encode("a", chunk_len=10, thread_pool=5)|sp.normalize(5)|sp.normalize(("a",))|sp.normalize(["a", 5])
sp.normalize("\ud800")|sp.normalize("", with_offsets=True)|sp.normalize(b"", with_offsets=True)
sp.normalize("  ", with_offsets=True)|sp.normalize(b"\xff a", with_offsets=True)|sp.piece_to_id("zzzz")
sp.piece_to_id(b"a")|sp.piece_to_id(bytearray(b"a"))|sp.piece_to_id(["a", b"b"])|sp.piece_to_id(("a",))
sp.piece_to_id([])|sp.piece_to_id([5])|sp.piece_to_id(5)|sp.piece_to_id(None)|sp.piece_to_id({"a"})
sp.piece_to_id({"a": 1})|sp.piece_to_id(np.array(["a", "b"]))|sp.piece_to_id("\ud800")|sp.piece_to_id(b"\xff")
sp.id_to_piece([5, 6])|sp.id_to_piece((5, 6))|sp.id_to_piece(np.array([5, 6]))|sp.id_to_piece(np.int64(5))
sp.id_to_piece(np.array(5))|sp.id_to_piece(5.0)|sp.id_to_piece(True)|sp.id_to_piece("a")|sp.id_to_piece(None)
sp.id_to_piece(-1)|sp.id_to_piece(size)|sp.id_to_piece(2**31)|sp.id_to_piece(2**70)|sp.id_to_piece([size])
sp.id_to_piece([2**31])|sp.id_to_piece([])|sp.id_to_piece({5})|sp.id_to_piece(range(3))|sp.id_to_piece([[5]])
sp.id_to_piece([5.0])|sp.id_to_piece(np.array([5.0]))|sp.get_score([5, 6])|sp.get_score(size)|sp.get_score(-1)
sp.is_unknown(0), sp.is_control([0, 1, 2]), sp.is_unused(5), sp.is_byte(5)|bytes_.is_byte([3, 300])|sp["a"]
sp[5]|sp[["a"]]|sp["zzzz"]|"a" in sp|list(sp)|spm.ThreadPool(2).num_threads()|spm.ThreadPool(-1).num_threads()
spm.ThreadPool(0).num_threads()|spm.ThreadPool()|spm.ThreadPool(5000).num_threads()|spm.ThreadPool("x")
spm.ThreadPool(2.5)|spm.ThreadPool(num_threads=2)|spm.ThreadPool(2**40)|spm.set_random_generator_seed(5)
spm.set_random_generator_seed(-1)|spm.set_random_generator_seed(2**32 - 1)|spm.set_random_generator_seed(2**32)
spm.set_random_generator_seed("x")|spm.set_random_generator_seed(5.0)|spm.set_random_generator_seed(True)
spm.set_random_generator_seed(seed=5)|spm.set_min_log_level(2)|spm.set_min_log_level("x")
spm.set_nbest_timeout(30000)|spm.set_nbest_timeout("x")|spm.set_data_dir(5)|spm.set_data_dir(None)
spm.SentencePieceNormalizer()|spm.SentencePieceNormalizer(rule_name="nfkc").normalize("Ａ")
spm.SentencePieceNormalizer(rule_name="nfkc").Normalize(["Ａ"], with_offsets=True)|spm.ConvertToFlatbuffer()
len(spm.convert_to_flatbuffer(model_file=path))|spm.SentencePieceTrainer.Train("--nothing=1")
"""


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[Given, Given]:
    return Given(theirs, tmp_path_factory.mktemp("theirs")), Given(ours, tmp_path_factory.mktemp("ours"))


@pytest.mark.parametrize("expression", [e.strip() for line in EXPRESSIONS.strip().split("\n") for e in line.split("|")])
def test_the_same_value_or_error(given: tuple[Given, Given], expression: str) -> None:
    """Every value, and of errors their type; a file that is missing is an OSError, too, as before 0.2.3."""
    expected, actual = given[0](expression), given[1](expression)
    if isinstance(expected, Exception):
        kinds = type(actual).__mro__[: 3 if isinstance(actual, OSError) else 1]
        assert type(expected) in kinds, (expected, actual)
        assert str(actual), "an error says what is wrong"
    else:
        assert actual == expected
        assert type(actual) is type(expected)


# -- what only this one does -----------------------------------------------------------------------------------------


def test_the_type_as_second_argument() -> None:
    """As programs written for 0.2.0 pass it; with more arguments it is refused, not taken for another."""
    processor = ours.SentencePieceProcessor(model_proto=KINDS["nmt_nfkc"]())
    assert processor.encode("the river", str) == processor.encode("the river", return_type=str)
    assert processor.nbest_encode("the", str) == processor.nbest_encode("the", return_type=str)
    with pytest.raises(TypeError, match="return_type"):
        processor.encode("the river", str, True)


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    for kind in (OSError, RuntimeError):
        with pytest.raises(kind, match="nofile"):
            ours.SentencePieceProcessor(model_file=str(tmp_path / "nofile"))


# -- pickles ---------------------------------------------------------------------------------------------------------


def test_pickles_keep_the_settings() -> None:
    settings: dict[str, Any] = {
        "return_type": str, "add_bos": True, "reverse": True, "enable_sampling": True, "nbest_size": -1, "alpha": 0.3,
    }  # fmt: skip
    processor = ours.SentencePieceProcessor(model_proto=KINDS["byte fallback"](), **settings)
    processor.set_decode_extra_options("reverse")
    copy = pickle.loads(pickle.dumps(processor))
    ours.set_random_generator_seed(3)
    first = [processor.encode("the river was high") for _ in range(5)]
    ours.set_random_generator_seed(3)
    assert [copy.encode("the river was high") for _ in range(5)] == first
    assert copy.decode(first[0]) == processor.decode(first[0])
    assert copy.serialized_model_proto() == processor.serialized_model_proto()


def test_states_of_the_library() -> None:
    """Those of 0.2.3, a dict, and of older versions, the bytes of the model."""
    model = KINDS["nmt_nfkc"]()
    library = theirs.SentencePieceProcessor(model_proto=model, out_type=str, add_eos=True)
    for state in (library.__getstate__(), model):
        processor = ours.SentencePieceProcessor.__new__(ours.SentencePieceProcessor)
        processor.__setstate__(state)
        expected = ["the"] if state is model else library.encode("the river")
        assert (state is model and isinstance(processor.encode("the river")[0], int)) or (
            processor.encode("the river") == expected
        )
    back = theirs.SentencePieceProcessor.__new__(theirs.SentencePieceProcessor)
    back.__setstate__(ours.SentencePieceProcessor(model_proto=model, out_type=str, add_eos=True).__getstate__())
    assert back.encode("the river") == library.encode("the river")


def test_a_processor_without_a_model_does_not_unpickle() -> None:
    for module in (theirs, ours):
        with pytest.raises(RuntimeError):
            pickle.loads(pickle.dumps(module.SentencePieceProcessor()))


# -- what the library does -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["bpe", "word", "char"])
def other_type(request: pytest.FixtureRequest) -> bytes:
    from conftest import train

    return train(model_type=request.param, vocab_size=500)


CALLS: list[Callable[[Any], Any]] = [
    lambda sp: sp.encode("the river"),
    lambda sp: sp.encode(["the river", "a"], return_type=str, add_bos=True, num_threads=2),
    lambda sp: sp.encode("the river", return_type="proto"),
    lambda sp: sp.encode(["the river"], return_type="serialized_proto"),
    lambda sp: sp.encode(["the river"], return_type="offset_mapping"),
    lambda sp: sp.encode("the river", return_type="numpy", reverse=True),
    lambda sp: sp.decode(sp.encode("the river")),
    lambda sp: sp.decode([[3, 4], [5]], return_type="proto"),
    lambda sp: sp.parallel_encode("the river", chunk_len=5, return_type=str),
    lambda sp: sp.normalize("the  river", with_offsets=True),
    lambda sp: (len(sp), sp.piece_to_id("a"), sp.id_to_piece([3, 4]), sp.get_score(3), sp.unk_id(), sp.bos_id()),
    lambda sp: sp.is_unknown([0, 1]),
    lambda sp: sp.serialized_model_proto(),
]


@pytest.mark.parametrize("call", CALLS)
def test_models_of_other_types(other_type: bytes, call: Callable[[Any], Any]) -> None:
    expected = call(theirs.SentencePieceProcessor(model_proto=other_type))
    processor = ours.SentencePieceProcessor(model_proto=other_type)
    assert plain(call(processor)) == plain(expected)
    assert plain(call(pickle.loads(pickle.dumps(processor)))) == plain(expected)


def test_what_the_library_has_no_more(other_type: bytes) -> None:
    processor = ours.SentencePieceProcessor(model_proto=other_type)
    with pytest.raises(RuntimeError, match="not a Unigram model"):
        processor.calculate_entropy("a", 0.5)


def test_training_and_normalizers(tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("the river was high\nthe boats went by\n" * 50)
    ours.SentencePieceTrainer.train(
        input=str(texts), model_prefix=str(tmp_path / "m"), vocab_size=30, hard_vocab_limit=False, minloglevel=2
    )
    processor = ours.SentencePieceProcessor(model_file=str(tmp_path / "m.model"))
    assert processor.decode(processor.encode("the river")) == "the river"
    normalizer = ours.SentencePieceNormalizer(rule_name="nfkc", add_dummy_prefix=False)
    assert pickle.loads(pickle.dumps(normalizer)).normalize("ＡＢ") == normalizer.normalize("ＡＢ") == "AB"
    assert normalizer.decompile() == theirs.SentencePieceNormalizer(rule_name="nfkc").Decompile()


def test_without_the_library(tmp_path: Path) -> None:
    """Unigram models need it for nothing; the rest says what to install."""
    (tmp_path / "sentencepiece.py").write_text("raise ImportError('hidden')")
    (tmp_path / "unigram.model").write_bytes(KINDS["nmt_nfkc"]())
    (tmp_path / "program.py").write_text(
        "import viterbi_sampling.compat.sentencepiece as spm\n"
        "sp = spm.SentencePieceProcessor(model_file='unigram.model')\n"
        "spm.set_min_log_level(2)\n"
        "assert sp.decode(sp.encode('the river', out_type='proto').pieces[0].id) == 'the'\n"
        "for call in (spm.SentencePieceTrainer.train, spm.SentencePieceNormalizer, spm.convert_to_flatbuffer):\n"
        "    try:\n"
        "        call()\n"
        "    except ImportError as error:\n"
        "        assert \"pip install 'viterbi-sampling[sentencepiece]'\" in str(error), error\n"
        "    else:\n"
        "        raise SystemExit(call)\n"
    )
    root = str(Path(__file__).resolve().parent.parent)
    environment = os.environ | {"PYTHONPATH": root}
    subprocess.run([sys.executable, "program.py"], cwd=tmp_path, env=environment, check=True)


def test_in_the_place_of_the_library() -> None:
    """Under its name in sys.modules, for programs that cannot be changed; the library is found all the same."""
    program = """
import sys
import viterbi_sampling.compat.sentencepiece as spm
sys.modules["sentencepiece"] = spm
import sentencepiece
from sentencepiece import sentencepiece_model_pb2, sentencepiece_pb2
from sentencepiece import SentencePieceProcessor
processor = sentencepiece.SentencePieceProcessor(model_proto=open(sys.argv[1], "rb").read())
assert type(processor) is spm.SentencePieceProcessor and processor._library is not None
model = sentencepiece_model_pb2.ModelProto.FromString(processor.serialized_model_proto())
assert len(model.pieces) == len(processor) == 500
message = sentencepiece_pb2.SentencePieceText.FromString(processor.encode("the", return_type="serialized_proto"))
assert [piece.id for piece in message.pieces] == processor.encode("the")
assert sentencepiece.SentencePieceNormalizer(rule_name="nfkc", add_dummy_prefix=False).normalize("\uff21") == "A"
assert sys.modules["sentencepiece"] is spm
"""
    from conftest import train

    with tempfile.NamedTemporaryFile() as file:
        file.write(train(model_type="bpe", vocab_size=500))
        file.flush()
        subprocess.run([sys.executable, "-c", program, file.name], check=True)


def test_the_protobuf_modules() -> None:
    from sentencepiece import sentencepiece_model_pb2 as expected

    from viterbi_sampling.compat.sentencepiece import sentencepiece_model_pb2, sentencepiece_pb2

    assert sentencepiece_model_pb2.ModelProto is expected.ModelProto
    processor = ours.SentencePieceProcessor(model_proto=expected.ModelProto.FromString(KINDS["nmt_nfkc"]()))
    message = sentencepiece_pb2.SentencePieceText.FromString(processor.encode("the", return_type="serialized_proto"))
    assert message.pieces[0].piece == "▁the"
