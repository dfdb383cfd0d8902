"""Speeds beside other libraries, in one process and in turns; what they give is compared first."""

DISTRIBUTIONS = {
    "sentencepiece": "sentencepiece",
    "tokenizers": "tokenizers",
    "tokie": "tokie",
    "kitoken": "kitoken",
    "splintr": "splintr-rs",
    "bytepiece": "bytepiece",
}
"""The libraries that can be compared with, by the name that is imported: the name that is installed."""
