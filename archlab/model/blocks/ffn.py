"""A feed-forward network as a residual branch, in the form of convolutional nets (bn) or of transformers (ln).

Sources: EfficientViT (arXiv 2305.07027) §3.1 for bn; DeiT (arXiv 2012.12877) for ln.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

from torch import Tensor, nn

from archlab.model.block import Block
from archlab.model.channels import Channels, Draw, Labels, conv_norm, dense, norm
from archlab.model.layers import ACTS, ConvNorm, LayerNorm, Mlp
from archlab.spec import BlockSpec

__all__ = ["FeedForward"]


class FeedForward(Block):
    """bn: x + BN(pw(act(BN(pw(x))))), last BatchNorm from weight 0; ln: x + MLP(LN(x)), no layer scale."""

    roles = frozenset({"block"})
    needs = frozenset({"hidden", "norm", "act"})
    norms = ("bn", "ln")

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        assert spec.hidden is not None
        assert spec.act is not None
        self.on_maps = spec.norm == "bn"
        self.norm: nn.Module
        if self.on_maps:
            self.norm = nn.Identity()
            self.mlp: nn.Module = nn.Sequential()
            self.mlp.add_module("fc1", ConvNorm(in_width, spec.hidden, eps=spec.eps))
            self.mlp.add_module("act", ACTS[spec.act]())
            self.mlp.add_module("fc2", ConvNorm(spec.hidden, in_width, eps=spec.eps, starts_at_zero=True))
        else:
            self.norm = LayerNorm(in_width, spec.eps)
            self.mlp = Mlp(in_width, spec.hidden, spec.act, on_maps=False)

    @classmethod
    def channels(cls, spec: BlockSpec, x: Labels, y: Labels, draw: Draw) -> Channels:
        """Name the map and the inner width."""
        assert spec.hidden is not None
        hidden = draw("ffn", spec.hidden)
        layer = conv_norm if spec.norm == "bn" else dense
        tensors = {**norm("norm", x), **layer("mlp.fc1", hidden, x), **layer("mlp.fc2", x, hidden)}
        return Channels(tensors=tensors, fields={"hidden": (hidden,)})

    @classmethod
    def takes_tokens(cls, spec: BlockSpec) -> bool:
        """Positions do not meet."""
        return True

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Add the branch."""
        if self.on_maps:
            y_BCHW: Tensor = self.mlp(x_BCHW)
            return x_BCHW + y_BCHW
        y_BHWC = self.mlp(self.norm(x_BCHW.permute(0, 2, 3, 1)))
        return x_BCHW + y_BHWC.permute(0, 3, 1, 2)
