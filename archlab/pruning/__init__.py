"""Which channels of a trained network matter least, and the smaller network without them: spec → spec, with weights."""
