"""SERL's ResNet-10: the same network as written with flax, out of a pickle that may not do anything."""

import pickle

import flax.linen as nn
import jax
import numpy as np
import pytest
from flax.core import freeze

from rldg.cli.main import dispatch
from rldg.data.exchange.pickles import load_pickle
from rldg.errors import CheckpointError, DatasetError, UsageError
from rldg.specialists import SpecialistConfig, resnet
from rldg.specialists.arrays import from_named_arrays, read_arrays
from rldg.specialists.frozen import frozen_weights
from rldg.specialists.sight import stored
from rldg.specialists.spec import AgentSpec


class MyGroupNorm(nn.GroupNorm):
    """Under SERL's name, from which flax makes those of the weights."""


class ResNetBlock(nn.Module):
    filters: int
    strides: tuple[int, int]

    @nn.compact
    def __call__(self, x):
        y = nn.Conv(self.filters, (3, 3), self.strides, use_bias=False)(x)
        y = nn.relu(MyGroupNorm(4, epsilon=1e-5)(y))
        y = MyGroupNorm(4, epsilon=1e-5)(nn.Conv(self.filters, (3, 3), use_bias=False)(y))
        if x.shape != y.shape:
            x = nn.Conv(self.filters, (1, 1), self.strides, use_bias=False, name="conv_proj")(x)
            x = MyGroupNorm(4, epsilon=1e-5, name="norm_proj")(x)
        return nn.relu(x + y)


class Reference(nn.Module):
    @nn.compact
    def __call__(self, pictures):
        x = (pictures / 255.0 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
        x = nn.Conv(64, (7, 7), (2, 2), padding=[(3, 3), (3, 3)], use_bias=False, name="conv_init")(x)
        x = nn.relu(MyGroupNorm(4, epsilon=1e-5, name="norm_init")(x))
        x = nn.max_pool(x, (3, 3), strides=(2, 2), padding="SAME")
        for stage in range(4):
            x = ResNetBlock(64 * 2**stage, (1, 1) if stage == 0 else (2, 2))(x)
        return x


@pytest.fixture(scope="module")
def weights():
    generator = np.random.default_rng(0)
    flat = {name: generator.normal(size=shape) * 0.05 for name, shape in resnet.shapes().items()}
    return from_named_arrays({name: value.astype(np.float32) for name, value in flat.items()})


@pytest.fixture(scope="module")
def imported(weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("resnet")
    source, out = folder / "resnet10_params.pkl", folder / "resnet10.npz"
    source.write_bytes(pickle.dumps(freeze({**weights, "output_head": {"bias": np.zeros(1000)}})))
    assert dispatch(["encoder", "import", str(source), "--out", str(out)]) == 0
    return out


def test_it_is_the_network_that_serl_trained(weights):
    pictures = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), np.uint8)
    expected = Reference().apply({"params": weights}, pictures)
    found = jax.jit(resnet.feature_map)(weights, pictures)
    assert found.shape == (2, 2, 2, 512)
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_flax_names_the_weights_as_the_file_does(weights):
    made = jax.eval_shape(Reference().init, jax.random.key(0), np.zeros((1, 32, 32, 3)))["params"]
    assert jax.tree.map(np.shape, weights) == jax.tree.map(lambda leaf: leaf.shape, made)


def test_the_published_file_becomes_one_of_ours_without_the_classifiers_head(weights, imported):
    assert read_arrays(imported).keys() == resnet.shapes().keys()
    np.testing.assert_equal(frozen_weights("resnet10", str(imported)), weights)


@pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", ["numpy", "fortran", "jax"])
def test_arrays_come_out_of_a_pickle_of_any_protocol(tmp_path, protocol, kind):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    written = {"numpy": array, "fortran": np.asfortranarray(array), "jax": jax.numpy.array(array)}[kind]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"a": {"b": written}}, protocol))
    np.testing.assert_array_equal(load_pickle(tmp_path / "a.pkl")["a"]["b"], array)


class Hostile:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "content",
    [
        {"a": Hostile(exec, "raise SystemExit")},
        {"a": Hostile(getattr, np.zeros(1), "tofile")},
        {"a": np.array([{}], dtype=object)},
    ],
    ids=["exec", "getattr", "objects"],
)
def test_a_pickle_of_anything_else_is_refused(tmp_path, content):
    path = tmp_path / "hostile.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(DatasetError):
        load_pickle(path)


@pytest.mark.parametrize("other", [{"conv_init": {"kernel": np.zeros((3, 3, 3, 8))}}, {"a": "text"}])
def test_the_weights_of_another_network_are_refused(tmp_path, other):
    path, out = tmp_path / "resnet10_params.pkl", tmp_path / "out.npz"
    path.write_bytes(pickle.dumps(other))
    with pytest.raises(CheckpointError, match=r"conv_init\.kernel"):
        dispatch(["encoder", "import", str(path), "--out", str(out)])
    assert not out.exists()


def test_without_its_weights_the_encoder_is_refused():
    with pytest.raises(UsageError, match="encoder_weights"):
        frozen_weights("resnet10", SpecialistConfig(encoder="resnet10").encoder_weights)


def test_features_that_are_kept_are_those_of_the_pictures(weights):
    spec = AgentSpec(6, encoder="resnet10", cameras=(("wrist_1", 32),), image_size=32, cached=True)
    pictures = np.random.default_rng(2).integers(0, 256, (18, 32, 32, 3), np.uint8)
    kept = stored(spec, weights, {"image.wrist_1": pictures, "proprio": np.zeros((18, 19))})["image.wrist_1"]
    assert (kept.shape, kept.dtype) == ((18, *spec.parts()["image.wrist_1"][0]), np.float16)
    np.testing.assert_allclose(kept, resnet.feature_map(weights, pictures), atol=0.02, rtol=0.02)
