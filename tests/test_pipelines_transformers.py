"""The transformers class beside the stock tokenizers, built from the same local files: ids, rows, tensors, samples."""

from __future__ import annotations

import itertools
import lzma
import pickle
import random
import shutil
import subprocess
import sys
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import xxhash
from conftest import SHARED, optional
from test_huggingface import small as document

from viterbi_sampling import Tokenizer
from viterbi_sampling.pipelines.keys import keys_of_parts

transformers = optional("transformers")
pytestmark = pytest.mark.pipelines

MODELS = SHARED / "models" / "sentencepiece"
FAMILIES = {
    "t5": ("t5_base_32k.model", "spiece.model", "T5Tokenizer"),
    "xlm_roberta": ("xlmr_250k_rebuilt.model", "sentencepiece.bpe.model", "XLMRobertaTokenizer"),
}
DOCUMENTS = SHARED / "models" / "tokenizers"


@pytest.fixture(scope="module", params=[*FAMILIES, "t5 json", "xlm_roberta json"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """(ours, the stock tokenizer) of one family, from the same file."""
    if not SHARED.is_dir():
        pytest.skip(f"no shared data at {SHARED}")
    from viterbi_sampling.pipelines.transformers import ViterbiSamplingTokenizer

    family = request.param.split()[0]
    source, name, kind = FAMILIES[family]
    folder = tmp_path_factory.mktemp(family)
    shutil.copy(MODELS / source, folder / name)
    stock = getattr(transformers, kind).from_pretrained(folder)
    if family == request.param:
        return getattr(ViterbiSamplingTokenizer, family)(folder / name), stock
    saved = tmp_path_factory.mktemp("saved")  # the tokenizer.json and settings that the stock tokenizer writes
    stock.save_pretrained(saved)
    return ViterbiSamplingTokenizer.from_pretrained(saved), stock


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The bundled model."""
    from viterbi_sampling.pipelines.transformers import ViterbiSamplingTokenizer

    return ViterbiSamplingTokenizer(str(files("viterbi_sampling.data") / "default.model"), pad_token="<pad>")


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """Some thousand lines in many languages, and naughty ones."""
    found: list[str] = []
    for name, step in (("flores101_dev_devtest.tsv.xz", 97), ("tatoeba_laser_v1.tsv.xz", 61)):
        with lzma.open(SHARED / "corpora" / name, "rt", encoding="utf-8") as file:
            found += [line.split("\t", 1)[1].rstrip("\n") for line in itertools.islice(file, 0, None, step)]
    return [*found, *(SHARED / "corpora" / "adversarial_blns.txt").read_text(encoding="utf-8").split("\n")]


def test_type_ids_of_windows_are_those_of_the_library(tmp_path: Path) -> None:
    """A template's own type ids stay where its special tokens go, and only the first window of a text has them."""
    from viterbi_sampling.pipelines.transformers import ViterbiSamplingTokenizer

    end = {"SpecialToken": {"id": "<unk>", "type_id": 7}}
    single = [{"Sequence": {"id": "A", "type_id": 5}}, end]
    template = {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, {"Sequence": {"id": "B", "type_id": 6}}, end],
        "special_tokens": {"<unk>": {"id": "<unk>", "ids": [0], "tokens": ["<unk>"]}},
    }
    for processor, special, overflowing in itertools.product([template, None], [True, False], [True, False]):
        path = tmp_path / "tokenizer.json"
        path.write_text(document(post_processor=processor))
        ours = ViterbiSamplingTokenizer(str(path))
        stock = transformers.PreTrainedTokenizerFast(tokenizer_file=str(path))
        options = {"add_special_tokens": special, "return_overflowing_tokens": overflowing, "stride": 1}
        options |= {"return_token_type_ids": True, "truncation": True, "max_length": 8}
        given, wanted = (dict(tokenizer("abbaabba", "bababbab", **options)) for tokenizer in (ours, stock))
        assert given == wanted
        assert overflowing == ("overflow_to_sample_mapping" in given)


# -- ids of the stock tokenizers ---------------------------------------------------------------------


@pytest.mark.shared
def test_ids_are_the_stock_tokenizers(both: tuple[Any, Any], lines: list[str]) -> None:
    """Where they differ, transformers' conversion of the model file changes its ids: sentencepiece decides."""
    ours, stock = both
    given, wanted = ours(lines).input_ids, stock(lines).input_ids
    differ = [i for i, (a, b) in enumerate(zip(given, wanted, strict=True)) if a != b]
    assert len(lines) > 3000
    assert len(differ) < len(lines) / 500, [lines[i] for i in differ]
    if ours.unigram._model.pipeline is not None:
        assert not differ, [lines[i] for i in differ]
        return
    processor = sentencepiece.SentencePieceProcessor(model_proto=ours.unigram._model.source)
    for i in differ:
        assert ours.unigram.encode(lines[i]) == processor.encode(lines[i])
        bare = ours(lines[i], add_special_tokens=False, split_special_tokens=True).input_ids
        assert bare == ours._layout.ids_of(np.array(processor.encode(lines[i]), np.int32)).tolist()


def rows_of(tokenizer: Any, *texts: Any, **options: Any) -> dict[str, Any]:
    return dict(tokenizer(*texts, **options))


SPECIAL = {
    "t5": ["a<extra_id_0>b", "<extra_id_99> x </s> y", "</s>", "<pad><unk>", " <extra_id_1> <extra_id_1>", "x</s", ""],
    "xlm_roberta": ["a<mask>b", "<s> x </s> y", "</s>", "<pad><unk>", " <mask> <mask>", "x</s", ""],
}


@pytest.mark.shared
def test_special_tokens_in_texts(both: tuple[Any, Any]) -> None:
    ours, stock = both
    texts = SPECIAL["t5" if "T5" in type(stock).__name__ else "xlm_roberta"]
    assert rows_of(ours, texts) == rows_of(stock, texts)
    assert rows_of(ours, texts, add_special_tokens=False) == rows_of(stock, texts, add_special_tokens=False)
    for text in texts:
        assert rows_of(ours, text) == rows_of(stock, text)


@pytest.mark.shared
def test_rows_of_many_forms(both: tuple[Any, Any], lines: list[str]) -> None:
    """Pairs, truncation, padding and masks, in a few hundred combinations drawn at random with a fixed seed."""
    ours, stock = both
    plain = [line for line in lines if line.isascii() and line.isprintable() and line.strip()]
    draw = random.Random(5)
    seen: Counter[str] = Counter()
    for _ in range(300):
        texts = draw.sample(plain, draw.choice([1, 2, 7]))
        others = draw.sample(plain, len(texts)) if draw.random() < 0.5 else None
        truncation = draw.choice([False, True, "only_first", "only_second"] if others else [False, True, "only_first"])
        options = {
            "truncation": truncation,
            "max_length": draw.choice([9, 16, 40, 300]) if truncation else None,
            "add_special_tokens": draw.random() < 0.8,
            "return_attention_mask": draw.random() < 0.8,
            "return_special_tokens_mask": draw.random() < 0.5,
            "return_token_type_ids": draw.random() < 0.3,
            "return_overflowing_tokens": draw.random() < 0.5,
            "stride": draw.choice([0, 0, 1, 3]),
            "return_tensors": draw.choice([None, "np", "pt"]),
            "padding_side": draw.choice(["left", "right"]),
        }
        padding = [True, "max_length"] if options["max_length"] else [True]
        padding += [] if options["return_tensors"] and len(texts) > 1 else [False]
        options["padding"] = draw.choice(padding)
        options["pad_to_multiple_of"] = draw.choice([None, 8]) if options["padding"] is True else None
        ours.truncation_side = stock.truncation_side = draw.choice(["left", "right"])
        arguments = [texts, others] if others else [texts]
        try:
            wanted = stock(*arguments, **options)
        except BaseException as error:  # tokenizers raises a bare Exception where a text is too short to be cut as
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # asked, or panics
                raise
            seen["refused"] += 1
            continue
        given = ours(*arguments, **options)
        assert set(given) == set(wanted), options
        for name, column in wanted.items():
            assert type(given[name]) is type(column), (name, options)
            if not isinstance(column, list):
                assert given[name].dtype == column.dtype, (name, options)
            rows = [[list(map(int, np.atleast_1d(row))) for row in values] for values in (given[name], column)]
            assert rows[0] == rows[1], (name, options)
        seen["windows"] += len(wanted["input_ids"]) > len(texts)
        seen[f"{truncation} {bool(others)}"] += 1
    ours.truncation_side = stock.truncation_side = "right"
    assert len(seen) >= 8, seen
    assert seen["windows"] >= 10, seen
    assert seen["refused"] < 100, seen


@pytest.mark.shared
def test_words_that_the_caller_split(both: tuple[Any, Any], lines: list[str]) -> None:
    ours, stock = both
    words = [line.split() for line in lines[:200] if line.split()]
    assert ours(words, is_split_into_words=True).input_ids == stock(words, is_split_into_words=True).input_ids
    assert rows_of(ours, words[0], is_split_into_words=True) == rows_of(stock, words[0], is_split_into_words=True)


@pytest.mark.shared
def test_decode(both: tuple[Any, Any], lines: list[str]) -> None:
    ours, stock = both
    texts = [line for line in lines if line.isascii()][:500] + SPECIAL[
        "t5" if "T5" in type(stock).__name__ else "xlm_roberta"
    ]
    rows = stock(texts).input_ids
    for skip in (False, True):
        given, wanted = (t.batch_decode(rows, skip_special_tokens=skip) for t in (ours, stock))
        assert given == wanted


@pytest.mark.shared
def test_vocabulary(both: tuple[Any, Any]) -> None:
    ours, stock = both
    assert len(ours) == len(stock)
    assert ours.get_vocab() == stock.get_vocab()
    assert ours.special_tokens_map == stock.special_tokens_map
    ids = [*range(50), *range(len(stock) - 150, len(stock))]
    assert ours.convert_ids_to_tokens(ids) == stock.convert_ids_to_tokens(ids)
    assert ours.convert_tokens_to_ids(ours.convert_ids_to_tokens(ids)) == ids


DOCUMENT_NAMES = ["t5_small_32k", "pegasus_96k", "t5_like_30k_metaspace_split", "llmjp_v2.1_50k_bytefallback"]


@pytest.mark.shared
@pytest.mark.parametrize("name", DOCUMENT_NAMES)
def test_stock_files_of_tokenizer_json(name: str, lines: list[str], tmp_path: Path) -> None:
    """Ids, offsets, masks, type ids and text of what transformers makes of the file; the same when saved and loaded."""
    from viterbi_sampling.pipelines.transformers import ViterbiSamplingTokenizer

    path = str(DOCUMENTS / f"{name}.tokenizer.json")
    ours, stock = ViterbiSamplingTokenizer(path), transformers.PreTrainedTokenizerFast(tokenizer_file=path)
    options = {"return_offsets_mapping": True, "return_special_tokens_mask": True, "return_token_type_ids": True}
    options |= {"padding": False, "truncation": False}
    texts = [line for line in lines if not line.isspace()][::7]
    given, wanted = (dict(tokenizer(texts, **options)) for tokenizer in (ours, stock))
    assert given == wanted
    pairs = [texts[:50], texts[50:100]]
    given, wanted = (dict(tokenizer(*pairs, **options)) for tokenizer in (ours, stock))
    assert given == wanted
    ours.save_pretrained(tmp_path)
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert type(loaded) is ViterbiSamplingTokenizer
    assert dict(loaded(*pairs, **options)) == given
    assert loaded.batch_decode(given["input_ids"]) == stock.batch_decode(wanted["input_ids"])


# -- loading -----------------------------------------------------------------------------------------


@pytest.mark.shared
def test_auto_tokenizer_loads_what_was_saved(both: tuple[Any, Any], tmp_path: Path) -> None:
    ours, _ = both
    ours.save_pretrained(tmp_path)
    text = "Hello <mask> <extra_id_7> world"
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert type(loaded) is type(ours)
    assert loaded(text, text) == ours(text, text)
    assert len(loaded) == len(ours)
    if "T5" not in type(both[1]).__name__:
        return
    script = f"""
import transformers
tokenizer = transformers.AutoTokenizer.from_pretrained({str(tmp_path)!r}, trust_remote_code=True)
print(type(tokenizer).__module__, tokenizer({text!r}).input_ids)
"""
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300).stdout
    assert out.split(maxsplit=1) == ["viterbi_sampling.pipelines.transformers", f"{ours(text).input_ids}\n"]


