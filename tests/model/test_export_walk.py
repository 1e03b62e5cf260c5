"""One walk writes the file: each call, each published network, and what happens with a call that nobody wrote down."""

import collections
import itertools
import math
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from archlab.errors import SpecError
from archlab.families import all_published, published
from archlab.model import export
from archlab.model.build import build
from archlab.model.deploy import deploy
from archlab.model.export import graph_hash, to_onnx
from archlab.model.export_graph import UnwrittenError
from archlab.model.export_ops import QUESTIONS, WRITERS
from archlab.model.export_torch import trace_onnx
from archlab.model.export_walk import write_onnx
from archlab.space import load

FLOAT = torch.float32
SHAPE = (2, 6, 5, 7)
SMALL = ["edgenext_xx_small", "efficientvit_m0", "efficientvit_b0", "deit_tiny_patch16_224"]


class Call(nn.Module):
    """A function as a module, with a weight for each shape it may need."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.function = function
        self.register_buffer("w6", torch.rand(6, generator=generator) + 0.5)
        self.register_buffer("w7", torch.rand(7, generator=generator) + 0.5)
        self.register_buffer("conv", torch.randn((4, 3, 3, 2), generator=generator))
        self.register_buffer("dense", torch.randn((4, 7), generator=generator))

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


CALLS: dict[str, Callable[[Any, Tensor], Any]] = {
    "conv": lambda m, x: functional.conv2d(x, m.conv, None, (2, 1), (1, 0), (1, 2), 2),
    "linear of maps": lambda m, x: functional.linear(x, m.dense, m.dense[:, 0]),
    "linear of rows": lambda m, x: functional.linear(x[0, 0], m.dense, m.dense[:, 0]),
    "linear without bias": lambda m, x: functional.linear(x[:, 1, 2], m.dense),
    "batch_norm": lambda m, x: functional.batch_norm(x, m.w6, m.w6 + 1, m.w6 + 2, m.w6 - 1, eps=0.1),
    "layer_norm": lambda m, x: functional.layer_norm(x, (7,), m.w7, m.w7 - 1, 0.1),
    "relu": lambda m, x: functional.relu(x),
    "hardswish": lambda m, x: functional.hardswish(x * 4),
    "silu": lambda m, x: functional.silu(x),
    "gelu": lambda m, x: functional.gelu(x * 2),
    "gelu by tanh": lambda m, x: functional.gelu(x * 2, approximate="tanh"),
    "max_pool": lambda m, x: functional.max_pool2d(x, 3, stride=2, padding=1),
    "max_pool by its own side": lambda m, x: functional.max_pool2d(x, (2, 3)),
    "sigmoid": lambda m, x: torch.sigmoid(x),
    "softmax": lambda m, x: functional.softmax(x, 2),
    "normalize": lambda m, x: functional.normalize(x, dim=-2, eps=1.5),
    "pad": lambda m, x: functional.pad(x, (1, 2, 0, 3), value=2.5),
    "cat": lambda m, x: torch.cat([x, m.w7.expand(2, 6, 1, 7), x[:, :, :2]], dim=2),
    "add": lambda m, x: x + m.w7,
    "sub": lambda m, x: x - 1.5,
    "mul": lambda m, x: x * (x * m.w6.view(-1, 1, 1)),
    "div": lambda m, x: x / (x * x + 2),
    "matmul": lambda m, x: x @ x.transpose(-2, -1) @ m.dense.reshape(1, 7, 4)[:, :5],
    "mean": lambda m, x: x.mean((2, 3), keepdim=True) + x.mean(-1, keepdim=True),
    "mean without axes kept": lambda m, x: x.mean((1, 3)),
    "reshape": lambda m, x: x.permute(0, 2, 3, 1).reshape(-1, 6),
    "view": lambda m, x: x.view(2, 2, -1),
    "flatten": lambda m, x: x.flatten(1, 2).flatten(0),
    "unflatten": lambda m, x: x.unflatten(1, (-1, 2)),
    "permute": lambda m, x: x.permute(3, 1, 0, 2),
    "transpose": lambda m, x: x.transpose(1, -1),
    "split": lambda m, x: list(x.split([1, 2, 3], dim=1))[::-1],
    "split evenly": lambda m, x: list(x.split(4, dim=3)),
    "unbind": lambda m, x: list(x.unbind(2)),
    "slices": lambda m, x: x[1:, :, -3:-1, ::2],
    "numbers": lambda m, x: x[-1, :, 2],
    "roll": lambda m, x: torch.roll(x, (-2, 0, 3), (2, 1, -1)),
    "to": lambda m, x: x.to(torch.float16).float(),
    "two outputs": lambda m, x: [x + 1, x - 1],
    "constants": lambda m, x: x * m.w7.sigmoid().view(1, -1) + torch.arange(7).float(),
    "questions": lambda m, x: x.reshape(x.shape[0], x.dim() - 1, -1) if x.is_floating_point() and x.ndim else x,
}


def run(data: bytes, x: Tensor) -> list[np.ndarray]:
    return list(onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"input": x.numpy()}))


def image(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def optimised(data: bytes, folder: Path) -> collections.Counter[str]:
    """Operators of the graph that ONNX Runtime makes of a file."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return collections.Counter(node.op_type for node in onnx.load(folder / "optimised.onnx").graph.node)


