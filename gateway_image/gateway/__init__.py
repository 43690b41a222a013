"""The AI gateway the container runs: one OpenAI-compatible endpoint over several model providers."""
