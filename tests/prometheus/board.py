"""deploy/grafana/dashboard.json as the tests and the picture read it."""

import json

from support import DEPLOY

BOARD = json.loads((DEPLOY / "grafana/dashboard.json").read_text())
PANELS = BOARD["panels"]

# What Grafana fills in.
VARIABLES = {"$__rate_interval": "30s", "$__interval": "5s", "$__range": "1m", "$job": ".*", "$instance": ".*"}


def filled_in(expression):
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def queries():
    """The title of its panel with each query."""
    for panel in PANELS:
        for target in panel.get("targets", []):
            yield panel["title"], filled_in(target["expr"])
