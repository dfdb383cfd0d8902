"""The random stream is Philox4x64-10: its published vectors, and numpy's implementation of it."""

import numpy as np
import pytest

from viterbi_sampling.engine import stream


def test_known_answer_of_random123() -> None:
    # The file kat_vectors of the Random123 distribution, philox4x64-10, counter and key zero.
    assert stream.words(0, 0, 0, 4) == [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1])
@pytest.mark.parametrize("index", [0, 1, 2**32, 2**64 - 1])
@pytest.mark.parametrize("draw", [0, 1, 2**40])
def test_words_are_those_of_numpy(seed: int, index: int, draw: int) -> None:
    # numpy raises its counter before each block; ours begins at block 0.
    counter = (draw << 64) - 1 & 2**256 - 1
    generator = np.random.Philox(key=np.array([seed, index], np.uint64), counter=counter)
    assert stream.words(seed, index, draw, 100) == generator.random_raw(100).tolist()


def test_uniforms_are_the_upper_53_bits() -> None:
    words = stream.words(11, 5, 2, 1000)
    assert stream.uniforms(11, 5, 2, 1000) == [(word >> 11) / 2**53 for word in words]
    assert all(0 <= u < 1 for u in stream.uniforms(1, 2, 3, 1000))


def test_golden_uniforms() -> None:
    """These numbers must never change: samples are promised to repeat for ever."""
    assert stream.uniforms(0, 0, 0, 4) == [
        0.08723912359911234, 0.8559722074780219, 0.8433753733711671, 0.4937852944535579,
    ]  # fmt: skip
    assert stream.uniforms(20261123, 2**40 + 5, 3, 4) == [
        0.9480728955140123, 0.2768923102914892, 0.021167610893568112, 0.3266825584778872,
    ]  # fmt: skip
