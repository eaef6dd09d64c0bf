"""What the benchmark measures, and what came out. The machinery is in ``src/forecourt/cli/benching/``."""
