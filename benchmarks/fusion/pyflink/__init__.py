"""PyFlink's event-time windows."""
