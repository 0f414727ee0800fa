"""While a fit runs BLAS has one thread, a language model as many as it is told; afterwards both
have what the user gave them."""

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from penchant.fitting.pooled import fit_pooled
from penchant.numerics.threads import one_blas_thread, torch_threads
from penchant.simulation.choices import SimulationConfig, simulate_choices


def num_threads():
    return {
        library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"
    }


@pytest.fixture(autouse=True)
def two_threads():
    with threadpool_limits(limits=2, user_api="blas"):
        assert num_threads() == {2}
        yield


def test_a_fit_runs_on_one_thread_and_leaves_the_users_setting():
    seen = []
    config = SimulationConfig.pooled((1.0, -0.5), num_people=20, num_tasks=3)
    batch = simulate_choices(config, np.random.default_rng(0)).batch
    fit_pooled(batch, on_step=lambda *_: seen.append(num_threads()))
    assert seen
    assert all(threads == {1} for threads in seen)
    assert num_threads() == {2}


def test_a_fit_that_fails_leaves_the_users_setting():
    @one_blas_thread
    def fail():
        raise RuntimeError(str(num_threads()))

    with pytest.raises(RuntimeError, match=r"^\{1\}$"):
        fail()
    assert num_threads() == {2}


def test_of_two_fits_at_once_whichever_ends_last_the_setting_comes_back():
    first_ended, second_began, done = threading.Event(), threading.Event(), []

    @one_blas_thread
    def second():
        second_began.set()
        first_ended.wait(10)
        done.append(True)

    other = threading.Thread(target=second)

    @one_blas_thread
    def first():
        other.start()
        second_began.wait(10)
        return num_threads()

    assert first() == {1}
    first_ended.set()
    other.join()
    assert done
    assert num_threads() == {2}


def test_a_fit_within_a_fit_keeps_one_thread_to_the_end():
    inner = one_blas_thread(num_threads)

    @one_blas_thread
    def outer():
        return [inner(), num_threads()]

    assert outer() == [{1}, {1}]
    assert num_threads() == {2}


def test_a_language_model_has_the_threads_it_is_told_and_then_the_users_again():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    other = 3 if before != 3 else 2
    with torch_threads(other):
        assert torch.get_num_threads() == other
        with torch_threads(None):
            assert torch.get_num_threads() == other
    assert torch.get_num_threads() == before
    with pytest.raises(RuntimeError), torch_threads(other):
        raise RuntimeError
    assert torch.get_num_threads() == before
