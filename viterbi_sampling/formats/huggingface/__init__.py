"""Hugging Face's ``tokenizer.json``, model type Unigram (also the old layout without a type).

What is read, and what it means, is what tokenizers 0.23.3 makes of it. What is not understood is a
ModelError that names the field: a file is never read as something that it is not.
"""
