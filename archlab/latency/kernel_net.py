"""How long does each kernel of a network run, when only whole networks were timed? An additive roofline that learns.

    time of a kernel = launch · e^l + ((macs / peak · e^c)^4 + (bytes / bandwidth · e^m)^4)^¼
    time of a network = Σ over its kernels

Three numbers per device, `launch`, `peak` and `bandwidth`, come from a fit of the plain sum first (non-negative least
squares of the relative error). The exponents c and m say how far a kernel of this kind and shape falls short of them: a
constant per kind, and a small network of two tanh layers on what is known of the kernel (`kernel_inputs`). Both start
at 0, and leaving it costs in proportion to the kernel's share of the time, so that the sum does not hide the time of
one kind in another. What is minimised is a robust mean of log predicted - log measured: a network that is far off pulls
no harder than one that is off by `_ROBUST`.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import nnls
from torch import Tensor, nn

from archlab.latency.kernel_inputs import inputs_of
from archlab.latency.launches import LAUNCH_COLUMNS, LAUNCH_KINDS, Launches

__all__ = ["KernelNet", "Promise", "plain_roofline"]

Floats = npt.NDArray[np.float64]

_WIDTH = 24
_KIND_WIDTH = 4
_ROUNDS = 60
_PARTS = 6
"""Networks are gone through so often, each time in so many parts."""
_RATE = 0.02
_ROBUST = 0.15
_LEAVE = 0.01
"""Cost of an exponent of the network, relative to the loss."""
_LEAVE_KIND = 0.001
"""Cost of an exponent of a kind."""
_LEAST_MS = 1e-9


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Promise:
    """The plain roofline of a device: ms per kernel, per multiply-add and per byte."""

    launch_ms: float
    mac_ms: float
    byte_ms: float


def plain_roofline(networks: Sequence[Launches], ms: Floats) -> Promise:
    """Fit launch, compute and traffic as a plain sum, by the least squares of the relative error, none negative."""
    sums = np.array([_sums(one) for one in networks])
    found, _ = nnls(sums / ms[:, None], np.ones(len(ms)))
    least = 1e-3 / np.maximum(sums.mean(axis=0), 1) * ms.mean()
    launch, mac, byte = np.maximum(found, least)
    return Promise(launch_ms=float(launch), mac_ms=float(mac), byte_ms=float(byte))


def _sums(one: Launches) -> list[float]:
    count = one.column("count")
    return [float(count.sum()), float(count @ one.column("macs")), float(count @ one.traffic_bytes)]


class KernelNet:
    """Train with `KernelNet.fit`; `predict` gives the ms of networks by kind of kernel."""

    def __init__(self, promise: Promise, mean: Floats, spread: Floats, net: "_Exponents") -> None:
        self.promise, self._mean, self._spread, self._net = promise, mean, spread, net

    @classmethod
    def fit(cls, networks: Sequence[Launches], ms: Floats, weights: Floats, *, seed: int) -> "KernelNet":
        """Fit to measured networks.

        Args:
            networks: Their kernels.
            ms: What they took, `(networks,)`.
            weights: How much each counts, `(networks,)`.
            seed: Of the first values of the small network.
        """
        kernels = _Kernels.of(networks)
        inputs = inputs_of(kernels.kinds, kernels.table)
        mean, spread = inputs.mean(axis=0), inputs.std(axis=0) + 1e-6
        net = cls(plain_roofline(networks, ms), mean, spread, _Exponents(inputs.shape[1], seed))
        net._train(kernels, np.log(ms), weights / weights.mean(), seed)
        return net

    def predict(self, networks: Sequence[Launches]) -> Floats:
        """The ms of each network by kind of kernel, `(networks, len(LAUNCH_KINDS))`."""
        kernels = _Kernels.of(networks)
        with torch.no_grad():
            each = self._net(*self._tensors(kernels)).ms.numpy().astype(np.float64)
        total = np.zeros((len(networks), len(LAUNCH_KINDS)))
        np.add.at(total, (kernels.network, kernels.kinds[kernels.row]), kernels.count * each[kernels.row])
        return np.maximum(total, 0.0)

    def _tensors(self, kernels: "_Kernels") -> tuple[Tensor, Tensor, Tensor]:
        inputs = (inputs_of(kernels.kinds, kernels.table) - self._mean) / self._spread
        plain = kernels.plain_ms(self.promise)
        return (
            torch.tensor(inputs, dtype=torch.float32),
            torch.tensor(kernels.kinds),
            torch.tensor(plain, dtype=torch.float32),
        )

    def _train(self, kernels: "_Kernels", log_ms: Floats, weights: Floats, seed: int) -> None:
        given = self._tensors(kernels)
        target, weight = (torch.tensor(x, dtype=torch.float32) for x in (log_ms, weights))
        optimizer = torch.optim.Adam(self._net.groups(_RATE))
        rates = [group["lr"] for group in optimizer.param_groups]
        total = _ROUNDS * _PARTS
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=total, pct_start=0.15)
        draw = np.random.default_rng(seed)
        for _ in range(_ROUNDS):
            for part in np.array_split(draw.permutation(len(log_ms)), _PARTS):
                optimizer.zero_grad()
                sums = self._sums(given, kernels.part(part), len(part))
                off = (torch.log(sums.ms) - target[part]) / _ROBUST
                loss = (weight[part] * _ROBUST**2 * (torch.sqrt(1 + off**2) - 1)).mean()
                loss = loss + sums.leaving.mean() + self._net.size()
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()

    def _sums(self, given: tuple[Tensor, Tensor, Tensor], part: "_Part", networks: int) -> "_Sums":
        found = self._net(*(x[part.rows] for x in given))
        each = part.count * found.ms[part.row]
        ms = torch.zeros(networks).index_add(0, part.network, each)
        leaving = torch.zeros(networks).index_add(0, part.network, each.detach() * found.leaving()[part.row])
        return _Sums(ms=ms, leaving=leaving / ms.detach())


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Part:
    """Some networks: their different kernels are `rows`; the i-th of `network` has the `row`-th of them `count`
    times."""

    rows: Tensor
    network: Tensor
    row: Tensor
    count: Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Sums:
    """Of each network: its ms, and what its exponents cost on average over its time."""

    ms: Tensor
    leaving: Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Kernels:
    """The different kernels of some networks: `kinds` and `table` of each, and which `network` has which `row` how
    often."""

    kinds: npt.NDArray[np.intp]
    table: Floats
    network: npt.NDArray[np.intp]
    row: npt.NDArray[np.intp]
    count: Floats

    @classmethod
    def of(cls, networks: Sequence[Launches]) -> "_Kernels":
        kinds = np.concatenate([one.kinds for one in networks])
        table = np.concatenate([one.table for one in networks])
        unique, row = np.unique(np.column_stack([kinds, table[:, 1:]]), axis=0, return_inverse=True)
        return cls(
            kinds=unique[:, 0].astype(np.intp),
            table=np.column_stack([np.ones(len(unique)), unique[:, 1:]]),
            network=np.repeat(np.arange(len(networks)), [len(one.kinds) for one in networks]),
            row=row.reshape(-1),
            count=table[:, 0],
        )

    def part(self, networks: npt.NDArray[np.intp]) -> _Part:
        """The kernels of some networks."""
        ends = np.searchsorted(self.network, np.arange(self.network[-1] + 2))
        chosen = np.concatenate([np.arange(ends[n], ends[n + 1]) for n in networks])
        rows, row = np.unique(self.row[chosen], return_inverse=True)
        place = np.empty(len(ends), np.intp)
        place[networks] = np.arange(len(networks))
        return _Part(
            rows=torch.tensor(rows),
            network=torch.tensor(place[self.network[chosen]]),
            row=torch.tensor(row.reshape(-1)),
            count=torch.tensor(self.count[chosen], dtype=torch.float32),
        )

    def plain_ms(self, promise: Promise) -> Floats:
        """Launch, compute and traffic of each kernel as promised, `(kernels, 3)`."""
        column = {name: self.table[:, i] for i, name in enumerate(LAUNCH_COLUMNS)}
        traffic = column["read_bytes"] + column["write_bytes"] + column["weight_bytes"]
        plain = [np.full(len(traffic), promise.launch_ms), promise.mac_ms * column["macs"], promise.byte_ms * traffic]
        return np.column_stack(plain)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Found:
    ms: Tensor
    compute: Tensor
    traffic: Tensor
    shape_exponents: Tensor
    kind_exponents: Tensor

    def leaving(self) -> Tensor:
        """What each kernel's exponents cost, by whether compute or traffic decides."""
        share = (self.compute / (self.compute + self.traffic + _LEAST_MS)).detach()
        by_part = torch.stack([share, 1 - share], dim=1)
        cost: Tensor = (by_part * (_LEAVE * self.shape_exponents**2 + _LEAVE_KIND * self.kind_exponents**2)).sum(dim=1)
        return cost


