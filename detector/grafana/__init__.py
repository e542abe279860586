"""Grafana as the analysts' console: one model in code, pushed through the API or exported as provisioning files.

`model` holds the wanted state as values; `dashboards`, `rules` and `messages` make it from configuration and language;
`compare` says what differs; `push` and `diff` act on that through `adapter`, the one module that talks to Grafana.
"""