def assert_faithful(module: nn.Module, shape: tuple[int, ...], folder: Path) -> None:
    """The file computes what the module computes, and runs as the graph of torch's exporter, or with fewer slices."""
    data, theirs = write_onnx(module, shape, FLOAT, 17), trace_onnx(module, shape, FLOAT, 17)
    x = image(shape)
    (found,), (traced,) = run(data, x), run(theirs, x)
    with torch.no_grad():
        expected = module(x).numpy()
        moved = module(x * (1 + 1e-6 * image(shape, seed=1))).numpy()
    largest, noise = np.abs(expected).max(), np.abs(moved - expected).max()  # some of these networks amplify a lot
    assert found.shape == expected.shape
    assert np.abs(found - traced).max() <= 1e-6 * largest
    assert np.abs(found - expected).max() <= 2e-5 * largest + 50 * noise  # of every layer, not of the input only
    operators, of_torch = optimised(data, folder), optimised(theirs, folder)
    assert set(of_torch - operators) <= {"Slice"}  # the whole of an axis: a slice that torch writes and that copies
    assert not operators - of_torch


@pytest.mark.parametrize("name", CALLS)
@torch.no_grad()
def test_a_call_computes_the_same(name: str) -> None:
    module, x = Call(CALLS[name]).eval(), image(SHAPE)
    data = write_onnx(module, SHAPE, FLOAT, 17)
    onnx.checker.check_model(onnx.load_model_from_string(data), full_check=True)
    expected = module(x)
    expected = [expected] if isinstance(expected, Tensor) else expected
    found = run(data, x)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == tuple(theirs.shape)
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-5)


