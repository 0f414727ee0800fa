"""The invariances that make a likelihood a likelihood of feedback: they are its specification.

Legend: B observations, K options, S kinds of people.
"""

from dataclasses import replace
from itertools import combinations, permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.likelihood_checks import (
    Case,
    bind,
    check_curvature_by_differences,
    check_kinds_of_people_broadcast,
    check_score_by_differences,
    check_torch_agrees,
)
from penchant.feedback import (
    accept,
    best_worst,
    choice,
    davidson_luce,
    nested,
    outcome,
    pairwise,
    probit,
    probit_correlated,
    ranking,
    rating,
)
from penchant.feedback.thresholds import Ordered, Personal, Symmetric

SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=8, deadline=None)
DRAWS = np.random.default_rng(0).random((16, 2))


def menus(rng, num=6, options=4, spread=2.0):
    """Utilities, and who was offered; the first two options always are."""
    utilities = rng.normal(size=(num, options)) * spread
    offered = rng.random((num, options)) < 0.8
    offered[:, :2] = True
    return utilities, offered


def pick(rng, offered):
    """One offered option of each row."""
    return np.argmax(rng.random(offered.shape) * offered, axis=1)


def pick_two(rng, offered):
    order = np.argsort(-rng.random(offered.shape) * offered, axis=1)
    return order[:, 0], order[:, 1]


def some_ranking(rng, offered, highest=3):
    return np.where(offered, rng.integers(0, highest + 1, offered.shape), 0)


def choice_case(rng):
    u, offered = menus(rng)
    return bind(choice, u, None, offered, pick(rng, offered))


def nested_case(rng):
    u, offered = menus(rng, options=5)
    nest = rng.integers(-1, 2, offered.shape)
    return bind(nested, u, rng.normal(size=(1, 2)) * 0.4, offered, pick(rng, offered), nest)


def pair_case(prefix, num_parameters, **options):
    def make(rng):
        u = rng.normal(size=(6, 2)) * 2
        answers = rng.integers(0, 3 if num_parameters else 2, 6)
        parameters = rng.normal(size=(1, 1)) * 0.5 if num_parameters else None
        return bind(pairwise, u, parameters, answers, prefix=prefix, **options)

    return make


def graded_case(thresholds, link):
    def make(rng):
        u = rng.normal(size=(6, 2))
        parameters = rng.normal(size=(1, thresholds.num_parameters)) * 0.5
        grades = rng.integers(0, thresholds.levels, 6)
        options = {"thresholds": thresholds, "link": link}
        return bind(pairwise, u, parameters, grades, prefix="graded_", **options)

    return make


def rating_case(thresholds, link):
    def make(rng):
        u, offered = menus(rng, spread=1.0)
        rows = len(u) if isinstance(thresholds, Personal) else 1
        parameters = rng.normal(size=(rows, thresholds.num_parameters)) * 0.5
        level = rng.integers(-1, thresholds.levels, offered.shape)
        return bind(rating, u, parameters, offered, level, thresholds=thresholds, link=link)

    return make


def ranking_case(rng):
    u, offered = menus(rng, options=5)
    return bind(ranking, u, None, offered, some_ranking(rng, offered))


def davidson_luce_case(rng):
    u, offered = menus(rng)
    rank = some_ranking(rng, offered, highest=4)
    parameters = rng.normal(size=(1, 3))
    return bind(davidson_luce, u, parameters, offered, rank, tie_sizes=(2, 3, 4))


def best_worst_case(prefix):
    def make(rng):
        u, offered = menus(rng)
        return bind(best_worst, u, None, offered, *pick_two(rng, offered), prefix=prefix)

    return make


def accept_case(link):
    def make(rng):
        u, offered = menus(rng)
        success = rng.integers(-1, 2, offered.shape)
        return bind(accept, u, rng.normal(size=(1, 1)), offered, success, link=link)

    return make


def outcome_case(rng):
    u, offered = menus(rng)
    value = np.where(rng.random(u.shape) < 0.2, np.nan, rng.normal(size=u.shape))
    return bind(outcome, u, rng.normal(size=(1, 1)), offered, value)


def outcome_with_intercept_case(rng):
    plain = outcome_case(rng)
    return replace(plain, parameters=rng.normal(size=(1, 2)))


