"""The profile "monitoring" of deploy/compose.yml, as far as there are images: Prometheus."""

import json
import unittest
import urllib.error
import urllib.parse
import urllib.request

import image
from client import Client
from engine import Project, eventually


class Monitoring(unittest.TestCase):
    def test_prometheus_scrapes_the_sidecar_and_has_its_rules(self):
        project = Project("compose.yml", image.name)
        self.addCleanup(project.remove)
        project.up("cloakroom", "app", "prometheus")
        client = Client(project.port)
        eventually("the app answers", client.is_up)
        client.log_in("Ann")
        base = f"http://{project.environment['PROMETHEUS_PORT']}/api/v1"

        def ask(path, **parameters):
            try:
                with urllib.request.urlopen(
                    f"{base}/{path}?{urllib.parse.urlencode(parameters)}", timeout=5
                ) as answer:
                    return json.load(answer)["data"]
            except (urllib.error.URLError, OSError):
                return None

        def value(query):
            found = ask("query", query=query)
            return found and found["result"] and float(found["result"][0]["value"][1])

        saved = 'sum(cloakroom_session_writes_total{action="saved"})'
        eventually("Prometheus has the log-in", lambda: value(saved) == 1)
        groups = ask("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        self.assertTrue(any(rule["type"] == "alerting" for rule in rules))
        eventually("every rule is evaluated", lambda: all_well(ask("rules")), patience=120)


def all_well(rules):
    health = [rule["health"] for group in rules["groups"] for rule in group["rules"]]
    return all(word == "ok" for word in health)
