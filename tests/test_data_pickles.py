"""Foreign pickles: what is in SERL's comes out, and nothing that is in any other happens."""

import codecs
import os
import pickle
import random
import struct
import subprocess
import sys
import time
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rldg.data.exchange.pickles import load_pickle
from rldg.errors import DatasetError
from tests.serl_pickles import make_transitions, write_pickle

FORBIDDEN = ("os.", "subprocess.", "exec", "compile", "import", "pickle.", "socket.", "shutil.", "ctypes.")
watched: list[str] = []
watching = False


def hook(event, arguments):
    if watching and event.startswith(FORBIDDEN):
        watched.append(f"{event} {arguments!r}"[:200])


# Python imports and runs the modules of these, which texts of old protocols are in, when it is first asked for them.
for codec in ("raw_unicode_escape", "ascii"):
    codecs.lookup(codec)
sys.addaudithook(hook)


def load(path):
    """Loads a pickle while nothing may be run, imported or started, and in no more than ten seconds."""
    global watching
    started = time.monotonic()
    watched.clear()
    watching = True
    try:
        return load_pickle(path)
    finally:
        watching = False
        assert not watched, watched
        assert time.monotonic() - started < 10


def equal(a, b):
    if isinstance(a, (dict, list, tuple)):
        assert type(a) is type(b) and len(a) == len(b)
        pairs = zip(a.values(), b.values(), strict=True) if isinstance(a, dict) else zip(a, b, strict=True)
        assert not isinstance(a, dict) or list(a) == list(b)
        return all(equal(x, y) for x, y in pairs)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b)
    return a == b


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_transitions_come_out_as_they_went_in(tmp_path, protocol):
    transitions, _ = make_transitions(size=40, raw=True)  # pictures above and below what is left in the file
    assert equal(load(write_pickle(tmp_path / "demos.pkl", transitions, protocol)), transitions)


def test_names_of_numpy_1(tmp_path):
    """NumPy 2 moved `numpy.core`; the labs' pickles are older."""
    transitions, _ = make_transitions()
    content = pickle.dumps(transitions, protocol=4).replace(b"\x16numpy._core.multiarray", b"\x15numpy.core.multiarray")
    assert b"numpy.core.multiarray" in content
    path = tmp_path / "old.pkl"
    path.write_bytes(content)
    assert equal(load(path), transitions)


arrays = st.sampled_from(["<f4", ">f8", "<i8", "|u1", "|b1", "<f2", "<u2"]).flatmap(
    lambda dtype: st.tuples(st.integers(0, 3), st.integers(0, 4), st.sampled_from("CF")).map(
        lambda chosen: np.asarray(
            np.arange(chosen[0] * chosen[1]).reshape(chosen[:2]) % 2, dtype=dtype, order=chosen[2]
        )
    )
)
leaves = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9) | st.binary() | arrays
)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4) | st.tuples(inner, inner)
    ),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=trees, protocol=st.sampled_from([3, 4, 5]))
def test_any_tree_of_arrays_dicts_and_lists_comes_back(tmp_path, tree, protocol):
    assert equal(load(write_pickle(tmp_path / "tree.pkl", tree, protocol)), tree)


def test_shared_and_circular_lists_do_no_harm(tmp_path):
    shared = [np.arange(3)]
    assert load(write_pickle(tmp_path / "shared.pkl", [shared, shared]))[0][0].tolist() == [0, 1, 2]
    circle: list = []
    circle.append(circle)
    content = load(write_pickle(tmp_path / "circle.pkl", circle))
    assert content[0] is content


