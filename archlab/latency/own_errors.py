"""Why a calibration does not come about, in four parts."""

from collections.abc import Mapping, Sequence

from archlab.device.catalog import Device
from archlab.errors import DeviceChanged, DeviceError, DeviceUnreachable, four_parts
from archlab.latency.choice import FEWEST

__all__ = ["changed", "too_few", "unreachable"]


def unreachable(device: Device) -> DeviceUnreachable:
    """Nothing answers there."""
    return DeviceUnreachable(
        four_parts(
            f"device {device.name!r} cannot be calibrated: it cannot be reached",
            given=device.name,
            allowed="devices that are measured",
            do=f"archlab device add {device.name} --ssh user@host",
        )
    )


def too_few(device: Device, found: int, refused: Sequence[tuple[str, str]]) -> DeviceError:
    """Of the networks too few gave a latency; `refused` are names and reasons of the others."""
    return DeviceError(
        four_parts(
            f"too few networks ran on {device.name} to calibrate it",
            given=f"{found} of {found + len(refused)}" + (f", the last: {refused[-1][1]}" if refused else ""),
            allowed=f"{FEWEST} or more",
            do=f"see what is wrong with: archlab device check {device.name}",
        )
    )


def changed(device: Device, before: Mapping[str, str], after: Mapping[str, str]) -> DeviceChanged:
    """The device is not what it was when the first network was measured."""
    names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    told = ", ".join(f"{name} {before.get(name, 'not known')} → {after.get(name, 'not known')}" for name in names)
    return DeviceChanged(
        four_parts(
            f"{device.name} changed while it was calibrated, nothing is stored",
            given=told,
            allowed="one power mode and one set of software from the first network to the last",
            do="set it up as it shall stay, then calibrate again",
        )
    )
