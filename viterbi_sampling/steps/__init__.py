"""The steps of a tokenizer.json around the model: what they are, and each of them in plain Python.

The engine has the common ones in compiled code (engine/pipeline), which the tests hold to these.
"""
