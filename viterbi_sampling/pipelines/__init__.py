"""From a column of text to token ids, on one machine or many: each module is a thin layer on `arrow`."""
