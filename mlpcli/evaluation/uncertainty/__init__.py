"""How sure a score is: what each row says of it, and the interval that follows.

`proportions` has the intervals of fractions of rows, `pseudo_values` what each row says of a score, `skewed_means` the
interval of a mean of such values, `tails` the tail that it needs; `of_classes` and `of_numbers` say which of these a
metric gets, or why it gets none.
"""
