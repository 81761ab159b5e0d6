"""Instructions: from token ids to embeddings."""

import flax.linen as nn
import jax

from rldg.generalists.octo.config import LanguageConfig
from rldg.generalists.octo.t5 import encode, init_t5


class LanguageTokenizer(nn.Module):
    """Embeds an instruction. What is an array already, such as the output of a frozen T5, passes through."""

    config: LanguageConfig

    @nn.compact
    def __call__(self, instruction: jax.Array | dict[str, jax.Array]) -> jax.Array:
        """{"input_ids", "attention_mask": int (B, L)} or embeddings (B, L, width) to tokens (B, L, width)."""
        if not isinstance(instruction, dict):
            return instruction
        if self.config.t5 is None:
            embed = nn.Embed(self.config.vocabulary_size, self.config.width, name="word_embedding")
            return embed(instruction["input_ids"])
        # A T5 is never trained, as in the original.
        params = jax.lax.stop_gradient(self.param("hf_model", init_t5, self.config.t5))
        return encode(params, self.config.t5, instruction["input_ids"], instruction["attention_mask"])