def probit_case(rng):
    u, offered = menus(rng)
    return bind(probit, u, None, offered, pick(rng, offered))


def probit_pair_case(rng):
    return bind(probit, rng.normal(size=(6, 2)), None, rng.integers(0, 2, 6), prefix="pair_")


CASES = {
    "conditional logit": choice_case,
    "nested logit": nested_case,
    "Bradley-Terry": pair_case("bradley_terry_", 0),
    "Davidson": pair_case("davidson_", 1),
    "Rao-Kupper": pair_case("rao_kupper_", 1),
    "Glenn-David": pair_case("rao_kupper_", 1, link="probit"),
    "graded, symmetric": graded_case(Symmetric(5), "logit"),
    "graded, even number of levels": graded_case(Symmetric(4), "probit"),
    "graded, with position bias": graded_case(Ordered(4), "logit"),
    "ordinal logit": rating_case(Ordered(4), "logit"),
    "ordinal probit": rating_case(Ordered(5), "probit"),
    "ordinal logit by person": rating_case(Personal(4), "logit"),
    "ordinal probit by person": rating_case(Personal(3), "probit"),
    "Plackett-Luce": ranking_case,
    "Davidson-Luce": davidson_luce_case,
    "best-worst in sequence": best_worst_case("sequential_"),
    "best-worst at once": best_worst_case("max_diff_"),
    "approval": accept_case("logit"),
    "approval, probit": accept_case("probit"),
    "Gaussian outcome": outcome_case,
    "Gaussian outcome with intercept": outcome_with_intercept_case,
    "multinomial probit": probit_case,
    "probit pair": probit_pair_case,
}
ALL = pytest.mark.parametrize("make", CASES.values(), ids=CASES.keys())


@ALL
@FEW
@given(SEEDS)
def test_the_score_is_the_slope_of_the_density(make, seed):
    check_score_by_differences(make(np.random.default_rng(seed)), atol=1e-6)


@ALL
@FEW
@given(SEEDS)
def test_the_curvature_is_minus_the_slope_of_the_score(make, seed):
    check_curvature_by_differences(make(np.random.default_rng(seed)), atol=1e-6)


@ALL
@FEW
@given(SEEDS)
def test_torch_and_its_autograd_agree_with_numpy(make, seed):
    check_torch_agrees(make(np.random.default_rng(seed)), rtol=1e-7, atol=1e-9)


@ALL
def test_kinds_of_people_are_so_many_separate_problems(make):
    check_kinds_of_people_broadcast(make(np.random.default_rng(1)), rtol=1e-9, atol=1e-10)


LEVEL_MATTERS = {"ordinal", "approval", "Gaussian"}


@ALL
@FEW
@given(SEEDS, st.floats(-50, 50))
def test_only_differences_of_utility_matter_where_options_compete(make, seed, shift):
    case = make(np.random.default_rng(seed))
    changed = case.log_prob(case.utilities + shift, case.parameters)
    same = np.allclose(case.log_prob(case.utilities, case.parameters), changed, atol=1e-9)
    competes = not any(
        name.startswith(tuple(LEVEL_MATTERS)) for name, made in CASES.items() if made is make
    )
    if competes:
        assert same
    elif abs(shift) > 0.1 and np.any(case.log_prob(case.utilities, case.parameters)):
        assert not same


MENUS = {
    "conditional logit": (choice, {}, lambda rng, o: (pick(rng, o),)),
    "Plackett-Luce": (ranking, {}, lambda rng, o: (some_ranking(rng, o),)),
    "best-worst in sequence": (best_worst, {"prefix": "sequential_"}, pick_two),
    "best-worst at once": (best_worst, {"prefix": "max_diff_"}, pick_two),
    "multinomial probit": (probit, {}, lambda rng, o: (pick(rng, o),)),
}
ON_MENUS = pytest.mark.parametrize("name", MENUS)


def menu_case(name, utilities, offered, answer):
    module, options, _ = MENUS[name]
    return bind(module, utilities, None, offered, *answer, **options)


def parts(case):
    score = case.score(case.utilities, case.parameters).utilities
    curvature = case.curvature(case.utilities, case.parameters).utilities
    return case.log_prob(case.utilities, case.parameters), score, curvature


