"""The device of a measured search: what it was when first asked, whether it still is, and whether it has restarted."""

from collections.abc import Mapping
from typing import Any

from archlab.device.board.backend import BoardBackend
from archlab.device.catalog import Device, RunSpec
from archlab.device.measure import backend_of
from archlab.errors import DeviceLost, four_parts
from archlab.study.identity import Fingerprint, check_unchanged

__all__ = ["Presence"]


class Presence:
    """Asks a device who it is when first needed, and holds it to that.

    Args:
        device: The device; one that cannot be reached has an empty fingerprint.
        run: How networks run on it.

    Raises:
        UnknownNameError, DeviceError: For a run that the device does not offer.
    """

    def __init__(self, device: Device, run: RunSpec) -> None:
        self._device, self._run = device, run
        self._known: Fingerprint | None = None
        self._boot: str | None = None
        if device.reach is not None:
            backend_of(device, run)

    def fingerprint(self) -> Fingerprint:
        """The device and its software as they were when first asked.

        Raises:
            DeviceUnreachable: When it does not answer.
        """
        if self._known is None:
            is_measured = self._device.reach is not None
            self._known = self._fingerprint_now() if is_measured else {}
            self._boot = self._boot_now() if is_measured else None
        return self._known

    def recover(self) -> bool:
        """Call a device that went away once more; True when it has started again since.

        Raises:
            DeviceUnreachable: When it still does not answer.
            DeviceChanged: When it is not what it was.
        """
        check_unchanged(self._device.name, self.fingerprint(), self._fingerprint_now())
        before, self._boot = self._boot, self._boot_now()
        return before != self._boot

    def check(self, environment: Mapping[str, Any]) -> None:
        """Refuse what was measured on a device that changed, or that started again unnoticed.

        Raises:
            DeviceChanged: When it is not what it was.
            DeviceLost: When it has started again: `recover` then takes it as it is.
        """
        check_unchanged(self._device.name, self.fingerprint(), environment["fingerprint"])
        if self._boot_now() != self._boot:
            raise DeviceLost(
                four_parts(
                    f"the device {self._device.name} has started again",
                    given="another boot id",
                    allowed="the one that the search knows",
                    do=f"look at it with: archlab device check {self._device.name}",
                )
            )

    def _fingerprint_now(self) -> Fingerprint:
        return backend_of(self._device, self._run).fingerprint(self._device)

    def _boot_now(self) -> str | None:
        """What identifies the time since a board's last start; None for this machine."""
        backend = backend_of(self._device, self._run)
        return str(backend.link(self._device).hello["boot_id"]) if isinstance(backend, BoardBackend) else None