def test_every_writer_is_tried() -> None:
    called: set[Any] = set()

    class Spy(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            called.add(func)
            return func(*args, **(kwargs or {}))

    for function in CALLS.values():
        with Spy():
            Call(function)(image(SHAPE))
    assert set(WRITERS) <= called
    assert not QUESTIONS & set(WRITERS)


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: x.cumsum(1),
        lambda m, x: x.add(m.w7, alpha=2),
        lambda m, x: functional.relu(x, inplace=True),
        lambda m, x: functional.conv2d(x, m.conv, padding="same", groups=2),
        lambda m, x: functional.layer_norm(x, (7,)),
        lambda m, x: functional.batch_norm(x, m.w6, m.w6, training=True),
        lambda m, x: functional.softmax(x, 1, dtype=torch.float64),
        lambda m, x: functional.normalize(x, p=1.0),
        lambda m, x: functional.pad(x, (1, 1), mode="reflect"),
        lambda m, x: x[..., 0],
        lambda m, x: torch.roll(x, 1),
        lambda m, x: functional.max_pool2d(x, 2, ceil_mode=True),
        lambda m, x: x.to("cpu"),
        lambda m, x: x.to(torch.int64),
        lambda m, x: x + m.w7.double(),
        lambda m, x: x,
        lambda m, x: [y := x + 1, y],
        lambda m, x: m.w7,
        lambda m, x: x * torch.ones(7, device=x.device),
    ],
)
def test_what_has_no_writer_is_not_written(function: Callable[[Any, Tensor], Any]) -> None:
    with pytest.raises(UnwrittenError):
        write_onnx(Call(function).eval(), SHAPE, FLOAT, 17)


@pytest.mark.parametrize("name", SMALL)
def test_a_published_network_is_written_as_it_is(
    name: str, randomise: Callable[..., nn.Module], tmp_path: Path
) -> None:
    spec = published(name).spec
    module = randomise(build(spec), spec.resolution)
    assert_faithful(deploy(module), (1, 3, spec.resolution, spec.resolution), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [row.name for row in all_published() if row.name not in SMALL])
def test_every_published_network_is_written_as_it_is(
    name: str, randomise: Callable[..., nn.Module], tmp_path: Path
) -> None:
    spec = published(name).spec
    module = randomise(build(spec), spec.resolution)
    assert_faithful(deploy(module), (1, 3, spec.resolution, spec.resolution), tmp_path)


def test_random_points_are_written_as_they_are(randomise: Callable[..., nn.Module], tmp_path: Path) -> None:
    space, rng = load("hybrid"), random.Random(11)
    for _ in range(2):
        spec = space.decode(space.sample(rng))
        module = randomise(build(spec), spec.resolution, batch=2)
        assert_faithful(deploy(module), (1, 3, spec.resolution, spec.resolution), tmp_path)


@pytest.mark.slow
def test_many_random_points_are_written_as_they_are(randomise: Callable[..., nn.Module], tmp_path: Path) -> None:
    space, rng = load("hybrid"), random.Random(12)
    for _ in range(30):
        spec = space.decode(space.sample(rng))
        module = randomise(build(spec), spec.resolution, batch=2)
        assert_faithful(deploy(module), (1, 3, spec.resolution, spec.resolution), tmp_path)


def test_the_hash_is_steady_and_tells_networks_apart() -> None:
    space, rng = load("hybrid"), random.Random(13)
    specs = [space.decode(space.sample(rng)) for _ in range(3)]
    hashes = []
    for spec in specs:
        shape = (1, 3, spec.resolution, spec.resolution)
        first, second = (graph_hash(to_onnx(deploy(build(spec, seed=seed)), shape)) for seed in (0, 1))
        assert first == second
        hashes.append(first)
    assert len(set(hashes)) == len({spec.digest for spec in specs}) == 3


def test_nodes_are_called_after_their_modules() -> None:
    module = deploy(build(published("efficientvit_m0").spec))
    model = onnx.load_model_from_string(to_onnx(module, (1, 3, 224, 224)))
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)
    paths = {path for path, _ in module.named_modules()}
    scopes = {name.rpartition("/")[0].removeprefix("/") for name in names}
    assert scopes <= paths
    convs = [path for path, part in module.named_modules() if isinstance(part, nn.Conv2d)]
    assert convs
    assert {f"/{path}/Conv" for path in convs} <= set(names)
    weights = {tensor.name for tensor in model.graph.initializer}
    assert {f"{path}.weight" for path in convs} <= weights


