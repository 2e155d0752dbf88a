"""Groups of members: every member is in one, and its parameters find the way there and back."""

from dataclasses import replace

import numpy as np
import pytest

from mlpcli.nn.architecture import Front, Network, Periodic
from mlpcli.nn.groups import Group, join_members, member_of, split_members
from mlpcli.nn.parameters import count_parameters, view_parameters

FRONT = Front(
    is_scaled=True,
    periodic=Periodic(frequencies=3, outputs=2),
    numbers=(0, 1),
    blocks=((5, 8),),
    embedding=2,
    bins=(2, 4),
    sees_cosines=(True, False, True, False, False),
)
MIXED = Network((8, 4, 3), "mish", "softmax", members=5, front=FRONT)
ALIKE = Network((8, 4, 3), "mish", "softmax", members=5)


@pytest.mark.parametrize("n_parts", [1, 2, 3, 9])
@pytest.mark.parametrize("network", [MIXED, ALIKE], ids=["mixed", "alike"])
def test_every_member_is_in_one_group_with_others_that_see_alike(network, n_parts):
    groups = split_members(network, n_parts)
    assert sorted(member for group in groups for member in group.members) == list(range(5))
    for group in groups:
        assert len({network.front.sees_cosines[member] for member in group.members if network is MIXED}) <= 1
    kinds = [2, 3] if network is MIXED else [5]
    assert len(groups) == sum(min(n_parts, kind) for kind in kinds)


def test_a_group_has_no_entries_that_its_members_do_not_see():
    cosines, bins = split_members(MIXED)
    assert (cosines.members, bins.members) == ((0, 2), (1, 3, 4))
    # 0 and 1 are numbers, 2 and 3 bins, 4 as it is, 5 to 7 embedded in two entries.
    assert MIXED.widths[0] == 5 + 4 + 2
    assert cosines.network.widths[0] == 3 + 4 + 2
    assert bins.network.widths[0] == 5 + 2
    assert "frequency" in view_parameters(cosines.network, cosines.take(numbered(MIXED))).tensors
    assert "frequency" not in view_parameters(bins.network, bins.take(numbered(MIXED))).tensors
    np.testing.assert_array_equal(
        view_parameters(bins.network, bins.take(numbered(MIXED))).tensors["scale"][1],
        view_parameters(MIXED, numbered(MIXED)).tensors["scale"][3][[0, 1, 2, 3, 4, 9, 10]],
    )


def numbered(network):
    return np.arange(1.0, count_parameters(network) + 1)


@pytest.mark.parametrize("n_parts", [1, 2, 5])
@pytest.mark.parametrize("network", [MIXED, ALIKE, replace(ALIKE, members=1)], ids=["mixed", "alike", "single"])
def test_what_groups_take_is_put_back_where_it_was(network, n_parts):
    vector, found = numbered(network), np.zeros(count_parameters(network))
    taken = 0
    for group in split_members(network, n_parts):
        own = group.take(vector)
        taken += own.size
        group.put(own, found)
    is_seen = found > 0
    assert is_seen.sum() == taken
    np.testing.assert_array_equal(found[is_seen], vector[is_seen])
    assert is_seen.all() == (network is not MIXED)


def test_members_that_are_joined_can_be_taken_apart_again():
    rng = np.random.default_rng(0)
    each = [
        view_parameters(MIXED.member(number), rng.normal(size=count_parameters(MIXED.member(number))))
        for number in range(MIXED.members)
    ]
    joined = join_members(MIXED, each)
    for number, member in enumerate(each):
        np.testing.assert_array_equal(member_of(MIXED, joined, number).flat, member.flat)


def test_a_part_taken_is_a_copy():
    vector = numbered(ALIKE)
    Group(ALIKE, (2,)).take(vector)[...] = 0.0
    np.testing.assert_array_equal(vector, numbered(ALIKE))
