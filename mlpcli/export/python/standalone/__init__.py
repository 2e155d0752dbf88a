"""Answers to rows by a described model, in plain Python: `program` makes a program of these texts.

Only the standard library is used. What is imported from the project is copied into the program, text by text.
"""
