"""Models that act from images and an instruction, and their fine-tuning."""
