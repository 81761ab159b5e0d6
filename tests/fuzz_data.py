"""Mutates the files of a data set and reads the result: `python -m tests.fuzz_data FOLDER SEED COUNT`.

Prints one line of JSON: how many mutants of each file were read, refused with an `RldgError`, or reported by
`validate`; the slowest; and, as `failures`, everything else that happened. Runs in a process of its own, under a limit
on memory, so that a crash or a giant allocation is seen.
"""

import copy
import json
import random
import resource
import shutil
import signal
import struct
import sys
import time
from collections import Counter
from pathlib import Path

from rldg.data.description import read_features
from rldg.data.example import decode, encode, flat_fields
from rldg.data.manifest import read_manifest, write_manifest
from rldg.data.reader import EncodedImages, open_dataset
from rldg.data.repair import repair
from rldg.data.tfrecord import _masked_crc, frame
from rldg.data.validation import validate
from rldg.data.writer import DatasetWriter
from rldg.errors import RldgError
from tests.synthetic_episodes import make_episode

SECONDS = 10  # that reading one mutant may take
MEMORY = 3 << 30  # bytes of address space
CANARY = "rldg_fuzz_canary"  # a module that can be imported, and must not be

FEATURES = "tensorflow_datasets.core.features"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\xff\xff\x00\x00\xff\xff\x08\x02\x00\x00\x00\x1b\x9e\x8a\x05"
PICTURES = [b"", b"\xff\xd8\xff", b"GIF89a\1\0\1\0", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", PNG, b"BM"]
TEXTS = [b"[" * 100_000, b'{"type":' * 5000, b"", b"null", b"[]", b"{}", b"1" * 10_000, b"\xff\xfe"]
KEYS = ["type", "pythonClassName", "dtype", "steps", "shape", "names_file", "a/b"]
VALUES = [
    None, True, 0, -1, 1.5, 2**31, 2**63, 2**70, "-1", str(2**62), float("nan"), "", "x" * 5000, "\ud800", "../../etc",
    [], {}, [[[]]], ["1"] * 3, {"feature": {}}, f"{CANARY}.Feature", "os.system", "tensorflow.Tensor", "bfloat16", "O",
    f"{FEATURES}.text_feature.Text", f"{FEATURES}.sequence_feature.Sequence", f"{FEATURES}.image_feature.Image",
    f"{FEATURES}.class_label_feature.ClassLabel", {"names_file": "/dev/zero"}, "/dev/zero",
]  # fmt: skip


def bytes_mutated(content, rng):
    """A few bytes flipped, cut, doubled, inserted or overwritten."""
    content = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8])):
        start = rng.randrange(len(content) + 1)
        end = min(len(content), start + rng.choice([1, 2, 8, 64, 4096]))
        chunk = content[start:end]
        match rng.randrange(6):
            case 0:
                content[start:end] = bytes(byte ^ 1 << rng.randrange(8) for byte in chunk)
            case 1:
                del content[start:end]
            case 2:
                content[start:start] = chunk
            case 3:
                content[start:end] = rng.randbytes(len(chunk))
            case 4:
                content[start:end] = rng.choice([b"\0", b"\xff"]) * len(chunk)
            case _:
                del content[start:]
    return bytes(content)


def shard_mutated(content, rng, fields):
    """The file, the record within whole framing, or what the record says, mutated; or a length that lies."""
    match rng.randrange(4):
        case 0:
            return bytes_mutated(content, rng)
        case 1:
            return frame(bytes_mutated(content[12:-4], rng))
        case 2:
            length = struct.pack("<Q", rng.choice([1 << 60, (1 << 64) - 1, 1 << 40, len(content), 0]))
            return length + struct.pack("<I", _masked_crc(length)) + content[12:]
        case _:
            columns = decode(content[12:-4], fields)
            name = rng.choice(sorted(columns))
            value = columns[name]
            columns[name] = rng.choice([
                b"", b"\xff", [], [b""] * 3, 2**62, -1, float("nan"), [rng.choice(PICTURES)] * 3,
                value[:-1] if hasattr(value, "__len__") and len(value) else value,
                value * 2 if isinstance(value, list) else value,
            ])  # fmt: skip
            if rng.random() < 0.2:
                del columns[name]
            return frame(encode(columns))


