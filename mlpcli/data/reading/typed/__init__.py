"""Readers of sources with typed cells: Parquet, Arrow, JSON Lines, workbooks and data frames."""
