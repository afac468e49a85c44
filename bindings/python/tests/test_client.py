import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import footpath
from footpath import Consent, ReceiptState, Tracked, money


def test_events_arrive_once_and_as_they_are(start, stored):
    client = start()
    for n in range(250):
        assert client.track("checkout_started", {"amount": money("12.50", "EUR"), "n": n}, user=f"u{n % 7}")
    assert client.link("a-1", "u1") and client.set_person({"plan": "pro"}, user="u1") and client.group("company", "acme", user="u1")
    flushed = client.wait_flushed(20)
    stats = client.stats()
    assert flushed.complete and (stats.acked, stats.duplicates, stats.rejected, stats.pending) == (253, 0, 0, 0)
    events = stored("checkout_started")
    assert sorted(event.properties.fields["n"].number_value for event in events) == list(range(250))


def test_nothing_raises_unless_strict(start, caplog):
    client = start(strict=False)
    wrong = [
        lambda: client.track("", user="u"),
        lambda: client.track("$reserved", user="u"),
        lambda: client.track("no_person"),
        lambda: client.track("e", {"p": object()}, user="u"),
        lambda: client.track("e", {"p": float("nan")}, user="u"),
        lambda: client.identify("null"),
        lambda: client.link("guest", "u"),
    ]
    client.wait_flushed(1)  # The storage is open: what is wrong only for a backend is known by now.
    for call in wrong:
        assert call() is Tracked.INVALID
    assert client.track("e", {"p": "x" * 40_000}, user="u") is Tracked.TOO_LARGE
    client.close()
    assert client.track("e", user="u") is Tracked.CLOSED
    stats = client.stats()
    assert (stats.invalid, stats.too_large, stats.after_close, stats.tracked) == (len(wrong), 1, 1, 0)
    assert any('property "p": a object is no value' in record.message for record in caplog.records)
    assert any("are allowed" in record.message for record in caplog.records)
    assert any("person" in record.message or "anonymous" in record.message for record in caplog.records)
    strict = start(strict=True)
    with pytest.raises(Exception, match="1 to 255 bytes"):
        strict.track("", user="u")


def test_what_was_tracked_offline_arrives_after_a_restart(start):
    client = start()
    client.hold()
    for n in range(30):
        client.track("offline", {"n": n}, user="u")
    receipt = client.track_critical("paid", user="u")
    assert receipt.wait_queued(10) == ReceiptState.QUEUED()
    client.close()
    client = start()
    assert client.receipt(receipt.event_id).wait_delivered(20) == ReceiptState.ACKED()
    assert client.wait_flushed(20).complete and client.stats().acked == 31


def test_a_device_has_a_person_of_its_own(start):
    client = start(device=True, first_consent=Consent.PENDING)
    client.track("opened")
    assert client.wait_flushed(10).paused is not None
    assert client.who().consent == Consent.PENDING
    client.set_consent(Consent.GRANTED)
    assert client.who().consent == Consent.GRANTED
    first = client.who().anonymous_id
    client.identify("u1", {"plan": "pro"})
    client.register("tariff", "night")
    client.identify("u2")
    assert client.who().user_id == "u2" and client.who().anonymous_id != first
    client.reset()
    assert client.who().user_id == ""
    assert client.wait_flushed(20).complete and client.stats().acked == 3


def test_an_authority_of_your_own(start, tls_server):
    of_theirs = {"url": tls_server.url, "key": tls_server.key}
    wary = start(**of_theirs)
    wary.track("secret", user="u")
    assert not wary.wait_flushed(1).complete
    assert wary.stats().pending == 1 and "certificate" in wary.stats().last_error
    wary.close()
    client = start(**of_theirs, ca_certificate=tls_server.certificate)
    assert client.wait_flushed(20).complete and client.stats().acked == 1