class _Exponents(nn.Module):
    """Exponents per kind (compute, traffic, launch) and a small network for compute and traffic."""

    def __init__(self, inputs: int, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.kind = nn.Parameter(torch.zeros(len(LAUNCH_KINDS), 3))
        self.place = nn.Parameter(torch.randn(len(LAUNCH_KINDS), _KIND_WIDTH, generator=draw) * 0.5)
        self.first = nn.Parameter(_uniform(inputs + _KIND_WIDTH, _WIDTH, draw))
        self.second = nn.Parameter(_uniform(_WIDTH, _WIDTH, draw))
        self.last = nn.Parameter(torch.zeros(_WIDTH, 2))
        self.shifts = nn.Parameter(torch.zeros(2, _WIDTH))

    def groups(self, rate: float) -> list[dict[str, object]]:
        """Parameters with their rates: kinds move twice as fast as shapes."""
        shape = [self.first, self.second, self.last, self.shifts]
        return [{"params": [self.kind, self.place], "lr": rate}, {"params": shape, "lr": rate / 2}]

    def size(self) -> Tensor:
        """A little for every weight."""
        squares = sum(((p**2).sum() for p in (self.first, self.second, self.last)), torch.zeros(()))
        total: Tensor = 1e-5 * squares + 1e-4 * (self.kind**2).mean()
        return total

    def forward(self, inputs: Tensor, kinds: Tensor, plain: Tensor) -> _Found:
        hidden = torch.tanh(torch.cat([inputs, self.place[kinds]], dim=1) @ self.first + self.shifts[0])
        hidden = torch.tanh(hidden @ self.second + self.shifts[1])
        shape, kind = hidden @ self.last, self.kind[kinds]
        compute, traffic = (plain[:, 1:] * torch.exp(shape + kind[:, :2])).unbind(dim=1)
        ms = plain[:, 0] * torch.exp(kind[:, 2]) + (compute**4 + traffic**4 + _LEAST_MS**3) ** 0.25
        return _Found(ms=ms, compute=compute, traffic=traffic, shape_exponents=shape, kind_exponents=kind[:, :2])


def _uniform(rows: int, columns: int, draw: torch.Generator) -> Tensor:
    bound: float = rows**-0.5
    return (torch.rand(rows, columns, generator=draw) * 2 - 1) * bound
