"""Feed and follow sessions from Python. Needs the contracts only.

:class:`Session` streams media of one's own and watches the frames; :func:`play` streams a file.
"""

from client.errors import ClientError, ConnectionRefused, SessionRefused
from client.play import Played, play
from client.session import Session
from client.watch import watch

__all__ = ["ClientError", "ConnectionRefused", "Played", "Session", "SessionRefused", "play", "watch"]
