"""The processor, the action tokenizer and the treatment of pictures, against the original's outputs."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rldg.data.crop import centre_crop
from rldg.data.loader import LoaderConfig, make_loader
from rldg.data.normalisation import Normalisation
from rldg.data.reader import open_dataset
from rldg.data.resize import resized
from rldg.data.statistics import compute_statistics
from rldg.data.steps import StepSource
from rldg.data.transform import ImageTransform
from rldg.errors import CheckpointError, UsageError
from rldg.generalists.openvla.action_tokenizer import ActionTokenizer
from rldg.generalists.openvla.config import SIGLIP, OpenVLAConfig, model_config
from rldg.generalists.openvla.images import ImageProcessor
from rldg.generalists.openvla.processor import Processor
from rldg.generalists.openvla.statistics import restored, statistics_of
from tests.openvla_golden import HERE, ROOT, SAMPLES, SHARED, arrays, config, needs_shared, picture, read

TOKENS = ActionTokenizer(model_config("openvla-7b"))


@pytest.fixture(scope="module", params=[HERE, SHARED], ids=["sentencepiece", "json"])
def processor(request):
    if not request.param.exists():
        pytest.skip("the whole of the golden files is not here")
    return Processor(config(), request.param / "model")


def test_prompts_and_pictures_are_the_originals(processor):
    wanted, texts = arrays("processor.npz"), read("prompts.json")
    for number in SAMPLES:
        text = processor.inference_prompt(texts["instructions"][number])
        assert text == texts["inference_prompts"][number]
        found = processor(text, picture(f"img{number}.png"))
        for name in ("input_ids", "attention_mask"):
            np.testing.assert_array_equal(found[name].numpy(), wanted[f"{name}_{number}"])
        np.testing.assert_allclose(found["pixel_values"].numpy(), wanted[f"pixel_values_{number}"], atol=1e-6)
        spaced = processor(text + " ", picture(f"img{number}.png"))["input_ids"]
        np.testing.assert_array_equal(spaced.numpy(), wanted[f"input_ids_trailing_space_{number}"])


def test_a_batch_is_padded_at_the_right_and_holds_what_each_gives_alone(processor):
    texts = ["In: a?\nOut:", "In: What action should the robot take to open the top drawer?\nOut:"]
    pictures = [picture("img0.png"), Image.fromarray(picture("img0.png")[:100])]
    together = processor(texts, pictures)
    for number in range(2):
        alone = processor(texts[number], pictures[number])
        length = alone["input_ids"].shape[1]
        assert together["attention_mask"][number].sum() == length
        torch.testing.assert_close(together["input_ids"][number, :length], alone["input_ids"][0])
        torch.testing.assert_close(together["pixel_values"][number], alone["pixel_values"][0])


def test_training_sequences_are_the_originals(processor):
    texts = read("prompts.json")
    actions = np.array(texts["actions"], np.float32)
    signs = json.loads((HERE / "action_tokenizer.json").read_text(encoding="utf-8"))
    for number, text in enumerate(texts["instructions"]):
        ids, labels = processor.training_ids(text, actions[number])
        said = "".join(signs[str(token)] for token in ids[-8:-1]) if "31744" in signs else ""
        assert not said or texts["training_prompts"][number].endswith(f"Out: {said}</s>")
        assert labels[-8:] == ids[-8:] and ids[-1] == 2
        assert set(labels[:-8]) == {-100}


@needs_shared
def test_the_training_batch_is_the_originals(processor):
    wanted = arrays("forward.npz")
    found = processor.training_batch(read("prompts.json")["instructions"], wanted["actions"])
    for name in ("input_ids", "attention_mask", "labels"):
        np.testing.assert_array_equal(found[name].numpy(), wanted[name])


def test_the_older_models_prompt_is_theirs():
    older = OpenVLAConfig(towers=(SIGLIP,), prompt="vicuna")
    wanted = read("prompts.json")["v01_training_prompt_for_sample0"]
    text = Processor(older).inference_prompt(read("prompts.json")["instructions"][0])
    assert wanted.startswith(f"{text} ")


def test_action_tokens_are_the_originals():
    wanted = arrays("action_tokenizer.npz")
    np.testing.assert_array_equal(TOKENS.edges, wanted["bins"])
    np.testing.assert_array_equal(TOKENS.centres, wanted["bin_centers"])
    for kind in ("f32", "f64"):
        np.testing.assert_array_equal(TOKENS.encode(wanted[f"grid_{kind}"]), wanted[f"token_ids_{kind}"])
    np.testing.assert_array_equal(TOKENS.decode(wanted["decode_ids"]), wanted["decoded_actions"])
    assert TOKENS.encode(np.array(1.0)) == wanted["action_token_begin_idx"] + 1


@given(st.floats(-1, 1))
def test_an_action_survives_its_token_but_for_half_a_bin(value):
    assert abs(TOKENS.decode(TOKENS.encode(np.array(value))) - value) <= 1 / 255 + 1e-12


def test_actions_come_back_in_the_units_of_each_data_set():
    answers = read("predict_action.json")
    for answer in answers["predictions"]:
        key, scale = statistics_of(answers["norm_stats"], answer["unnorm_key"])
        decoded = TOKENS.decode(np.array(answer["action_token_ids"]))
        np.testing.assert_array_equal(decoded, answer["normalized_action"])
        np.testing.assert_array_equal(restored(decoded, scale), answer["action"])
        np.testing.assert_array_equal(
            arrays("predict_action.npz")[f"action_{answer['sample']}_{key}"], answer["action"]
        )
    assert set(answers["errors"]) == {"None", "does_not_exist"}
    for key, said in (("", "say by whose"), ("does_not_exist", "no statistics of 'does_not_exist'")):
        with pytest.raises(CheckpointError, match=f"{said}.*valid: tiny_bridge, tiny_libero"):
            statistics_of(answers["norm_stats"], key)


def test_statistics_without_a_mask_scale_every_number_and_bad_ones_are_refused():
    _, scale = statistics_of({"a": {"action": {"q01": [0.0, 2.0], "q99": [1.0, 4.0]}}})
    np.testing.assert_allclose(restored(np.array([0.0, 1.0]), scale), [0.5, 4.0])
    for action in ({"q01": [0.0]}, {"q01": [0.0], "q99": [1.0, 2.0]}, {"q01": ["x"], "q99": [1]}, [], None):
        with pytest.raises(CheckpointError, match="statistics of 'a' cannot be used"):
            statistics_of({"a": {"action": action}})
    with pytest.raises(CheckpointError, match="cannot be used"):
        statistics_of({"a": {"action": {"q01": [float("nan")], "q99": [1.0]}}})
    with pytest.raises(CheckpointError, match="knows 0 data sets"):
        statistics_of({})


@pytest.mark.parametrize("resize", ["resize-naive", "resize-crop", "letterbox"])
def test_each_way_of_resizing_shows_what_it_should(resize):
    """A wide picture, red at the left, green in the middle, blue at the right."""
    wide = np.zeros((40, 120, 3), np.uint8)
    for channel, part in enumerate(np.split(np.arange(120), 3)):
        wide[:, part, channel] = 255
    model = OpenVLAConfig(towers=(SIGLIP,), resize=resize)
    pixels = ImageProcessor.of(model)([wide])[0]
    assert pixels.shape == (3, 224, 224)
    colours = ((pixels + 1) / 2).permute(1, 2, 0).numpy()
    green, grey = [0, 1, 0], [127 / 255] * 3
    np.testing.assert_allclose(colours[112, 112], green, atol=0.01)
    corner = {"resize-naive": [1, 0, 0], "resize-crop": green, "letterbox": grey}[resize]
    np.testing.assert_allclose(colours[8, 8], corner, atol=0.02)
    if resize == "letterbox":
        np.testing.assert_allclose(colours[112, 2], [1, 0, 0], atol=0.02)


def test_what_is_no_picture_is_refused():
    images = ImageProcessor.of(model_config("openvla-debug"))
    for wrong in (np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), "img.png"):
        with pytest.raises(UsageError, match="uint8 RGB"):
            images([wrong])


def test_the_published_description_of_the_pictures_is_what_a_new_model_writes():
    published = json.loads((HERE / "contract_7b" / "preprocessor_config.json").read_text())
    ours = ImageProcessor.of(model_config("openvla-7b")).content
    rounded = ("auto_map", "processor_class", "tvf_normalize_params")  # which were rounded to bfloat16 on the way
    assert {k: v for k, v in ours.items() if k not in rounded} == {
        k: v for k, v in published.items() if k not in rounded
    }


def test_the_small_tokenizer_has_words_letters_and_bytes():
    small = Processor(model_config("openvla-tiny"))
    ids = small.encode(small.inference_prompt("insert the USB-A connector"))
    assert len(ids) < 26 and 0 not in ids
    other = small.encode(small.inference_prompt("insert the HDMI connector"))
    assert ids != other
    assert 0 not in small.encode("ünknown wörds 漢字")  # as bytes
    assert small.encode("Out: ")[-1] == 29871


def test_centre_crop_is_the_originals():
    for number in SAMPLES:
        side = 0.9**0.5
        found = centre_crop(picture(f"img{number}.png"), side, side, (224, 224)).astype(int)
        assert np.abs(found - picture(f"img{number}_center_crop224.png")).max() <= 1


@needs_shared
def test_pictures_are_resized_as_the_originals_loader_does():
    for number in range(3):
        found = resized(picture(f"img{number}.png"), 224, 224).astype(int)
        assert np.abs(found - picture(f"img{number}_rlds_lanczos224.png")).max() <= 1


@needs_shared
def test_a_data_set_gives_what_the_originals_loader_gives():
    wanted, reference = arrays("rlds", "reference_loader.npz"), read("rlds", "reference.json")
    dataset = open_dataset(ROOT / "rlds" / "toy_pick" / "1.0.0")
    statistics = reference["statistics"]["toy_pick"]
    computed = compute_statistics(dataset)
    for name in ("mean", "std", "min", "max", "q01", "q99"):
        np.testing.assert_allclose(computed["action"][name], statistics["action"][name], atol=1e-6)
    source = StepSource(
        dataset, {"primary": "observation/image"}, action_normalisation=Normalisation.of(statistics, mode="bounds_q99")
    )
    config = LoaderConfig(
        len(source.actions),
        {"primary": ImageTransform(height=224, width=224)},
        shuffle=False,
        epochs=1,
        threads=0,
    )
    (batch,) = make_loader([source], config)
    ends = np.cumsum([entry.length for entry in dataset.entries])
    assert len(ends) == wanted["n_train_trajectories"]
    texts = batch["task"]["language_instruction"].tolist()
    for number, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        actions = batch["action"][start:end, 0, 0]
        np.testing.assert_allclose(actions, wanted[f"train_{number}_normalized_action"], atol=1e-5)
        assert texts[start:end] == wanted[f"train_{number}_language"].tolist()
        for row, name in ((start, "first"), (end - 1, "last")):
            found = batch["observation"]["image_primary"][row, 0].astype(int)
            assert np.abs(found - wanted[f"train_{number}_image_primary_{name}"]).max() <= 1
