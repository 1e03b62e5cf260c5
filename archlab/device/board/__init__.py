"""Boards: one file of standard-library Python over SSH, and nothing installed there.

`agent` runs on the board and imports nothing of ours; `link` starts it and speaks with it; `backend` makes it a runtime
like any other.
"""
