"""Encoders of pictures for specialists."""

VERBS = {
    "import": "make a file of ours of the ResNet-10 that SERL publishes",
}
