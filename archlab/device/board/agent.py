"""Measures networks on a board: it is sent over SSH, runs from memory and talks over stdin and stdout.

Standard library of Python 3.6 and nothing else, in one file on purpose (hence its length): a board gets nothing
installed. A request is one line of JSON, then as many bytes as its ``bytes`` says, whose SHA-256 it names; an answer
is one line. ``trtexec`` or ONNX Runtime, where the board has them, do the work in processes of their own.

It trusts no byte it reads. Lines, files and times are limited, by killing the process group. A line that is too long,
that does not end or that makes no sense ends it with a stated reason, and so does a closed stdin. What a request says
is never used as a path, as an argument without a fixed form, or as code. Networks with data outside the file are
refused. Its folder is private and wiped at the end; folders of agents that were killed are wiped by the next. It
reads clocks, power modes and sensors, and changes none. What it times asks to run before other processes.
"""

import argparse
import ctypes
import fcntl
import glob
import hashlib
import importlib
import json
import os
import platform
import re
import resource
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

PROTOCOL = 1
GREETING = "ARCHLAB-AGENT "
HEADER = re.compile(rb"archlab-agent ([0-9]{1,7}) ([0-9a-f]{64})")
LIMITS = {
    "line_bytes": 64 * 1024,
    "model_bytes": 256 * 1024 * 1024,
    "line_s": 30.0,  # a line that has begun ends within
    "payload_s": 60.0,  # and bytes within this, and a second per 32 KiB
    "idle_s": 3600.0,  # without a request
    "hold_s": 20.0,  # the device is given back to the queue after so long without a request
    "queue_s": 1800.0,
    "build_s": 600.0,
    "run_s": 60.0,
    "probe_s": 60.0,
    "poll_s": 0.1,
}
TAIL_BYTES = 4000
NICE = -19
Doc = Dict[str, Any]


class Refused(Exception):  # noqa: N818 - the answer to one request; the agent goes on
    """A request that is not carried out: a code for programs, words for people, the end of a tool's log."""

    def __init__(self, code: str, detail: str, log: str = "") -> None:
        super().__init__(detail)
        self.code, self.detail, self.log = code, detail, log


class Ended(Exception):  # noqa: N818 - the agent's own end
    """The reason why the agent ends."""


# ---------------------------------------------------------------------------------------------------------- the wire


class Wire:
    """Lines and sized bytes over two file descriptors, with a limit on everything."""

    def __init__(self, fd_in: int, fd_out: int, limits: Dict[str, float]) -> None:
        self._in, self._out, self._limits = fd_in, fd_out, limits
        self._buffer = bytearray()

    def line(self, wait_s: float) -> Optional[bytes]:
        """Read a line; None when none has begun after so many seconds."""
        if not self._buffer and not self._readable(wait_s):
            return None
        until = time.monotonic() + self._limits["line_s"]
        while b"\n" not in self._buffer:
            if len(self._buffer) > self._limits["line_bytes"]:
                raise Ended("a line is longer than %d bytes" % self._limits["line_bytes"])
            self._fill(until, "a line did not end within %g s" % self._limits["line_s"])
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        if len(line) > self._limits["line_bytes"]:
            raise Ended("a line is longer than %d bytes" % self._limits["line_bytes"])
        return line

    def payload(self, size: int) -> bytes:
        """Read so many bytes."""
        limit_s = self._limits["payload_s"] + size / 32768
        until = time.monotonic() + limit_s
        while len(self._buffer) < size:
            self._fill(until, "%d bytes did not come within %g s" % (size, limit_s))
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def send(self, doc: Doc, prefix: str = "") -> None:
        """Write an answer; a host that is gone ends the agent."""
        data = memoryview((prefix + json.dumps(doc, separators=(",", ":")) + "\n").encode("ascii"))
        try:
            while data:
                data = data[os.write(self._out, data) :]
        except OSError as error:
            raise Ended("the host is gone (%s)" % error.strerror) from None

    def check_alive(self, wait_s: float = 0.0) -> None:
        """While work is done: the host may only close, and that ends the agent."""
        if self._buffer:
            raise Ended("a request came while another one was carried out")
        if self._readable(wait_s):
            self._fill(time.monotonic() + 1, "")
            raise Ended("a request came while another one was carried out")

    def _readable(self, wait_s: float) -> bool:
        return bool(select.select([self._in], [], [], max(wait_s, 0))[0])

    def _fill(self, until: float, reason: str) -> None:
        if not self._readable(until - time.monotonic()):
            raise Ended(reason)
        data = os.read(self._in, 1 << 20)
        if not data:
            raise Ended("stdin was closed")
        self._buffer += data


# --------------------------------------------------------------------------------------------------------- the model

