"""``python -m cli`` is the ``affectstream`` command."""

from cli.main import main

main()
