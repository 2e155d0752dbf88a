"""How often intervals and sets hold the truth of new rows: by simulation, and on real tables."""