# -- sampling ----------------------------------------------------------------------------------------

TEXTS = ["The river was still high.", "probability", "川の水はまだ高かった。", "", "The river was still high."]


def test_a_call_samples_what_the_tokenizer_samples(small: Any, bundled: Tokenizer) -> None:
    rows = small(TEXTS, alpha=0.3, seed=7, index=40).input_ids
    assert rows == [bundled.sample(text, alpha=0.3, seed=7, index=40 + i) for i, text in enumerate(TEXTS)]
    assert rows != small(TEXTS).input_ids
    keys = [2**64 - 1, 3, 0, 5, 9]
    rows = small(TEXTS, alpha=0.3, seed=7, index=keys).input_ids
    assert rows == [bundled.sample(text, alpha=0.3, seed=7, index=key) for key, text in zip(keys, TEXTS, strict=True)]
    assert small(TEXTS[0], alpha=0.3, seed=7, index=3).input_ids == bundled.sample(TEXTS[0], alpha=0.3, seed=7, index=3)
    assert small.encode(TEXTS[0], alpha=0.3, seed=7, index=3) == bundled.sample(TEXTS[0], alpha=0.3, seed=7, index=3)


def test_training_mode(small: Any, bundled: Tokenizer) -> None:
    """A text has one sample an epoch, whatever batch it is in; a call's own parameters come first."""
    best = small(TEXTS).input_ids
    try:
        assert small.train(alpha=0.2, seed=1) is small
        assert small.training
        rows = small(TEXTS).input_ids
        assert rows == small(TEXTS).input_ids == [small(text).input_ids for text in TEXTS] != best
        keys = [xxhash.xxh64_intdigest(text.encode()) for text in TEXTS]
        assert rows == [bundled.sample(t, alpha=0.2, seed=1, index=k) for t, k in zip(TEXTS, keys, strict=True)]
        assert small(TEXTS, alpha=0.7, seed=2, index=0).input_ids == [
            bundled.sample(text, alpha=0.7, seed=2, index=i) for i, text in enumerate(TEXTS)
        ]
        assert pickle.loads(pickle.dumps(small))(TEXTS).input_ids == rows
        later = small.train(alpha=0.2, seed=1, epoch=1)(TEXTS).input_ids
        assert later == [
            bundled.sample(t, alpha=0.2, seed=1, index=k, draw=1) for t, k in zip(TEXTS, keys, strict=True)
        ]
        assert later != rows
    finally:
        assert small.eval() is small
    assert not small.training
    assert small(TEXTS, index=3).input_ids == best


