"""The command ``probe``: finds out how a Datalore behaves where that is not documented."""
