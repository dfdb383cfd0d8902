# A pipeline ready to run: added tokens, the steps that rewrite a text, and how pre-tokens are cut.

from viterbi_sampling.engine.added cimport Splitter
from viterbi_sampling.engine.clusters cimport MapStep
from viterbi_sampling.engine.forms cimport FormStep, Table
from viterbi_sampling.engine.normalizer cimport Normalizer
from viterbi_sampling.engine.pretokens cimport Cutting, Prefix
from viterbi_sampling.engine.strings cimport ReplaceStep

cdef enum StepKind:
    MAP = 0                     # sentencepiece's character map
    FORM = 1                    # a Unicode normalization form
    TABLE = 2                   # characters by a table
    STRIP = 3                   # white space at the ends goes
    STRING = 4                  # a string is replaced
    RUN = 5                     # a run of certain characters is replaced
    START = 6                   # a string where the text begins is replaced
    FIRST = 7                   # a string is put first
    END = 8                     # a string where the text ends is replaced

cdef struct Step:
    StepKind kind
    MapStep map
    FormStep form
    Table table
    bint left                   # of STRIP
    bint right
    ReplaceStep replace         # of STRING, RUN, START and END; FIRST has its content only

cdef struct Pipeline:
    Splitter before             # found in the text as it is given
    Splitter after              # found in the normalized text
    const Step* steps
    int count
    Cutting cutting
    Prefix prefix

cdef class PipelineNormalizer(Normalizer):
    cdef Pipeline pipeline
    cdef Step* steps
    cdef list owners            # what the steps point to
    cdef int set_table(self, Table* table, needed) except -1
    cdef int set_step(self, Step* step, needed) except -1
    cdef int set_content(self, Step* step, content) except -1
    cdef int set_splitter(self, Splitter* splitter, needed) except -1