def test_a_wrong_key_is_told_once_and_a_right_one_goes_on(start, server):
    told = []
    client = start(key="wrong", on_problem=told.append)
    client.track("e", user="u")
    assert client.wait_flushed(10).paused.is_unauthenticated()
    client.track("e", user="u")
    client.wait_flushed(1)
    assert len(told) == 1
    client.set_key(server.key)
    assert client.wait_flushed(20).complete and client.stats().acked == 2


def test_hooks_and_test_mode():
    def hook(name, properties):
        properties.pop("card", None)
        return None if name == "secret" else properties

    with footpath.Client("", "", "demo", None, in_memory_transport=True, before_send=hook) as client:
        assert client.track("secret", user="u") is Tracked.NOT_WANTED
        assert client.track("paid", {"card": "4111"}, user="u")
        assert client.wait_flushed(10).acked == 1


def test_typed_events_from_a_tracking_plan(tmp_path, monkeypatch):
    plan = Path(__file__).parents[3] / "client-sdk/examples/typed_events/plan.toml"
    command = [os.environ["FOOTPATH_BIN"], "typed-events", str(plan), "--language", "python"]
    subprocess.run([*command, "--output", str(tmp_path / "shop_events.py")], check=True)
    monkeypatch.syspath_prepend(tmp_path)
    import shop_events

    seen = []
    hook = lambda name, properties: seen.append((name, properties)) or properties
    with footpath.Client("", "", "demo", None, in_memory_transport=True, strict=True, before_send=hook) as client:
        assert shop_events.checkout_started(client, amount=footpath.money("12.50", "EUR"), items=3, user="u")
        assert shop_events.scrolled(client, user="u")
        receipt = shop_events.payment_succeeded(client, order="o-1", user="u")
        assert receipt.wait_delivered(10) is not None
    assert [name for name, _ in seen] == ["checkout_started", "scrolled", "payment_succeeded"]
    assert seen[0][1] == {"amount": footpath.money("12.50", "EUR"), "items": 3}


