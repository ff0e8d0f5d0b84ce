"""``affectstream plan``: from a number of sessions to machines, by measured costs."""
