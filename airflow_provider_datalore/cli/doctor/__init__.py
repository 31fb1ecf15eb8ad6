"""The command ``doctor``: what works over a connection, and what does not."""
