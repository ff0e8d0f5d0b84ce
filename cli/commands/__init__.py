"""The commands that are not of a group: what they take, and which module does the work, imported when they run."""
