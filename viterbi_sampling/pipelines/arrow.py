"""Arrow in, Arrow out: a batch or table with a column of text becomes one with lists of token ids.

Texts are read where they lie and ids are written once; no Python object is made a row. A sample
depends on (model, text, settings, seed, epoch, key of the row) only, so that the same rows get the
same samples in any batches, in any order, in any number of workers, and after a retry.

>>> import pyarrow as pa
>>> from viterbi_sampling import Tokenizer
>>> tokenizer = Tokenizer.from_pieces({"a": -1.0, "b": -1.0, "ab": -1.5})
>>> table = pa.table({"doc": [7, 8, 9], "text": ["ab", None, "bab"]})
>>> tokenize(table, tokenizer)["ids"].to_pylist()
[[2], None, [1, 2]]
>>> augmented = tokenize(table, tokenizer, alpha=0.1, seed=1, epoch=2, index="doc")
>>> augmented["ids"][2].as_py() == tokenizer.sample("bab", alpha=0.1, seed=1, index=9, draw=2)
True

The same as a value that can be handed to workers, its settings checked when it is made:

>>> job = Tokenize(tokenizer, alpha=0.1, index="hash", keep_columns=False)
>>> job(table).schema.names
['ids']
"""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from viterbi_sampling.arguments import Texts, checked_law, rows_of, thread_count, word
from viterbi_sampling.batch import Batch
from viterbi_sampling.engine.hashing import hashes
from viterbi_sampling.engine.rows import Rows
from viterbi_sampling.tokenizer import Tokenizer

HASH = "hash"
MOST_IDS = 2**31 - 1
"""So many ids the 32-bit offsets of a list array can count."""


def tokenize(batch: Any, tokenizer: Tokenizer | str | os.PathLike[str], *, first_row: int = 0, **settings: Any) -> Any:
    """`batch` with the token ids of its column of texts: the best segmentation of each, or random ones.

    batch : a RecordBatch, a Table, or what Arrow can read as one (a Polars or pandas data frame).
        The column may be a string, large_string, string_view or binary array, or a dictionary of one
    first_row : the number of the first row, for the keys of samples
    settings : those of `Tokenize`

    Gives a RecordBatch for a RecordBatch, otherwise a Table: the columns of `batch`, and after them
    the new ones. A null stays a null. ValueError and TypeError name the column, the row or the
    setting; see the head of this module for an example.
    """
    return Tokenize(tokenizer, **settings)(batch, first_row=first_row)


