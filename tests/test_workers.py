"""Workers: results in order, whoever dies, hangs or raises meanwhile."""

import multiprocessing
import os
import time
from contextlib import closing
from functools import partial

import pytest

from rldg import workers
from rldg.engines import LocalEngine, WorkerError, make_engine
from rldg.errors import StageError, UnknownNameError
from rldg.workers import EpisodeRunner, map_episodes
from tests.worker_functions import dies, gives_what_cannot_be_sent, hangs, raises, square


@pytest.fixture(scope="module")
def engine():
    return LocalEngine(2)


def test_results_come_in_order_from_any_engine(engine):
    expected = [(index, index**2) for index in range(9)]
    assert list(map_episodes(square, range(9), engine)) == expected
    assert list(map_episodes(square, range(9))) == expected
    assert list(map_episodes(square, (), engine)) == []
    assert make_engine(workers=1).workers == 1
    assert make_engine(workers=0).workers == os.cpu_count()


def test_a_dead_worker_is_replaced_and_its_episode_run_again(engine, tmp_path):
    assert list(map_episodes(partial(dies, folder=tmp_path, times=2), range(6), engine)) == [(i, i) for i in range(6)]


def test_an_episode_that_kills_every_worker_is_named_after_the_ones_before_it(engine, tmp_path):
    seen = []
    with pytest.raises(WorkerError, match="Workers died on episode 2, 3 times"):
        seen.extend(map_episodes(partial(dies, folder=tmp_path, times=9), range(6), engine))
    assert len(list(tmp_path.iterdir())) == 3


def test_a_straggler_is_ended_and_run_again(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "SLOW_SECONDS", 1.0)
    monkeypatch.setattr(workers, "SLOW", 2.0)
    run = partial(hangs, folder=tmp_path, times=1)
    assert list(map_episodes(run, range(6), engine)) == [(i, i) for i in range(6)]


def test_an_episode_that_always_hangs_is_given_up(engine, tmp_path):
    with pytest.raises(WorkerError, match=r"took more than 0\.5 s on episode 2, 3 times: is the time-out too short"):
        list(map_episodes(partial(hangs, folder=tmp_path, times=9), range(6), engine, timeout=0.5))


def test_an_exception_comes_out_as_it_is_in_its_turn(engine):
    seen = []
    with pytest.raises(UnknownNameError, match="Unknown fruit 'aple'"):
        for index, _ in map_episodes(raises, range(6), engine):
            seen.append(index)
    assert seen == [0, 1]


def test_what_cannot_be_sent_is_an_error_not_a_hang(engine):
    with pytest.raises(WorkerError, match="job 0 cannot be sent"):
        list(map_episodes(gives_what_cannot_be_sent, range(2), engine))


def test_closing_ends_all_workers_at_once(engine, tmp_path):
    with closing(map_episodes(partial(hangs, folder=tmp_path, times=1), range(9), engine)) as arriving:
        assert next(arriving) == (0, 0)
        assert multiprocessing.active_children()
        started = time.monotonic()
    assert time.monotonic() - started < 3
    assert multiprocessing.active_children() == []


def test_no_more_workers_start_than_there_are_episodes():
    before = len(multiprocessing.active_children())
    with closing(map_episodes(square, range(1), LocalEngine(8))) as arriving:
        assert next(arriving) == (0, 0)
        assert len(multiprocessing.active_children()) == before + 1


def test_a_machine_with_another_task_is_refused_by_name():
    runner = EpisodeRunner("usb_a_insertion", "expert", cameras=False, expected={"task": "0" * 16})
    with pytest.raises(WorkerError, match=r"has another task .* than the machine that asks \(0{16}\)"):
        runner(0)


@pytest.mark.parametrize("error", [UnknownNameError("fruit", "x", "ab"), StageError("It is locked.")])
def test_our_errors_cross_processes(error):
    ours, theirs = multiprocessing.Pipe()
    ours.send(error)
    received = theirs.recv()
    assert type(received) is type(error)
    assert str(received) == str(error)
