"""Talk to the API: configuration, requests and responses, retries, rate limit, and the client. Imports no pandas.

Internal: import public names from :mod:`orstats`.
"""