def test_tokens_of_a_sample(small: Any) -> None:
    for index in range(20):
        ids = small("probability of rivers", alpha=0.1, seed=3, index=index).input_ids
        tokens = small.tokenize("probability of rivers", alpha=0.1, seed=3, index=index)
        assert tokens == small.convert_ids_to_tokens(ids)


def test_parts_of_a_row_are_independent(small: Any) -> None:
    """The two texts of a pair, stretches between special tokens, and words have keys of their own."""
    text, count = "probability", 300
    options = {"alpha": 0.1, "seed": 5, "index": 0}
    pairs = small([text] * count, [text] * count, return_special_tokens_mask=True, **options).input_ids
    alone = small([text] * count, **options).input_ids
    assert all(row[: len(first)] == first for row, first in zip(pairs, alone, strict=True))
    seconds = [row[len(first) :] for row, first in zip(pairs, alone, strict=True)]
    same = sum(first == second for first, second in zip(alone, seconds, strict=True))
    laws = Counter(map(tuple, alone))
    expected = sum(n * n for n in laws.values()) / count
    assert abs(same - expected) < 6 * np.sqrt(expected) + 6, (same, expected)
    words = small([[text, text]] * count, is_split_into_words=True, **options).input_ids
    assert [row[: len(first)] for row, first in zip(words, alone, strict=True)] == alone
    assert sum(row == first * 2 for row, first in zip(words, alone, strict=True)) < count / 2
    assert keys_of_parts(np.zeros(1000, np.uint64), np.arange(1000, dtype=np.uint64)).tolist().count(0) == 1


