from mlpcli.data.features.onehot import OneHot, choose_levels


def test_levels_of_numbers_are_in_numeric_order():
    assert choose_levels(OneHot(min_count=1), {"10": 1, "9": 1, "-1": 1}) == (("-1", "9", "10"), False)


def test_rare_levels_are_left_over():
    assert choose_levels(OneHot(min_count=5), {"b": 5, "a": 9, "c": 4}) == (("a", "b"), True)


def test_no_level_is_left_over_when_all_are_frequent():
    assert choose_levels(OneHot(min_count=1), {"b": 1, "a": 1}) == (("a", "b"), False)


def test_only_the_most_frequent_levels_are_kept_and_ties_go_by_name():
    counts = {"d": 7, "c": 9, "b": 7, "a": 7}
    assert choose_levels(OneHot(min_count=1, max_levels=2), counts) == (("a", "c"), True)


def test_the_order_of_the_counts_does_not_matter():
    counts = {str(level): 10 for level in range(30)}
    backwards = dict(reversed(counts.items()))
    onehot = OneHot(max_levels=7)
    assert choose_levels(onehot, counts) == choose_levels(onehot, backwards)
