"""Encode as programs call it: what they ask for again and again is looked up, the rest is worked out in encoding.py.

Compiled, because the arguments of Encode are many, and looking at them in Python takes as long as encoding a short text.
"""

from viterbi_sampling.compat.sentencepiece.state import State


class Entry(State):
    """Encode and its other names."""

    def Encode(self, input, add_bos=None, add_eos=None, reverse=None, emit_unk_piece=None, enable_sampling=None,
               nbest_size=None, alpha=None, num_threads=None, thread_pool=None, return_type=None, out_type=None,
               return_bytes=None):
        """The segmentation of a text (str or UTF-8 bytes), or a list of those of a list of texts.

        add_bos, add_eos : begin and end with the model's control pieces
        reverse : the last token first; bos and eos go around the reversed sequence
        emit_unk_piece : the unknown piece's name in place of what it stands for
        enable_sampling : a random segmentation, from the `nbest_size` best ones, or from all where it is below 0
        alpha : the inverse temperature of sampling: 0 is uniform, 1 the model's own law
        num_threads, thread_pool : for lists; the result is the same with any number of threads
        return_type : int for ids, str or bytes for pieces, "numpy" for int32 arrays, "offset_mapping" for dicts of
            ids, pieces and offsets, "proto", "serialized_proto" and "immutable_proto" for messages
        out_type : the old name of return_type
        return_bytes : for offset mappings: pieces in UTF-8 and offsets in bytes, not in characters; None: as the input

        None stands for the processor's own value. TypeError and ValueError for arguments that cannot be, RuntimeError
        where no model is loaded and for what the API does not support. Thread-safe.
        """
        cdef bint usual
        cdef tuple key = None
        if enable_sampling is None:
            usual = nbest_size is None and alpha is None
        else:       # 1 equals True, and 2.0 equals 2, but they are not the same arguments
            usual = enable_sampling is True and type(nbest_size) is int and type(alpha) is float
        if usual and num_threads is None and thread_pool is None and return_bytes is None and type(input) is not list:
            key = (add_bos, add_eos, reverse, emit_unk_piece, nbest_size, alpha, return_type, out_type)
            try:
                plan = (<dict?>self._plans).get(key)
            except TypeError:       # an argument that cannot be looked up
                plan = key = None
            if plan is not None:
                try:
                    result = plan(input)
                except UnicodeEncodeError:
                    result = None
                if result is not None:
                    return result
        return self._encode(input, add_bos, add_eos, reverse, emit_unk_piece, enable_sampling, nbest_size, alpha,
                            num_threads, thread_pool, return_type, out_type, return_bytes, key)

    encode = tokenize = Tokenize = Encode