def test_offsets_point_into_the_text(small: Any) -> None:
    text = "one<pad>two  three川"
    rows = small([text], return_offsets_mapping=True, alpha=0.2, seed=1, index=1)
    spans = rows["offset_mapping"][0]
    assert [span for span, id in zip(spans, rows["input_ids"][0], strict=True) if id == small.pad_token_id] == [(3, 8)]
    assert "".join(text[start:end] for start, end in spans) == text
    array = small(["a", "probability"], return_offsets_mapping=True, padding=True, return_tensors="np").offset_mapping
    assert array.shape[::2] == (2, 2)


# -- copies ------------------------------------------------------------------------------------------


def test_pickled_bytes_stay_the_same(small: Any) -> None:
    """Whatever was called before; also as datasets pickles and hashes it."""
    from viterbi_sampling.pipelines.transformers import ViterbiSamplingTokenizer

    def fresh() -> Any:
        return ViterbiSamplingTokenizer(str(files("viterbi_sampling.data") / "default.model"), model_max_length=4)

    tokenizer = fresh()
    before = pickle.dumps(tokenizer)
    tokenizer(["a long text, longer than four tokens " * 9], return_tensors="np")
    tokenizer.get_vocab()
    tokenizer(TEXTS, alpha=0.1, seed=1)
    assert pickle.dumps(tokenizer) == before == pickle.dumps(fresh())
    datasets = optional("datasets")
    assert datasets.fingerprint.Hasher.hash(tokenizer) == datasets.fingerprint.Hasher.hash(fresh())


