"""What a tokenizer.json makes of ids before a model gets them: special tokens, truncation, padding."""

from __future__ import annotations

from viterbi_sampling.errors import shown
from viterbi_sampling.formats.huggingface.steps import steps_in
from viterbi_sampling.formats.json_document import Field
from viterbi_sampling.steps.description import Padding, Parts, Template, Truncation

STRATEGIES = {"LongestFirst": "longest_first", "OnlyFirst": "only_first", "OnlySecond": "only_second"}
DIRECTIONS = {"Left": "left", "Right": "right"}


def read_post_processors(field: Field | None, pieces: int) -> tuple[Template | None, tuple[bool, ...]]:
    """(the special tokens around texts, None where there are none; how offsets are trimmed: one flag each time).

    A flag says whether the space that was put before the first word stays. `pieces`: ids are less than this.
    """
    template = None
    trims: list[bool] = []
    for step in steps_in(field, "processors"):
        kind = step["type"].text()
        found = None
        if kind in ("RobertaProcessing", "ByteLevel"):
            keeps_prefix = step["add_prefix_space"].flag()
            if step["trim_offsets"].flag():
                if template is not None and keeps_prefix:
                    raise step["trim_offsets"].error("is true after tokens have been added, which is not supported")
                trims.append(keeps_prefix)
        if kind == "TemplateProcessing":
            found = _template_processing(step, pieces)
        elif kind in ("BertProcessing", "RobertaProcessing"):
            found = _pair_processing(step, kind == "BertProcessing", pieces)
        elif kind != "ByteLevel":
            raise step["type"].error(
                f"is {shown(kind)}; the post-processors that are supported are Sequence, TemplateProcessing, "
                "BertProcessing, RobertaProcessing, ByteLevel"
            )
        if found is not None and template is not None:
            raise step["type"].error("is the second post-processor that adds tokens, which is not supported")
        template = found or template
    return template, tuple(trims)


def _template_processing(field: Field, pieces: int) -> Template:
    tokens = field["special_tokens"]

    def parts(name: str, order: tuple[list[str], ...]) -> Parts:
        found: list[tuple[str | tuple[int, ...], int]] = []
        for part in field[name].items():
            part.only({"Sequence", "SpecialToken"})
            if part.get("Sequence") is not None:
                sequence = part["Sequence"]
                if sequence["id"].text() not in ("A", "B"):
                    raise sequence["id"].error(f"is {shown(sequence['id'].text())}, not A or B")
                found.append((sequence["id"].text(), sequence["type_id"].integer(0)))
            else:
                special = part["SpecialToken"]
                token = tokens[special["id"].text()]
                ids = tuple(_id(id, pieces) for id in token["ids"].items())
                found.append((ids, special["type_id"].integer(0)))
        texts = [part for part, _ in found if isinstance(part, str)]
        if texts not in order:
            raise field[name].error(f"has the texts {texts}, not {' or '.join(map(str, order))}")
        return tuple(found)

    return Template(parts("single", (["A"],)), parts("pair", (["A", "B"], ["B", "A"])))


def _pair_processing(field: Field, bert: bool, pieces: int) -> Template:
    ids = {}
    for name in ("cls", "sep"):
        value = field[name].items()
        if len(value) != 2:
            raise field[name].error("is not a token and its id")
        ids[name] = (_id(value[1], pieces),)
    cls, sep = (ids["cls"], 0), (ids["sep"], 0)
    if bert:
        return Template((cls, ("A", 0), sep), (cls, ("A", 0), sep, ("B", 1), (ids["sep"], 1)))
    return Template((cls, ("A", 0), sep), (cls, ("A", 0), sep, sep, ("B", 0), sep), (0, 0))


def _id(field: Field, pieces: int) -> int:
    id = field.integer(0)
    if id >= pieces:
        raise field.error(f"is {id}, but ids are less than {pieces}, the number of all pieces")
    return id


def read_truncation(field: Field | None) -> Truncation | None:
    """How rows are cut off; None where they are not."""
    if field is None:
        return None
    direction = field.get("direction")
    return Truncation(
        field["max_length"].integer(0),
        STRATEGIES[field["strategy"].one_of(STRATEGIES)],
        field["stride"].integer(0),
        "right" if direction is None else DIRECTIONS[direction.one_of(DIRECTIONS)],
    )


def read_padding(field: Field | None, pieces: int) -> Padding | None:
    """How rows are filled up; None where they are not."""
    if field is None:
        return None
    strategy, multiple = field["strategy"], field.get("pad_to_multiple_of")
    length = None
    if isinstance(strategy.value, dict):
        strategy.only({"Fixed"})
        length = strategy["Fixed"].integer(0)
    else:
        strategy.one_of(("BatchLongest",))
    return Padding(
        length,
        None if multiple is None else multiple.integer(0) or None,
        DIRECTIONS[field["direction"].one_of(DIRECTIONS)],
        _id(field["pad_id"], pieces),
        field["pad_type_id"].integer(0),
        field["pad_token"].text(),
    )
