"""The runtimes that can be measured, by the name a run asks for."""

from archlab.device.backends.cuda import MODES, CudaBackend
from archlab.device.backends.openvino import OpenVinoBackend
from archlab.device.backends.ort import OrtBackend
from archlab.device.backends.torch_compiled import TorchCompiledBackend
from archlab.device.backends.torch_eager import TorchEagerBackend
from archlab.device.board.backend import BoardBackend
from archlab.device.runtime import Backend

__all__ = ["BACKENDS"]

BACKENDS: dict[str, Backend] = {
    "ort": OrtBackend(),
    "torch": TorchEagerBackend(),
    "torch_compiled": TorchCompiledBackend(),
    "openvino": OpenVinoBackend(),
    **dict.fromkeys(MODES, CudaBackend()),
    "trtexec": BoardBackend(),  # on this machine by the board's agent, in a process here
}
