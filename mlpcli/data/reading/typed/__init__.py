"""Tables whose cells have a type: Parquet, Arrow, JSON Lines, workbooks and frames, by rules that they share."""