@ON_MENUS
@FEW
@given(SEEDS, st.sampled_from([-700.0, -3.0, 0.0, 5.0, 700.0]))
def test_an_absent_option_might_as_well_not_exist(name, seed, ghost):
    rng = np.random.default_rng(seed)
    utilities, offered = menus(rng)
    answer = MENUS[name][2](rng, offered)
    padded = np.concatenate([utilities, np.full((len(utilities), 1), ghost)], axis=1)
    absent = np.concatenate([offered, np.zeros((len(utilities), 1), bool)], axis=1)
    longer = tuple(
        np.concatenate([a, np.zeros((len(a), 1), int)], axis=1) if a.ndim == 2 else a
        for a in answer
    )
    with_ghost = parts(menu_case(name, padded, absent, longer))
    without = parts(menu_case(name, utilities, offered, answer))
    np.testing.assert_allclose(with_ghost[0], without[0], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(with_ghost[1][:, :-1], without[1], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(with_ghost[2][:, :-1, :-1], without[2], rtol=1e-9, atol=1e-11)
    assert not with_ghost[1][:, -1].any()
    assert not with_ghost[2][:, -1].any()
    assert not with_ghost[2][:, :, -1].any()


@ON_MENUS
@FEW
@given(SEEDS)
def test_the_order_of_the_menu_does_not_matter(name, seed):
    rng = np.random.default_rng(seed)
    utilities, offered = menus(rng)
    answer = MENUS[name][2](rng, offered)
    order = rng.permutation(utilities.shape[1])
    moved = tuple(a[:, order] if a.ndim == 2 else np.argsort(order)[a] for a in answer)
    there = parts(menu_case(name, utilities[:, order], offered[:, order], moved))
    here = parts(menu_case(name, utilities, offered, answer))
    np.testing.assert_allclose(there[0], here[0], rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(there[1], here[1][:, order], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(there[2], here[2][:, order][:, :, order], rtol=1e-8, atol=1e-10)


@FEW
@given(SEEDS, st.sampled_from([-700.0, 0.0, 700.0]), st.integers(-1, 2))
def test_nests_mind_neither_ghosts_nor_the_order_of_the_menu(seed, ghost, its_nest):
    rng = np.random.default_rng(seed)
    u, offered = menus(rng)
    nest, chosen, scale = rng.integers(-1, 2, u.shape), pick(rng, offered), [[0.4, -0.6, 0.2]]
    here = bind(nested, u, scale, offered, chosen, nest)
    ghosts = np.full((len(u), 1), its_nest)
    padded = bind(
        nested,
        np.concatenate([u, np.full(ghosts.shape, ghost)], axis=1),
        scale,
        np.concatenate([offered, np.zeros(ghosts.shape, bool)], axis=1),
        chosen,
        np.concatenate([nest, ghosts], axis=1),
    )
    order = rng.permutation(u.shape[1])
    moved = bind(
        nested, u[:, order], scale, offered[:, order], np.argsort(order)[chosen], nest[:, order]
    )
    for other, columns in ((padded, np.arange(4)), (moved, np.argsort(order))):
        for got, expected in zip(parts(other), parts(here)):
            for axis in range(1, got.ndim):
                got = np.take(got, columns, axis=axis)
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-11)


def weak_orders(size):
    """All rankings with ties of `size` options, ranks 1, 2, .. without gaps."""
    for rank in product(range(1, size + 1), repeat=size):
        if set(rank) == set(range(1, max(rank) + 1)):
            yield rank


def total_probability(answers, log_prob):
    return sum(np.exp(log_prob(answer)) for answer in answers)


@FEW
@given(SEEDS)
def test_probabilities_of_all_answers_sum_to_one(seed):
    rng = np.random.default_rng(seed)
    u, nest = rng.normal(size=(3, 3)) * 2, np.array([[0, 0, 1], [0, -1, 0], [1, 1, 1]])
    offered = np.array([[True, True, True], [True, True, False], [True, True, True]])
    scale, pair, tie = rng.normal(size=(1, 2)) * 0.5, u[:, :2], rng.normal(size=(1, 1))

    def every(value):
        return np.full(3, value)

    def all_ranked(rank):
        return np.broadcast_to(rank, (3, 3)).copy()

    full = np.ones((3, 3), bool)
    deltas = rng.normal(size=(1, 2))
    tau = rng.normal(size=(1, 3)) * 0.5
    graded = {"thresholds": Ordered(4)}
    totals = {
        # Where an option is absent its answer has probability zero: that is the mask's doing.
        "nested": sum(nested.probabilities(u, offered, nest, scale).T),
        "choice": sum(choice.probabilities(u, offered).T),
        "choice by answer": total_probability(
            range(3), lambda k: choice.log_prob(u, full, every(k))
        ),
        "nested by answer": total_probability(
            range(3), lambda k: nested.log_prob(u, full, every(k), nest, scale)
        ),
        "probit": total_probability(range(3), lambda k: probit.log_prob(u, full, every(k))),
        "davidson": total_probability(
            range(3), lambda k: pairwise.davidson_log_prob(pair, every(k), tie)
        ),
        "rao-kupper": total_probability(
            range(3), lambda k: pairwise.rao_kupper_log_prob(pair, every(k), tie)
        ),
        "graded": total_probability(
            range(4), lambda g: pairwise.graded_log_prob(pair, every(g), tau, **graded)
        ),
        "rating": total_probability(
            range(4),
            lambda g: rating.log_prob(u[:, :1], full[:, :1], every(g)[:, None], tau, **graded),
        ),
        "ordinal probit": total_probability(
            range(4),
            lambda g: rating.log_prob(
                u[:, :1], full[:, :1], every(g)[:, None], tau, link="probit", **graded
            ),
        ),
        "rankings": total_probability(
            permutations([1, 2, 3]), lambda r: ranking.log_prob(u, full, all_ranked(r))
        ),
        "best and second": total_probability(
            set(permutations([1, 2, 0])), lambda r: ranking.log_prob(u, full, all_ranked(r))
        ),
        "weak orders": total_probability(
            weak_orders(3),
            lambda r: davidson_luce.log_prob(u, full, all_ranked(r), deltas, tie_sizes=(2, 3)),
        ),
        "in sequence": total_probability(
            permutations(range(3), 2),
            lambda a: best_worst.sequential_log_prob(u, full, every(a[0]), every(a[1])),
        ),
        "at once": total_probability(
            permutations(range(3), 2),
            lambda a: best_worst.max_diff_log_prob(u, full, every(a[0]), every(a[1])),
        ),
        "approved sets": total_probability(
            product([0, 1], repeat=3),
            lambda a: accept.log_prob(u, full, all_ranked(a), tie),
        ),
    }
    for name, total in totals.items():
        np.testing.assert_allclose(total, 1.0, atol=1e-10, err_msg=name)


@FEW
@given(SEEDS)
def test_tabled_probabilities_are_those_of_the_answers_one_by_one(seed):
    rng = np.random.default_rng(seed)
    u, offered = menus(rng)
    num, K = u.shape

    def column(log_prob, answer):
        return np.exp(log_prob(np.full(num, answer)))

    tie, tau = rng.normal(size=(1, 1)), rng.normal(size=(1, 3)) * 0.5
    pair, graded = u[:, :2], {"thresholds": Ordered(4), "link": "probit"}
    nest, scale = rng.integers(-1, 2, u.shape), rng.normal(size=(1, 2)) * 0.5
    tables = [
        (choice.probabilities(u, offered), lambda a: choice.log_prob(u, offered, a)),
        (probit.probabilities(u, offered), lambda a: probit.log_prob(u, offered, a)),
        (
            nested.probabilities(u, offered, nest, scale),
            lambda a: nested.log_prob(u, offered, a, nest, scale),
        ),
        (
            pairwise.davidson_probabilities(pair, tie),
            lambda a: pairwise.davidson_log_prob(pair, a, tie),
        ),
        (
            pairwise.rao_kupper_probabilities(pair, tie),
            lambda a: pairwise.rao_kupper_log_prob(pair, a, tie),
        ),
        (
            pairwise.graded_probabilities(pair, tau, **graded),
            lambda a: pairwise.graded_log_prob(pair, a, tau, **graded),
        ),
        (
            pairwise.bradley_terry_probabilities(pair),
            lambda a: pairwise.bradley_terry_log_prob(pair, a),
        ),
        (probit.pair_probabilities(pair), lambda a: probit.pair_log_prob(pair, a)),
    ]
    for table, log_prob in tables:
        for k in range(table.shape[1]):
            there = offered[:, k] if table.shape[1] == K and k >= 2 else np.ones(num, bool)
            np.testing.assert_allclose(table[there, k], column(log_prob, k)[there], atol=1e-12)
    for prefix in ("sequential_", "max_diff_"):
        table = getattr(best_worst, prefix + "probabilities")(u, offered)
        log_prob = getattr(best_worst, prefix + "log_prob")
        np.testing.assert_allclose(
            table[:, 0, 1],
            np.exp(log_prob(u, offered, np.zeros(num, int), np.ones(num, int))),
            atol=1e-12,
        )
        np.testing.assert_allclose(table.sum(axis=(1, 2)), 1.0, atol=1e-12)


# --- What one likelihood becomes at the edge of another.


@FEW
@given(SEEDS)
def test_a_menu_of_two_is_a_pair(seed):
    rng = np.random.default_rng(seed)
    u, won, both = rng.normal(size=(5, 2)) * 9, rng.integers(0, 2, 5), np.ones((5, 2), bool)
    pair = pairwise.bradley_terry_log_prob(u, won)
    rank = np.stack([1 + won, 2 - won], axis=1)
    for other in (
        choice.log_prob(u, both, won),
        ranking.log_prob(u, both, rank),
        best_worst.sequential_log_prob(u, both, won, 1 - won),
        best_worst.max_diff_log_prob(u / 2, both, won, 1 - won),
    ):
        np.testing.assert_allclose(other, pair, rtol=1e-12)
    np.testing.assert_allclose(
        probit.log_prob(u, both, won),
        probit.pair_log_prob(u / np.sqrt(2), won),
        rtol=1e-10,
        atol=1e-14,
    )


@FEW
@given(SEEDS)
def test_without_tie_strength_ties_vanish_and_bradley_terry_remains(seed):
    rng = np.random.default_rng(seed)
    u, won = rng.normal(size=(5, 2)) * 3, rng.integers(0, 2, 5)
    none = np.array([[-40.0]])
    expected = pairwise.bradley_terry_log_prob(u, won)
    for model in (pairwise.davidson_log_prob, pairwise.rao_kupper_log_prob):
        np.testing.assert_allclose(model(u, won, none), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(
        pairwise.rao_kupper_log_prob(u, won, none, link="probit"),
        probit.pair_log_prob(u, won),
        rtol=1e-12,
    )


@FEW
@given(SEEDS)
def test_who_came_first_does_not_matter_to_ties_and_symmetric_grades(seed):
    rng = np.random.default_rng(seed)
    u, answer, tie = rng.normal(size=(5, 2)), rng.integers(0, 3, 5), rng.normal(size=(1, 1))
    swapped = np.array([1, 0, 2])[answer]
    for model in (pairwise.davidson_log_prob, pairwise.rao_kupper_log_prob):
        np.testing.assert_allclose(model(u[:, ::-1], swapped, tie), model(u, answer, tie))
    for levels in (2, 3, 4, 7):
        grade = rng.integers(0, levels, 5)
        thresholds = Symmetric(levels)
        p = rng.normal(size=(1, thresholds.num_parameters))
        np.testing.assert_allclose(
            pairwise.graded_log_prob(u[:, ::-1], levels - 1 - grade, p, thresholds=thresholds),
            pairwise.graded_log_prob(u, grade, p, thresholds=thresholds),
            rtol=1e-10,
        )


@FEW
@given(SEEDS)
def test_nests_of_scale_one_and_options_alone_are_the_conditional_logit(seed):
    rng = np.random.default_rng(seed)
    u, offered = menus(rng, options=5, spread=5.0)
    chosen, nest = pick(rng, offered), rng.integers(-1, 3, offered.shape)
    expected = choice.log_prob(u, offered, chosen)
    zero, alone = np.zeros((1, 3)), np.full_like(nest, -1)
    np.testing.assert_allclose(
        nested.log_prob(u, offered, chosen, nest, zero), expected, atol=1e-12
    )
    np.testing.assert_allclose(
        nested.log_prob(u, offered, chosen, alone, zero - 1), expected, atol=1e-12
    )


def test_one_nest_around_everything_only_rescales_the_utilities():
    rng = np.random.default_rng(0)
    u, offered = menus(rng)
    chosen = pick(rng, offered)
    np.testing.assert_allclose(
        nested.log_prob(u, offered, chosen, np.zeros_like(offered, int), np.array([[0.7]])),
        choice.log_prob(u / np.exp(0.7), offered, chosen),
        atol=1e-12,
    )


@FEW
@given(SEEDS)
def test_a_full_ranking_is_a_sequence_of_choices(seed):
    rng = np.random.default_rng(seed)
    u, offered = menus(rng, options=5)
    rank = np.where(offered, 1 + np.argsort(rng.random(u.shape), axis=1), 0)
    left, total = offered.copy(), 0.0
    rows = np.arange(len(u))
    for _ in range(u.shape[1]):
        best = np.argmin(np.where(left, rank, 99), axis=1)
        total = total + np.where(left.any(1), choice.log_prob(u, left, best), 0.0)
        left[rows, best] = False
    np.testing.assert_allclose(ranking.log_prob(u, offered, rank), total, rtol=1e-12)


@FEW
@given(SEEDS)
def test_only_the_order_of_ranks_counts(seed):
    rng = np.random.default_rng(seed)
    u, offered = menus(rng, options=5)
    rank = some_ranking(rng, offered)
    np.testing.assert_allclose(
        ranking.log_prob(u, offered, rank),
        ranking.log_prob(u, offered, np.where(rank > 0, 7 * rank - 3, 0)),
    )


def orders_of_ties(u, offered, rank):
    """The probability of a ranking with ties, summed over all orders by plain enumeration."""
    rest = {k: np.exp(u[k]) for k in range(len(u)) if offered[k]}
    p = 1.0
    for level in sorted({rank[k] for k in rest if rank[k] > 0}):
        tied = [k for k in rest if rank[k] == level]
        total = 0.0
        for order in permutations(tied):
            left, q = dict(rest), 1.0
            for k in order:
                q *= left[k] / sum(left.values())
                del left[k]
            total += q
        p *= total
        for k in tied:
            del rest[k]
    return np.log(p)


@FEW
@given(SEEDS)
def test_a_tie_is_the_sum_over_its_orders(seed):
    rng = np.random.default_rng(seed)
    u, offered = menus(rng, options=6)
    rank = some_ranking(rng, offered, highest=2)
    expected = [orders_of_ties(*row) for row in zip(u, offered, rank)]
    np.testing.assert_allclose(ranking.log_prob(u, offered, rank), expected, atol=1e-12)


def sets_taken_together(u, offered, rank, deltas):
    """Davidson-Luce by enumeration of all sets at every stage."""
    rest, log_p = [k for k in range(len(u)) if offered[k]], 0.0
    for level in sorted({rank[k] for k in rest if rank[k] > 0}):
        tied = [k for k in rest if rank[k] == level]
        norm = sum(
            np.exp(delta + u[list(members)].mean())
            for size, delta in deltas.items()
            for members in combinations(rest, size)
        )
        log_p += u[tied].mean() + deltas[len(tied)] - np.log(norm)
        rest = [k for k in rest if k not in tied]
    return log_p


@FEW
@given(SEEDS)
def test_davidson_luce_is_a_choice_among_all_sets(seed):
    rng = np.random.default_rng(seed)
    u, offered = menus(rng)
    rank, delta = some_ranking(rng, offered, highest=4), rng.normal(size=3)
    deltas = {1: 0.0, 2: delta[0], 3: delta[1], 4: delta[2]}
    expected = [sets_taken_together(*row, deltas) for row in zip(u, offered, rank)]
    got = davidson_luce.log_prob(u, offered, rank, delta[None], tie_sizes=(2, 3, 4))
    np.testing.assert_allclose(got, expected, atol=1e-12)


@FEW
@given(SEEDS)
def test_davidson_luce_on_two_options_is_davidson_and_without_ties_plackett_luce(seed):
    rng = np.random.default_rng(seed)
    u, answer, delta = rng.normal(size=(6, 2)), rng.integers(0, 3, 6), rng.normal(size=(1, 1))
    rank = np.array([[1, 2], [2, 1], [1, 1]])[answer]
    np.testing.assert_allclose(
        davidson_luce.log_prob(u, np.ones((6, 2), bool), rank, delta, tie_sizes=(2,)),
        pairwise.davidson_log_prob(u, answer, delta),
        rtol=1e-12,
    )
    u, offered = menus(rng)
    rank = np.where(offered, 1 + np.argsort(rng.random(u.shape), axis=1), 0)
    np.testing.assert_allclose(
        davidson_luce.log_prob(u, offered, rank, np.zeros((1, 0)), tie_sizes=()),
        ranking.log_prob(u, offered, rank),
        rtol=1e-12,
    )


@FEW
@given(SEEDS)
def test_turning_best_into_worst_turns_the_utilities_around_when_picked_at_once(seed):
    rng = np.random.default_rng(seed)
    u, offered = menus(rng)
    best, worst = pick_two(rng, offered)
    np.testing.assert_allclose(
        best_worst.max_diff_log_prob(-u, offered, worst, best),
        best_worst.max_diff_log_prob(u, offered, best, worst),
        rtol=1e-12,
    )


@FEW
@given(SEEDS)
def test_best_answers_alone_of_the_sequence_are_the_conditional_logit(seed):
    rng = np.random.default_rng(seed)
    u, offered = menus(rng)
    table = best_worst.sequential_probabilities(u, offered)
    np.testing.assert_allclose(table.sum(axis=2), choice.probabilities(u, offered), atol=1e-14)


@pytest.mark.parametrize("link", ["logit", "probit"])
@FEW
@given(SEEDS)
def test_two_levels_of_rating_are_approval(link, seed):
    rng = np.random.default_rng(seed)
    u, offered = menus(rng, spread=6.0)
    answer, bar = rng.integers(-1, 2, u.shape), rng.normal(size=(1, 1))
    np.testing.assert_allclose(
        rating.log_prob(u, offered, answer, bar, thresholds=Ordered(2), link=link),
        accept.log_prob(u, offered, answer, bar, link=link),
        rtol=1e-10,
    )


@FEW
@given(SEEDS)
def test_a_person_without_shift_or_stretch_has_the_common_thresholds(seed):
    rng = np.random.default_rng(seed)
    u, offered = menus(rng)
    level, tau = rng.integers(-1, 4, u.shape), rng.normal(size=(1, 3))
    own = np.concatenate([tau, np.zeros((1, 2))], axis=1)
    np.testing.assert_allclose(
        rating.log_prob(u, offered, level, own, thresholds=Personal(4)),
        rating.log_prob(u, offered, level, tau, thresholds=Ordered(4)),
        rtol=1e-12,
    )
    shifted = own + np.array([[0, 0, 0, 1.5, 0.0]])
    np.testing.assert_allclose(
        rating.log_prob(u + 1.5, offered, level, shifted, thresholds=Personal(4)),
        rating.log_prob(u, offered, level, own, thresholds=Personal(4)),
        rtol=1e-9,
    )


@FEW
@given(SEEDS)
def test_information_is_never_negative_for_choices_rankings_and_pairs(seed):
    rng = np.random.default_rng(seed)
    for make in (choice_case, best_worst_case("sequential_"), probit_case, probit_pair_case):
        case: Case = make(rng)
        bend = case.curvature(case.utilities, case.parameters).utilities
        np.testing.assert_allclose(bend, bend.swapaxes(1, 2), atol=1e-12)
        np.testing.assert_allclose(bend.sum(axis=2), 0.0, atol=1e-9)
        assert np.linalg.eigvalsh(bend).min() > -1e-9


@FEW
@given(SEEDS)
def test_ghk_slopes_are_those_of_its_own_simulation(seed):
    rng = np.random.default_rng(seed)
    u, offered = menus(rng, options=3)
    parameters = probit_correlated.independent_parameters(3)[None] + 0.2 * rng.normal(size=(1, 2))
    case = bind(probit_correlated, u, parameters, offered, pick(rng, offered), DRAWS)
    check_score_by_differences(case, atol=1e-6)
    check_torch_agrees(case, rtol=1e-5, atol=1e-7)
