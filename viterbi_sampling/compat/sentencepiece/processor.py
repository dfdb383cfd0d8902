"""SentencePieceProcessor: the class of sentencepiece's API, put together from its parts."""

from __future__ import annotations

from typing import Any

import numpy as np

from viterbi_sampling.compat.sentencepiece.arguments import one_text
from viterbi_sampling.compat.sentencepiece.decoding import Decoding
from viterbi_sampling.compat.sentencepiece.hypotheses import Hypotheses
from viterbi_sampling.compat.sentencepiece.options import parse_extra_options
from viterbi_sampling.compat.sentencepiece.parallel import ParallelEncoding
from viterbi_sampling.compat.sentencepiece.vocabulary import Vocabulary
from viterbi_sampling.texts import align, normalized


class SentencePieceProcessor(ParallelEncoding, Hypotheses, Decoding, Vocabulary):
    """sentencepiece's processor: all methods of 0.2.3, and those that 0.2.3 removed.

    Unigram models run on this package's engine, with sentencepiece's results to the last bit where they are
    determined, and with its exact law where they are random. Models of other types run on the sentencepiece library.
    Calls are thread-safe; Load and the methods that set something are not, while calls run.

    >>> from importlib.resources import files
    >>> processor = SentencePieceProcessor(model_file=str(files("viterbi_sampling.data") / "default.model"))
    >>> processor.decode(processor.encode("the river was high"))
    'the river was high'
    """

    def Normalize(self, input: Any, with_offsets: bool | None = None) -> Any:
        """The text that is segmented, or a list of those of a list of texts; of the input's type.

        With offsets, a pair of it and of the positions in the text that each of its characters, and its end, comes
        from; for bytes, each of its bytes.
        """
        if not with_offsets and self._model is not None and type(input) is str:
            try:
                text = normalized(self._model.encoder, input)
            except UnicodeEncodeError:
                text = None  # the long way says what is wrong with it
            if text is not None:
                return text
        if self._library is not None:
            return self._library.Normalize(input, with_offsets)
        if isinstance(input, list):
            return [self._normalize(text, with_offsets) for text in input]
        return self._normalize(input, with_offsets)

    def _normalize(self, text: Any, with_offsets: bool | None) -> Any:
        checked = one_text(text)
        if self._model is None and not with_offsets:
            return checked[:0]
        encoder = self._unigram().encoder
        if not with_offsets:
            if isinstance(checked, bytes):
                return encoder.normalize(checked)
            return encoder.normalize(checked.encode("utf-8")).decode("utf-8")
        rewritten, origins = align(encoder, checked)
        if isinstance(checked, bytes):
            return rewritten, origins.tolist()
        result = rewritten.decode("utf-8")
        # From bytes to characters, on both sides.
        starts = np.append((np.frombuffer(rewritten, np.uint8) & 0xC0) != 0x80, True)
        given = np.frombuffer(checked.encode("utf-8"), np.uint8)
        characters = np.append(0, np.cumsum((given & 0xC0) != 0x80))
        if not len(origins):
            return result, [0]
        return result, characters[origins[starts]].tolist()

    def SetEncodeExtraOptions(self, extra_option: str) -> bool:
        """From now on change every segmentation: some of "reverse", "bos", "eos", "unk", joined by colons. True.

        They are applied in the order in which they are given. RuntimeError for an option that there is not.
        """
        if self._library is not None:
            return self._removed("SetEncodeExtraOptions")(extra_option)  # type: ignore[no-any-return]
        unigram = self._unigram()
        self._encode_options, self._plans = (), {}  # those of before are gone where the new ones are refused, too
        self._encode_options = parse_extra_options(extra_option, unigram)
        return True

    def SetDecodeExtraOptions(self, extra_option: str) -> bool:
        """From now on change every sequence before it is decoded, as SetEncodeExtraOptions. True."""
        if self._library is not None:
            return self._removed("SetDecodeExtraOptions")(extra_option)  # type: ignore[no-any-return]
        unigram = self._unigram()
        self._decode_options = ()
        self._decode_options = parse_extra_options(extra_option, unigram)
        return True

    normalize = Normalize
    set_encode_extra_options = SetEncodeExtraOptions
    set_decode_extra_options = SetDecodeExtraOptions