def test_async_forms_can_be_cancelled(start):
    async def run():
        async with start() as client:
            client.hold()
            receipt = client.track_critical("paid", user="u")
            assert await receipt.queued(10) == ReceiptState.QUEUED()
            waiting = asyncio.create_task(receipt.delivered(30))
            await asyncio.sleep(0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            client.resume()
            assert await receipt.delivered(20) == ReceiptState.ACKED()
            assert (await client.flush(20)).complete

    asyncio.run(run())


def program(server, folder, body):
    head = f"""
    import footpath, os, sys, time
    client = footpath.Client({server.url!r}, {server.key!r}, {server.project!r}, {str(folder)!r}, strict=True, batch_interval=0.02)
    """
    return [sys.executable, "-c", textwrap.dedent(head) + textwrap.dedent(body)]


def test_kill_9_takes_nothing(start, server, tmp_path):
    folder = tmp_path / "killed"
    body = """
    client.hold()
    while not client.is_open():  # Until then, events lie in memory.
        time.sleep(0.001)
    for n in range(2000):
        client.track("e", {"n": n}, user="u")
    print(client.stats().tracked, flush=True)
    time.sleep(60)
    """
    child = subprocess.Popen(program(server, folder, body), stdout=subprocess.PIPE, text=True)
    tracked = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    child.wait()
    client = start(folder)
    assert client.wait_flushed(30).complete
    assert (client.stats().acked, client.stats().duplicates) == (tracked, 0)


def test_the_end_of_the_process_flushes(start, server, tmp_path):
    folder = tmp_path / "ended"
    subprocess.run(program(server, folder, "client.track('bye', user='u')"), check=True, timeout=60)
    client = start(folder)
    client.wait_flushed(10)
    assert client.stats().acked == 0, "it was delivered before"


def test_the_end_waits_no_longer_than_it_may(tmp_path, server):
    body = """
    client.close()
    client2 = footpath.Client("http://127.0.0.1:9", "k", "default", sys.argv[1] if len(sys.argv) > 1 else None, exit_seconds=0.5)
    client2.track("nobody_listens", user="u")
    """
    begin = time.monotonic()
    subprocess.run(program(server, tmp_path / "q", body), check=True, timeout=60)
    assert time.monotonic() - begin < 20


def test_a_fork_goes_on_with_a_queue_of_its_own(start, server, tmp_path):
    folder = tmp_path / "forked"
    body = """
    client.track("parent", user="u")
    children = []
    for n in range(3):
        pid = os.fork()
        if pid == 0:
            for m in range(100):
                client.track("child", {"n": n, "m": m}, user="u")
            flushed = client.wait_flushed(20)
            ok = flushed.complete and client.stats().acked == 100
            client.close()
            os._exit(0 if ok else 1)
        children.append(pid)
    codes = [os.waitpid(pid, 0)[1] for pid in children]
    client.track("parent", user="u")
    assert client.wait_flushed(20).complete
    assert codes == [0, 0, 0] and client.stats().acked == 2, (codes, client.stats())
    """
    subprocess.run(program(server, folder, body), check=True, timeout=120)
    client = start(folder)
    client.wait_flushed(10)
    assert client.stats().acked == 0
    assert os.listdir(os.path.join(folder, "default")) == ["main"], "what the children left is taken over"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_deliver_before_they_end(start, server, stored, tmp_path, method):
    module = tmp_path / "children.py"
    module.write_text(textwrap.dedent(f'''
        import multiprocessing
        import footpath

        client = footpath.Client({server.url!r}, {server.key!r}, {server.project!r}, {str(tmp_path / "children")!r})

        def work(n):
            client.track("{method}_child", {{"n": n}}, user="u")

        if __name__ == "__main__":
            with_method = multiprocessing.get_context({method!r})
            children = [with_method.Process(target=work, args=(n,)) for n in range(4)]
            for child in children:
                child.start()
            for child in children:
                child.join()
    '''))
    subprocess.run([sys.executable, module], check=True, timeout=120)
    start(tmp_path / "children").wait_flushed(10)
    assert sorted(event.properties.fields["n"].number_value for event in stored(f"{method}_child")) == [0, 1, 2, 3]


def test_gunicorn_with_preload(start, server, stored, tmp_path):
    folder = tmp_path / "gunicorn"
    module = f"""
    import os
    import time
    import footpath
    client = footpath.Client({server.url!r}, {server.key!r}, {server.project!r}, {str(folder)!r}, batch_interval=0.02)
    client.track("loaded", user="u")

    def app(environ, start_response):
        time.sleep(0.01)
        taken = client.track("requested", {{"worker": os.getpid()}}, user="u")
        start_response("200 OK" if taken else "500 Refused", [("content-type", "text/plain")])
        return [str(os.getpid()).encode()]
    """
    (tmp_path / "shop.py").write_text(textwrap.dedent(module))
    bind = f"unix:{tmp_path}/s"
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "3", "--bind", bind, "--chdir", str(tmp_path), "shop:app"]
    server_process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        with ThreadPoolExecutor(6) as pool:  # So many at once that one worker cannot take them all.
            workers = set(pool.map(lambda _: get(f"{tmp_path}/s"), range(90)))
    finally:
        server_process.terminate()
        assert server_process.wait(30) == 0
    assert len(workers) > 1
    # The workers have gone: what they could not deliver is in their folders.
    client = start(folder)
    assert client.wait_flushed(20).complete
    assert len(stored("requested")) == 90


def get(path):
    """A request over a Unix socket."""
    import http.client
    import socket

    for _ in range(400):
        try:
            connection = http.client.HTTPConnection("localhost")
            connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.sock.connect(path)
            connection.request("GET", "/")
            answer = connection.getresponse()
            assert answer.status == 200
            return answer.read()
        except (ConnectionError, FileNotFoundError):
            time.sleep(0.05)
    raise AssertionError("nobody listens")