def json_mutated(content, rng):
    """A value replaced, removed, renamed or doubled; sometimes the text itself, or nesting without end."""
    match rng.randrange(8):
        case 0:
            return bytes_mutated(content, rng)
        case 1:
            return rng.choice(TEXTS)
    root = json.loads(content)
    for _ in range(rng.choice([1, 1, 3])):
        nodes = [root]
        for node in nodes:
            children = node.values() if isinstance(node, dict) else node
            nodes.extend(child for child in children if isinstance(child, dict | list))
        node = rng.choice([node for node in nodes if node] or [root])
        if not node:
            continue
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        match rng.randrange(5):
            case 0:
                del node[key]
            case 1 if isinstance(node, dict):
                node[rng.choice(KEYS)] = node.pop(key)
            case _:
                node[key] = copy.deepcopy(rng.choice(VALUES))
    return json.dumps(root).encode()


def read_all(folder):
    """What any reader does: every episode of every split, every picture; and the manifest."""
    read_manifest(folder)
    for split in ("train", "val"):
        for episode in open_dataset(folder, split):
            for column in episode.steps.values():
                if isinstance(column, EncodedImages):
                    list(column)


def main(folder, seed, count):
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError(f"longer than {SECONDS} s")))
    (folder / f"{CANARY}.py").write_text("raise SystemExit('a module of the data set was imported')")
    sys.path.insert(0, str(folder))
    sound = folder / "sound"
    for index in range(2):
        DatasetWriter(sound).write(index, make_episode(index))
    DatasetWriter(sound, "val").write(0, make_episode(2))
    write_manifest(sound)
    fields = flat_fields(read_features(sound))
    mutant, repaired = folder / "mutant", folder / "repaired"
    uses = {
        "read": lambda: read_all(mutant),
        "validate": lambda: validate(mutant, skip=["scene"]).as_dict(),
        "repair": lambda: repair(mutant, repaired),
    }
    counts, failures, slowest = Counter(), [], 0.0
    for number in range(count):
        rng = random.Random(f"{seed}-{number}")
        shutil.rmtree(mutant, ignore_errors=True)
        shutil.rmtree(repaired, ignore_errors=True)
        shutil.copytree(sound, mutant)
        name = rng.choice(["sound-train.tfrecord-00001", "features.json", "dataset_info.json", "SHA256SUMS"])
        content = (mutant / name).read_bytes()
        match name:
            case "SHA256SUMS":
                content = bytes_mutated(content, rng)
            case "features.json" | "dataset_info.json":
                content = json_mutated(content, rng)
            case _:
                content = shard_mutated(content, rng, fields)
        (mutant / name).write_bytes(content)
        for what, act in uses.items():
            began = time.monotonic()
            signal.alarm(SECONDS)
            try:
                act()
                counts[f"{name}: {what} went through"] += 1
            except RldgError as error:
                counts[f"{name}: {what} refused"] += 1
                if "\n" in str(error) or not str(error).endswith((".", ")")):
                    failures.append(f"{number} {name}: {what}: not a sentence: {error}")
            except BaseException as error:
                failures.append(f"{number} {name}: {what}: {type(error).__name__}: {str(error)[:200]}")
            finally:
                signal.alarm(0)
                slowest = max(slowest, time.monotonic() - began)
    if {CANARY, "tensorflow"} & sys.modules.keys():
        failures.append("a module was imported")
    print(json.dumps({"counts": counts, "slowest_seconds": round(slowest, 3), "failures": failures}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