# onnx.proto by field number: what may hold a tensor, and where a tensor says that its data lie outside
MODEL: Dict[int, str] = {7: "graph", 20: "training", 25: "function"}
PARTS: Dict[str, Dict[int, str]] = {
    "model": MODEL,
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
EXTERNAL_DATA, DATA_LOCATION = 13, 14


def check_onnx(data: bytes) -> None:
    """Refuse what is no ONNX model, and one whose tensors lie in other files."""
    if not any(field == 7 for field, _, _ in fields(memoryview(data))):
        raise Refused("bad_model", "no ONNX model: it has no graph")
    _check_part(memoryview(data), "model", 0)


def _check_part(data: memoryview, kind: str, depth: int) -> None:
    if depth > 64:
        raise Refused("bad_model", "the model is nested too deeply")
    for field, number, body in fields(data):
        if kind == "tensor" and (field == EXTERNAL_DATA or (field == DATA_LOCATION and (body is not None or number))):
            raise Refused("external_data", "the model keeps data outside its file; only embedded weights are taken")
        part = PARTS[kind].get(field)
        if part is not None:
            if body is None:
                raise Refused("bad_model", "no ONNX model: field %d of a %s is no message" % (field, kind))
            _check_part(body, part, depth + 1)


def fields(data: memoryview) -> Iterator[Tuple[int, int, Optional[memoryview]]]:
    """Walk a protobuf message: field number, value of a varint, bytes of a length-delimited field."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        field, wire_type = key >> 3, key & 7
        number, body = 0, None
        if wire_type == 0:
            number, at = _varint(data, at)
        elif wire_type in (1, 5):
            at += 8 if wire_type == 1 else 4
        elif wire_type == 2:
            size, at = _varint(data, at)
            body = data[at : at + size]
            at += size
        else:
            raise Refused("bad_model", "no ONNX model: it holds a field of an unknown kind")
        if at > len(data) or field == 0:
            raise Refused("bad_model", "no ONNX model: it ends in the middle")
        yield field, number, body


def _varint(data: memoryview, at: int) -> Tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Refused("bad_model", "no ONNX model: it ends in the middle")
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


# --------------------------------------------------------------------------------------------------------- the board

JETPACKS = {"32": "4", "34": "5", "35": "5", "36": "6", "38": "7", "39": "7"}
GPU_NAMES = ("gpu", "ga10b", "gv11b", "gp10b", "gm20b")
TOTAL_RAILS = ("VDD_IN", "POM_5V_IN")
ORIN_RAILS = ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")
NO_SENSOR = re.compile("pmic|fan|pll", re.I)
NEAR_HOT_C = 10.0


class Board:
    """What the board says of itself under /sys, /proc and /etc; `root` stands in for the file system's root."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        self.model = self.text("proc/device-tree/model") or ""
        self.is_thor = "thor" in self.model.lower()
        self._zones = list(self._find_zones())
        self._rails = list(self._find_rails())
        self._gpu = self._find_gpu()

    def text(self, path: str) -> Optional[str]:
        """Read a small file; None where it cannot be read."""
        try:
            with open(path if path.startswith("/") else self.root + "/" + path, "rb") as stream:
                return stream.read(65536).decode("utf-8", "replace").strip("\0 \n\t")
        except OSError:
            return None

    def number(self, path: str) -> Optional[float]:
        """Read a file that holds a number; None where it does not."""
        try:
            return float(self.text(path) or "")
        except ValueError:
            return None

    def glob(self, pattern: str) -> List[str]:
        """Find files."""
        return sorted(glob.glob(glob.escape(self.root) + "/" + pattern))

    def boot_id(self) -> str:
        """Identify the time since the last start."""
        return self.text("proc/sys/kernel/random/boot_id") or "not readable"

    def fingerprint(self) -> Dict[str, str]:
        """Say what moves the latency and stays the same until somebody changes it."""
        found = {
            "board": self.model or "no device tree",
            "machine": platform.machine(),
            "kernel": platform.release(),
            "python": platform.python_version(),
            "l4t": self._l4t(),
            "power_mode": self.power_mode(),
            "cpu": self._cpu(),
            "cpu_governor": self.text("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "",
            "cpu_max_mhz": self._mhz("sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq", 1e3),
            "cpus_online": self.text("sys/devices/system/cpu/online") or "",
        }
        if self._gpu:
            found["gpu_governor"] = self.text(self._gpu + "/governor") or ""
            if not self.is_thor:  # reading these has hung there under JetPack 7.2
                found["gpu_min_mhz"] = self._mhz(self._gpu + "/min_freq", 1e6)
                found["gpu_max_mhz"] = self._mhz(self._gpu + "/max_freq", 1e6)
        if found["l4t"]:
            found["jetpack"] = JETPACKS.get(found["l4t"].split(".")[0], "not known")
        return {name: value for name, value in found.items() if value}

    def power_mode(self) -> str:
        """Ask for the power mode: name and number; empty on what has none."""
        tool = self.root + "/usr/sbin/nvpmodel"
        if os.access(tool, os.X_OK):
            found = re.search(r"NV Power Mode: *(\S+)\s+(\d+)", _output([tool, "-q"], 10))
            if found:
                return "%s (%s)" % found.groups()
        number = re.search(r"\d+", self.text("var/lib/nvpmodel/status") or "")
        if not number:
            return ""
        mode = int(number.group())
        for line in (self.text("etc/nvpmodel.conf") or "").splitlines():
            found = re.match(r"\s*<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)", line)
            if found and int(found.group(1)) == mode:
                return "%s (%d)" % (found.group(2), mode)
        return "mode (%d)" % mode

    def state(self) -> Doc:
        """Read temperatures in °C, the GPU's clock in MHz and power in W, as they are now."""
        temperatures = {name: round(celsius, 1) for name, celsius in self.temperatures().items()}
        power = self.power_w()
        mhz = None if self.is_thor or not self._gpu else self.number(self._gpu + "/cur_freq")
        found = {
            "temperatures_c": temperatures or None,
            "hottest_c": max(temperatures.values()) if temperatures else None,
            "gpu_mhz": mhz / 1e6 if mhz else None,
            "power_w": power,
            "load_1min": round(os.getloadavg()[0], 2),
        }
        return {name: value for name, value in found.items() if value is not None}

    def temperatures(self) -> Dict[str, float]:
        """Read every zone in °C."""
        found = ((name, self.number(path + "/temp")) for name, path, _ in self._zones)
        return {name: milli / 1000 for name, milli in found if milli is not None and milli > 0}

    def trip_c(self, zone: str) -> float:
        """Tell at how many °C the kernel slows a zone down."""
        return min([trip for name, _, trip in self._zones if name == zone])

    def power_w(self) -> Optional[float]:
        """Read the whole module's power in W: one rail where one is the sum, else the sum of the rails."""
        watts = {}
        for label, paths, scale in self._rails:
            value = scale
            for path in paths:
                value *= self.number(path) or 0.0
            watts[label] = value
        for chosen in [(rail,) for rail in TOTAL_RAILS] + [ORIN_RAILS]:
            if all(rail in watts for rail in chosen):
                return round(sum(watts[rail] for rail in chosen), 4)
        return round(sum(watts.values()), 4) if watts else None

    def gpu_mhz(self) -> Optional[float]:
        """Read the GPU's clock in MHz."""
        value = None if self.is_thor or not self._gpu else self.number(self._gpu + "/cur_freq")
        return value / 1e6 if value else None

    def over_currents(self) -> Dict[str, float]:
        """Read the counters and alarms that rise when the board is slowed down for drawing too much."""
        paths = self.glob("sys/class/hwmon/hwmon*/oc*_event_cnt") + self.glob(
            "sys/bus/i2c/devices/*/hwmon/hwmon*/curr*_crit_alarm"
        )
        return {path: self.number(path) or 0.0 for path in paths}

    def coolers(self) -> List[str]:
        """Name the kernel's throttles that are on."""
        on = []
        for path in self.glob("sys/class/thermal/cooling_device*"):
            kind = self.text(path + "/type") or ""
            if "throttle" in kind and (self.number(path + "/cur_state") or 0) > 0:
                on.append(kind)
        return on

    def _find_zones(self) -> Iterator[Tuple[str, str, float]]:
        for path in self.glob("sys/class/thermal/thermal_zone*"):
            name = self.text(path + "/type") or ""
            if not name or NO_SENSOR.search(name):
                continue
            trips = []
            for kind in sorted(glob.glob(glob.escape(path) + "/trip_point_*_type")):
                trip = self.number(kind[: -len("type")] + "temp")
                if self.text(kind) == "passive" and trip and trip > 0:
                    trips.append(trip / 1000)
            yield name, path, min(trips or [float("inf")])

    def _find_rails(self) -> Iterator[Tuple[str, List[str], float]]:
        for path in self.glob("sys/bus/i2c/devices/*/hwmon/hwmon*/in[0-9]*_label"):
            number = re.findall(r"in(\d+)_label", path)[-1]
            label = self.text(path) or ""
            if "NC" not in label and number != "7":
                folder = os.path.dirname(path)
                yield label, [folder + "/in%s_input" % number, folder + "/curr%s_input" % number], 1e-6
        for path in self.glob("sys/bus/i2c/devices/*/iio:device*/rail_name_[0-9]*"):
            number = path.rpartition("_")[2]
            label = self.text(path) or ""
            if "NC" not in label:
                yield label, [os.path.dirname(path) + "/in_power%s_input" % number], 1e-3

    def _find_gpu(self) -> str:
        for path in self.glob("sys/class/devfreq/*"):
            tree = self.text(path + "/device/of_node/name") or ""
            if tree in GPU_NAMES or any(name in os.path.basename(path) for name in GPU_NAMES):
                return path
        return ""

    def _l4t(self) -> str:
        found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", self.text("etc/nv_tegra_release") or "")
        return ".".join(found.groups()) if found else ""

    def _cpu(self) -> str:
        found = re.search(r"^(?:model name|Model)\s*: *(.+)$", self.text("proc/cpuinfo") or "", re.M)
        return found.group(1).strip() if found else ""

    def _mhz(self, path: str, unit: float) -> str:
        value = self.number(path)
        return "" if value is None else "%g" % (value / unit)


class Watch:
    """Looks at the board while it runs: hottest zone, clock, power; afterwards it says whether it was slowed down."""

    def __init__(self, board: Board, idle_w: Optional[float]) -> None:
        self._board, self._idle_w = board, idle_w
        self._before = board.temperatures()
        self._hottest = dict(self._before)
        self._counts = board.over_currents()
        self._coolers: List[str] = []
        self._watts: List[float] = []
        self._mhz: List[float] = []
        self.precedence = "none"

    def look(self) -> None:
        """Read the sensors once."""
        for name, celsius in self._board.temperatures().items():
            self._hottest[name] = max(celsius, self._hottest.get(name, celsius))
        self._coolers += self._board.coolers()
        for value, kept in ((self._board.power_w(), self._watts), (self._board.gpu_mhz(), self._mhz)):
            if value is not None:
                kept.append(value)

    def facts(self) -> Doc:
        """Tell what was seen; `power_w` is the mean of the readings under load, above half way from idle to most."""
        self.look()
        found = {"throttled": self._reasons(), "precedence": self.precedence}  # type: Doc
        if self._hottest:
            found["start_c"] = round(max(self._before.values(), default=0.0), 1)
            found["hottest_c"] = round(max(self._hottest.values()), 1)
        if self._mhz:
            found["gpu_mhz"] = max(self._mhz)
        if self._watts:
            floor = min(self._watts) if self._idle_w is None else self._idle_w
            busy = [watts for watts in self._watts if watts >= (floor + max(self._watts)) / 2]
            found["power_w"] = round(sum(busy) / len(busy), 4) if busy else None
        return found

    def _reasons(self) -> List[str]:
        reasons = []
        now = self._board.over_currents()
        if any(count > self._counts.get(path, 0.0) for path, count in now.items()):
            reasons.append("over-current")
        near = [name for name, celsius in self._hottest.items() if celsius >= self._board.trip_c(name)]
        if near or self._coolers:
            reasons.append("thermal: " + ", ".join(sorted(set(near + self._coolers))))
        warm = any(celsius >= self._board.trip_c(name) - NEAR_HOT_C for name, celsius in self._hottest.items())
        if warm and self._mhz and self._mhz[-1] < 0.9 * max(self._mhz):
            reasons.append("clock: %g of %g MHz" % (self._mhz[-1], max(self._mhz)))
        return reasons


# ------------------------------------------------------------------------------------------------- processes, queue


def _die_with_parent() -> None:
    """Ask Linux to kill this process when the agent dies, however it dies."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def start(argv: List[str], **pipes: Any) -> "subprocess.Popen[bytes]":
    """Start a tool: a list of arguments, no shell, a process group of its own."""
    on_start = _die_with_parent if sys.platform.startswith("linux") else None
    return subprocess.Popen(argv, start_new_session=True, preexec_fn=on_start, **pipes)


def precede(pid: int, proc: str = "/proc") -> str:
    """Ask that a process and its session run before others; say what was granted.

    The scheduler shares the cores between sessions first, and every tool has a session of its own. Nothing is given
    back: both end with the process.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, pid, min(os.getpriority(os.PRIO_PROCESS, pid), NICE))
    except OSError:
        return "none"
    try:
        with open("%s/%d/autogroup" % (proc, pid), "w") as stream:
            stream.write(str(NICE))
    except OSError:
        return "process"
    return "process and session"


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Kill a tool and all it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()


def _output(argv: List[str], limit_s: float) -> str:
    """Run a tool that answers at once, and give what it prints; empty when it fails or hangs."""
    try:
        process = start(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError:
        return ""
    try:
        return process.communicate(timeout=limit_s)[0].decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        return ""
    finally:
        stop(process)


def tail(path: str) -> str:
    """Give the end of a log."""
    with open(path, "rb") as stream:
        stream.seek(max(0, os.path.getsize(path) - TAIL_BYTES))
        return stream.read().decode("utf-8", "replace")


class Queue:
    """One measurement at a time on this board, whoever asks: a lock on a file that every user can open."""

    def __init__(self, path: str, wire: Wire, limits: Dict[str, float]) -> None:
        self._wire, self._limits = wire, limits
        self._fd = self._open(path)
        self.is_held = False
        self.waited_s = 0.0

    def take(self) -> None:
        """Wait for the board, and tell the host now and then that this is what is done."""
        began = told = time.monotonic()
        while not self.is_held:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.is_held = True
            except OSError:
                self._wire.check_alive(0.05)
                now = time.monotonic()
                if now - began > self._limits["queue_s"]:
                    raise Refused("busy", "the board was in use for %g s" % (now - began)) from None
                if now - told > 2:
                    self._wire.send({"event": "queued", "seconds": round(now - began, 1)})
                    told = now
        self.waited_s += time.monotonic() - began

    def is_taken(self) -> bool:
        """Tell whether somebody else measures now."""
        if not self.is_held:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        return False

    def give(self) -> None:
        """Let others measure."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        self.is_held = False

    @staticmethod
    def _open(path: str) -> int:
        """Open without following links; others' files are only read, which is enough to lock them."""
        for flags in (os.O_RDONLY, os.O_RDONLY | os.O_CREAT | os.O_EXCL, os.O_RDONLY):
            try:
                fd = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
            except (FileNotFoundError, FileExistsError):
                continue
            if stat.S_ISREG(os.fstat(fd).st_mode):
                return fd
            os.close(fd)
            break
        raise Ended("the lock %s cannot be opened" % path)


# -------------------------------------------------------------------------------------------------------- the runtimes


class Tools:
    """What the runtimes share: folder, wire, limits, board, and running a tool to its end while looking at the board."""

    def __init__(self, folder: str, wire: Wire, limits: Dict[str, float], board: Board, source: bytes) -> None:
        self.folder, self.wire, self.limits, self.board = folder, wire, limits, board
        self.source = source
        self.idle_w: Optional[float] = None

    def finish(self, argv: List[str], log: str, limit_s: float, watch: Optional[Watch] = None) -> int:
        """Run a tool and give its exit status; a tool that takes too long is killed, and so is it when the host goes."""
        with open(log, "wb") as stream:
            process = start(argv, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, cwd=self.folder)
        try:
            if watch is not None:
                watch.precedence = precede(process.pid)
            self.wait(lambda: process.poll() is not None, limit_s, watch, lambda: tail(log))
            return process.returncode
        finally:
            stop(process)

    def wait(self, is_done: Callable[[], bool], limit_s: float, watch: Optional[Watch], log: Callable[[], str]) -> None:
        """Wait for something while the host is there and time is left."""
        began = told = looked = time.monotonic()
        while not is_done():
            now = time.monotonic()
            if now - began > limit_s:
                raise Refused("timeout", "it took longer than %g s and was killed" % limit_s, log())
            if now - told > 5:
                self.wire.send({"event": "working", "seconds": round(now - began, 1)})
                told = now
            if watch is not None and now - looked > self.limits["poll_s"]:
                watch.look()
                looked = now
            self.wire.check_alive(0.01)


class Trtexec:
    """TensorRT by its own tool, in both of its dialects: up to TensorRT 10, and since 11."""

    name = "trtexec"
    PLACES = ("/usr/src/tensorrt/bin/trtexec",)

    def __init__(self, tools: Tools, path: str, version: Tuple[int, int, int]) -> None:
        self._tools, self._path, self._version = tools, path, version

    @classmethod
    def find(cls, tools: Tools, given: Optional[str]) -> "Trtexec | None":
        """Find the tool: as the agent was told, on PATH, where JetPack has it."""
        for path in [given] if given else [shutil.which("trtexec"), *(tools.board.root + p for p in cls.PLACES)]:
            if path and os.access(path, os.X_OK):
                version = trt_version(_output([path, "--help"], tools.limits["probe_s"]))
                if version is not None:
                    return cls(tools, path, version)
        return None

    def describe(self) -> Doc:
        """Name version and dialect."""
        return {"version": "%d.%d.%d" % self._version, "dialect": 11 if self._is_typed else 10}

    @property
    def _is_typed(self) -> bool:
        """Since 11 the precision is that of the ONNX file, and what used to be flags is the default."""
        return self._version[0] >= 11

    def prepare(self, stem: str, settings: Doc) -> Doc:
        """Build the engine."""
        argv = [self._path, "--onnx=%s.onnx" % stem, "--saveEngine=%s.engine" % stem]
        argv.append("--skipInference" if self._version >= (8, 6, 0) else "--buildOnly")
        argv.append("--timingCacheFile=" + self._timing_cache())
        if self._version >= (8, 2, 0):
            argv.append("--profilingVerbosity=detailed")
        if self._version >= (8, 6, 0):
            argv.append("--builderOptimizationLevel=3")
        elif self._version < (8, 4, 0):
            argv.append("--workspace=1024")
        argv += self._precision(settings["precision"])
        log = stem + ".build.log"
        try:
            status = self._tools.finish(argv, log, self._tools.limits["build_s"])
        except Refused as error:
            raise Refused("build_failed", "building " + str(error), error.log) from None
        if status or not os.path.exists(stem + ".engine"):
            code = "device_failed" if re.search(NO_DEVICE, tail(log)) else "build_failed"
            raise Refused(code, "trtexec ended with %d while it built the engine" % status, tail(log))
        precision = settings["precision"] + (", TF32 allowed" if settings["precision"] == "fp32" else "")
        return {"precision": precision, "tensorrt": self.describe()["version"], "transfers": "not timed",
                "launch": "CUDA graph, spinning", "builder_level": "3"}  # fmt: skip

    def run(self, stem: str, settings: Doc, runs: int, seconds: float) -> Doc:
        """Time the engine: the tool warms up by itself, then runs for so many seconds."""
        times = stem + ".times.json"
        argv = [self._path, "--loadEngine=%s.engine" % stem, "--exportTimes=" + times]
        argv += ["--warmUp=500", "--duration=%g" % seconds, "--iterations=%d" % min(runs, 10)]
        if not self._is_typed:
            argv += ["--noDataTransfers", "--useCudaGraph", "--useSpinWait", *self._precision(settings["precision"])]
        watch = Watch(self._tools.board, self._tools.idle_w)
        self._finish(argv, stem + ".run.log", watch)
        wall, enqueue_ms = trt_times(_read_json(times))
        return {"wall_ns": wall, "facts": {**watch.facts(), "enqueue_ms": enqueue_ms}}

    def profile(self, stem: str, settings: Doc, runs: int) -> Doc:
        """Time each layer in a run of its own."""
        rows, layers = stem + ".profile.json", stem + ".layers.json"
        argv = [self._path, "--loadEngine=%s.engine" % stem, "--dumpProfile", "--exportProfile=" + rows]
        argv += ["--warmUp=200", "--duration=1", "--iterations=%d" % min(runs, 100)]
        if self._version >= (8, 2, 0):
            argv += ["--profilingVerbosity=detailed", "--exportLayerInfo=" + layers]
        if not self._is_typed:
            argv += ["--noDataTransfers", *self._precision(settings["precision"])]
        self._finish(argv, stem + ".profile.log", None)
        found = {"rows": [row for row in _read_json(rows) if "name" in row]}
        if os.path.exists(layers):
            found["layers"] = _read_json(layers, is_list=False).get("Layers", [])
        return found

    def release(self, stem: str) -> None:
        """Nothing runs between requests."""

    def _finish(self, argv: List[str], log: str, watch: Optional[Watch]) -> None:
        status = self._tools.finish(argv, log, self._tools.limits["run_s"], watch)
        if status:
            code = "device_failed" if re.search(NO_DEVICE, tail(log)) else "run_failed"
            raise Refused(code, "trtexec ended with %d" % status, tail(log))

    def _precision(self, precision: str) -> List[str]:
        return [] if self._is_typed or precision == "fp32" else ["--" + precision]

    def _timing_cache(self) -> str:
        """Keep what the builder learned, per state of the board, in the user's cache folder."""
        told = json.dumps([self._tools.board.fingerprint(), self._version], sort_keys=True)
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        folder = os.path.join(base, "archlab")
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
        except OSError:
            folder = self._tools.folder
        return os.path.join(folder, "timing-%s.cache" % hashlib.sha256(told.encode()).hexdigest()[:12])


def trt_times(rows: List[Any]) -> Tuple[List[int], float]:
    """Read the tool's times: ns of each run, and the median ms of an enqueue."""
    try:
        wall = [int(round(row["computeMs"] * 1e6)) for row in rows]
        enqueue = sorted(row["endEnqMs"] - row["startEnqMs"] for row in rows)
        return wall, round(enqueue[len(enqueue) // 2], 4)
    except (LookupError, TypeError, ValueError, OverflowError):
        raise Refused("run_failed", "the tool's times are empty or incomplete") from None


NO_DEVICE = r"no CUDA-capable device|CUDA initialization failure|Cuda failure: (?!2\b)|unspecified launch failure"


def trt_version(banner: str) -> Optional[Tuple[int, int, int]]:
    """Read the version that the tool prints first: ``[TensorRT v8201]`` is 8.2.1, ``[TensorRT v100300]`` is 10.3.0."""
    found = re.search(r"\[TensorRT v(\d{4,7})\]", banner)
    if not found:
        return None
    number = int(found.group(1))
    if number < 10000:
        return number // 1000, number // 100 % 10, number % 100
    return number // 10000, number // 100 % 100, number % 100


def _read_json(path: str, is_list: bool = True) -> Any:
    try:
        with open(path, "rb") as stream:
            found = json.loads(stream.read().decode("utf-8", "replace"))
    except (OSError, ValueError) as error:
        raise Refused("run_failed", "the tool left no readable answer: %s" % error) from None
    if not isinstance(found, list if is_list else dict):
        raise Refused("run_failed", "the tool's answer has another form than expected")
    return found


class Ort:
    """ONNX Runtime of the board's own Python, on its CPU, in one process per network."""

    name = "ort"

    def __init__(self, tools: Tools, version: str) -> None:
        self._tools, self._version = tools, version
        self._workers: Dict[str, subprocess.Popen[bytes]] = {}
        self._granted: Dict[str, str] = {}
        self._script = os.path.join(tools.folder, "agent.py")
        with open(self._script, "wb") as stream:
            stream.write(tools.source)

    @classmethod
    def find(cls, tools: Tools) -> "Ort | None":
        """Ask the board's Python for it, in a process of its own."""
        said = _output(
            [sys.executable, "-c", "import onnxruntime; print('onnxruntime', onnxruntime.__version__)"],
            tools.limits["probe_s"],
        )
        found = re.search(r"^onnxruntime (\S+)$", said, re.M)
        return cls(tools, found.group(1)) if found else None

    def describe(self) -> Doc:
        """Name the version."""
        return {"version": self._version}

    def prepare(self, stem: str, settings: Doc) -> Doc:
        """Load the network into a process of its own."""
        if settings["precision"] != "fp32":
            raise Refused("bad_request", "ort runs fp32 only")
        with open(stem + ".log", "wb") as log:
            self._workers[stem] = start(
                [sys.executable, self._script, "--worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._tools.folder,
            )
        self._granted[stem] = precede(self._workers[stem].pid)  # before it starts threads, which keep it
        order = {"do": "load", "path": stem + ".onnx", "threads": settings["threads"], "runs": 1}
        try:
            return self._order(stem, order, self._tools.limits["build_s"], None)["settings"]
        except Refused as error:
            self.release(stem)
            raise Refused("build_failed", "ONNX Runtime cannot load the network: " + error.detail, error.log) from None

    def run(self, stem: str, settings: Doc, runs: int, seconds: float) -> Doc:
        """Time so many runs; fewer when they take nearly too long."""
        watch = Watch(self._tools.board, self._tools.idle_w)
        watch.precedence = self._granted.get(stem, "none")
        limit_s = self._tools.limits["run_s"]
        found = self._order(stem, {"do": "run", "runs": runs, "seconds": 0.8 * limit_s}, limit_s, watch)
        found["facts"] = watch.facts()
        return found

    def profile(self, stem: str, settings: Doc, runs: int) -> Doc:
        """Time each operator with ONNX Runtime's profiler, in a session of its own."""
        order = {"do": "profile", "runs": min(runs, 100)}
        return self._order(stem, order, self._tools.limits["run_s"], None)

    def release(self, stem: str) -> None:
        """End the process."""
        worker = self._workers.pop(stem, None)
        self._granted.pop(stem, None)
        if worker is not None:
            stop(worker)
            for pipe in (worker.stdin, worker.stdout):
                if pipe is not None:
                    pipe.close()

    def _order(self, stem: str, order: Doc, limit_s: float, watch: Optional[Watch]) -> Doc:
        worker = self._workers.get(stem)
        if worker is None or worker.stdin is None or worker.stdout is None:
            raise Refused("run_failed", "the process of this network is gone")
        fd, said = worker.stdout.fileno(), bytearray()

        def is_done() -> bool:
            if not select.select([fd], [], [], 0.01)[0]:
                return False
            data = os.read(fd, 1 << 20)
            said.extend(data)
            return not data or data.endswith(b"\n")

        try:
            worker.stdin.write(json.dumps(order).encode() + b"\n")
            worker.stdin.flush()
            self._tools.wait(is_done, limit_s, watch, lambda: tail(stem + ".log"))
            found = json.loads(said.decode() or "{}")
        except (OSError, ValueError):
            found = {}
        except Refused:
            self.release(stem)
            raise
        if found.get("ok") is not True:
            raise Refused("run_failed", str(found.get("error", "it ended by itself")), tail(stem + ".log"))
        return found["answer"]


# ----------------------------------------------------------------------------------------------- ONNX Runtime's process


def work() -> None:
    """Carry out orders of the agent in a process of its own: the only part that imports ONNX Runtime."""
    out = os.dup(1)
    os.dup2(2, 1)
    desk = {}  # type: Doc
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = {"ok": True, "answer": DUTIES[order["do"]](desk, order)}
        except Exception as error:  # whatever ONNX Runtime raises is the answer
            answer = {"ok": False, "error": " ".join(str(error).split())[:500]}
        data = json.dumps(answer).encode() + b"\n"
        while data:
            data = data[os.write(out, data) :]


def _session(path: str, threads: int, profile_prefix: str = "") -> Any:
    ort = importlib.import_module("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if profile_prefix:
        options.enable_profiling = True
        options.profile_file_prefix = profile_prefix
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _load(desk: Doc, order: Doc) -> Doc:
    numpy = importlib.import_module("numpy")
    session = _session(order["path"], order["threads"])
    (entry,) = session.get_inputs()
    if any(not isinstance(size, int) or size < 1 for size in entry.shape):
        raise ValueError("the input's shape is not static: %s" % entry.shape)
    image = numpy.random.RandomState(0).standard_normal(entry.shape)
    feed = {entry.name: image.astype("float16" if "float16" in entry.type else "float32")}
    session.run(None, feed)
    desk.update(session=session, feed=feed, order=order)
    return {
        "settings": {
            "precision": "fp32",
            "provider": session.get_providers()[0],
            "graph_optimisation": "ORT_ENABLE_ALL",
            "execution": "sequential, no spinning",
            "intra_op_threads": str(order["threads"]),
        }
    }


def _time(desk: Doc, order: Doc) -> Doc:
    session, feed = desk["session"], desk["feed"]
    wall, cpu, switches = [], [], []  # type: Tuple[List[int], List[int], List[int]]
    until = time.perf_counter() + order["seconds"]
    for _ in range(order["runs"]):
        switches_before = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
        cpu_before = time.process_time()
        wall_before = time.perf_counter()
        session.run(None, feed)
        wall_after = time.perf_counter()
        wall.append(int(round((wall_after - wall_before) * 1e9)))
        cpu.append(int(round((time.process_time() - cpu_before) * 1e9)))
        switches.append(resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - switches_before)
        if wall_after > until:
            break
    return {"wall_ns": wall, "cpu_ns": cpu, "switches": switches}


def _profile(desk: Doc, order: Doc) -> Doc:
    first = desk["order"]
    session = _session(first["path"], first["threads"], first["path"] + ".profile")
    for _ in range(order["runs"] + 1):
        session.run(None, desk["feed"])
    path = session.end_profiling()
    with open(path) as stream:
        events = json.load(stream)
    os.remove(path)
    kept = []
    for event in events:
        if event.get("cat") == "Node" and event.get("name", "").endswith("_kernel_time"):
            told = event.get("args", {})
            args = {"op_name": told.get("op_name", ""), "node_index": told.get("node_index", -1)}
            kept.append({"cat": "Node", "name": event["name"], "dur": event["dur"], "args": args})
    return {"events": kept}


DUTIES = {"load": _load, "run": _time, "profile": _profile}  # type: Dict[str, Callable[[Doc, Doc], Doc]]


# --------------------------------------------------------------------------------------------------------- the agent

FIELDS: Dict[str, Dict[str, Any]] = {
    "hello": {"protocol": (1, 1000)},
    "probe": {},
    "prepare": {
        "runtime": ("trtexec", "ort"),
        "precision": ("fp32", "fp16", "bf16"),
        "threads": (1, 1024),
        "bytes": (1, 1 << 62),
        "sha256": re.compile("[0-9a-f]{64}"),
    },
    "run": {"handle": (1, 1 << 31), "runs": (1, 100000), "seconds": (0.01, 30.0)},
    "profile": {"handle": (1, 1 << 31), "runs": (1, 10000)},
    "cool": {"to_c": (0.0, 150.0), "seconds": (0.0, 300.0)},
    "telemetry": {},
    "release": {"handle": (1, 1 << 31)},
    "bye": {},
}
"""What a request may say: for each field the allowed words, the allowed range, or the form."""


def checked(doc: Any) -> Doc:
    """Refuse a request that says anything but what its operation takes."""
    if not isinstance(doc, dict) or not isinstance(doc.get("op"), str) or doc["op"] not in FIELDS:
        raise Refused("bad_request", "no such operation; there are " + ", ".join(sorted(FIELDS)))
    wanted = FIELDS[doc["op"]]
    if set(doc) != {"op"} | set(wanted):
        raise Refused("bad_request", "%s takes exactly: %s" % (doc["op"], ", ".join(sorted(wanted)) or "nothing"))
    for name, allowed in wanted.items():
        if not _fits(doc[name], allowed):
            raise Refused("bad_request", "%s of %s is not allowed" % (name, doc["op"]))
    return doc


def _fits(value: Any, allowed: Any) -> bool:
    if not isinstance(allowed, tuple):
        return isinstance(value, str) and bool(allowed.fullmatch(value))
    if isinstance(allowed[0], str):
        return isinstance(value, str) and value in allowed
    kinds = (int,) if isinstance(allowed[0], int) else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and allowed[0] <= value <= allowed[1]


class Agent:
    """Carries out one request after the other."""

    def __init__(self, tools: Tools, queue: Queue, trtexec: Optional[str]) -> None:
        self._tools, self._queue, self._trtexec = tools, queue, trtexec
        self._runtimes: Dict[str, Any] = {}
        self._networks: Dict[int, Tuple[str, Any, Doc]] = {}
        self._count = 0
        self._idle_at = -1e9

    def serve(self) -> None:
        """Answer until the host says goodbye or goes."""
        limits = self._tools.limits
        while True:
            line = self._tools.wire.line(limits["hold_s"] if self._queue.is_held else limits["idle_s"])
            if line is None:
                if not self._queue.is_held:
                    raise Ended("no request came within %g s" % limits["idle_s"])
                self._queue.give()
                continue
            try:
                answer = self._answer(_parsed(line))
            except Refused as error:
                answer = {"ok": False, "error": error.code, "detail": error.detail, "log": error.log}
            self._tools.wire.send(answer)
            if answer.get("bye"):
                return

    def close(self) -> None:
        """End what still runs."""
        for handle in list(self._networks):
            self._release(handle)

    def _answer(self, doc: Any) -> Doc:
        size = doc.get("bytes", 0) if isinstance(doc, dict) else 0
        if isinstance(size, int) and size > self._tools.limits["model_bytes"]:
            raise Ended("%d bytes were announced; the limit is %d" % (size, self._tools.limits["model_bytes"]))
        try:
            request = checked(doc)
        except Refused:
            if isinstance(size, int) and not isinstance(size, bool) and size > 0:
                self._tools.wire.payload(size)  # what was announced is no request
            raise
        answer = getattr(self, "_" + request.pop("op"))(**request)
        return {"ok": True, **answer}

    def _hello(self, protocol: int) -> Doc:
        if protocol != PROTOCOL:
            raise Refused("protocol", "this agent speaks protocol %d" % PROTOCOL)
        return {"protocol": PROTOCOL, **self._probe()}

    def _probe(self) -> Doc:
        """Look what the board has; runtimes are looked for once."""
        if not self._runtimes:
            found = [Trtexec.find(self._tools, self._trtexec), Ort.find(self._tools)]
            self._runtimes = {runtime.name: runtime for runtime in found if runtime is not None}
        described = {name: runtime.describe() for name, runtime in self._runtimes.items()}
        return {**self._identity(), "runtimes": described, "state": self._tools.board.state()}

    def _identity(self) -> Doc:
        board = self._tools.board
        return {"boot_id": board.boot_id(), "fingerprint": board.fingerprint()}

    def _prepare(self, runtime: str, precision: str, threads: int, bytes: int, sha256: str) -> Doc:
        data = self._tools.wire.payload(bytes)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Refused("damaged", "the model arrived damaged: its SHA-256 is another one")
        check_onnx(data)
        if runtime not in self._runtimes:
            raise Refused("no_runtime", "the board has no " + runtime)
        if threads > (os.cpu_count() or 1):
            raise Refused("bad_request", "the board has %d CPU cores" % (os.cpu_count() or 1))
        self._queue.waited_s = 0.0
        self._queue.take()
        self._idle()
        self._count += 1
        stem = os.path.join(self._tools.folder, "m%d" % self._count)
        with open(stem + ".onnx", "wb") as stream:
            stream.write(data)
        settings = {"precision": precision, "threads": threads}
        before, identity = self._tools.board.state(), self._identity()
        began = time.monotonic()
        try:
            effective = self._runtimes[runtime].prepare(stem, settings)
        except BaseException:
            self._wipe(stem)
            raise
        self._networks[self._count] = (stem, self._runtimes[runtime], settings)
        return {**identity, "handle": self._count, "settings": effective, "prepare_s": round(time.monotonic() - began, 3),
                "queue_s": round(self._queue.waited_s, 3), "state": before, "idle_power_w": self._tools.idle_w}  # fmt: skip

    def _run(self, handle: int, runs: int, seconds: float) -> Doc:
        stem, runtime, settings = self._network(handle)
        self._queue.waited_s = 0.0
        self._queue.take()
        found = runtime.run(stem, settings, runs, seconds)
        found["facts"]["idle_power_w"] = self._tools.idle_w
        return {**found, **self._identity(), "queue_s": round(self._queue.waited_s, 3)}

    def _profile(self, handle: int, runs: int) -> Doc:
        stem, runtime, settings = self._network(handle)
        self._queue.take()
        return dict(runtime.profile(stem, settings, runs))

    def _cool(self, to_c: float, seconds: float) -> Doc:
        """Wait until the hottest zone is down to so many °C, or time is over."""
        board = self._tools.board
        began = time.monotonic()

        def is_cool() -> bool:
            return max(board.temperatures().values(), default=0.0) <= to_c or time.monotonic() - began >= seconds

        self._tools.wait(is_cool, seconds + 10, None, str)
        return {"state": board.state(), "seconds": round(time.monotonic() - began, 2)}

    def _telemetry(self) -> Doc:
        free_mb = shutil.disk_usage(self._tools.folder).free / 1e6
        found = {"state": self._tools.board.state(), "temp_free_mb": round(free_mb), "in_use": self._queue.is_taken()}
        return {**self._identity(), **found}

    def _release(self, handle: int) -> Doc:
        stem, runtime, _ = self._network(handle)
        del self._networks[handle]
        runtime.release(stem)
        self._wipe(stem)
        if not self._networks and self._queue.is_held:
            self._queue.give()
        return {}

    def _bye(self) -> Doc:
        return {"bye": True}

    def _network(self, handle: int) -> Tuple[str, Any, Doc]:
        if handle not in self._networks:
            raise Refused("bad_request", "no network %d was prepared" % handle)
        return self._networks[handle]

    def _wipe(self, stem: str) -> None:
        for path in glob.glob(glob.escape(stem) + ".*"):
            os.remove(path)

    def _idle(self) -> None:
        """Read the power of the resting board, once in five minutes, where it can be read."""
        if self._tools.board.power_w() is None or time.monotonic() - self._idle_at < 300:
            return
        watts = []  # type: List[float]
        for _ in range(20):
            self._tools.wire.check_alive(self._tools.limits["poll_s"])
            watts.append(self._tools.board.power_w() or 0.0)
        self._tools.idle_w = round(sorted(watts[10:])[5], 4)
        self._idle_at = time.monotonic()


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Ended("a line is no JSON") from None


# ------------------------------------------------------------------------------------------------------- start and end


def private_folder() -> Tuple[str, int]:
    """Make a folder that only this user can open, held by a lock, and wipe those whose agents are dead."""
    base = tempfile.gettempdir()
    for path in glob.glob(os.path.join(glob.escape(base), "archlab-agent-*")):
        try:
            _wipe_dead(path)
        except OSError:  # in use, not ours, or wiped by another agent meanwhile
            pass
    for _ in range(100):
        folder = tempfile.mkdtemp(prefix="archlab-agent-")
        fd = -1
        try:
            fd = os.open(folder, os.O_RDONLY)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.path.isdir(folder):  # else another agent took it for a dead one's before the lock was ours
                return folder, fd
        except FileNotFoundError:
            pass
        if fd >= 0:
            os.close(fd)
    raise Ended("no folder of its own could be kept")


def _wipe_dead(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
    try:
        if os.fstat(fd).st_uid == os.getuid():
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(fd)


def own_source(wire: Wire, sent: Optional[bytes]) -> bytes:
    """Give the agent's source: as it was sent, or its own file, which must then be what the host would have sent."""
    if sent is not None:
        return sent
    with open(__file__, "rb") as stream:
        source = stream.read()
    found = HEADER.fullmatch(wire.line(LIMITS["line_s"]) or b"")
    if not found:
        raise Ended("the first line does not announce an agent")
    wire.payload(int(found.group(1)))
    own = hashlib.sha256(source).hexdigest()
    if own.encode() != found.group(2):
        raise Ended("the agent on the board is another version than the host's (its SHA-256 is %s)" % own)
    return source


def options(argv: List[str]) -> argparse.Namespace:
    """Read the agent's arguments: they are given by whoever starts it, never by a request."""
    parser = argparse.ArgumentParser(prog="archlab-agent", description="Measures networks for archlab.")
    parser.add_argument("--root", default="", help="stands in for the file system's root")
    parser.add_argument("--trtexec", help="where trtexec is")
    parser.add_argument("--lock", help="the file that queues measurements")
    parser.add_argument("--limit", action="append", default=[], metavar="NAME=NUMBER")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def lock_path(given: Optional[str]) -> str:
    """Choose the file that queues measurements: one that all users of the board share."""
    if given:
        return given
    folder = "/run/lock" if os.access("/run/lock", os.W_OK) else tempfile.gettempdir()
    return os.path.join(folder, "archlab-measure.lock")


def main(argv: List[str], sent: Optional[bytes] = None) -> int:
    """Serve, then clean up, however it ends."""
    asked = options(argv)
    if asked.worker:
        work()
        return 0
    limits = {**LIMITS, **{name: float(number) for name, number in (pair.split("=") for pair in asked.limit)}}
    out = os.dup(1)
    os.dup2(2, 1)
    wire = Wire(0, out, limits)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _on_signal)
    agent = None
    folder = ""
    try:
        source = own_source(wire, sent)
        folder, _held = private_folder()
        tools = Tools(folder, wire, limits, Board(asked.root), source)
        agent = Agent(tools, Queue(lock_path(asked.lock), wire, limits), asked.trtexec)
        wire.send({"protocol": PROTOCOL, "sha256": hashlib.sha256(source).hexdigest()}, prefix=GREETING)
        agent.serve()
    except Ended as end:
        _say_why(wire, str(end))
        return 3
    except Exception as fault:  # a full disk, or a mistake of ours: say it, and clean up as always
        _say_why(wire, "%s: %s" % (type(fault).__name__, " ".join(str(fault).split())[:300]))
        return 4
    finally:
        if agent is not None:
            agent.close()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _on_signal(number: int, frame: Any) -> None:
    raise Ended("signal %d" % number)


def _say_why(wire: Wire, reason: str) -> None:
    """Tell both ends: the host may still read, and stderr is shown to the user."""
    sys.stderr.write("archlab agent: %s\n" % reason)
    try:
        wire.send({"end": reason})
    except Ended:
        pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], globals().get("SOURCE")))