def test_save_and_load(small: Any, tmp_path: Path) -> None:
    small.save_pretrained(tmp_path)
    loaded = type(small).from_pretrained(tmp_path)
    assert loaded(TEXTS) == small(TEXTS)
    assert (tmp_path / "tokenizer.model").read_bytes() == small.unigram._model.source


def test_fairseq_layout_and_added_tokens(small: Any, bundled: Tokenizer, tmp_path: Path) -> None:
    tokenizer = type(small).xlm_roberta(files("viterbi_sampling.data") / "default.model")
    ids = bundled.encode("The river")
    assert tokenizer("The river").input_ids == [0, *(id + 1 for id in ids), 2]
    assert tokenizer("<mask>").input_ids == [0, len(bundled) + 1, 2]
    assert tokenizer.add_tokens(["river", "<new>"]) == 2
    first = len(bundled) + 2
    assert tokenizer("The river<new>", add_special_tokens=False).input_ids[-2:] == [first, first + 1]
    tokenizer.save_pretrained(tmp_path)
    loaded = type(small).from_pretrained(tmp_path)
    assert loaded("The river<new>") == tokenizer("The river<new>")
    assert loaded.decode(loaded("The river<new>").input_ids) == tokenizer.decode(tokenizer("The river<new>").input_ids)


def test_chats_make_batches_of_tensors(small: Any) -> None:
    small.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    chats = [[{"role": "user", "content": "hi"}], [{"role": "user", "content": "a longer one"}] * 3]
    rows = small.apply_chat_template(chats, padding=True, return_tensors="pt", return_dict=True)
    assert rows["input_ids"].shape == rows["attention_mask"].shape
    assert small.batch_decode(rows["input_ids"], skip_special_tokens=True)[0] == "user: hi\n"
    marked = [{"role": "user", "content": "a<pad>b"}]
    for sanitize, found in ((False, True), (True, False)):
        row = small.apply_chat_template(marked, return_dict=True, sanitize_control_tokens=sanitize)["input_ids"]
        assert (small.pad_token_id in row) is found
    small.chat_template = None


def test_errors(small: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="unexpected arguments bogus"):
        small("x", bogus=1)
    with pytest.raises(ValueError, match="alpha must be finite"):
        small("x", alpha=-1.0)
    with pytest.raises(ValueError, match="index must be an int or have one entry a text: 2 texts"):
        small(["x", "y"], alpha=1.0, index=[1, 2, 3])
    with pytest.raises(TypeError, match="each text must be a str"):
        small(["x", 3])
    with pytest.raises(ValueError, match="text_pair must be a batch"):
        small(["x", "y"], ["z"])
    with pytest.raises(ValueError, match="needs pairs"):
        small("one two three four five", truncation="only_second", max_length=3)
    with pytest.raises(ValueError, match="stride is 2, not less than the 2 tokens kept of row 0"):
        small("one two three four five", truncation=True, max_length=2, stride=2)
    with pytest.raises(ValueError, match="layout must be"):
        type(small)(str(files("viterbi_sampling.data") / "default.model"), layout="bogus")
    shutil.copy(str(files("viterbi_sampling.data") / "default.model"), tmp_path / "sentencepiece.bpe.model")
    with pytest.raises(ValueError, match=r"give special_tokens_pattern .* and layout"):
        type(small).from_pretrained(tmp_path)
    pattern = {"layout": "fairseq", "special_tokens_pattern": "cls_double_sep"}
    assert type(small).from_pretrained(tmp_path, **pattern)("x").input_ids[0] == 0
    with pytest.raises(ValueError, match="no model file"):
        type(small)()
