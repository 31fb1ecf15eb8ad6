"""How calls are sent to Datalore: with requests on a worker, with aiohttp in the triggerer."""
