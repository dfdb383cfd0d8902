"""From ids back to text, as a tokenizer.json has it: the decoders of tokenizers 0.23.3, in their order."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from viterbi_sampling.engine.id_rows import IdRows
from viterbi_sampling.errors import ModelError
from viterbi_sampling.model import Model
from viterbi_sampling.steps.aligned import matches
from viterbi_sampling.steps.description import (
    ByteFallback,
    Fuse,
    Handed,
    Metaspace,
    Pipeline,
    Replace,
    StripTokens,
    TokenDecoder,
)
from viterbi_sampling.steps.library import library_decoder
from viterbi_sampling.steps.patterns import parse
from viterbi_sampling.steps.preparation import added_contents

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2}|\+[0-9A-Fa-f])>")


def run(step: TokenDecoder, tokens: list[str]) -> list[str]:
    """One decoder over the tokens of a text."""
    if isinstance(step, ByteFallback):
        return _bytes_to_text(tokens)
    if isinstance(step, Fuse):
        return ["".join(tokens)]
    if isinstance(step, Metaspace):
        first = "" if step.prepend != "never" else " "
        return [token.replace(step.replacement, " " if i else first) for i, token in enumerate(tokens)]
    if isinstance(step, Handed):
        return [str(library_decoder(step).decode(tokens))]
    return [_alone(step, token) for token in tokens]


def _alone(step: Replace | StripTokens, token: str) -> str:
    """What a decoder that looks at each token by itself makes of one."""
    if isinstance(step, Replace):
        parts, last = [], 0
        for start, stop in matches(step, token):
            parts += [token[last:start], step.content]
            last = stop
        return "".join(parts) + token[last:]
    start, stop = 0, len(token)
    while start < min(step.start, len(token)) and token[start] == step.content:
        start += 1
    while stop > start and stop > len(token) - step.stop and token[stop - 1] == step.content:
        stop -= 1
    return token[start:stop]


def _bytes_to_text(tokens: list[str]) -> list[str]:
    texts: list[str] = []
    queue = bytearray()

    def flush() -> None:
        if queue:
            try:
                texts.append(queue.decode("utf-8"))
            except UnicodeDecodeError:
                texts.extend("\ufffd" * len(queue))
            queue.clear()

    for token in tokens:
        found = _BYTE.fullmatch(token)
        if found:
            queue.append(int(found[1], 16))
        else:
            flush()
            texts.append(token)
    flush()
    return texts


class PipelineDecoder:
    """The decoders of a pipeline over the tokens of a vocabulary. Special tokens are left out."""

    def __init__(self, model: Model, pipeline: Pipeline) -> None:
        self.tokens = [model.pieces[id] for id in range(len(model.pieces))]
        for content, token in added_contents(pipeline)[1].items():
            self.tokens[token.id] = content
        # As the library has it: one whose normalized form is another is not found among them.
        special = {token.content for token in pipeline.added if token.special}
        self.skipped = np.array([token in special for token in self.tokens], np.bool_)
        self.decoders = pipeline.decoders
        for position, step in enumerate(pipeline.decoders or ()):
            if isinstance(step, Handed):
                library_decoder(step)
                if position < len(pipeline.decoders or ()) - 1:
                    raise ModelError(f"decoder: {step.kind} is supported as the last of a sequence only")
            if isinstance(step, Replace) and step.is_regex and parse(step.pattern) is None:
                matches(step, "a")
        self.row = self._quick() or self._step_by_step

    def decode(self, rows: IdRows, num_threads: int = 1) -> list[str]:
        """The texts of rows of ids, in one thread: others would wait for it. ValueError where one is no id."""
        ids, bounds = rows.arrays()
        kept = ~self.skipped[ids]
        before = np.concatenate([[0], np.cumsum(kept)])[bounds].tolist()
        left = ids[kept].tolist()
        return [self.row(left[begin:end]) for begin, end in pairwise(before)]

    def decode_list(self, ids: list[int]) -> str | None:
        """The text of a list of ids; None where one of them is no int from 0 to the last id of the vocabulary."""
        if not all(type(id) is int and 0 <= id < len(self.tokens) for id in ids):
            return None
        return self.row([id for id in ids if not self.skipped[id]])

    def _step_by_step(self, ids: list[int]) -> str:
        tokens = [self.tokens[id] for id in ids]
        if self.decoders is None:
            return " ".join(tokens)
        for step in self.decoders:
            tokens = run(step, tokens)
        return "".join(tokens)

    def _quick(self) -> Callable[[list[int]], str] | None:
        """The same by a table of what each token becomes, where the decoders allow it; else None."""
        steps = list(self.decoders or ())
        if len(steps) == 1 and isinstance(steps[0], Metaspace):
            first = run(steps[0], ["", *self.tokens])[1:]
            alone = [run(steps[0], [token])[0] for token in self.tokens]
            return lambda ids: alone[ids[0]] + "".join([first[id] for id in ids[1:]]) if ids else ""
        if not steps or not isinstance(steps[0], ByteFallback):
            return None
        steps.pop(0)
        each: list[Replace | StripTokens] = []
        while steps and isinstance(steps[0], Replace | StripTokens):
            each.append(steps.pop(0))  # type: ignore[arg-type]
        if steps and not isinstance(steps[0], Fuse):
            return None
        after = [step for step in steps if isinstance(step, Replace | StripTokens)]
        if steps and len(after) != len(steps) - 1:
            return None
        surfaces = list(self.tokens)
        for step in each:
            surfaces = [_alone(step, token) for token in surfaces]
        in_bytes = {id for id, token in enumerate(self.tokens) if _BYTE.fullmatch(token)}

        def quick(ids: list[int]) -> str:
            if not in_bytes.isdisjoint(ids):
                return self._step_by_step(ids)
            text = "".join([surfaces[id] for id in ids])
            for step in after:
                text = _alone(step, text)
            return text

        return quick
