"""How submissions are graded: one, and all of a homework."""