class Calls:
    """Pickles to a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def text(value):
    return b"\x8c" + bytes([len(value)]) + value.encode()


def stack_global(module, name):
    return text(module) + text(name) + b"\x93"


def reduce(module, name, arguments=b")"):
    return b"\x80\x04" + stack_global(module, name) + arguments + b"R."


DTYPE = (
    stack_global("numpy", "dtype")
    + text("f4")
    + b"\x89\x88\x87R"
    + b"(K\x03"
    + text("<")
    + b"NNN"
    + b"J\xff\xff\xff\xff" * 2
    + b"K\x00tb"
)
ARRAY = (
    stack_global("numpy._core.multiarray", "_reconstruct") + stack_global("numpy", "ndarray") + b"K\x00\x85C\x01b\x87R"
)


def described(shape, dtype=DTYPE, data=b"C\x04\x00\x00\x80\x3f", fortran=b"\x89"):
    return b"\x80\x04" + ARRAY + b"(K\x01" + shape + dtype + fortran + data + b"tb."


def dtype_of(code):
    return DTYPE.replace(text("f4"), text(code))


HUGE = b"\x8a\x09" + (2**64).to_bytes(9, "little")
EXPLOITS = {
    "os.system": lambda marker: pickle.dumps([Calls(os.system, f"touch {marker}")]),
    "subprocess": lambda marker: pickle.dumps(Calls(subprocess.check_call, ["touch", marker])),
    "eval": lambda marker: pickle.dumps(Calls(eval, f"open({marker!r}, 'w')")),
    "exec": lambda marker: pickle.dumps({"a": Calls(exec, f"open({marker!r}, 'w')")}),
    "open": lambda marker: pickle.dumps(Calls(open, marker, "w")),
    "protocol 0": lambda marker: f"cposix\nsystem\n(S'touch {marker}'\ntR.".encode(),
    "INST": lambda marker: f"(S'touch {marker}'\niposix\nsystem\n.".encode(),
    "OBJ": lambda marker: b"(cposix\nsystem\n" + f"X\x10\x00\x00\x00touch /tmp/{'x' * 5}".encode() + b"o.",
    "getattr": lambda marker: pickle.dumps(Calls(getattr, Calls(__import__, "os"), "system")),
    "dotted name": lambda marker: reduce("numpy", "core.multiarray.os.system"),
    "numpy.load": lambda marker: reduce("numpy", "load", text(str(marker)) + b"\x85"),
    "numpy.fromfile": lambda marker: reduce("numpy", "fromfile", text("/etc/passwd") + b"\x85"),
    "numpy.testing": lambda marker: reduce("numpy.testing._private.utils", "runstring", text("1") + b"}\x86"),
    "numpy.ctypeslib": lambda marker: reduce("numpy.ctypeslib", "load_library", text("c") + text("/") + b"\x86"),
    "numpy.ndarray itself": lambda marker: reduce("numpy", "ndarray", b"(" + HUGE + b"t\x85"),
    "numpy.dtype of an object": lambda marker: reduce("numpy", "dtype", stack_global("numpy", "ndarray") + b"\x85"),
    "copyreg": lambda marker: reduce("copyreg", "_reconstructor"),
    "codecs": lambda marker: pickle.dumps([b"x"], protocol=2),
    "functools": lambda marker: reduce("functools", "partial"),
    "NEWOBJ": lambda marker: b"\x80\x04" + stack_global("numpy", "ndarray") + b")\x81.",
    "NEWOBJ_EX": lambda marker: b"\x80\x04" + stack_global("numpy", "ndarray") + b")}\x92.",
    "a call of a list": lambda marker: b"\x80\x04])R.",
    "state of a dict": lambda marker: b"\x80\x04}}b.",
    "state of a list": lambda marker: b"\x80\x04]}b.",
    "state twice": lambda marker: b"\x80\x04" + ARRAY + b"(K\x01)" + DTYPE + b"\x89C\x04abcdtb}b.",
    "persistent id": lambda marker: b"\x80\x04K\x01Q.",
    "extension": lambda marker: b"\x80\x04\x82\x01.",
    "out of band": lambda marker: b"\x80\x05\x97.",
    "OrderedDict": lambda marker: pickle.dumps(OrderedDict(a=1)),
    "set": lambda marker: pickle.dumps({1, 2}, protocol=4),
    "an object": lambda marker: pickle.dumps(random.Random(0)),
    "array of objects": lambda marker: pickle.dumps(np.array([{}, []], dtype=object)),
    "array of text": lambda marker: pickle.dumps(np.array(["a", "b"])),
    "structured array": lambda marker: pickle.dumps(np.zeros(2, dtype=[("a", "f4")])),
    "times": lambda marker: pickle.dumps(np.zeros(2, dtype="M8[s]")),
    "dtype O": lambda marker: described(b"K\x01\x85", dtype=dtype_of("O8")),
    "dtype with a name": lambda marker: described(b"K\x01\x85", dtype=dtype_of("f4,O")),
    "huge shape": lambda marker: described(HUGE + b"\x85"),
    "shape that wraps around": lambda marker: described(b"J\x00\x00\x01\x00" * 3 + b"\x87"),
    "negative shape": lambda marker: described(b"J\xff\xff\xff\xffJ\xff\xff\xff\xff\x86"),
    "shape of truth values": lambda marker: described(b"\x88\x85"),
    "shape that is no tuple": lambda marker: described(b"K\x01"),
    "too many dimensions": lambda marker: described(b"(" + b"K\x01" * 200 + b"t"),
    "data that is a list": lambda marker: described(b"K\x01\x85", data=b"]"),
    "array without description": lambda marker: b"\x80\x04" + ARRAY + b".",
    "unfinished dtype": lambda marker: described(b"K\x01\x85", dtype=DTYPE[: DTYPE.index(b"R") + 1]),
    "unhashable key": lambda marker: b"\x80\x04}]K\x01s.",
    "number as a key": lambda marker: b"\x80\x04}K\x01K\x01s.",
    "key that overflows the C stack": lambda marker: b"\x80\x04})" + b"\x85" * 100_000 + b"K\x01s.",
    "sparse memo": lambda marker: (
        b"\x80\x04]r\xff\xff\xff\x7f\x94" + b"." if False else b"\x80\x04]r\xff\xff\xff\x7fh\x00."
    ),
    "length beyond the end": lambda marker: b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"abc.",
    "text beyond the end": lambda marker: b"\x80\x04\x8d" + struct.pack("<Q", 2**63 - 1) + b"abc.",
    "long number": lambda marker: b"\x80\x04L" + b"9" * 100_000 + b"L\n.",
    "negative length": lambda marker: b"\x80\x04\x8b\xff\xff\xff\xff.",
    "nothing on the stack": lambda marker: b"\x80\x04.",
    "mark never set": lambda marker: b"\x80\x04t.",
    "odd items": lambda marker: b"\x80\x04}(K\x01u.",
    "append to a number": lambda marker: b"\x80\x04K\x01K\x02a.",
    "memo that is not there": lambda marker: b"\x80\x04h\x07.",
    "ends early": lambda marker: pickle.dumps([np.zeros(9)])[:-9],
    "no STOP": lambda marker: b"\x80\x04]",
    "unknown operation": lambda marker: b"\x80\x04\xff.",
    "text file": lambda marker: b"<html>not found</html>",
    "empty": lambda marker: b"",
}


@pytest.mark.parametrize("name", EXPLOITS)
def test_hostile_and_broken_pickles_are_refused_in_a_sentence(tmp_path, name):
    marker = tmp_path / "executed"
    path = tmp_path / "hostile.pkl"
    path.write_bytes(EXPLOITS[name](str(marker)))
    with pytest.raises(DatasetError, match=r"is not (read|a whole pickle)") as refusal:
        load(path)
    assert str(path) in str(refusal.value) and "\n" not in str(refusal.value)
    assert not marker.exists()


def test_what_is_deep_or_repeats_itself_costs_no_more_than_its_size(tmp_path):
    deep = tmp_path / "deep.pkl"
    deep.write_bytes(b"\x80\x04" + b"]" * 100_000 + b"a" * 99_999 + b".")
    assert isinstance(load(deep), list)
    # Ten lists of ten references to the list before: ten thousand million entries, if anybody looked at all.
    laughs = (
        b"\x80\x04]\x94"
        + b"".join(b"](" + b"h" + bytes([n]) + (b"h" + bytes([n])) * 9 + b"e\x94" for n in range(10))
        + b"."
    )
    path = tmp_path / "laughs.pkl"
    path.write_bytes(laughs)
    with pytest.raises(DatasetError):  # eleven values are left on the stack
        load(path)


def test_two_thousand_mutated_pickles(tmp_path):
    """Each is read or refused with a sentence; nothing runs, hangs or crashes."""
    rng = random.Random(0)
    originals = [pickle.dumps(make_transitions(lengths=(2,), size=2)[0], protocol) for protocol in (3, 4, 5)]
    path = tmp_path / "mutated.pkl"
    outcomes = {"read": 0, "refused": 0}
    for _ in range(2000):
        content = bytearray(rng.choice(originals))
        for _ in range(rng.choice([1, 1, 2, 8, 40])):
            place = rng.randrange(len(content))
            match rng.randrange(4):
                case 0:
                    content[place] = rng.randrange(256)
                case 1:
                    content[place] ^= 1 << rng.randrange(8)
                case 2:
                    del content[place : place + rng.randrange(1, 30)]
                case 3:
                    content[place:place] = content[rng.randrange(len(content)) :][: rng.randrange(1, 30)]
            content = content or bytearray(b".")
        path.write_bytes(content)
        try:
            load(path)
            outcomes["read"] += 1
        except DatasetError:
            outcomes["refused"] += 1
    assert sum(outcomes.values()) == 2000 and min(outcomes.values()) > 100, outcomes
