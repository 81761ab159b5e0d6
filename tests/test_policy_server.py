"""The policy server: what clients are promised, openpi's included, and what it survives."""

import contextlib
import json
import subprocess
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from rldg.cli.main import dispatch
from rldg.env.types import STATE_PARTS, ActionContract
from rldg.errors import ContractError, UsageError
from rldg.generalists.octo.policy import OctoPolicy
from rldg.generalists.openvla.policy import load_openvla
from rldg.policies.base import Policy, PolicyMetadata
from rldg.policies.expert import Expert
from rldg.policies.intervention import Intervention
from rldg.policies.merged import Merged
from rldg.policies.protocol import Reset
from rldg.policies.wire import MAX_BYTES, MessageError, pack, unpack
from rldg.serving.policy_server import PolicyServer
from rldg.tasks import load_task
from tests.openvla_golden import write
from tests.test_octo_policy import WINDOWS, checkpoint, observations

TASK = load_task("usb_a_insertion")
CONTRACT = ActionContract.of(TASK)


class Counter(Policy):
    """Its actions say how many observations it has seen in the episode, with which seed, and the height it is at."""

    metadata = PolicyMetadata(kind="counter", action_contract=CONTRACT, image_sizes={"wrist_1": 4}, weight_hash="12ab")

    def reset(self, task, instruction, seed=0):
        self.seen, self.seed = 0, seed

    def act(self, observation):
        self.seen += 1
        height = observation["state"]["tcp_pose"][2]
        if height > 99:
            raise ZeroDivisionError("a bug")
        return np.tile(np.float32([self.seen, self.seed, height, 0, 0, 0, 0]), (2, 1))


@contextlib.contextmanager
def served(policy=None, **options):
    with PolicyServer(policy or Counter(), **options) as server:
        thread = threading.Thread(target=server.serve)
        thread.start()
        yield server
    thread.join(10)
    assert not thread.is_alive()


class Openpi:
    """What openpi's client does, message for message (`websocket_client_policy.py`, `msgpack_numpy.py`)."""

    def __init__(self, url, api_key=None):
        headers = {"Authorization": f"Api-Key {api_key}"} if api_key else None
        self.connection = connect(url, compression=None, max_size=None, additional_headers=headers)
        self.socket = self.connection.__enter__()
        self.metadata = self.decoded(self.socket.recv(10))

    def infer(self, observation):
        self.socket.send(msgpack.packb(observation, default=self.encoded))
        return self.heard()

    def heard(self):
        answer = self.socket.recv(60)
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return self.decoded(answer)

    def encoded(self, array):
        if isinstance(array, np.generic):
            return {b"__npgeneric__": True, b"data": array.item(), b"dtype": array.dtype.str}
        return {b"__ndarray__": True, b"data": array.tobytes(), b"dtype": array.dtype.str, b"shape": array.shape}

    def decoded(self, data):
        def array(found):
            if b"__ndarray__" in found:
                return np.ndarray(buffer=found[b"data"], dtype=np.dtype(found[b"dtype"]), shape=found[b"shape"])
            return found

        return msgpack.unpackb(data, object_hook=array)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.__exit__(None, None, None)


def frame(height=0.5, **more):
    state = np.zeros(20)  # float64, as clients have it
    state[2] = height
    return {"observation/image_wrist_1": np.zeros((4, 4, 3), np.uint8), "observation/state": state, **more}


@pytest.fixture(scope="module")
def server():
    with served(task=TASK) as server:
        yield server


# The protocol


def test_openpis_client_gets_metadata_actions_and_times(server):
    with Openpi(server.url) as client:
        about = client.metadata
        assert (about["kind"], about["weight_hash"], about["image_sizes"]) == ("counter", "12ab", {"wrist_1": 4})
        assert about["rate"] == about["action_contract"]["rate"] == 10
        assert (about["task"], about["instruction"]) == (TASK.name, TASK.instruction)
        first, second = client.infer(frame(prompt="insert")), client.infer(frame(0.25, prompt="insert"))
        assert first["actions"].shape == (2, 7)
        assert first["actions"].dtype == np.float32
        assert [first["actions"][0, 0], second["actions"][0, 0]] == [1, 2]
        assert second["actions"][0, 2] == 0.25
        assert 0 <= first["server_timing"]["infer_ms"] < second["server_timing"]["prev_total_ms"] + 1000


