"""Copies, threads, signals and ends: what may happen to a client besides being used."""

import asyncio
import copy
import gc
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


@pytest.mark.parametrize("wait", ["client.wait_flushed(60)", "client.close(60)", "receipt.wait_delivered(60)", "client.__exit__()"])
def test_ctrl_c_ends_waiting(tmp_path, wait):
    body = f"""
    import footpath, signal, time
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Whoever runs the tests may ignore it.
    client = footpath.Client("{NOBODY}", "k", "demo", {str(tmp_path / "q")!r}, exit_seconds=60)
    receipt = client.track_critical("paid", user="u")
    receipt.wait_queued(10)
    print("waits", flush=True)
    try:
        {wait}
    except KeyboardInterrupt:
        client._exit_seconds = 0
        client.close()
        print("heard", client.track("late", user="u").name)
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(body)], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "waits\n"
    time.sleep(0.3)
    begin = time.monotonic()
    child.send_signal(signal.SIGINT)
    try:
        rest, _ = child.communicate(timeout=40)
    finally:
        child.kill()
    assert rest == "heard CLOSED\n" and time.monotonic() - begin < 30


def test_ctrl_c_ends_the_end_of_the_process(tmp_path):
    """And what was tracked is saved all the same."""
    body = f"""
    import footpath, signal
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Whoever runs the tests may ignore it.
    client = footpath.Client("{NOBODY}", "k", "demo", {str(tmp_path / "q")!r}, exit_seconds=60)
    client.track("e", user="u")
    client.wait_flushed(1)
    print("ends", flush=True)
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(body)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ends\n"
    time.sleep(0.5)
    begin = time.monotonic()
    child.send_signal(signal.SIGINT)
    try:
        child.communicate(timeout=40)
    finally:
        child.kill()
    assert time.monotonic() - begin < 30
    client = footpath.Client(NOBODY, "k", "demo", tmp_path / "q", exit_seconds=0)
    client.wait_flushed(0.5)
    assert client.stats().pending == 1
    client.close()


def test_signals_are_handled_while_it_waits(tmp_path):
    body = f"""
    import footpath, os, signal, threading, time
    client = footpath.Client("{NOBODY}", "k", "demo", {str(tmp_path / "q")!r}, exit_seconds=0)
    client.track("e", user="u")
    signal.signal(signal.SIGALRM, lambda *_: client.close())
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    begin = time.monotonic()
    flushed = client.wait_flushed(20)
    assert not flushed.complete and time.monotonic() - begin < 10
    print(flushed.pending)
    """
    done, _ = run(body)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_all_clients_share_the_time_at_the_end(tmp_path):
    body = f"""
    import footpath
    clients = [footpath.Client("{NOBODY}", "k", "demo", {str(tmp_path)!r} + f"/{{n}}", exit_seconds=1) for n in range(8)]
    for client in clients:
        client.track("e", user="u")
    """
    done, took = run(body)
    assert done.returncode == 0 and took < 5, done.stderr


def test_the_end_needs_no_new_thread(server, tmp_path, stored):
    """From Python 3.12 on there is none to be had any more when the process ends."""
    body = f"""
    import atexit, threading
    def starts_none(thread):
        raise RuntimeError("can't create new thread at interpreter shutdown")
    import footpath
    client = footpath.Client({server.url!r}, {server.key!r}, {server.project!r}, {str(tmp_path / "q")!r})
    client.track("ends_without_threads", user="u")
    atexit.register(setattr, threading.Thread, "start", starts_none)  # Called before what was registered earlier.
    """
    done, _ = run(body)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(stored("ends_without_threads")) == 1


def test_a_closed_client_stays_closed_in_a_child(tmp_path):
    body = f"""
    import footpath, os
    client = footpath.Client("{NOBODY}", "k", "demo", {str(tmp_path / "q")!r}, exit_seconds=0)
    client.close()
    pid = os.fork()
    if pid == 0:
        assert client.track("e", user="u") is footpath.Tracked.CLOSED
        assert client.stats().after_close == 1 and not client.is_open() and client.who() is None
        client.hold(), client.resume(), client.close(1)
        assert not client.wait_flushed(1).complete
        print("closed", flush=True)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    """
    done, _ = run(body)
    assert (done.returncode, done.stdout) == (0, "closed\n"), done.stderr


