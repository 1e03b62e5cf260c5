"""Numbers to text with units, for people: reports, tables and the terminal.

A latency is rounded to what its interval can tell; a count keeps three significant digits; a share is a percentage.
A missing number is a dash. Text made here is never parsed again: machines read the JSON and the CSV.
"""

import decimal
import math

__all__ = [
    "DASH",
    "count",
    "duration",
    "interval",
    "milliseconds",
    "number",
    "percent",
    "resolved",
    "scientific",
    "size",
]

DASH = "–"
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def number(value: float | None, digits: int = 3) -> str:
    """Write with `digits` significant digits and never an exponent below 10^15: ``1234.5`` → ``1,230``."""
    if value is None or not math.isfinite(value):
        return DASH
    if value == 0:
        return "0"
    if abs(value) >= 1e15 or abs(value) < 1e-6:
        return f"{value:.{digits - 1}e}"
    return _fixed(value, digits - 1 - math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}")))))


def count(value: float | None) -> str:
    """Write a count with three significant digits and k, M, G or T: ``5586832`` → ``5.59 M``, ``950`` → ``950``."""
    if value is None:
        return DASH
    for unit, prefix in _PREFIXES:
        if abs(value) >= unit * 0.9995:
            return f"{number(value / unit)} {prefix}"
    return number(value)


def resolved(value: float | None, spread: float) -> str:
    """Write with the decimals that tell a hundredth of `spread` apart: ``41.2345`` with ``3`` → ``41.23``."""
    if value is None or not math.isfinite(value):
        return DASH
    if not spread > 0:
        return number(value, 4)
    return _fixed(value, max(0, 2 - math.floor(math.log10(spread))))


def scientific(value: int) -> str:
    """Write a whole number of any length: ``8000`` → ``8,000``, ``31 415 926`` → ``3.1 × 10⁷``."""
    if abs(value) < 1_000_000:
        return f"{value:,}"
    mantissa, exponent = f"{decimal.Decimal(value):.1e}".split("e")
    return f"{mantissa} × 10{exponent.removeprefix('+').translate(_RAISED)}"


def size(value: float | None) -> str:
    """Write a number of bytes in decimal units: ``4815765`` → ``4.82 MB``."""
    if value is None:
        return DASH
    text = count(value)
    return f"{text}B" if text[-1].isalpha() else f"{text} B"


def milliseconds(value_ms: float | None, interval_ms: tuple[float, float] | None = None) -> str:
    """Write a latency rounded to half the width of its interval; without one, three significant digits.

    ``3.4372`` with ``(3.0, 3.9)`` → ``3.4 ms``; with ``(3.43, 3.45)`` → ``3.437 ms``.
    """
    if value_ms is None:
        return DASH
    return f"{_rounded(value_ms, interval_ms)} ms"


def interval(interval_ms: tuple[float, float] | None) -> str:
    """Write an interval rounded to half its own width: ``(3.01, 3.89)`` → ``3.0–3.9 ms``."""
    if interval_ms is None:
        return DASH
    low, high = (_rounded(end, interval_ms) for end in interval_ms)
    return f"{low}–{high} ms"


def duration(seconds: float | None) -> str:
    """Write a time span with its two largest units: ``192.4`` → ``3 min 12 s``."""
    if seconds is None:
        return DASH
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def percent(part: float | None) -> str:
    """Write a fraction as a whole percentage, without rounding a little to nothing: ``0.004`` → ``< 1 %``."""
    if part is None or not math.isfinite(part):
        return DASH
    if 0 < part < 0.01:
        return "< 1 %"
    if 0.99 < part < 1:
        return "> 99 %"
    return f"{round(part * 100)} %"


def _rounded(value: float, interval_ms: tuple[float, float] | None) -> str:
    if interval_ms is None or not interval_ms[1] > interval_ms[0]:
        return number(value)
    return _fixed(value, _decimals((interval_ms[1] - interval_ms[0]) / 2))


def _decimals(error: float) -> int:
    """Give the decimals that an error justifies: two digits of it up to 3.54, else one.

    Source: the rounding rule of the Particle Data Group, Review of Particle Physics, introduction §5.3.
    """
    leading = math.floor(math.log10(error))
    return (1 if round(error / 10.0**leading * 100) <= 354 else 0) - leading


def _fixed(value: float, decimals: int) -> str:
    text = f"{round(value, decimals):,.{max(decimals, 0)}f}"
    return text if any(digit in text for digit in "123456789") else text.removeprefix("-")
