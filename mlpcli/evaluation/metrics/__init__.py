"""What a metric is: a record for each (`registry`), their functions, and `scores`, which applies them."""