def test_weights_stand_in_the_file_as_they_are() -> None:
    module = Call(lambda m, x: functional.linear(x, m.dense) + m.w7[:4])
    model = onnx.load_model_from_string(write_onnx(module, SHAPE, FLOAT, 17))
    found = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert set(found) == {"dense.T", "network.constant_1"}
    assert np.array_equal(found["dense.T"], module.dense.numpy().T)
    assert model.ir_version == 8


def test_half_precision_goes_out_as_half_precision() -> None:
    spec = published("edgenext_xx_small").spec
    model = onnx.load_model_from_string(to_onnx(deploy(build(spec)).half(), (1, 3, 256, 256)))
    onnx.checker.check_model(model, full_check=True)
    assert {t.data_type for t in model.graph.initializer} == {onnx.TensorProto.FLOAT16, onnx.TensorProto.INT64}
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT16


def test_a_half_network_computes_what_the_whole_one_does(randomise: Callable[..., nn.Module]) -> None:
    spec = published("efficientvit_b0").spec
    module, x = deploy(randomise(build(spec), 224)), image((1, 3, 224, 224))
    (whole,) = run(to_onnx(module, tuple(x.shape)), x)
    (half,) = run(to_onnx(module.half(), tuple(x.shape)), x.half())
    assert half.dtype == np.float16
    assert np.abs(half - whole).max() <= 0.02 * np.abs(whole).max()


def test_a_block_with_a_call_of_its_own_takes_the_general_way(monkeypatch: pytest.MonkeyPatch) -> None:
    module, x = deploy(build(published("efficientvit_m0").spec)), image((1, 3, 224, 224))
    expected = run(to_onnx(module, tuple(x.shape)), x)
    traced: list[int] = []

    def trace(*args: Any) -> bytes:
        traced.append(1)
        return trace_onnx(*args)

    monkeypatch.setattr(export, "trace_onnx", trace)
    monkeypatch.delitem(WRITERS, functional.softmax)
    found = run(to_onnx(module, tuple(x.shape)), x)
    assert traced
    assert np.allclose(found[0], expected[0], atol=1e-6)


def test_our_own_networks_take_the_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> bytes:
        raise AssertionError("torch's exporter was asked")

    monkeypatch.setattr(export, "trace_onnx", refuse)
    for name in SMALL:
        spec = published(name).spec
        assert to_onnx(build(spec), (1, 3, spec.resolution, spec.resolution))
    assert to_onnx(build(spec, features_only=True), (1, 3, spec.resolution, spec.resolution))


def test_a_network_for_another_side_is_refused_as_it_refuses_to_run() -> None:
    with pytest.raises(SpecError, match="one input side"):
        to_onnx(build(published("efficientvit_m0").spec), (1, 3, 192, 192))


def test_two_threads_do_not_mix_their_modules() -> None:
    modules = [deploy(build(published(name).spec)) for name in ("efficientvit_m0", "efficientvit_b0")]
    alone = [to_onnx(module, (1, 3, 224, 224)) for module in modules]
    found: dict[int, bytes] = {}

    def export_one(number: int) -> None:
        for _ in range(3):
            found[number] = to_onnx(modules[number % 2], (1, 3, 224, 224))

    threads = [threading.Thread(target=export_one, args=(number,)) for number in range(2)]
    for thread in itertools.chain(threads):
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[0], found[1]] == alone


def test_what_does_not_fit_one_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_MAX_BYTES", 100)
    with pytest.raises(SpecError, match=r"too large for one ONNX file; given: 112 bytes.*half precision"):
        to_onnx(nn.Conv2d(3, 1, 3), (1, 3, 8, 8))


def test_the_gelu_patterns_are_those_of_the_papers() -> None:
    x = image((1, 1, 4, 4))
    (found,) = run(write_onnx(Call(lambda m, x: functional.gelu(x)), (1, 1, 4, 4), FLOAT, 17), x)
    expected = [v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x.flatten().tolist()]
    np.testing.assert_allclose(found.flatten(), expected, atol=1e-6)
