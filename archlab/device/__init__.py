"""What must be run: devices and their runtimes, the measuring protocol, per-operator time, the measurement cache.

A device is a row of `catalog.DEVICES`, a runtime a file under ``backends/``; `measure.measure` joins the two.
"""
