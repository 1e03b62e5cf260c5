"""Nothing that a user or a file can say becomes an option of ssh or a word for a shell."""

import pytest

from archlab.device.reach import (
    Target,
    check_name,
    check_options,
    check_python,
    check_reach,
    check_runtimes,
    target_of,
)
from archlab.errors import DeviceError, UnknownNameError


@pytest.mark.parametrize(
    ("reach", "target", "words"),
    [
        ("ssh:me@host", Target(user="me", host="host"), ("--", "me@host")),
        ("ssh:host", Target(host="host"), ("--", "host")),
        ("ssh:j_1@10.0.0.7:2222", Target(user="j_1", host="10.0.0.7", port=2222), ("-p", "2222", "--", "j_1@10.0.0.7")),
        ("ssh:a@[fe80::1]:22", Target(user="a", host="fe80::1", port=22), ("-p", "22", "--", "a@fe80::1")),
    ],
)
def test_targets(reach: str, target: Target, words: tuple[str, ...]) -> None:
    check_reach(reach)
    assert target_of(reach) == target
    assert target.words == words


@pytest.mark.parametrize(
    "text",
    ["", "-oProxyCommand=touch x", "me@-oProxyCommand=x", "-l@host", "a b@host", "me@ho st", "me@host:0",
     "me@host:65536", "me@host:", "me@host:22x", "me@@host", "@host", "me@host;reboot", "me@$(reboot)", "me@host\n-v",
     "me@host/x", "me@::1", "ssh://me@host", "me@" + "h" * 300,
     "me@host:" + "9" * 5000],
)  # fmt: skip
def test_no_targets(text: str) -> None:
    with pytest.raises(
        DeviceError, match=r"no target for ssh; given: .*; allowed: user@host, .*; give it as: --ssh user@"
    ):
        check_reach(f"ssh:{text}")


def test_no_way_to_reach() -> None:
    for text in ("local", "tcp:host", "child:x", ""):
        with pytest.raises(
            DeviceError, match=r"no way to reach a device; given: .*; allowed: ssh:user@host, .*child:; "
        ):
            check_reach(text)


def test_names() -> None:
    for name in ("orin", "orin-2", "a.b_c", "7"):
        check_name(name)
    for name in ("", "Orin", "a/b", "..", "-a", "a b", "a@b", "a:b", "ä", "a" * 33, "a\n"):
        with pytest.raises(
            DeviceError, match=r"no name for a device; given: .*; allowed: 1 to 32 of .*; choose another"
        ):
            check_name(name)
    for name in ("cpu", "cuda"):
        with pytest.raises(
            DeviceError, match=f"'{name}' is a device of this machine; .*--device {name} needs no adding"
        ):
            check_name(name)


def test_runtimes() -> None:
    check_runtimes((), "fp16")
    check_runtimes(("trtexec", "ort"), "bf16")
    with pytest.raises(UnknownNameError, match=r"no runtime of boards 'trtexe'.*did you mean 'trtexec'"):
        check_runtimes(("trtexe",), None)
    with pytest.raises(UnknownNameError, match=r"no precision of ort 'fp16'; .*allowed: fp32"):
        check_runtimes(("ort",), "fp16")
    with pytest.raises(DeviceError, match=r"a runtime is named twice; given: ort, ort"):
        check_runtimes(("ort", "ort"), None)


def test_pythons() -> None:
    for path in ("python3", "/usr/bin/python3.8", "~/env/bin/python", "./python3"):
        check_python(path)
    for path in ("", "-c", "python3 -m", "python3;x", "$(x)", "a\nb", "'x'"):
        with pytest.raises(
            DeviceError, match=r"no path of a Python interpreter; given: .*; allowed: .*; give --python"
        ):
            check_python(path)


def test_options() -> None:
    check_options(("ProxyJump=gate", "proxyjump=gate", "UserKnownHostsFile=/a b/c"))
    for option in (
        "ProxyCommand=x",
        "LocalCommand=x",
        "StrictHostKeyChecking=no",
        "KnownHostsCommand=x",
        "BatchMode=no",
    ):
        with pytest.raises(UnknownNameError, match=f"no option of ssh for boards '{option.partition('=')[0]}'; "):
            check_options((option,))
    for option in ("ProxyJump", "=x", "Port=", "-o=x", "Port= 22", "Port=2\n2"):
        with pytest.raises(DeviceError, match=r"no option of ssh; given: .*; allowed: Key=value; give it as"):
            check_options((option,))


def test_a_gateway_is_a_target_or_some() -> None:
    check_options(("ProxyJump=me@gate:22,other.example",))
    for value in ("$(touch x)", "gate,`x`", "gate,", "-oProxyCommand=x", "gate;x", "gate " * 2):
        with pytest.raises(DeviceError, match=r"no target for ssh; given: .*; allowed: user@host, "):
            check_options((f"proxyJump={value.strip()}",))
