"""Lattice and Marginals: the edges of a text as numpy arrays, and their picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from viterbi_sampling.model import SPACE, spelled


class Marginals(NamedTuple):
    """The probability of each edge of a lattice to lie on a random path; one row an edge.

    start, end : int32, positions in the normalized text, in characters; in bytes in a BytePiece model
    id : int32, the piece; the unknown id (-1 where the model has none) for an unknown character
    probability : float64
    """

    start: npt.NDArray[np.int32]
    end: npt.NDArray[np.int32]
    id: npt.NDArray[np.int32]
    probability: npt.NDArray[np.float64]


class Lattice(NamedTuple):
    """All segmentations of a text: an edge for each piece that matches somewhere, by start, then end, rising.

    text : the normalized text; positions count its characters. In a BytePiece model, bytes
    start, end : int32
    id : int32, the piece; the unknown id (-1 where the model has none) for an unknown character
    score : float64, the score that the edge adds to a segmentation
    probability : float64, the edge's marginal under alpha = 1

    In a notebook a lattice shows itself as a picture; edges are drawn the stronger the more probable they are.

    >>> from viterbi_sampling import Tokenizer
    >>> lattice = Tokenizer.from_pieces({"a": -1.0, "b": -1.0, "ab": -1.5}).lattice("ab")
    >>> lattice.start.tolist(), lattice.end.tolist(), lattice.id.tolist()
    ([0, 0, 1], [1, 2, 2], [0, 2, 1])
    """

    text: str | bytes
    start: npt.NDArray[np.int32]
    end: npt.NDArray[np.int32]
    id: npt.NDArray[np.int32]
    score: npt.NDArray[np.float64]
    probability: npt.NDArray[np.float64]

    def to_svg(self, width: int = 34, height: int = 22) -> str:
        """A picture of the lattice as SVG: a column of `width` pixels a character, edges as arcs above the text."""
        from html import escape  # rarely needed, and slow to import

        span = (self.end - self.start).astype(int)
        top = (int(span.max(initial=1)) + 1) * height
        total = (len(self.text) + 1) * width
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {top + 2 * height}" width="{total}" '
            f'font-family="sans-serif" font-size="{height * 0.6:g}" text-anchor="middle">'
        ]
        for start, end, probability in zip(self.start, self.end, self.probability, strict=True):
            left, right = (int(start) + 0.5) * width, (int(end) + 0.5) * width
            rise = top - int(end - start) * height
            label = _shown(self.text[int(start) : int(end)])
            parts.append(
                f'<path d="M{left:g} {top} Q{(left + right) / 2:g} {2 * rise - top:g} {right:g} {top}" fill="none" '
                f'stroke="#1f5fa8" stroke-opacity="{0.15 + 0.85 * float(probability):.3f}" '
                f'stroke-width="{0.6 + 3 * float(probability):.2f}">'
                f"<title>{escape(label)}: {float(probability):.4g}</title></path>"
            )
        for position in range(len(self.text)):
            label = _shown(self.text[position : position + 1])
            parts.append(f'<text x="{(position + 1) * width}" y="{top + height}">{escape(label)}</text>')
        for position in range(len(self.text) + 1):
            parts.append(f'<circle cx="{(position + 0.5) * width:g}" cy="{top}" r="2.5"/>')
        return "".join([*parts, "</svg>"])

    def _repr_svg_(self) -> str | None:
        return self.to_svg() if len(self.text) <= 200 else None


def _shown(piece: str | bytes) -> str:
    return (spelled(piece) if isinstance(piece, bytes) else piece).replace(" ", SPACE)