@pytest.mark.filterwarnings("ignore:connect")  # it still connects as older versions of websockets want it
def test_the_published_client_of_openpi_works_as_it_is(server):
    published = pytest.importorskip("openpi_client.websocket_client_policy")
    host, port = server.url.removeprefix("ws://").split(":")
    client = published.WebsocketClientPolicy(host=host, port=int(port))
    assert client.get_server_metadata()["kind"] == "counter"
    assert client.infer(frame(prompt="insert"))["actions"].shape == (2, 7)
    with pytest.raises(RuntimeError, match="observation/image_wrist_1"):
        client.infer({"observation/state": np.zeros(20), "prompt": "insert"})
    assert client.infer(frame(prompt="insert"))["actions"][0, 0] == 2
    client._ws.close()


def test_an_episode_begins_with_reset_with_another_prompt_and_with_every_client(server):
    with Openpi(server.url) as one, Openpi(server.url) as other:
        assert [one.infer(frame())["actions"][0, 0] for _ in range(2)] == [1, 2]
        assert other.infer(frame())["actions"][0, 0] == 1
        assert one.infer(frame(prompt="another thing"))["actions"][0, 0] == 1
        assert one.infer(frame(prompt="another thing"))["actions"][0, 0] == 2
        assert one.infer(frame(reset=True))["actions"][0, 0] == 1
        assert one.infer(Reset(TASK, "insert", 7, CONTRACT).message()) == {"reset": True}
        assert list(one.infer(frame())["actions"][0, :2]) == [1, 7]


def test_nested_parts_and_flat_names_are_the_same_observation(server):
    state = {part: np.zeros(size, np.float32) for part, size in STATE_PARTS.items()}
    state["tcp_pose"][2] = 0.25
    picture = np.zeros((4, 4, 3), np.uint8)
    with Openpi(server.url) as client:
        nested = client.infer({"state": state, "images": {"wrist_1": picture}})
        parts = {f"observation/{part}": value for part, value in state.items()}
        flat = client.infer({**parts, "observation/image_wrist_1": picture})
        assert nested["actions"][0, 2] == flat["actions"][0, 2] == 0.25


def test_a_client_of_another_contract_is_refused_and_both_are_named(server):
    other = ActionContract(0.03, 0.1, 10.0, "fixed")
    with Openpi(server.url) as client, pytest.raises(RuntimeError, match=r"translation_scale=0.015.*=0.03") as refused:
        client.infer(Reset(TASK, action_contract=other).message())
    assert "\n" not in str(refused.value)
    scale = TASK.action_scale.model_copy(update={"translation": 0.03})
    with pytest.raises(ContractError, match=r"0\.03"):
        PolicyServer(Counter(), task=TASK.model_copy(update={"action_scale": scale}))


def test_without_a_task_the_client_has_to_name_one():
    with served() as server, Openpi(server.url) as client:
        with pytest.raises(RuntimeError, match="--task"):
            client.infer(frame())
        assert client.infer(frame() | Reset(TASK).message())["actions"].shape == (2, 7)


# Who may connect


def test_health_needs_no_token_and_actions_do(server):
    with served(task=TASK, token="open sesame") as closed:
        for place in (server, closed):
            with urllib.request.urlopen(place.url.replace("ws", "http") + "/healthz", timeout=10) as answer:
                assert (answer.status, answer.read()) == (200, b"OK\n")
        for key in (None, "wrong", "é"):
            with pytest.raises(InvalidStatus) as refused:
                Openpi(closed.url, key and key.encode().decode("latin-1"))
            assert refused.value.response.status_code == 401
        with Openpi(closed.url, "open sesame") as client:
            assert client.infer(frame())["actions"].shape == (2, 7)


def test_pages_in_a_browser_are_refused(server):
    with pytest.raises(InvalidStatus) as refused:
        connect(server.url, origin="http://elsewhere.example").__enter__()
    assert refused.value.response.status_code == 403


def test_more_clients_than_seats_are_told_so_and_a_seat_becomes_free():
    with served(task=TASK, clients=1) as server:
        with Openpi(server.url), pytest.raises(ConnectionClosed, match="1 clients already"):
            Openpi(server.url)
        for _ in range(100):
            try:
                with Openpi(server.url) as client:
                    assert client.infer(frame())["actions"].shape == (2, 7)
                    break
            except ConnectionClosed:
                continue
        else:
            pytest.fail("the seat stayed taken")


def test_the_command_refuses_what_it_cannot_do(server):
    port = server.url.rpartition(":")[2]
    with pytest.raises(UsageError, match="pass another --port"):
        dispatch(["serve", "policy", "expert", "--port", port])
    with pytest.raises(UsageError, match="--clients"):
        dispatch(["serve", "policy", "expert", "--clients", "0"])


