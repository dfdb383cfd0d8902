"""Models from one format to another: equal ids, or an error that says why."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path

import pytest
import sentencepiece
import tokenizers
from click.testing import CliRunner
from conftest import SHARED, train
from test_huggingface import SMALL, added, lines_of, small

from viterbi_sampling import ModelError, Tokenizer
from viterbi_sampling.cli import main
from viterbi_sampling.formats.charsmap import charsmap_of, rules_of
from viterbi_sampling.formats.sentencepiece import read

TO_MODEL = ["llmjp_v2.1_50k_bytefallback", "t5_small_32k", "pegasus_96k", "xlnet_base_cased_32k_no_type"]
TO_JSON = ["nai_t5_32k_extra_ids", "hf_fixture_1k", "llmjp_v2.1_50k", "hf_fixture_bytefallback_2k"]


def texts() -> list[str]:
    """Lines without what the libraries treat differently: spaces at the ends, special tokens, runs that tie, marks."""
    draw = random.Random(1)
    found = []
    for name in (
        "en_botchan.txt",
        "react_docs_ru.md.txt.xz",
        "ja_wagahaiwa_nekodearu.txt.xz",
        "tatoeba_laser_v1.tsv.xz",
    ):
        lines = lines_of(SHARED / "corpora" / name)
        found += [re.sub(" +", " ", line.strip()) for line in draw.sample(lines, 250)]
    return [line for line in found if not re.search(r"[\u0300-\u036f\u0900-\u0eff\u200b-\u200f]|<|(.)\1\1\1", line)]


@pytest.mark.shared
@pytest.mark.parametrize("name", TO_MODEL)
def test_a_tokenizer_json_becomes_a_model_with_the_same_ids(name: str, tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_file(SHARED / "models" / "tokenizers" / f"{name}.tokenizer.json")
    tokenizer.save(tmp_path / "a.model", format="sentencepiece")
    peer = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "a.model"))
    lines = texts()
    wanted = tokenizer.encode_batch(lines).to_list()
    assert peer.encode(lines) == wanted
    assert Tokenizer.from_file(tmp_path / "a.model").encode_batch(lines).to_list() == wanted
    given = tokenizers.Tokenizer.from_file(str(SHARED / "models" / "tokenizers" / f"{name}.tokenizer.json"))
    ids = list(range(given.get_vocab_size()))
    assert peer.id_to_piece(ids) == [given.id_to_token(id) for id in ids]
    named = (tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id)
    assert (peer.unk_id(), peer.bos_id(), peer.eos_id(), peer.pad_id()) == tuple(
        -1 if id is None else id for id in named
    )
    assert tokenizer.pad_id is not None


@pytest.mark.shared
@pytest.mark.parametrize("name", TO_JSON)
def test_a_model_becomes_a_tokenizer_json_with_the_same_ids(name: str, tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_file(SHARED / "models" / "sentencepiece" / f"{name}.model")
    tokenizer.save(tmp_path / "a.json", format="huggingface")
    peer = tokenizers.Tokenizer.from_file(str(tmp_path / "a.json"))
    lines = texts()
    wanted = tokenizer.encode_batch(lines).to_list()
    assert [encoding.ids for encoding in peer.encode_batch(lines, add_special_tokens=False)] == wanted
    assert Tokenizer.from_file(tmp_path / "a.json").encode_batch(lines).to_list() == wanted
    known = [ids for ids in wanted if tokenizer.unk_id not in ids]  # an unknown token is left out there
    assert tokenizer.decode_batch(known) == [peer.decode(ids) for ids in known]


@pytest.mark.shared
@pytest.mark.parametrize("name", ["albert_30k", "onmt_wmt_ende_32k"])
def test_what_differs_in_raw_lines_are_ties(name: str, tmp_path: Path) -> None:
    path = SHARED / "models" / "sentencepiece" / f"{name}.model"
    given = sentencepiece.SentencePieceProcessor(model_file=str(path))
    Tokenizer.from_file(path).save(tmp_path / "a.json", format="huggingface")
    made = tokenizers.Tokenizer.from_file(str(tmp_path / "a.json"))
    draw = random.Random(6)
    lines: list[str] = []
    for corpus in ("tatoeba_laser_v1.tsv.xz", "unicode15_GraphemeBreakTest.txt.xz", "en_classics.md.txt.xz"):
        lines += draw.sample(lines_of(SHARED / "corpora" / corpus), 400)
    ties = 0
    for line, encoding in zip(lines, made.encode_batch(lines, add_special_tokens=False), strict=True):
        wanted, found = given.encode(line), encoding.ids
        if found != wanted:
            ties += 1
            assert "".join(given.id_to_piece(found)) == "".join(given.id_to_piece(wanted)), ascii(line)
            assert sum(map(given.get_score, found)) == pytest.approx(sum(map(given.get_score, wanted)), abs=1e-9)
    assert ties < 100


def test_to_and_fro_a_model_is_the_same(tmp_path: Path, sample_lines: list[str]) -> None:
    model = Tokenizer.from_bytes(train())
    model.save(tmp_path / "a.json", format="huggingface")
    Tokenizer.from_file(tmp_path / "a.json").save(tmp_path / "a.model", format="sentencepiece")
    again = Tokenizer.from_file(tmp_path / "a.model")
    assert [again.encode(line) for line in sample_lines] == [model.encode(line) for line in sample_lines]


@pytest.mark.parametrize("rule", ["nmt_nfkc", "identity"])
@pytest.mark.parametrize("symbols", [(), ("<x>", "er")], ids=["plain", "user-defined"])
@pytest.mark.parametrize("removed", [True, False], ids=["removed", "kept"])
@pytest.mark.parametrize("prefix", [True, False], ids=["prefix", "none"])
def test_spaces_at_the_ends_and_in_runs(
    rule: str, symbols: tuple[str, ...], removed: bool, prefix: bool, tmp_path: Path
) -> None:
    data = train(
        normalization_rule_name=rule,
        user_defined_symbols=symbols,
        remove_extra_whitespaces=removed,
        add_dummy_prefix=prefix,
    )
    model = Tokenizer.from_bytes(data)
    model.save(tmp_path / "a.json", format="huggingface")
    found = Tokenizer.from_file(tmp_path / "a.json")
    peer = tokenizers.Tokenizer.from_file(str(tmp_path / "a.json"))
    found.save(tmp_path / "b.model", format="sentencepiece")
    again = Tokenizer.from_file(tmp_path / "b.model")
    draw = random.Random(rule)
    parts = ["the", "river", "e", "<x>", " ", " ", "  ", "\t", "\u3000", "\n", "."]
    for _ in range(400):
        text = "".join(draw.choices(parts, k=draw.randint(1, 7)))
        if text.startswith(("<x>", "er")):
            continue  # an added token that comes first has no space before it there
        wanted = model.encode(text)
        assert found.encode(text) == wanted, ascii(text)
        assert peer.encode(text, add_special_tokens=False).ids == wanted, ascii(text)
        assert again.encode(text) == wanted, ascii(text)


def test_one_character_that_is_always_a_piece_may_come_first(tmp_path: Path) -> None:
    model = Tokenizer.from_bytes(train(user_defined_symbols=['"', "-"]))
    model.save(tmp_path / "a.json", format="huggingface")
    peer = tokenizers.Tokenizer.from_file(str(tmp_path / "a.json"))
    found = Tokenizer.from_file(tmp_path / "a.json")
    draw = random.Random(5)
    for _ in range(300):
        text = draw.choice('"-') + "".join(draw.choices(['"', "-", " ", "the", "river", "e"], k=draw.randint(0, 6)))
        wanted = model.encode(text)
        assert found.encode(text) == peer.encode(text, add_special_tokens=False).ids == wanted, ascii(text)
        assert model.piece_to_id(text[0]) in wanted


def test_rules_become_a_character_map_and_rules_again() -> None:
    draw = random.Random(2)
    letters = "ab\u00e0\u00ed\u00ad\u00a0\u0430\u3042\U0001f600\u0301"
    for count in (1, 2, 10, 300):
        rules = {
            "".join(draw.choices(letters, k=draw.randint(1, 4))): draw.choice(["", "x", "\u3042y"])
            for _ in range(count)
        }
        assert rules_of(charsmap_of(rules)) == rules


@pytest.mark.shared
def test_the_rules_of_a_real_character_map_survive() -> None:
    charsmap = read(
        (SHARED / "models" / "sentencepiece" / "nai_t5_32k_extra_ids.model").read_bytes()
    ).normalizer.charsmap
    known = rules_of(charsmap)
    assert len(known) > 200_000
    rules = dict(random.Random(4).sample(sorted(known.items()), 20_000))
    assert rules_of(charsmap_of(rules)) == rules


METASPACE = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}


SHORTER = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}
RIGHT = {"type": "Strip", "strip_left": False, "strip_right": True}
LINES = [{"type": "Replace", "pattern": {"String": end}, "content": " "} for end in "\t\n\r"]


def regex(pattern: str, content: str) -> dict[str, object]:
    return {"type": "Replace", "pattern": {"Regex": pattern}, "content": content}


DEBERTA = [regex(r"\s{2,}|[\n\r\t]", " "), {"type": "NFC"}, RIGHT]
CONVERTED = [
    *LINES,
    regex(r"\A +| +\z", ""),
    regex(" {2,}", " "),
    {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
    regex("\\A\u2581", "\u2581\u2581"),
]
"""What transformers 5 writes for DeBERTa-v2 and Barthez, and for models that it converts from sentencepiece."""


@pytest.mark.parametrize(
    ("normalizers", "scheme", "message"),
    [
        ([*LINES, RIGHT, SHORTER], "always", None),
        ([*LINES, RIGHT, SHORTER], "never", "texts that begin with a space"),
        ([*LINES, {**RIGHT, "strip_left": True}, SHORTER], "never", None),
        ([RIGHT, SHORTER], "always", "texts that begin or end with a tab or a line end"),
        ([SHORTER], "always", "texts that end with a space"),
        ([RIGHT], "never", "texts that begin or end with a space"),
        ([LINES[0]], "always", "texts that begin with a space"),
        ([LINES[0]], "never", None),
        (DEBERTA, "always", None),
        (CONVERTED, "always", None),
        ([regex(" {2,}", " "), *LINES, RIGHT], "always", "texts with runs of tabs"),
    ],
)
def test_spaces_that_sentencepiece_treats_otherwise_are_an_error(
    normalizers: list[dict[str, object]], scheme: str, message: str | None, tmp_path: Path
) -> None:
    content = small(
        pre_tokenizer={**METASPACE, "prepend_scheme": scheme},
        normalizer={"type": "Sequence", "normalizers": normalizers},
    )
    tokenizer = Tokenizer.from_bytes(content.encode("utf-8"))
    peer = tokenizers.Tokenizer.from_str(content)
    if message is not None:
        with pytest.raises(ModelError, match=message):
            tokenizer.save(tmp_path / "a.model", format="sentencepiece")
    tokenizer.save(tmp_path / "a.model", format="sentencepiece", exact=message is None)
    converted = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "a.model"))
    texts = ["".join(part) for n in range(1, 6) for part in itertools.product("a \t", repeat=n)]
    same = [peer.encode(text, add_special_tokens=False).ids == converted.encode(text) for text in texts]
    assert all(same) == (message is None)
    assert all(equal for equal, text in zip(same, texts, strict=True) if text == " ".join(text.split()))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (small(), "spaces do not become U\\+2581"),
        (small(pre_tokenizer={"type": "WhitespaceSplit"}), "sentencepiece has nothing like WhitespaceSplit"),
        (small(pre_tokenizer={**METASPACE, "replacement": "_"}), "the replacement is '_'"),
        (small(pre_tokenizer=METASPACE, model={"unk_id": None}), "model.unk_id is null"),
        (
            small(pre_tokenizer=METASPACE, normalizer={"type": "Prepend", "prepend": "x"}),
            "sentencepiece has nothing like Prepend",
        ),
    ],
)
def test_what_a_model_cannot_hold_is_an_error(content: str, message: str, tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_bytes(content.encode("utf-8"))
    with pytest.raises(ModelError, match=message):
        tokenizer.save(tmp_path / "a.model", format="sentencepiece")
    assert not (tmp_path / "a.model").exists()


def test_what_a_tokenizer_json_cannot_hold_is_an_error(tmp_path: Path) -> None:
    for model, message in (
        (Tokenizer.from_bytes(train(treat_whitespace_as_suffix=True)), "spaces after words"),
        (Tokenizer.from_pieces({"a": -1.0}), "without an unknown piece"),
        (Tokenizer.from_pieces({"a": -1.0}, unk_score=-3.0), "10 less than the worst piece"),
    ):
        with pytest.raises(ModelError, match=message):
            model.save(tmp_path / "a.json", format="huggingface")


def test_a_dash_that_is_an_added_token_begins_words_anew(tmp_path: Path) -> None:
    """In tokenizers, where Metaspace puts U+2581 after it; sentencepiece goes on in the word."""
    tokens = [added(0, "<unk>"), added(3, "ab", special=False)]
    for scheme, steps, message in (
        ("always", CONVERTED, "texts with 'ab' beside a word; save"),
        ("never", [*LINES, RIGHT, regex("\\A +", ""), regex(" {2,}", " ")], "texts with 'ab' beside a word; save"),
        ("never", LINES, None),
    ):
        normalizer = {"type": "Sequence", "normalizers": steps}
        metaspace = {**METASPACE, "prepend_scheme": scheme}
        content = small(pre_tokenizer=metaspace, normalizer=normalizer, added_tokens=tokens)
        tokenizer, peer = Tokenizer.from_bytes(content.encode("utf-8")), tokenizers.Tokenizer.from_str(content)
        if message is not None:
            with pytest.raises(ModelError, match=message):
                tokenizer.save(tmp_path / "a.model", format="sentencepiece")
        tokenizer.save(tmp_path / "a.model", format="sentencepiece", exact=message is None)
        converted = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "a.model"))
        texts = ("bab", "baba", "b aba", "bab b")
        same = [peer.encode(text, add_special_tokens=False).ids == converted.encode(text) for text in texts]
        assert all(same) == (message is None)


def test_the_command_converts(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text(small(pre_tokenizer=METASPACE, added_tokens=[added(0, "<unk>")]))
    command = ["convert", str(tmp_path / "in.json"), str(tmp_path / "out.model")]
    refused = CliRunner().invoke(main, command)
    assert refused.exit_code == 1
    assert "other ids to texts that begin with a space" in refused.output
    assert not (tmp_path / "out.model").exists()
    done = CliRunner().invoke(main, [*command, "--inexact"])
    assert done.exit_code == 0, done.output
    assert "other ids are possible for: texts that begin with a space" in done.output
    peer = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "out.model"))
    assert peer.encode("ab a") == Tokenizer.from_file(tmp_path / "in.json").encode("ab a")
    assert len(SMALL["model"]["vocab"]) == peer.vocab_size()
    assert CliRunner().invoke(main, ["convert", str(tmp_path / "in.json"), str(tmp_path / "out")]).exit_code == 2
    refused = CliRunner().invoke(main, ["convert", str(tmp_path / "in.json"), str(tmp_path / "o"), "--to", "bytepiece"])
    assert refused.exit_code == 1
    assert "BytePiece file holds a count" in refused.output
