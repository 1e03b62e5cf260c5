"""The Python interface: one file per question; `archlab` re-exports the names lazily."""
