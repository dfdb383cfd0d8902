"""Speeds beside other libraries, in one process and in turns; what they give is compared first."""
