"""Other libraries' APIs on top of the tokenizer: programs written for them run with the import replaced."""