def test_a_relative_folder_is_that_of_the_start(tmp_path):
    body = """
    import footpath, os
    client = footpath.Client("http://127.0.0.1:9", "k", "demo", "queue", exit_seconds=0)
    while not client.is_open():
        pass
    os.mkdir("elsewhere")
    os.chdir("elsewhere")
    if os.fork() == 0:  # As a daemon does.
        while not client.is_open():
            pass
        os._exit(0)
    os.wait()
    assert not os.listdir(".")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(body)], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("closes", [False, True])
def test_the_process_may_end_while_threads_are_in_every_call(closes):
    """None of them is called back by the core any more, which would abort the process."""
    body = f"""
    import asyncio, logging, threading, time, footpath
    logging.disable()
    threading.excepthook = lambda failed: None  # No client is made at the end.
    client = footpath.Client("{NOBODY}", "k", "demo", None, exit_seconds=0.1)
    receipt = client.track_critical("paid", user="u")

    def for_ever(call):
        def run():
            while True:
                call()
        threading.Thread(target=run, daemon=True).start()

    async def wait():
        await asyncio.gather(*[client.flush(seconds / 100) for seconds in range(10)], receipt.delivered(60))

    for_ever(lambda: client.track("e", user="u"))
    for_ever(lambda: client.wait_flushed(0.001))
    for_ever(lambda: client.wait_flushed(60))
    for_ever(lambda: receipt.wait_queued(0))
    for_ever(lambda: asyncio.run(wait()))
    for_ever(lambda: footpath.Client("{NOBODY}", "k", "demo", None))  # Let go at once.
    if {closes}:
        for_ever(client.close)
    time.sleep(0.1)
    print("ends", flush=True)
    """
    for _ in range(4):
        done, took = run(body)
        assert (done.returncode, done.stdout) == (0, "ends\n"), done.stderr
        assert took < 10


def test_a_client_that_nobody_holds_ends(tmp_path):
    """And what it had is on the disk."""
    client = footpath.Client(NOBODY, "k", "demo", tmp_path / "q", exit_seconds=0)
    client.track("e", user="u")
    ending = client._ending
    del client
    gc.collect()
    assert ending.is_over and ending not in footpath._ending._running
    client = footpath.Client(NOBODY, "k", "demo", tmp_path / "q", exit_seconds=0)
    client.wait_flushed(0.2)
    assert client.stats().pending == 1
    client.close()


def test_a_call_that_waits_may_stand_in_a_coroutine():
    async def wait():
        loop = asyncio.get_running_loop()
        with footpath.Client("", "", "demo", None, in_memory_transport=True) as client:
            client.track("e", user="u")
            assert client.wait_flushed(10).complete
            assert asyncio.get_running_loop() is loop
            assert (await client.flush(10)).complete

    asyncio.run(wait())


def test_what_is_called_after_the_end_does_nothing():
    body = f"""
    import asyncio, atexit

    def late():  # Called last: it was registered first.
        assert not client.wait_flushed(20).complete and not client.track("late", user="u")
        assert receipt.wait_delivered(20) is None and not asyncio.run(client.flush(20)).complete
        client.close(20)
        assert client.stats().after_close == 1
        try:
            footpath.Client("{NOBODY}", "k", "demo", None)
        except RuntimeError as error:
            print(error)

    atexit.register(late)
    import footpath
    client = footpath.Client("{NOBODY}", "k", "demo", None, exit_seconds=0.1)
    receipt = client.track_critical("paid", user="u")
    """
    done, took = run(body)
    assert (done.returncode, done.stdout) == (0, "the process ends: no client can be made any more\n"), done.stderr
    assert took < 10
