"""OpenVLA against what the original gives for the same weights and inputs, and its decoding."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rldg.errors import UnknownNameError, UsageError
from rldg.generalists.openvla.config import PAD, SPACE, model_config
from rldg.generalists.openvla.decoding import Decoder, StaticDecoder
from rldg.generalists.openvla.model import OpenVLA
from rldg.generalists.openvla.original_config import model_from_original
from rldg.generalists.openvla.processor import Processor
from rldg.generalists.openvla.vision import Projector, VisionBackbone
from tests.openvla_golden import HERE, SAMPLES, arrays, batch, config, needs_shared, read, whole


@pytest.fixture(scope="module")
def golden():
    return whole()


def close(found, wanted, atol=1e-4):
    np.testing.assert_allclose(found.numpy(), wanted, atol=atol, rtol=0)


def test_towers_and_projector_give_the_originals_features():
    weights = load_file(HERE / "vision.safetensors")
    found = config()
    towers, projector = VisionBackbone(found.towers, 224), Projector(found.towers, found.llama.hidden_size)
    for part, name in ((towers, "vision_backbone."), (projector, "projector.")):
        part.load_state_dict({k.removeprefix(name): v.float() for k, v in weights.items() if k.startswith(name)})
    wanted = np.load(HERE / "forward_0.npz")
    with torch.inference_mode():
        features = towers(torch.from_numpy(arrays("processor.npz")["pixel_values_0"]))
        close(features, wanted["patch_features"])
        close(projector(features), wanted["projector_features"])


@needs_shared
def test_every_intermediate_of_the_forward_pass_is_the_originals(golden):
    wanted, inputs = arrays("forward.npz"), batch()
    with torch.inference_mode():
        features = golden.model.vision_backbone(inputs["pixel_values"])
        close(features, wanted["patch_features"])
        close(golden.model.projector(features), wanted["projector_features"])
        found = golden.model(**inputs)
        close(found.logits.logsumexp(-1), wanted["logits_logsumexp"])
        np.testing.assert_array_equal(found.logits.argmax(-1).numpy(), wanted["logits_argmax"])
        places = torch.from_numpy(wanted["label_positions"])[..., None]
        rows = found.logits.gather(1, places.expand(-1, -1, found.logits.shape[-1]))
        close(rows, wanted["logits_at_label_positions"])
        assert found.loss.item() == pytest.approx(float(wanted["loss"]), abs=2e-5)
        embeddings, mask = golden.model.embed(inputs["input_ids"], inputs["attention_mask"], inputs["pixel_values"])
        states = golden.model.language_model.model(
            inputs_embeds=embeddings, attention_mask=mask, output_hidden_states=True
        ).hidden_states
        for number, state in enumerate(states):
            close(state, wanted[f"hidden_state_{number}"])


@needs_shared
def test_losses_and_accuracy_are_the_originals(golden):
    wanted, inputs = arrays("forward.npz"), batch()
    with torch.inference_mode():
        few = golden.model(**inputs, labelled_only=True)
        assert few.loss.item() == pytest.approx(float(wanted["loss"]), abs=2e-5)
        ids, labels = few.logits.argmax(-1).numpy(), few.labels.numpy()
        spoken = labels > 31743
        assert (ids == labels)[spoken].mean() == pytest.approx(float(wanted["action_accuracy"]), abs=1e-6)
        decode = golden.processor.actions.decode
        error = np.abs(decode(ids[spoken]) - decode(labels[spoken])).mean()
        assert error == pytest.approx(float(wanted["action_l1"]), abs=1e-6)
        for number in SAMPLES:
            one = {name: value[number : number + 1] for name, value in inputs.items()}
            single = golden.model(**one).loss.item()
            assert single == pytest.approx(float(wanted["single_sample_loss"][number]), abs=2e-5)
        kept = inputs["attention_mask"][0]
        text = {name: inputs[name][:1, kept] for name in ("input_ids", "labels")}
        found = golden.model(**text)
        assert found.loss.item() == pytest.approx(float(wanted["text_only_loss_0"]), abs=2e-5)
        close(found.logits.logsumexp(-1), wanted["text_only_logsumexp_0"])


def prompts(side="right", space=False):
    """The three prompts of the golden files in one batch, padded at a side."""
    name = "input_ids_trailing_space" if space else "input_ids"
    rows = [arrays("processor.npz")[f"{name}_{number}"][0] for number in range(3)]
    longest = max(map(len, rows))
    ids, mask = np.full((3, longest), PAD), np.zeros((3, longest), int)
    for number, row in enumerate(rows):
        place = slice(len(row)) if side == "right" else slice(longest - len(row), None)
        ids[number, place], mask[number, place] = row, 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


@needs_shared
@pytest.mark.parametrize(("side", "space"), [("right", False), ("left", False), ("right", True)])
def test_generated_tokens_are_the_originals_alone_and_together(golden, side, space):
    wanted, pixels = arrays("predict_action.npz"), batch()["pixel_values"]
    ids, mask = prompts(side, space)
    together = golden.model.generate_actions(ids, mask, pixels)
    for number in range(3):
        expected = wanted[f"ids_{number}_tiny_bridge"]
        np.testing.assert_array_equal(together[number].numpy(), expected)
        kept = mask[number].bool()
        alone = golden.model.generate_actions(ids[number : number + 1, kept], None, pixels[number : number + 1])
        np.testing.assert_array_equal(alone[0].numpy(), expected)


@needs_shared
def test_logits_of_every_generated_token_are_the_originals(golden):
    wanted, inputs = arrays("predict_action.npz"), batch()
    ids, _ = prompts()
    answer = torch.from_numpy(wanted["ids_0_tiny_bridge"])
    row = torch.cat([ids[0, : inputs["attention_mask"][0].sum() - 9], torch.tensor([SPACE]), answer])[None]
    with torch.inference_mode():
        logits = golden.model(row, None, inputs["pixel_values"][:1]).logits[0, -8:-1, 31744:32000]
    close(logits, wanted["step_logits_0_tiny_bridge"])


@needs_shared
def test_decoding_in_fixed_memory_gives_the_same_tokens(golden):
    pixels = batch()["pixel_values"]
    golden.model.decoder = StaticDecoder()
    for side in ("left", "right"):  # the second in the memory of the first
        ids, mask = prompts(side)
        found = golden.model.generate_actions(ids, mask, pixels)
        for number in range(3):
            wanted = arrays("predict_action.npz")[f"ids_{number}_tiny_bridge"]
            np.testing.assert_array_equal(found[number].numpy(), wanted)
            kept, row = mask[number].bool(), slice(number, number + 1)
            alone = golden.model.generate_actions(ids[row, kept], None, pixels[row])
            np.testing.assert_array_equal(alone[0].numpy(), wanted)
    golden.model.decoder = Decoder()


@needs_shared
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")  # of the compiler itself
def test_compiled_decoding_gives_the_same_tokens():
    model = whole().model
    model.compile_for_acting()
    ids, mask = prompts()
    for _ in range(2):
        found = model.generate_actions(ids, mask, batch()["pixel_values"])
        for number in range(3):
            wanted = arrays("predict_action.npz")[f"ids_{number}_tiny_bridge"]
            np.testing.assert_array_equal(found[number].numpy(), wanted)


@needs_shared
def test_samples_follow_their_seeds_whatever_stands_beside_them(golden):
    ids, mask = prompts()
    pixels = batch()["pixel_values"]

    def drawn(rows, seeds, **options):
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        return golden.model.generate_actions(
            ids[rows], mask[rows], pixels[rows], generators=generators, temperature=1.0, **options
        )

    together = drawn([0, 1, 2], [5, 6, 7])
    for number, seed in enumerate((5, 6, 7)):
        np.testing.assert_array_equal(drawn([number], [seed])[0].numpy(), together[number].numpy())
    assert (drawn([0], [8])[0] != together[0]).any()
    restricted = drawn([0, 1, 2], [5, 6, 7], restricted=True)
    assert restricted.min() >= 31744 and restricted.max() < 32000
    with pytest.raises(UsageError, match="generator per row"):
        golden.model.generate_actions(ids, mask, pixels, temperature=1.0)


@needs_shared
def test_towers_run_once_and_their_last_blocks_never(golden):
    calls = {"tower": 0, "last": 0}
    tower = golden.model.vision_backbone.featurizer

    def count(name):
        return lambda *_: calls.update({name: calls[name] + 1})

    hooks = [tower.register_forward_hook(count("tower")), tower.blocks[-1].register_forward_hook(count("last"))]
    ids, mask = prompts()
    golden.model.generate_actions(ids, mask, batch()["pixel_values"])
    for hook in hooks:
        hook.remove()
    assert calls == {"tower": 1, "last": 0}


def test_the_published_sizes_build_without_memory():
    contract = json.loads((HERE / "contract_7b" / "config.json").read_text())
    assert model_from_original(contract) == model_config("openvla-7b")
    with torch.device("meta"):
        state = OpenVLA(model_config("openvla-7b")).state_dict()
    keys = json.loads((HERE / "contract_7b" / "state_dict_keys_7b.json").read_text())
    assert {name: list(value.shape) for name, value in state.items()} == keys
    assert len(state) == 982
    assert sum(value.numel() for value in state.values()) == 7_541_237_184
    with pytest.raises(UnknownNameError, match="openvla-7b"):
        model_config("openvla-8b")


def test_the_golden_key_set_is_complete():
    with torch.device("meta"):
        state = OpenVLA(config()).state_dict()
    assert {k: list(v.shape) for k, v in state.items()} == {
        k: v["shape"] for k, v in read("state_dict_keys.json").items()
    }


def example(model, texts=("pick up", "put the red cup into the box"), seed=0):
    """Inputs of a small model."""
    rng = np.random.default_rng(seed)
    pictures = [rng.integers(0, 255, (40, 50, 3)).astype(np.uint8) for _ in texts]
    processor = Processor(model)
    return processor([processor.inference_prompt(text) for text in texts], pictures)


@pytest.fixture(scope="module")
def parallel():
    torch.manual_seed(0)
    return OpenVLA(replace(model_config("openvla-debug"), decoding="parallel")).eval()


def test_parallel_decoding_gives_a_batch_what_its_rows_get_alone(parallel):
    inputs = example(parallel.config)
    together = parallel.predict_actions(**inputs)
    assert together.shape == (2, 7)
    for number in range(2):
        kept = inputs["attention_mask"][number].bool()
        row = slice(number, number + 1)
        alone = parallel.predict_actions(inputs["input_ids"][row, kept], None, inputs["pixel_values"][row])
        torch.testing.assert_close(alone[0], together[number], atol=1e-5, rtol=0)


def test_parallel_decoding_learns_actions_from_one_pass(parallel):
    inputs = example(parallel.config)
    actions = torch.tensor(np.random.default_rng(1).uniform(-1, 1, (2, 7)), dtype=torch.float32)
    optimizer = torch.optim.Adam(parallel.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        loss = parallel(**inputs, actions=actions).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_slots_see_each_other_and_text_only_what_precedes_it(parallel):
    embeddings, mask = parallel.embed(**example(parallel.config))
    embeddings = embeddings.detach().requires_grad_()
    parallel.action_head.register_forward_hook(lambda module, inputs, _: setattr(module, "seen", inputs[0]))
    parallel._parallel(embeddings, mask)
    (gradient,) = torch.autograd.grad(parallel.action_head.seen[0, 0].sum(), embeddings)
    padding = ~mask[0]
    assert padding.any()
    assert (gradient[0, padding] == 0).all()
    assert (gradient[0, ~padding].abs().sum(-1) > 0).all()


def test_activation_checkpointing_changes_no_gradient():
    torch.manual_seed(0)
    model = OpenVLA(model_config("openvla-debug"))
    inputs = example(model.config)
    labels = torch.where(inputs["attention_mask"].bool(), inputs["input_ids"], -100)
    gradients = []
    for checkpointed in (False, True):
        if checkpointed:
            model.checkpoint_activations()
        model.train()
        model.zero_grad()
        model(**inputs, labels=labels).loss.backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    assert len(gradients[0]) == len(gradients[1]) > 20
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)