def test_a_person_cannot_be_served_and_a_policy_with_an_operator_shares_its_weights():
    with pytest.raises(UsageError, match="one episode at a time"):
        dispatch(["serve", "policy", "keyboard", "--port", "0"])

    class Heavy(Counter):
        def __deepcopy__(self, memo):
            raise TypeError("too heavy to copy")

        def session(self):
            return Heavy()

    with served(Intervention(Heavy(), Expert()), task=TASK) as server, Openpi(server.url) as client:
        answer = client.infer(frame() | {"observation/tcp_in_target": np.float32([0, 0, -0.03, 0, 0, 0, 1])})
        assert (answer["actions"].shape, answer["intervening"]) == ((1, 7), False)


def test_the_command_serves_until_it_is_interrupted():
    command = [sys.executable, "-m", "rldg", "serve", "policy", "expert", "--task", TASK.name, "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        about = json.loads(process.stdout.readline())
        with Openpi(about["url"]) as client:
            pose = np.float32([0, 0, -0.03, 0, 0, 0, 1])
            assert client.infer({"observation/tcp_in_target": pose})["actions"].shape == (1, 7)
            process.terminate()
            assert process.wait(20) == 0


# What it survives

ARRAY = {b"__ndarray__": True, b"data": b"\x00" * 8, b"dtype": "<f4", b"shape": [2]}
STRANGE = {
    "no msgpack": b"\xc1",
    "a cut message": pack(frame())[:-3],
    "two messages": pack(frame()) * 2,
    "no map": msgpack.packb([1, 2]),
    "nothing": b"",
    "keys that are no text": msgpack.packb({1: 2, "reset": True}),
    "deep nesting": b"\x91" * 100_000 + b"\xc0",
    "no UTF-8": b"\x81\xa1\xff\x01",
    "an extension": msgpack.packb({"state": msgpack.ExtType(5, b"x")}),
    "a date": msgpack.packb({"state": msgpack.Timestamp(0)}),
    "objects": msgpack.packb({"state": {"tcp_pose": ARRAY | {b"dtype": "|O"}}}),
    "records": msgpack.packb({"state": {"tcp_pose": ARRAY | {b"dtype": "i4,O"}}}),
    "text arrays": msgpack.packb({"state": {"tcp_pose": ARRAY | {b"dtype": "<U2"}}}),
    "a shape without its bytes": msgpack.packb({"state": {"tcp_pose": ARRAY | {b"shape": [1 << 40]}}}),
    "a shape that overflows": msgpack.packb({"state": {"tcp_pose": ARRAY | {b"shape": [1 << 40, 1 << 40, 0]}}}),
    "a negative shape": msgpack.packb({"state": {"tcp_pose": ARRAY | {b"shape": [-1, -2]}}}),
    "a shape that is none": msgpack.packb({"state": {"tcp_pose": ARRAY | {b"shape": "2"}}}),
    "no data": msgpack.packb({"state": {"tcp_pose": {b"__ndarray__": True}}}),
    "a number too large": msgpack.packb({"reset": {b"__npgeneric__": True, b"data": 300, b"dtype": "|u1"}}),
    "a number that is none": msgpack.packb({"reset": {b"__npgeneric__": True, b"data": "3", b"dtype": "|u1"}}),
    "an empty map": pack({}),
    "no observation": pack({"prompt": "insert"}),
    "a prompt that is no text": pack(frame(prompt=3)),
    "an unknown key": pack(frame(colour="red")),
    "an unknown part": pack({"state": {"tcp_speed": np.zeros(3)}}),
    "a group that is no map": pack({"state": [1, 2]}),
    "a state of another size": pack(frame() | {"observation/state": np.zeros(19)}),
    "a state of text": pack(frame() | {"observation/state": "here"}),
    "no number": pack(frame() | {"observation/state": np.full(20, np.nan)}),
    "beyond float32": pack(frame() | {"observation/state": np.full(20, 1e300)}),
    "a matrix as a state": pack(frame() | {"observation/state": np.zeros((20, 1))}),
    "a picture of floats": pack(frame() | {"observation/image_wrist_1": np.zeros((4, 4, 3))}),
    "a picture of another size": pack(frame() | {"observation/image_wrist_1": np.zeros((5, 4, 3), np.uint8)}),
    "a grey picture": pack(frame() | {"observation/image_wrist_1": np.zeros((4, 4), np.uint8)}),
    "no picture": pack({"observation/state": np.zeros(20)}),
    "a reset of another kind": pack({"reset": "now"}),
    "a reset with more": pack({"reset": {"speed": 3}}),
    "a seed that is none": pack({"reset": {"seed": -1}}),
    "a task that is none": pack({"reset": {"task": {"name": "x"}}}),
    "a contract that is none": pack({"reset": {"action_contract": {"speed": 1}}}),
    "a policy with a bug": pack(frame(100)),
}


def test_every_strange_message_is_refused_in_one_sentence_and_the_episode_goes_on(server):
    with Openpi(server.url) as client:
        assert client.infer(frame())["actions"][0, 0] == 1
        for what, message in STRANGE.items():
            client.socket.send(message)
            answer = client.socket.recv(10)
            assert isinstance(answer, str), what
            assert 10 < len(answer) <= 500 and "\n" not in answer.strip(), (what, answer)
        client.socket.send("text")
        assert "binary" in client.socket.recv(10)
        assert client.infer(frame())["actions"][0, 0] == 3  # the bug came after it had counted


def test_a_thousand_malformed_messages_are_refused_one_by_one(server):
    random, whole = np.random.default_rng(0), pack(frame(prompt="insert"))
    with Openpi(server.url) as client:
        for number in range(1000):
            damaged = bytearray(whole[: random.integers(1, len(whole))] if number % 2 else random.bytes(40))
            damaged[0] = 0xC1  # never valid
            client.socket.send(bytes(damaged))
            assert "no msgpack" in client.socket.recv(10)
        assert client.infer(frame())["actions"].shape == (2, 7)
    with Openpi(server.url) as client:
        assert client.infer(frame())["actions"].shape == (2, 7)


def test_a_message_beyond_the_limit_ends_its_connection_only(server):
    with Openpi(server.url) as other:
        with Openpi(server.url) as client, pytest.raises(ConnectionClosed, match="1009"):
            client.socket.send(b"\x00" * (MAX_BYTES + 1))
            client.socket.recv(10)
        assert other.infer(frame())["actions"].shape == (2, 7)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_map_or_refused(data):
    with contextlib.suppress(MessageError):
        assert isinstance(unpack(data), dict)


NUMBERS = st.one_of(
    arrays.integer_dtypes(), arrays.unsigned_integer_dtypes(), arrays.floating_dtypes(sizes=(16, 32, 64))
)


@settings(max_examples=100, deadline=None)
@given(arrays.arrays(NUMBERS, arrays.array_shapes(max_dims=4, max_side=5)))
def test_arrays_come_out_as_they_went_in(array):
    found = unpack(pack({"a": array, "b": array.flat[0]}))
    assert found["a"].dtype == array.dtype
    assert found["a"].flags.writeable
    np.testing.assert_array_equal(found["a"], array)
    np.testing.assert_array_equal(found["b"], array.flat[0])


# Several at a time


def test_calls_at_the_same_time_are_answered_together_and_each_gets_its_own():
    sizes, gate = [], threading.Event()

    def answer(asks):
        gate.wait(10)
        sizes.append(len(asks))
        if 13 in asks:
            raise ValueError("13 is none")
        return [2 * ask for ask in asks]

    merged = Merged(answer, most=4)
    with ThreadPoolExecutor(9) as pool:
        answers = [pool.submit(merged, ask) for ask in (1, 2, 3, 4, 5, 6, 7, 8, 13)]
        while len(merged._waiting) < 8:  # all but the one that answers
            pass
        gate.set()
        assert [future.result(10) for future in answers[:8]] == [2, 4, 6, 8, 10, 12, 14, 16]
        with pytest.raises(ValueError, match="13"):
            answers[8].result(10)
    assert max(sizes) == 4


def octo():
    return OctoPolicy(checkpoint(**WINDOWS), stochastic=True)


@pytest.fixture(scope="module")
def openvla(tmp_path_factory):
    folder = tmp_path_factory.mktemp("openvla") / "checkpoint"
    write(folder)
    return load_openvla(folder, stochastic=True)


@pytest.mark.parametrize("kind", ["octo", "openvla"])
def test_sessions_at_the_same_time_act_as_each_would_alone(kind, openvla):
    policy, size = (octo(), 16) if kind == "octo" else (openvla, 48)
    scale = TASK.action_scale.model_copy(update={"translation": policy.metadata.action_contract.translation_scale})
    task = TASK.model_copy(update={"action_scale": scale})

    def frames(seed):
        random = np.random.default_rng(seed)
        for observation in observations(6, seed):
            observation["images"]["wrist_1"] = random.integers(0, 255, (size, size, 3), dtype=np.uint8)
            yield observation

    def alone(seed):
        session = policy.session()
        session.reset(task, f"insert it {seed}", seed=seed)
        return [session.act(observation) for observation in frames(seed)]

    def remote(seed):
        with Openpi(server.url) as client:
            client.infer(Reset(task, f"insert it {seed}", seed, ActionContract.of(task)).message())
            return [client.infer(observation)["actions"] for observation in frames(seed)]

    expected = [alone(seed) for seed in range(2)]
    with served(policy, clients=2) as server:
        np.testing.assert_array_equal(remote(1), expected[1])  # alone: bit by bit
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(remote, range(2)))
    np.testing.assert_allclose(found, expected, atol=1e-5)
