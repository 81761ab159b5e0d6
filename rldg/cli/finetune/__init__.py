"""Fine-tunes a generalist on data sets; each has a model that is trained from scratch on one CPU core by default.

Example: rldg finetune octo --data runs/data --out runs/octo
"""

VERBS = {
    "octo": "Octo (JAX): diffusion, L1 or discrete actions from images, text and state",
    "openvla": "OpenVLA (PyTorch): a language model that writes actions as tokens; LoRA, full or 4-bit",
}
