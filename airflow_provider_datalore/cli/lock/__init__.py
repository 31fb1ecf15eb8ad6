"""The command ``lock``: writes what is known of notebooks into a file that is committed."""
