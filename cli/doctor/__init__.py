"""``affectstream doctor``: looks at a deployment from where it is called, and says what to do."""
