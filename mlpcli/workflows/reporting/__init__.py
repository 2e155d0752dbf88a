"""What a report is made of: the rows of a table in one pass, and what is said of them."""
