"""Prediction from a model description with the standard library alone; `program` joins these modules into one file.

Modules of the project that these import are copied into the file, too.
"""