@dataclass(frozen=True, repr=False)
class Tokenize:
    """What is done to each batch: a value that can be pickled, always to the same bytes, and sent to workers.

    tokenizer : a Tokenizer, or the path of a model file, which each process reads when it first needs it
    column : the name of the column of texts
    output : the name of the column of ids: lists of int32
    alpha : None for the best segmentation, otherwise the inverse temperature of random ones
    algorithm, nbest_size : as in `Tokenizer.sample`
    n : so many samples of each row, one after the other; the columns that are kept are repeated
    seed : an int from 0 to 2^64 - 1
    epoch : each epoch draws afresh: sample j of a row is draw ``epoch·n + j`` of `Tokenizer.sample`
    index : where the `index` of a row's samples comes from. None: its row number, counted from
        `first_row`. A column: its integers (modulo 2^64), or the hashes of its strings. "hash": the
        hash (XXH64) of the text, so that equal texts get equal samples
    with_offsets : a column "offsets": for each token (start, end) in the text, int32, in characters
        of a string and in bytes of a binary column
    with_log_probs : a column "log_prob", float64: of each sample, under its own law
    with_length : a column "length", int32: the number of ids
    add_bos, add_eos : put the model's ids around those of each text
    keep_columns : True for all columns of the batch, False for none, or the names of some
    large_lists : 64-bit offsets, for batches of 2^31 ids and more
    num_threads : None for all that the process may use

    The ids are in a list array, or a large_list with `large_lists`, whatever a batch holds: the
    schema is always the same.

    >>> import pickle
    >>> from viterbi_sampling import Tokenizer
    >>> job = Tokenize(Tokenizer.default(), alpha=0.1, seed=1, index="hash")
    >>> pickle.loads(pickle.dumps(job)).alpha
    0.1
    """

    tokenizer: Tokenizer | str | os.PathLike[str]
    column: str = "text"
    output: str = "ids"
    alpha: float | None = None
    algorithm: str = "perfect"
    nbest_size: int | None = None
    n: int = 1
    seed: int = 0
    epoch: int = 0
    index: str | None = None
    with_offsets: bool = False
    with_log_probs: bool = False
    with_length: bool = False
    add_bos: bool = False
    add_eos: bool = False
    keep_columns: bool | Sequence[str] = True
    large_lists: bool = False
    num_threads: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.tokenizer, Tokenizer | str | os.PathLike):
            raise TypeError(f"tokenizer must be a Tokenizer or a path, not {type(self.tokenizer).__name__}")
        for name in ("column", "output"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"{name} must be the name of a column, got {getattr(self, name)!r}")
        if not (self.index is None or isinstance(self.index, str)):
            raise TypeError(f"index must be None, the name of a column or {HASH!r}, got {self.index!r}")
        if not isinstance(self.keep_columns, bool):
            if isinstance(self.keep_columns, str):
                raise TypeError(f"keep_columns must be True, False or names, got {self.keep_columns!r}")
            object.__setattr__(self, "keep_columns", tuple(self.keep_columns))
        if operator.index(self.n) < 1:
            raise ValueError(f"n must be at least 1, got {self.n}")
        word(self.seed, "seed")
        word(self.epoch, "epoch")
        thread_count(self.num_threads)
        if self.alpha is not None:
            checked_law(self.alpha, self.algorithm, self.nbest_size, self.with_log_probs)
            return
        defaults = {field.name: field.default for field in fields(self)}
        for name in ("algorithm", "nbest_size", "n", "seed", "epoch", "index", "with_log_probs"):
            if getattr(self, name) != defaults[name]:
                raise ValueError(f"{name}={getattr(self, name)!r} is for samples: give alpha, too")

    def __call__(self, batch: Any, *, first_row: int | None = None) -> Any:
        """What `tokenize` gives for this batch. The row numbers of samples are not guessed: ValueError without them."""
        pa = pyarrow()
        columns = batch if isinstance(batch, pa.RecordBatch | pa.Table) else pa.table(batch)
        schema = self.schema(columns.schema)
        rows = self.texts(columns)
        segmented = self.segment(rows, columns=columns, first_row=first_row)
        kept, nulls = columns.select(self._kept(columns.schema)), rows.nulls()
        if self.n > 1:
            kept = kept.take(pa.array(np.repeat(np.arange(rows.count), self.n)))
            nulls = None if nulls is None else np.repeat(nulls, self.n)
        new = self._new_columns(segmented, nulls)
        if isinstance(columns, pa.Table):
            return pa.Table.from_arrays([*kept.columns, *map(pa.chunked_array, new)], schema=schema)
        return pa.RecordBatch.from_arrays([*kept.columns, *self._one_each(new, segmented)], schema=schema)

    def texts(self, columns: Any) -> Rows:
        """The column of texts of a batch as rows for `segment`; nulls are kept."""
        texts = columns.column(_place(columns.schema, self.column, "column"))
        try:
            return rows_of(texts, keep_nulls=True)
        except TypeError as error:
            raise TypeError(f"column {self.column!r}: {error}") from None
        except ValueError as error:
            raise ValueError(f"column {self.column!r}: {error}") from None

    def segment(self, texts: Texts, *, columns: Any = None, first_row: int | None = None) -> Batch:
        """The ids of texts, drawn or not, as these settings say; `columns` hold the key where a column is the index.

        >>> Tokenize(Tokenizer.from_pieces({"a": -1.0}), column="text").segment(["aa", ""]).to_list()
        [[0, 0], []]
        """
        rows = rows_of(texts)
        shared: dict[str, Any] = {
            "add_bos": self.add_bos,
            "add_eos": self.add_eos,
            "with_offsets": self.with_offsets,
            "num_threads": self.num_threads,
        }
        if self.alpha is None:
            return self.loaded.encode_batch(rows, **shared)
        return self.loaded.sample_batch(
            rows,
            alpha=self.alpha,
            algorithm=self.algorithm,
            nbest_size=self.nbest_size,
            n=self.n,
            seed=self.seed,
            index=self._keys(rows, columns, first_row),
            draw=self.epoch * self.n % 2**64,
            with_log_probs=self.with_log_probs,
            **shared,
        )

    def batch(self, segmented: Batch) -> Any:
        """A RecordBatch of the new columns alone, of what `segment` gave for texts without nulls."""
        new = replace(self, keep_columns=False)
        schema = new.schema(pyarrow().schema([]))
        return pyarrow().RecordBatch.from_arrays(
            self._one_each(new._new_columns(segmented, None), segmented), schema=schema
        )

    def schema(self, given: Any) -> Any:
        """The schema of what a batch of the schema `given` becomes.

        >>> import pyarrow as pa
        >>> Tokenize(Tokenizer.default(), with_length=True).schema(pa.schema({"text": pa.string()})).names
        ['text', 'ids', 'length']
        """
        pa = pyarrow()
        kept = self._kept(given)
        lists = pa.large_list if self.large_lists else pa.list_
        new = [pa.field(self.output, lists(pa.int32()))]
        if self.with_offsets:
            new.append(pa.field("offsets", lists(pa.list_(pa.int32(), 2))))
        if self.with_log_probs:
            new.append(pa.field("log_prob", pa.float64()))
        if self.with_length:
            new.append(pa.field("length", pa.int32()))
        names = [*kept, *(field.name for field in new)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    f"two columns {name!r} in the result: choose another output, or keep_columns without it"
                )
        return pa.schema([*map(given.field, kept), *new], metadata=given.metadata)

    def stream(self, batches: Iterable[Any], *, first_row: int = 0) -> Iterator[Any]:
        """Each of `batches` in turn, their rows counted on from `first_row`.

        >>> import pyarrow as pa
        >>> batches = pa.table({"text": ["a", "b", "c"]}).to_batches(max_chunksize=2)
        >>> job = Tokenize(Tokenizer.default(), alpha=0.5)
        >>> [batch.num_rows for batch in job.stream(batches)]
        [2, 1]
        """
        for batch in batches:
            yield self(batch, first_row=first_row)
            first_row += batch.num_rows

    def __reduce__(self) -> Any:
        return _tokenize, tuple((field.name, getattr(self, field.name)) for field in fields(self))

    def __repr__(self) -> str:
        told = (field for field in fields(self) if getattr(self, field.name) != field.default)
        return f"Tokenize({', '.join(f'{field.name}={getattr(self, field.name)!r}' for field in told)})"

    @cached_property
    def loaded(self) -> Tokenizer:
        """The tokenizer, read from its file when it is first needed."""
        return self.tokenizer if isinstance(self.tokenizer, Tokenizer) else Tokenizer.from_file(self.tokenizer)

    def _kept(self, schema: Any) -> list[str]:
        """The names of the columns of the batch that stay."""
        if isinstance(self.keep_columns, bool):
            return list(schema.names) if self.keep_columns else []
        for name in self.keep_columns:
            _place(schema, name, "keep_columns")
        return list(self.keep_columns)

    def _keys(self, rows: Rows, columns: Any, first_row: int | None) -> int | npt.NDArray[np.uint64]:
        """The index of each row's samples."""
        if self.index is None:
            if first_row is None:
                raise ValueError("samples need a key: give first_row, or set index to a column or to 'hash'")
            return first_row
        if self.index == HASH:
            if columns is not None and HASH in columns.schema.names:
                raise ValueError(
                    "index='hash' is the hash of the text, but the batch has a column of that name: rename it"
                )
            return hashes(rows)
        if columns is None:
            raise ValueError(f"index={self.index!r} is a column, but the texts come without others")
        pa = pyarrow()
        keys = columns.column(_place(columns.schema, self.index, "index"))
        if pa.types.is_integer(keys.type):
            if keys.null_count:
                raise ValueError(f"index column {self.index!r} has {keys.null_count} nulls: each row needs a key")
            # What is negative counts modulo 2^64.
            wide = keys.cast(pa.uint64() if pa.types.is_unsigned_integer(keys.type) else pa.int64())
            return np.asarray(wide).view(np.uint64)
        try:
            return hashes(rows_of(keys))
        except TypeError as error:
            raise TypeError(f"index column {self.index!r} must hold integers or strings: {error}") from None

    def _one_each(self, columns: list[list[Any]], segmented: Batch) -> list[Any]:
        if any(len(pieces) > 1 for pieces in columns):
            raise ValueError(f"{len(segmented.ids)} ids in one batch: make batches smaller, or set large_lists=True")
        return [pieces[0] for pieces in columns]

    def _new_columns(self, segmented: Batch, nulls: npt.NDArray[np.bool_] | None) -> list[list[Any]]:
        """For each new column one array, or several where the offsets of one cannot count all ids."""
        pa = pyarrow()
        kind = pa.LargeListArray if self.large_lists else pa.ListArray
        width = np.int64 if self.large_lists else np.int32
        most = np.iinfo(np.int64).max if self.large_lists else MOST_IDS
        rows = []
        for first, last in _pieces(segmented.offsets, most):
            bounds = segmented.offsets[first : last + 1]
            begin, end = int(bounds[0]), int(bounds[-1])
            null = None if nulls is None else nulls[first:last]
            mask = None if null is None else pa.array(null)
            offsets = pa.array((bounds - begin).astype(width, copy=False))
            row = [kind.from_arrays(offsets, pa.array(segmented.ids[begin:end]), mask=mask)]
            if segmented.spans is not None:
                pairs = pa.FixedSizeListArray.from_arrays(pa.array(segmented.spans[begin:end].reshape(-1)), 2)
                row.append(kind.from_arrays(offsets, pairs, mask=mask))
            if segmented.log_probs is not None:
                row.append(pa.array(segmented.log_probs[first:last], mask=null))
            if self.with_length:
                row.append(pa.array(np.diff(bounds).astype(np.int32), mask=null))
            rows.append(row)
        return [list(column) for column in zip(*rows, strict=True)]


def pyarrow() -> Any:
    """The library, imported when it is first needed."""
    try:
        import pyarrow
    except ImportError:
        raise ImportError("this needs pyarrow: pip install 'viterbi-sampling[arrow]'") from None
    return pyarrow


def _tokenize(*settings: tuple[str, Any]) -> Tokenize:
    return Tokenize(**dict(settings))


def _place(schema: Any, name: str, setting: str) -> int:
    """Where the one column of this name is."""
    places = schema.get_all_field_indices(name)
    if len(places) != 1:
        have = "no column" if not places else f"{len(places)} columns"
        raise ValueError(f"{setting}: the batch has {have} {name!r}; it has {', '.join(map(repr, schema.names))}")
    return int(places[0])


def _pieces(offsets: npt.NDArray[np.int64], most: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows of at most `most` ids each; no row has more."""
    first, rows = 0, len(offsets) - 1
    while True:
        last = min(int(np.searchsorted(offsets, offsets[first] + most, "right")) - 1, rows)
        yield first, last
        if last == rows:
            return
        first = last
