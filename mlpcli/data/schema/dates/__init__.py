"""Dates: the formats that are read, the role of a column of dates, and forms that are not read."""
