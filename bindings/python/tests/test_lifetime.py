"""Copies, threads, signals and ends: what may happen to a client besides being used."""

import copy
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import footpath

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def offline(tmp_path):
    """A client whose server is not there."""
    client = footpath.Client(NOBODY, "key", "demo", tmp_path / "offline", exit_seconds=0)
    yield client
    client.close()


def run(body, *, seconds=30, **env):
    """Runs a program; its output, and how long it took."""
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(body)],
        capture_output=True, text=True, timeout=seconds, env={**os.environ, **env},
    )
    return done, time.monotonic() - begin


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_client_is_not_copied(offline, make):
    receipt = offline.track_critical("paid", user="u")
    with pytest.raises(TypeError, match="another process makes one of its own"):
        make(offline)
    with pytest.raises(TypeError, match="event_id"):
        make(receipt)
    assert offline.track("e", user="u")


def wrong_key(server, listener, rest=""):
    """A program whose listener is called for a wrong key."""
    return textwrap.dedent(f"""
        import os, sys, threading, time
        import footpath
        told = threading.Event()
    """) + textwrap.dedent(listener) + textwrap.dedent(f"""
        client = footpath.Client({server.url!r}, "wrong", "default", None, on_problem=on_problem, exit_seconds=1)
        client.track("e", user="u")
        assert told.wait(20)
    """) + textwrap.dedent(rest)


@pytest.mark.parametrize("rest", ["", "sys.exit(0)", "client.close()", "del client", "time.sleep(0.5)"])
def test_a_listener_may_close_its_client(server, rest):
    listener = """
    def on_problem(problem):
        told.set()
        client.close()
        time.sleep(0.2)
        print("told", flush=True)
    """
    for _ in range(3):
        done, took = run(wrong_key(server, listener, rest))
        assert (done.returncode, done.stdout) == (0, "told\n"), done.stderr
        assert took < 10


@pytest.mark.parametrize("wait", ["client.wait_flushed(0.5)", "client.close(0.5)", "receipt.wait_delivered(0.5)", "os.fork() or os._exit(0)"])
def test_a_listener_may_wait_and_fork(server, wait):
    listener = f"""
    def on_problem(problem):
        receipt = client.track_critical("paid", user="u")
        {wait}
        print("waited", flush=True)
        told.set()
    """
    done, took = run(wrong_key(server, listener))
    assert (done.returncode, done.stdout) == (0, "waited\n"), done.stderr
    assert took < 10


def test_listeners_may_close_each_others_clients(server):
    body = f"""
    import threading, footpath
    both = threading.Barrier(3)
    def closing(which):
        def on_problem(problem):
            both.wait(20)
            clients[1 - which].close()
            both.wait(20)
        return on_problem
    clients = [footpath.Client({server.url!r}, "wrong", "default", None, on_problem=closing(n)) for n in (0, 1)]
    for client in clients:
        client.track("e", user="u")
    both.wait(20)
    both.wait(20)
    print("closed")
    """
    done, _ = run(body)
    assert (done.returncode, done.stdout) == (0, "closed\n"), done.stderr


def test_a_listener_that_hangs_holds_up_nothing(server):
    listener = """
    def on_problem(problem):
        told.set()
        time.sleep(60)
    """
    done, took = run(wrong_key(server, listener, "client.wait_flushed(5); client.close(); print('closed')"))
    assert (done.returncode, done.stdout) == (0, "closed\n"), done.stderr
    assert took < 10


def test_a_listener_that_fails_is_called_again(server, tmp_path):
    listener = """
    calls = []
    def on_problem(problem):
        calls.append(problem)
        told.set()
        raise SystemExit
    """
    rest = """
    client.set_key("wrong, too")
    for _ in range(200):
        time.sleep(0.02)
    print(len(calls))
    """
    done, _ = run(wrong_key(server, listener, rest))
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr
    assert "on_problem failed" in done.stderr
