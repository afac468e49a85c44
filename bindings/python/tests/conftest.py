"""A real server, and what it says of its messages."""

import os
import subprocess
import urllib.request
from types import SimpleNamespace

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

import footpath


def serve(data, *more):
    """Runs a server on a folder until its caller goes on."""
    program = os.environ["FOOTPATH_BIN"]
    listen = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
    child = subprocess.Popen(
        [program, "serve", "--data", str(data), *listen, "--until-stdin-closes", *more],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    key = url = code = None
    for line in child.stdout:
        if line.startswith("project key: "):
            key = line.removeprefix("project key: ").strip()
        if line.startswith("open: "):
            url, code = line.removeprefix("open: ").strip().split("/?code=")
            break
    assert key and url, "the server does not start"
    yield SimpleNamespace(url=url, key=key, code=code, project="default")
    child.stdin.close()
    child.wait(30)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    yield from serve(tmp_path_factory.mktemp("server"))


@pytest.fixture
def tls_server(tmp_path):
    """A server whose certificate is its own authority, as the operator's guide makes it."""
    certificate, key = tmp_path / "tls.pem", tmp_path / "tls.key"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", *names,
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )
    for server in serve(tmp_path / "data", "--tls-cert", str(certificate), "--tls-key", str(key)):
        server.certificate = certificate.read_bytes()
        yield server


@pytest.fixture(scope="session")
def messages(server):
    """The generated classes of the API, from the server's own descriptors."""
    with urllib.request.urlopen(f"{server.url}/descriptors.bin") as answer:
        files = descriptor_pb2.FileDescriptorSet.FromString(answer.read())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return lambda name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"footpath.v1.{name}"))


@pytest.fixture(scope="session")
def stored(server, messages):
    """Asks the server which events of a name it has stored."""
    channel = grpc.insecure_channel(server.url.removeprefix("http://"))

    def call(service, method, token="", **fields):
        answer = messages(f"{method}Response")
        path = f"/footpath.v1.{service}/{method}"
        ask = channel.unary_unary(path, messages(f"{method}Request").SerializeToString, answer.FromString)
        return ask(messages(f"{method}Request")(**fields), metadata=[("authorization", f"Bearer {token}")] if token else [])

    token = call("AdminService", "ExchangeCode", code=server.code).token

    def events(name):
        found, page = [], ""
        while True:
            answer = call("QueryService", "ListEvents", token, project=server.project, page_size=1000, page_token=page)
            found += (event for event in answer.events if event.name == name)
            page = answer.next_page_token
            if not page:
                return found

    return events


@pytest.fixture
def start(server, tmp_path):
    """Starts clients of the server; closes those that a test leaves open."""
    started = []

    def make(folder=tmp_path / "queue", key=server.key, url=server.url, **settings):
        settings = {"batch_interval": 0.02, "strict": True, **settings}
        client = footpath.Client(url, key, server.project, folder, **settings)
        started.append(client)
        return client

    yield make
    for client in started:
        client.close()
