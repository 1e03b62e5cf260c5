"""The one training loop, and the images that it, the analyses and pruning read."""

__all__: list[str] = []
