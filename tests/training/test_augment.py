"""Crops shift by whole pixels, mirrors turn columns, mixtures are convex; nothing depends on a running state."""

import numpy as np
import torch

from archlab.training.augment import crop_and_mirror, mix


def test_a_crop_is_a_shifted_image() -> None:
    x_BHWC = torch.arange(1, 65, dtype=torch.uint8).reshape(1, 8, 8, 1).repeat(200, 1, 1, 3)
    y_BHWC = crop_and_mirror(x_BHWC, np.random.default_rng(0), has_mirror=False)
    padded = np.pad(x_BHWC[0, :, :, 0].numpy(), 1)
    crops = {padded[r : r + 8, c : c + 8].tobytes() for r in range(3) for c in range(3)}
    seen = {image[:, :, 0].numpy().tobytes() for image in y_BHWC}
    assert seen == crops


def test_half_of_the_images_are_mirrored() -> None:
    x_BHWC = torch.arange(1, 65, dtype=torch.uint8).reshape(1, 8, 8, 1).repeat(400, 1, 1, 3)
    y_BHWC = crop_and_mirror(x_BHWC, np.random.default_rng(0), has_mirror=True)
    falls = sum(int(image[4, 3, 0]) > int(image[4, 4, 0]) for image in y_BHWC)
    assert 150 < falls < 250


def test_the_draw_alone_decides() -> None:
    x_BHWC = torch.randint(0, 256, (16, 8, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    first, again, other = (crop_and_mirror(x_BHWC, np.random.default_rng(seed), has_mirror=True) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_mixtures_are_convex_and_targets_follow() -> None:
    x_BCHW = torch.eye(4)[:, :, None, None]
    targets_BK = torch.eye(4)
    mixed_BCHW, mixed_BK = mix(x_BCHW, targets_BK, np.random.default_rng(0), alpha=1.0)
    torch.testing.assert_close(mixed_BCHW[:, :, 0, 0], mixed_BK)
    torch.testing.assert_close(mixed_BK.sum(1), torch.ones(4))
    assert len(torch.unique(mixed_BK)) > 2
    same, _ = mix(x_BCHW, targets_BK, np.random.default_rng(0), alpha=0)
    assert same is x_BCHW
